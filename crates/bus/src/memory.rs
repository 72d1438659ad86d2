//! The log in memory: partitions, offsets, groups and rewind, without durability.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};

use crate::{
    DeliveryError, Progress, TopicInfo, TopicSpec,
    consumer::{BATCH_BYTES, bytes_of, last_of_each_partition},
    record::{Header, Received, Record},
    topics::PartitionInfo,
};

/// A log in this process's memory; cheap to clone, and gone with its last clone. It keeps every record.
#[derive(Clone, Default)]
pub struct MemoryLog {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    appended: Notify,
}

#[derive(Default)]
struct State {
    topics: BTreeMap<Arc<str>, Vec<Vec<Arc<Stored>>>>,
    groups: HashMap<String, Group>,
    next_member: u64,
}

struct Stored {
    key: Option<Vec<u8>>,
    headers: Vec<Header<'static>>,
    payload: Option<Vec<u8>>,
}

/// Partitions are dealt out by turns; whenever a member comes or goes the generation changes and every
/// member begins at the committed offsets again, as with Kafka's eager protocol.
#[derive(Default)]
struct Group {
    generation: u64,
    members: Vec<(u64, Vec<String>)>,
    committed: HashMap<(Arc<str>, i32), i64>,
}

impl MemoryLog {
    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn create_topics(&self, topics: &[TopicSpec]) -> Vec<String> {
        let mut state = self.state();
        let mut created = Vec::new();
        for spec in topics {
            if !state.topics.contains_key(spec.name.as_str()) {
                let partitions = (0..spec.partitions).map(|_| Vec::new()).collect();
                state.topics.insert(spec.name.as_str().into(), partitions);
                created.push(spec.name.clone());
            }
        }
        created
    }

    pub(crate) fn delete_topics(&self, names: &[&str]) {
        let mut state = self.state();
        for name in names {
            state.topics.remove(*name);
        }
    }

    pub(crate) fn topics(&self, prefix: &str) -> Vec<TopicInfo> {
        let state = self.state();
        let partition = |(id, records): (usize, &Vec<_>)| PartitionInfo {
            id: id as i32,
            low: 0,
            high: records.len() as i64,
        };
        let named = state.topics.iter().filter(|(name, _)| name.starts_with(prefix));
        named
            .map(|(name, partitions)| TopicInfo {
                name: name.to_string(),
                partitions: partitions.iter().enumerate().map(partition).collect(),
            })
            .collect()
    }

    pub(crate) fn missing_topics(&self, names: &[String]) -> Vec<String> {
        let state = self.state();
        names.iter().filter(|name| !state.topics.contains_key(name.as_str())).cloned().collect()
    }

    /// Appends all records or, when one names a topic that is not there, none.
    pub(crate) fn append<'r>(
        &self,
        records: impl IntoIterator<Item = Record<'r>>,
    ) -> Result<usize, DeliveryError> {
        let records: Vec<Record<'_>> = records.into_iter().collect();
        let mut state = self.state();
        if let Some(lost) = records.iter().find(|it| !state.topics.contains_key(it.topic.as_ref())) {
            return Err(DeliveryError { reason: format!("there is no topic {}", lost.topic), refused: true });
        }
        let count = records.len();
        for record in records {
            if let Some(partitions) = state.topics.get_mut(record.topic.as_ref()) {
                let at = partition_of(record.key.as_deref(), partitions.len());
                partitions[at].push(Arc::new(Stored::from(record)));
            }
        }
        drop(state);
        self.shared.appended.notify_waiters();
        Ok(count)
    }

    pub(crate) fn consumer(&self, group: &str, topics: &[String]) -> MemoryConsumer {
        let mut state = self.state();
        state.next_member += 1;
        let member = state.next_member;
        let it = state.groups.entry(group.to_owned()).or_default();
        it.members.push((member, topics.to_vec()));
        it.generation += 1;
        drop(state);
        self.shared.appended.notify_waiters();
        MemoryConsumer {
            log: self.clone(),
            group: group.to_owned(),
            member,
            generation: 0,
            positions: Vec::new(),
        }
    }

    /// A consumer of a group that there is not: its positions are its own.
    pub(crate) fn reader(&self, from: &[(&str, i32, i64)]) -> MemoryConsumer {
        let positions = from.iter().map(|(topic, partition, at)| (Arc::from(*topic), *partition, *at));
        MemoryConsumer {
            log: self.clone(),
            group: String::new(),
            member: 0,
            generation: 0,
            positions: positions.collect(),
        }
    }

    pub(crate) fn progress(&self, group: &str, topics: &[String]) -> Vec<Progress> {
        let state = self.state();
        let group = state.groups.get(group);
        let mut progress = Vec::new();
        for (topic, partitions) in
            state.topics.iter().filter(|(name, _)| topics.iter().any(|it| **it == ***name))
        {
            for (partition, records) in (0..).zip(partitions) {
                let committed = group.and_then(|it| it.committed.get(&(topic.clone(), partition)).copied());
                let end = records.len() as i64;
                progress.push(Progress { topic: topic.to_string(), partition, committed, end });
            }
        }
        progress
    }

    pub(crate) fn members(&self, group: &str) -> usize {
        self.state().groups.get(group).map_or(0, |it| it.members.len())
    }

    /// Puts a group back to the beginning of all its partitions.
    pub fn rewind(&self, group: &str) {
        let mut state = self.state();
        if let Some(group) = state.groups.get_mut(group) {
            group.committed.clear();
            group.generation += 1;
        }
        drop(state);
        self.shared.appended.notify_waiters();
    }
}

