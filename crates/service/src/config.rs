use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;

/// What every service is told from outside, environment first.
///
/// Flattened into a service's own clap struct, which names its port:
///
/// ```
/// #[derive(clap::Parser)]
/// #[command(mut_arg("http_addr", |arg| arg.default_value("127.0.0.1:8081")))]
/// struct Config {
///     #[command(flatten)]
///     chassis: service::Config,
/// }
/// ```
///
/// Logs and traces have settings of their own, see [`telemetry`](crate::telemetry).
// The group's id is the type's name unless said, and a service's own struct is mostly a `Config` too.
#[derive(clap::Args, Clone)]
#[group(id = "chassis")]
pub struct Config {
    /// URL of this service's own Postgres database.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_parser = NonEmptyStringValueParser::new())]
    pub database_url: String,

    /// Kafka brokers to begin with, separated by commas.
    #[arg(
        long,
        env = "KAFKA_BOOTSTRAP_SERVERS",
        default_value = "127.0.0.1:9092",
        value_parser = NonEmptyStringValueParser::new()
    )]
    pub kafka_bootstrap_servers: String,

    /// First part of every topic's and consumer group's name.
    #[arg(long, env = "TOPIC_PREFIX", default_value = "waybill", value_parser = topic_prefix)]
    pub topic_prefix: String,

    /// Address that the HTTP API listens on.
    #[arg(long, env = "HTTP_ADDR", default_value = "127.0.0.1:8080")]
    pub http_addr: SocketAddr,

    /// Address for the operator: dead letters, and what can be done about them. Off unless set.
    ///
    /// Whoever reaches it reads messages in full and decides what becomes of them, without being asked who they are:
    /// it must never be public.
    #[arg(long, env = "ADMIN_ADDR")]
    pub admin_addr: Option<SocketAddr>,

    /// Name of this process among those of its service, as consumer groups and logs show it.
    #[arg(long, env = "INSTANCE_ID", value_parser = NonEmptyStringValueParser::new())]
    pub instance_id: Option<String>,

    /// Consumers in this process, each with its own database connection.
    #[arg(long, env = "WORKERS", default_value_t = 1, value_parser = within::<1, 64>)]
    pub workers: usize,

    /// Most inputs that one transaction takes.
    #[arg(long, env = "BATCH_SIZE", default_value_t = 500, value_parser = within::<1, 10_000>)]
    pub batch_size: usize,

    /// Rows waiting to be published above which new work is answered with 503.
    #[arg(long, env = "OUTBOX_LIMIT", default_value_t = 500_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub outbox_limit: u64,

    /// Seconds for which the answers to requests with an idempotency key are remembered.
    #[arg(
        long,
        env = "IDEMPOTENCY_KEY_TTL_SECS",
        default_value_t = 24 * 3_600,
        value_parser = clap::value_parser!(u64).range(1..=10 * 366 * 24 * 3_600)
    )]
    pub idempotency_key_ttl_secs: u64,

    /// How often a dead letter is tried again by itself; 0: an operator says when.
    #[arg(long, env = "REDRIVE_ATTEMPTS", default_value_t = 0)]
    pub redrive_attempts: u16,

    /// Seconds before a dead letter is tried again by itself: twice as many each time, an hour at the most.
    #[arg(long, env = "REDRIVE_AFTER_SECS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    pub redrive_after_secs: u64,
}

impl Config {
    /// What is done about dead letters without an operator.
    pub(crate) fn auto_redrive(&self) -> Option<engine::AutoRedrive> {
        (self.redrive_attempts > 0).then(|| engine::AutoRedrive {
            attempts: self.redrive_attempts.into(),
            after: Duration::from_secs(self.redrive_after_secs),
        })
    }
}

/// Without the database URL: it holds a password, and configurations end up in logs.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("kafka_bootstrap_servers", &self.kafka_bootstrap_servers)
            .field("topic_prefix", &self.topic_prefix)
            .field("http_addr", &self.http_addr)
            .field("admin_addr", &self.admin_addr)
            .field("instance_id", &self.instance_id)
            .field("workers", &self.workers)
            .field("batch_size", &self.batch_size)
            .field("outbox_limit", &self.outbox_limit)
            .field("idempotency_key_ttl_secs", &self.idempotency_key_ttl_secs)
            .finish_non_exhaustive()
    }
}

/// Kafka allows 249 characters in a topic's name; the rest of ours needs far fewer than the half left here.
fn topic_prefix(value: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-' | '_');
    if value.is_empty() || value.len() > 120 || !value.chars().all(allowed) {
        return Err("expected 1 to 120 characters out of a-z, 0-9, '.', '-' and '_'".to_owned());
    }
    Ok(value.to_owned())
}

fn within<const MIN: usize, const MAX: usize>(value: &str) -> Result<usize, String> {
    match value.parse() {
        Ok(number) if (MIN..=MAX).contains(&number) => Ok(number),
        _ => Err(format!("expected a whole number from {MIN} to {MAX}")),
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser};

    #[derive(Parser, Debug)]
    #[command(mut_arg("http_addr", |arg| arg.default_value("127.0.0.1:8083")))]
    struct Config {
        #[command(flatten)]
        chassis: super::Config,
    }

    fn parse(args: &[&str]) -> Result<super::Config, clap::Error> {
        let given = ["shipping", "--database-url", "postgres://me:secret@db/x"].iter().chain(args);
        Config::try_parse_from(given).map(|it| it.chassis)
    }

    #[test]
    fn a_service_names_its_own_port() {
        // Asked of the command, not parsed: the environment of the tests may set an address.
        let command = Config::command();
        let addr = command.get_arguments().find(|arg| arg.get_id() == "http_addr").unwrap();
        assert_eq!(addr.get_default_values(), ["127.0.0.1:8083"]);
        let given = parse(&["--http-addr", "0.0.0.0:9000"]).unwrap();
        assert_eq!(given.http_addr, "0.0.0.0:9000".parse().unwrap());
    }

    #[test]
    fn wrong_values_are_refused_at_start() {
        for wrong in [
            ["--topic-prefix", "Way bill"],
            ["--topic-prefix", ""],
            ["--workers", "0"],
            ["--batch-size", "many"],
            ["--outbox-limit", "0"],
            ["--idempotency-key-ttl-secs", "0"],
            ["--http-addr", "localhost"],
            ["--admin-addr", "8090"],
            ["--instance-id", ""],
        ] {
            assert!(parse(&wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(parse(&["--topic-prefix", "t-1.a_b"]).unwrap().topic_prefix, "t-1.a_b");
    }

    #[test]
    fn the_password_is_not_printed() {
        let printed = format!("{:?}", parse(&["--topic-prefix", "shown"]).unwrap());
        assert!(printed.contains("shown") && !printed.contains("secret"), "{printed}");
    }
}
