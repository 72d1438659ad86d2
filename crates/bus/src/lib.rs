//! The event log behind one small interface, on Apache Kafka and in memory, and the CloudEvents codec.
//!
//! [`Bus`] creates topics and hands out a [`Producer`] and [`Consumer`]s. A producer takes records without
//! waiting and resolves once all of them are acknowledged; a consumer polls batches and stores their offsets
//! only when its caller says so, after the caller's transaction has committed.
//!
//! **Invariant:** this is the only crate that names `rdkafka`, and it knows no event: what a record means is
//! decided above. Records of one key keep their order; nothing here deduplicates, retries a handler or
//! commits an offset by itself. Both implementations share the codec in [`cloud_event`], so that what runs
//! in memory has gone through the same bytes.

pub mod cloud_event;
mod consumer;
pub mod crash;
mod kafka;
mod memory;
mod producer;
mod record;
pub mod topics;

use std::{collections::BTreeMap, time::Duration};

pub use cloud_event::{CloudEvent, Envelope, Malformed, Trace};
pub use consumer::{Consumer, positions};
pub use memory::MemoryLog;
pub use producer::{Delivery, DeliveryError, Producer};
pub use record::{Header, Received, Record};
pub use topics::{Progress, TopicInfo, TopicSpec};

/// What can go wrong with the log itself. All but [`Error::Fatal`] pass by themselves: try again later.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the broker cannot be reached: {0}")]
    Unavailable(String),
    #[error("the broker refused: {0}")]
    Refused(String),
    /// The client instance is of no further use (a static member fenced by another of its name, for one).
    #[error("the client has failed for good: {0}")]
    Fatal(String),
}

/// A handle on the log; cheap to clone.
#[derive(Clone)]
pub enum Bus {
    Kafka(kafka::KafkaBus),
    Memory(MemoryLog),
}

impl Bus {
    /// A log on the Kafka cluster at `bootstrap_servers` (`host:port`, comma-separated). Connects lazily: a
    /// broker that is down now is waited for by each call, not here.
    pub fn kafka(bootstrap_servers: &str) -> Result<Self, Error> {
        Ok(Self::Kafka(kafka::KafkaBus::new(bootstrap_servers)?))
    }

    /// A log in this process's memory, for tests and development.
    pub fn memory() -> Self {
        Self::Memory(MemoryLog::default())
    }

    /// Creates the topics that are not there yet and leaves the others as they are. Returns the names of
    /// those created.
    pub async fn create_topics(&self, topics: &[TopicSpec]) -> Result<Vec<String>, Error> {
        match self {
            Self::Kafka(bus) => bus.create_topics(topics).await,
            Self::Memory(log) => Ok(log.create_topics(topics)),
        }
    }

    /// Deletes topics and all that is in them.
    pub async fn delete_topics(&self, names: &[&str]) -> Result<(), Error> {
        match self {
            Self::Kafka(bus) => bus.delete_topics(names).await,
            Self::Memory(log) => {
                log.delete_topics(names);
                Ok(())
            }
        }
    }

    /// The topics whose name starts with `prefix`, sorted, with the offsets that each partition holds.
    pub async fn topics(&self, prefix: &str) -> Result<Vec<TopicInfo>, Error> {
        match self {
            Self::Kafka(bus) => bus.topics(prefix).await,
            Self::Memory(log) => Ok(log.topics(prefix)),
        }
    }

    /// Which of `names` the log does not hold yet, by one metadata request; also the way to ask whether the
    /// broker answers at all.
    pub async fn missing_topics(&self, names: &[String], timeout: Duration) -> Result<Vec<String>, Error> {
        match self {
            Self::Kafka(bus) => bus.missing_topics(names, timeout).await,
            Self::Memory(log) => Ok(log.missing_topics(names)),
        }
    }

    /// How far `group` has come in `topics`, sorted by topic and partition. A group that has not come
    /// to the end may yet have been given all that there is for a consumer: see [`past_gaps`](Self::past_gaps).
    pub async fn progress(&self, group: &str, topics: &[String]) -> Result<Vec<Progress>, Error> {
        match self {
            Self::Kafka(bus) => bus.progress(group, topics).await,
            Self::Memory(log) => Ok(log.progress(group, topics)),
        }
    }

    /// Where the next record of a topic's partitions is, from these offsets on; where none comes, up to where none can
    /// come any more. The offsets between are taken by what no consumer is given: markers of transactions, what was
    /// aborted, what compaction has removed. Partitions without such a gap are left out, and so are those of which
    /// nothing is known in two seconds. (In memory there are no gaps.)
    pub async fn past_gaps(
        &self,
        topic: &str,
        from: BTreeMap<i32, i64>,
    ) -> Result<BTreeMap<i32, i64>, Error> {
        match self {
            Self::Kafka(bus) => bus.past_gaps(topic, from).await,
            Self::Memory(_) => Ok(BTreeMap::new()),
        }
    }

    /// Gives a topic this configuration, in place of the one that it has. (In memory there is none.)
    pub async fn configure_topic(&self, name: &str, config: &[(&str, &str)]) -> Result<(), Error> {
        match self {
            Self::Kafka(bus) => bus.configure_topic(name, config).await,
            Self::Memory(_) => Ok(()),
        }
    }

    /// Takes all records from a topic that it holds now, as its retention would. (In memory all are kept.)
    pub async fn expire(&self, topic: &TopicInfo) -> Result<(), Error> {
        match self {
            Self::Kafka(bus) => bus.expire(topic).await,
            Self::Memory(_) => Ok(()),
        }
    }

    /// How many members `group` has.
    pub async fn members(&self, group: &str) -> Result<usize, Error> {
        match self {
            Self::Kafka(bus) => bus.members(group).await,
            Self::Memory(log) => Ok(log.members(group)),
        }
    }

    /// Lets `group`, which must have no members, begin again at the first record of all its topics.
    pub async fn rewind(&self, group: &str) -> Result<(), Error> {
        match self {
            Self::Kafka(bus) => bus.rewind(group).await,
            Self::Memory(log) => {
                log.rewind(group);
                Ok(())
            }
        }
    }

    /// A producer of its own: dropping it abandons what it has in flight.
    pub fn producer(&self) -> Result<Producer, Error> {
        match self {
            Self::Kafka(bus) => Ok(Producer::Kafka(bus.producer()?)),
            Self::Memory(log) => Ok(Producer::Memory(log.clone())),
        }
    }

    /// A member of `group` on `topics`. `instance` is a name that stays the same over restarts of this
    /// member and is held by no other: with it, a restart within the session timeout moves no partition.
    pub fn consumer(
        &self,
        group: &str,
        topics: &[String],
        instance: Option<&str>,
    ) -> Result<Consumer, Error> {
        match self {
            Self::Kafka(bus) => Ok(Consumer::Kafka(Box::new(bus.consumer(group, topics, instance)?))),
            Self::Memory(log) => Ok(Consumer::Memory(log.consumer(group, topics))),
        }
    }

    /// Reads partitions (topic, id, first offset) as they are, for whoever looks at the log without taking part: in
    /// no group, so that nobody's partitions move and nothing is left behind. There is nothing to store.
    pub fn reader(&self, from: &[(&str, i32, i64)]) -> Result<Consumer, Error> {
        match self {
            Self::Kafka(bus) => Ok(Consumer::Kafka(Box::new(bus.reader(from)?))),
            Self::Memory(log) => Ok(Consumer::Memory(log.reader(from))),
        }
    }
}
