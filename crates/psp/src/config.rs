use std::path::PathBuf;

use clap::Parser;

/// A stand-in payment service provider for development and tests: a Stripe-shaped API with its own ledger.
#[derive(Clone, Parser)]
#[command(name = "waybill-psp", version)]
pub struct Config {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, env, default_value = "127.0.0.1:8084")]
    pub http_addr: String,
    /// The secret key that clients present; the default is for development.
    #[arg(long, env, default_value = "sk_test_waybill", hide_env_values = true)]
    pub psp_api_key: String,
    /// The journal that everything is rebuilt from after a restart; without it everything is in memory only.
    #[arg(long, env)]
    pub ledger_file: Option<PathBuf>,
    /// How long each payment call takes, in milliseconds.
    #[arg(long, env, default_value_t = 0)]
    pub psp_latency_ms: u64,
}
