use crate::decider::CONFIRM_WITHIN_SECS;

/// What the order service is told from outside.
#[derive(clap::Parser, Clone, Debug)]
#[command(name = "waybill-order", about = "The order service of Waybill")]
#[command(mut_arg("http_addr", |arg| arg.default_value("127.0.0.1:8080")))]
pub struct Config {
    #[command(flatten)]
    pub chassis: service::Config,

    /// Seconds that stock and payment may take together; an order that is not confirmed then is cancelled.
    #[arg(long, env = "CONFIRM_WITHIN_SECS", default_value_t = CONFIRM_WITHIN_SECS,
        value_parser = clap::value_parser!(u64).range(1..=30 * 24 * 3_600))]
    pub confirm_within_secs: u64,
}
