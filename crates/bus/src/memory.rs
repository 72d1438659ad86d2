//! The log in memory: partitions, offsets, groups and rewind, without durability.

mod consumer;

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

pub(crate) use self::consumer::MemoryConsumer;

use crate::{
    DeliveryError, Progress, TopicInfo, TopicSpec,
    record::{Header, Record},
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
                progress.push(Progress { topic: topic.to_string(), partition, committed, low: 0, end });
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
