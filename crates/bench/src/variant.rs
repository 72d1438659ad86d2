//! Settings that a suite is measured with.

use std::{collections::HashSet, str::FromStr};

/// What differs from the usual settings: `batch=1`, `workers=2+partitions=3`, `OUTBOX_LIMIT=1000`, `usual`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant {
    pub name: String,
    /// Of the topics that have more than one.
    pub partitions: Option<i32>,
    /// Of each service. Orders are placed with the first, and events are shared by all.
    pub processes: usize,
    /// Variables of all services.
    pub env: Vec<(String, String)>,
}

impl Default for Variant {
    /// Nothing differs.
    fn default() -> Self {
        Self { name: "usual".to_owned(), partitions: None, processes: 1, env: Vec::new() }
    }
}

/// What services read besides, and so can be set.
const READ: [&str; 11] = [
    "BATCH_SIZE",
    "CARRIER_DELAY_MS",
    "CARRIER_SIMULATED",
    "CONFIRM_WITHIN_SECS",
    "IDEMPOTENCY_KEY_TTL_SECS",
    "LOG_FORMAT",
    "OUTBOX_LIMIT",
    "REDRIVE_AFTER_SECS",
    "REDRIVE_ATTEMPTS",
    "RESERVATION_TTL_SECS",
    "WORKERS",
];
/// And what their runtimes and libraries read: the allocators (ours, and that of librdkafka), logs, traces.
const READ_BY_LIBRARIES: [&str; 5] = ["MALLOC_", "MIMALLOC_", "OTEL_", "RUST_", "TOKIO_"];
/// What a bench gives each process itself.
const GIVEN: [&str; 8] = [
    "ADMIN_ADDR",
    "DATABASE_URL",
    "HTTP_ADDR",
    "INSTANCE_ID",
    "KAFKA_BOOTSTRAP_SERVERS",
    "PROVIDER_API_KEY",
    "PROVIDER_URL",
    "TOPIC_PREFIX",
];

impl Variant {
    /// Takes a setting; what it has set.
    fn set<'n>(&mut self, name: &'n str, value: &str) -> Result<&'n str, String> {
        let number = |most: usize| {
            let number = value.parse().ok().filter(|it| (1..=most).contains(it));
            number.ok_or_else(|| format!("expected 1 to {most} for {name}, not `{value}`"))
        };
        let variable = match name {
            "batch" => number(10_000).map(|_| "BATCH_SIZE")?,
            "workers" => number(64).map(|_| "WORKERS")?,
            "partitions" => {
                self.partitions = Some(number(100)? as i32);
                return Ok(name);
            }
            "processes" => {
                self.processes = number(8)?;
                return Ok(name);
            }
            other if GIVEN.contains(&other) => {
                return Err(format!("{other} is the bench's to give"));
            }
            other if READ.contains(&other) => other,
            other if READ_BY_LIBRARIES.iter().any(|it| other.starts_with(it)) => other,
            other => {
                let known = "batch, workers, partitions, processes, or a variable that services read";
                return Err(format!("no setting `{other}`: {known}"));
            }
        };
        self.env.push((variable.to_owned(), value.to_owned()));
        Ok(variable)
    }
}

impl FromStr for Variant {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut variant = Self { name: text.to_owned(), ..Self::default() };
        let mut set = HashSet::new();
        for setting in text.split('+').filter(|_| text != "usual") {
            let (name, value) =
                setting.split_once('=').ok_or("expected usual, or NAME=VALUE, joined by +")?;
            let what = variant.set(name, value)?;
            if !set.insert(what) {
                return Err(format!("{what} is set twice"));
            }
        }
        Ok(variant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_have_names_of_ours_or_of_variables() {
        let variant: Variant = "batch=1+partitions=3+processes=2+OUTBOX_LIMIT=7".parse().expect("a variant");
        let env = [("BATCH_SIZE", "1"), ("OUTBOX_LIMIT", "7")].map(|it| (it.0.to_owned(), it.1.to_owned()));
        assert_eq!((variant.partitions, variant.processes, variant.env), (Some(3), 2, env.to_vec()));
        assert_eq!("usual".parse(), Ok(Variant::default()));
        for wrong in [
            "batch",
            "",
            "lot=1",
            "partitions=0",
            "processes=0",
            "batch=1+",
            "batch=0",
            "workers=x",
            "batch=1+batch=2",
            "batch=1+BATCH_SIZE=2",
            "HTTP_ADDR=127.0.0.1:1",
            "PROVIDER_API_KEY=sk",
            "OUTBOX_LIMITS=7",
        ] {
            assert!(wrong.parse::<Variant>().is_err(), "{wrong}");
        }
    }
}
