use std::time::Duration;

use clap::value_parser;

/// What the inventory service is told from outside.
#[derive(clap::Parser, Clone, Debug)]
#[command(name = "waybill-inventory", about = "The inventory service of Waybill")]
#[command(mut_arg("http_addr", |arg| arg.default_value("127.0.0.1:8081")))]
pub struct Config {
    #[command(flatten)]
    pub chassis: service::Config,

    /// Seconds after which stock that was reserved is available again, unless its order is confirmed: longer than
    /// an order waits for its confirmation, so that it is the way out for what never hears of its order again.
    /// 0: only a cancellation makes it available.
    #[arg(long, env = "RESERVATION_TTL_SECS", default_value_t = 3_600,
        value_parser = value_parser!(u64).range(..=YEAR_SECS))]
    pub reservation_ttl_secs: u64,
}

const YEAR_SECS: u64 = 31_536_000;

impl Config {
    /// How long a reservation lasts; `None`: until it is settled.
    pub fn reservation_ttl(&self) -> Option<Duration> {
        (self.reservation_ttl_secs > 0).then(|| Duration::from_secs(self.reservation_ttl_secs))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    /// The time that a reservation lasts, or `None` for a setting that is refused.
    fn ttl(args: &[&str]) -> Option<Option<Duration>> {
        let needed = ["x", "--database-url", "postgres://me@db/x"];
        let config = Config::try_parse_from(needed.iter().chain(args));
        config.ok().map(|it| it.reservation_ttl())
    }

    #[test]
    fn a_reservation_lasts_for_good_or_for_up_to_a_year() {
        assert_eq!(ttl(&[]), Some(Some(Duration::from_secs(3_600))));
        assert_eq!(ttl(&["--reservation-ttl-secs", "0"]), Some(None));
        assert_eq!(ttl(&["--reservation-ttl-secs", "900"]), Some(Some(Duration::from_secs(900))));
        for refused in ["31536001", "-1", "15m", ""] {
            assert_eq!(ttl(&["--reservation-ttl-secs", refused]), None, "{refused:?}");
        }
    }
}
