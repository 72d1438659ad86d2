use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, timeout_at};

use super::{MemoryLog, State};
use crate::{
    consumer::{BATCH_BYTES, bytes_of, last_of_each_partition},
    record::Received,
};

/// A member of a group on a [`MemoryLog`].
pub struct MemoryConsumer {
    pub(super) log: MemoryLog,
    pub(super) group: String,
    pub(super) member: u64,
    pub(super) generation: u64,
    /// The next offset to read of each partition that this member has.
    pub(super) positions: Vec<(Arc<str>, i32, i64)>,
}

impl MemoryConsumer {
    pub(crate) async fn poll(&mut self, max: usize, gather: Duration) -> Vec<Received> {
        let shared = self.log.shared.clone();
        let ripe = Instant::now() + gather;
        let batch = loop {
            let appended = shared.appended.notified();
            tokio::pin!(appended);
            appended.as_mut().enable();
            // Taken positions move only when the batch is handed out, so that a cancelled poll loses nothing.
            let taken = self.take(max);
            let full = taken.len() >= max || taken.iter().map(bytes_of).sum::<usize>() > BATCH_BYTES;
            if full || (!taken.is_empty() && Instant::now() >= ripe) {
                break taken;
            }
            if taken.is_empty() {
                appended.await;
                continue;
            }
            if timeout_at(ripe, appended).await.is_err() {
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
