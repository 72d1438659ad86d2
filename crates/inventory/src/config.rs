use std::time::Duration;

use clap::value_parser;

/// What the inventory service is told from outside.
#[derive(clap::Parser, Clone, Debug)]
#[command(name = "waybill-inventory", about = "The inventory service of Waybill")]
#[command(mut_arg("http_addr", |arg| arg.default_value("127.0.0.1:8081")))]
pub struct Config {
    #[command(flatten)]
    pub chassis: service::Config,

    /// Seconds after which stock that was reserved is available again, unless its order is confirmed. Without
    /// it only a cancellation makes it so: an order that is not confirmed in time is cancelled anyway.
    #[arg(long, env = "RESERVATION_TTL_SECS", value_parser = value_parser!(u64).range(1..=YEAR_SECS))]
    pub reservation_ttl_secs: Option<u64>,
}

const YEAR_SECS: u64 = 31_536_000;

impl Config {
    pub(crate) fn reservation_ttl(&self) -> Option<Duration> {
        self.reservation_ttl_secs.map(Duration::from_secs)
    }
}
