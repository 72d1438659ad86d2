use std::time::Duration;

use clap::builder::BoolishValueParser;

use crate::Carrier;

/// What the shipping service is told from outside.
#[derive(clap::Parser, Clone, Debug)]
#[command(name = "waybill-shipping", about = "The shipping service of Waybill")]
#[command(mut_arg("http_addr", |arg| arg.default_value("127.0.0.1:8083")))]
pub struct Config {
    #[command(flatten)]
    pub chassis: service::Config,

    /// Whether a simulated carrier moves the parcels, for development. Otherwise they are dispatched and
    /// delivered over HTTP, and so are those that were waiting when it was switched on.
    #[arg(long, env = "CARRIER_SIMULATED", default_value_t = true, action = clap::ArgAction::Set,
        value_parser = BoolishValueParser::new())]
    pub carrier_simulated: bool,

    /// Milliseconds that the simulated carrier takes to fetch a parcel, and again to hand it over. 0: both are
    /// done in the transaction that makes the parcel ready.
    #[arg(long, env = "CARRIER_DELAY_MS", default_value_t = 500,
        value_parser = clap::value_parser!(u64).range(..=LONGEST_DELAY_MS))]
    pub carrier_delay_ms: u64,
}

/// A week.
const LONGEST_DELAY_MS: u64 = 7 * 24 * 3_600 * 1_000;

impl Config {
    /// Who moves the parcels.
    pub fn carrier(&self) -> Carrier {
        if self.carrier_simulated {
            Carrier::Simulated { delay: Duration::from_millis(self.carrier_delay_ms) }
        } else {
            Carrier::Manual
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[track_caller]
    fn check(args: &[&str], expected: Option<Carrier>) {
        let given = ["shipping", "--database-url", "postgres://db/x"].iter().chain(args);
        assert_eq!(Config::try_parse_from(given).ok().map(|it| it.carrier()), expected, "{args:?}");
    }

    #[test]
    fn the_carrier_is_simulated_unless_it_is_switched_off() {
        let delay = |millis| Some(Carrier::Simulated { delay: Duration::from_millis(millis) });
        check(&["--carrier-simulated", "true", "--carrier-delay-ms", "500"], delay(500));
        check(&["--carrier-simulated", "on", "--carrier-delay-ms", "0"], delay(0));
        check(&["--carrier-simulated", "false", "--carrier-delay-ms", "500"], Some(Carrier::Manual));
    }

    #[test]
    fn wrong_values_are_refused_at_start() {
        check(&["--carrier-simulated", "perhaps"], None);
        check(&["--carrier-delay-ms", "-1"], None);
        check(&["--carrier-delay-ms", "604800001"], None);
        check(&["--carrier-delay-ms", "soon"], None);
    }
}