impl From<Record<'_>> for Stored {
    fn from(record: Record<'_>) -> Self {
        let own = |(name, value): Header<'_>| {
            (Cow::Owned(name.into_owned()), value.map(|it| Cow::Owned(it.into_owned())))
        };
        Self {
            key: record.key.map(Cow::into_owned),
            headers: record.headers.into_iter().map(own).collect(),
            payload: record.payload.map(Cow::into_owned),
        }
    }
}

fn partition_of(key: Option<&[u8]>, partitions: usize) -> usize {
    let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(key);
    (hash % partitions.max(1) as u64) as usize
}

/// A member of a group on a [`MemoryLog`].
pub struct MemoryConsumer {
    log: MemoryLog,
    group: String,
    member: u64,
    generation: u64,
    /// The next offset to read of each partition that this member has.
    positions: Vec<(Arc<str>, i32, i64)>,
}

impl MemoryConsumer {
    pub(crate) async fn poll(&mut self, max: usize, gather: Duration) -> Vec<Received> {
        let shared = self.log.shared.clone();
        let mut until = None;
        let batch = loop {
            let appended = shared.appended.notified();
            tokio::pin!(appended);
            appended.as_mut().enable();
            // Taken positions move only when the batch is handed out, so that a cancelled poll loses nothing.
            let taken = self.take(max);
            let full = taken.len() >= max || taken.iter().map(bytes_of).sum::<usize>() > BATCH_BYTES;
            if full || (!taken.is_empty() && gather.is_zero()) {
                break taken;
            }
            if taken.is_empty() {
                appended.await;
                continue;
            }
            let until = *until.get_or_insert_with(|| Instant::now() + gather);
            if timeout_at(until, appended).await.is_err() {
                break self.take(max);
            }
        };
        for record in &batch {
            let here = |it: &&mut (Arc<str>, i32, i64)| it.0 == record.topic && it.1 == record.partition;
            if let Some(position) = self.positions.iter_mut().find(here) {
                position.2 = record.offset + 1;
            }
        }
        batch
    }

    fn take(&mut self, max: usize) -> Vec<Received> {
        let log = self.log.clone();
        let state = log.state();
        self.follow_rebalance(&state);
        let (mut batch, mut bytes) = (Vec::new(), 0);
        for (topic, partition, position) in &self.positions {
            let records = state.topics.get(topic).and_then(|it| it.get(*partition as usize));
            for (offset, stored) in records.into_iter().flatten().enumerate().skip(*position as usize) {
                if batch.len() == max || bytes > BATCH_BYTES {
                    return batch;
                }
                bytes += stored.payload.as_ref().map_or(0, Vec::len);
                batch.push(Received {
                    topic: topic.clone(),
                    partition: *partition,
                    offset: offset as i64,
                    key: stored.key.clone(),
                    headers: stored.headers.clone(),
                    payload: stored.payload.clone(),
                    generation: self.generation,
                });
            }
        }
        batch
    }

    fn follow_rebalance(&mut self, state: &State) {
        let Some(group) = state.groups.get(&self.group) else { return };
        if group.generation == self.generation {
            return;
        }
        self.generation = group.generation;
        self.positions.clear();
        for (topic, partitions) in &state.topics {
            let reads = |it: &&(u64, Vec<String>)| it.1.iter().any(|name| **name == **topic);
            let readers: Vec<u64> = group.members.iter().filter(reads).map(|it| it.0).collect();
            for partition in 0..partitions.len() {
                if readers.get(partition % readers.len().max(1)) == Some(&self.member) {
                    let key = (topic.clone(), partition as i32);
                    let committed = group.committed.get(&key).copied().unwrap_or(0);
                    self.positions.push((key.0, key.1, committed));
                }
            }
        }
    }

    pub(crate) fn store(&self, records: &[Received]) {
        let mut state = self.log.state();
        let Some(group) = state.groups.get_mut(&self.group) else { return };
        for record in last_of_each_partition(records) {
            if record.generation == group.generation {
                group.committed.insert((record.topic.clone(), record.partition), record.offset + 1);
            }
        }
    }
}

impl Drop for MemoryConsumer {
    fn drop(&mut self) {
        let mut state = self.log.state();
        if let Some(group) = state.groups.get_mut(&self.group) {
            group.members.retain(|(member, _)| *member != self.member);
            group.generation += 1;
        }
        drop(state);
        self.log.shared.appended.notify_waiters();
    }
}
