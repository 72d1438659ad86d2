use std::{convert::Infallible, time::Duration};

use crate::{Error, kafka::KafkaConsumer, memory::MemoryConsumer, record::Received};

/// A member of a consumer group.
pub enum Consumer {
    Kafka(Box<KafkaConsumer>),
    Memory(MemoryConsumer),
}

/// A batch is full with the record that makes its payloads pass this, however many more it may hold.
pub(crate) const BATCH_BYTES: usize = 8 << 20;

impl Consumer {
    /// Waits for a first record, then takes what has arrived, up to `max` records or 8 MiB of payload. A batch that
    /// is not full by then is held back until `gather` has passed since the call (zero: whatever is there).
    ///
    /// Cancel-safe: dropping the future loses no record. A short outage is waited out in here; [`Error::Fatal`] alone is
    /// returned, also when the client has lost its brokers, or has not been a settled member of its group for long: a
    /// new one is to begin.
    pub async fn poll(&mut self, max: usize, gather: Duration) -> Result<Vec<Received>, Error> {
        match self {
            Self::Kafka(consumer) => consumer.poll(max, gather).await,
            Self::Memory(consumer) => Ok(consumer.poll(max, gather).await),
        }
    }

    /// Keeps the membership alive while the caller is at work on what it has polled: answers to rebalances,
    /// for which the whole group waits, and returns only when the member has failed for good. Partitions
    /// may move meanwhile, so that their new owner reads again what the caller has not stored yet.
    ///
    /// Cancel-safe, like [`poll`](Self::poll), which goes on where it was.
    pub async fn tend(&mut self) -> Result<Infallible, Error> {
        match self {
            Self::Kafka(consumer) => consumer.tend().await,
            // Members in memory follow a rebalance whenever they poll, and nobody waits for them.
            Self::Memory(_) => std::future::pending().await,
        }
    }

    /// Marks `records` as done, for the next periodic commit of offsets. To be called after the
    /// transaction that they went into has committed. Records of partitions that were taken away meanwhile
    /// are left out: their new owner reads them again.
    pub fn store(&self, records: &[Received]) {
        match self {
            Self::Kafka(consumer) => consumer.store(records),
            Self::Memory(consumer) => consumer.store(records),
        }
    }

    /// Whether the group has given this member its share, which may be none. One that waits for it gets nothing,
    /// and cannot tell that from a quiet topic.
    pub fn is_assigned(&self) -> bool {
        match self {
            Self::Kafka(consumer) => consumer.is_assigned(),
            // Shares are computed whenever a member polls.
            Self::Memory(_) => true,
        }
    }

    /// Commits what was stored and leaves the group.
    pub async fn close(self) {
        match self {
            Self::Kafka(consumer) => consumer.close().await,
            Self::Memory(consumer) => drop(consumer),
        }
    }
}

/// How much of [`BATCH_BYTES`] a record takes.
pub(crate) fn bytes_of(record: &Received) -> usize {
    record.payload.as_ref().map_or(0, Vec::len)
}

/// Where the last record of each partition in `records` was read, without what it says: all that is needed to
/// [`store`](Consumer::store) them.
pub fn positions(records: &[Received]) -> Vec<Received> {
    last_of_each_partition(records).into_iter().map(Received::position).collect()
}

/// The last record of each partition in `records`: what there is to store.
pub(crate) fn last_of_each_partition(records: &[Received]) -> Vec<&Received> {
    let mut last: Vec<&Received> = Vec::new();
    for record in records {
        let same = |it: &&mut &Received| it.partition == record.partition && it.topic == record.topic;
        match last.iter_mut().find(same) {
            Some(it) if it.offset < record.offset => *it = record,
            Some(_) => {}
            None => last.push(record),
        }
    }
    last
}
