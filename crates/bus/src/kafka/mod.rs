//! The log on Apache Kafka, through librdkafka.

mod admin;
mod consumer;
mod generations;
mod producer;
mod statistics;

use std::sync::Arc;

pub(crate) use consumer::KafkaConsumer;
pub(crate) use producer::KafkaProducer;
use rdkafka::{ClientConfig, config::RDKafkaLogLevel, error::KafkaError};

use self::admin::Admin;
use crate::Error;

/// A Kafka cluster.
#[derive(Clone)]
pub struct KafkaBus {
    bootstrap_servers: Arc<str>,
    /// Admin and metadata requests of all clones go over this one client.
    admin: Arc<Admin>,
}

impl KafkaBus {
    pub(crate) fn new(bootstrap_servers: &str) -> Result<Self, Error> {
        let admin = Admin::new(config(bootstrap_servers))?;
        Ok(Self { bootstrap_servers: bootstrap_servers.into(), admin: Arc::new(admin) })
    }

    pub(crate) fn producer(&self) -> Result<KafkaProducer, Error> {
        KafkaProducer::new(config(&self.bootstrap_servers))
    }

    pub(crate) fn reader(&self, from: &[(&str, i32, i64)]) -> Result<KafkaConsumer, Error> {
        KafkaConsumer::reader(config(&self.bootstrap_servers), from)
    }

    pub(crate) fn consumer(
        &self,
        group: &str,
        topics: &[String],
        instance: Option<&str>,
    ) -> Result<KafkaConsumer, Error> {
        KafkaConsumer::new(config(&self.bootstrap_servers), group, topics, instance)
    }
}

/// What all clients share: quick reconnects, for a broker that restarts is back in seconds.
fn config(bootstrap_servers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", bootstrap_servers)
        .set("client.id", "waybill")
        .set("reconnect.backoff.ms", "50")
        .set("reconnect.backoff.max.ms", "1000")
        .set("retry.backoff.ms", "50")
        .set("topic.metadata.refresh.interval.ms", "30000")
        .set("socket.nagle.disable", "true")
        // A broker that has vanished without a word is found out in this time; the library's default is a minute.
        .set("socket.timeout.ms", "10000")
        .set_log_level(RDKafkaLogLevel::Warning);
    config
}

impl From<KafkaError> for Error {
    fn from(error: KafkaError) -> Self {
        match error {
            KafkaError::MessageConsumptionFatal(code) => Self::Fatal(code.to_string()),
            KafkaError::ClientConfig(..) | KafkaError::ClientCreation(_) => Self::Refused(error.to_string()),
            other => Self::Unavailable(other.to_string()),
        }
    }
}

/// A lost connection is normal life for a Kafka client, which reconnects by itself: it goes to the log as
/// such, and not as an error for every attempt.
fn log_connection_trouble(error: &KafkaError, reason: &str) {
    tracing::debug!(%error, reason, "the Kafka client reports");
}
