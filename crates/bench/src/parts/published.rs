//! What a part has published, read back and checked.

use std::{collections::HashMap, time::Duration};

use anyhow::{Context, bail};
use bus::Bus;
use tokio::time::timeout;

/// What is on a topic, as any reader finds it.
#[derive(Debug, Default)]
pub(crate) struct Published {
    /// Of each key the highest sequence so far.
    last: HashMap<Vec<u8>, i64>,
    /// Records whose key had that sequence before: allowed.
    pub(crate) repeated: u64,
    /// First occurrences that were not the next of their key: a loss, or a wrong order.
    pub(crate) misplaced: u64,
}

impl Published {
    /// How many events there are, repetitions aside.
    pub(crate) fn events(&self) -> i64 {
        self.last.values().sum()
    }

    fn note(&mut self, key: Vec<u8>, sequence: i64) {
        let last = self.last.entry(key).or_default();
        if sequence <= *last {
            self.repeated += 1;
            return;
        }
        self.misplaced += u64::from(sequence != *last + 1);
        *last = sequence;
    }

    /// Reads all that is on a topic now.
    pub(crate) async fn read(bus: &Bus, topic: &str) -> anyhow::Result<Self> {
        let info = bus.topics(topic).await?.into_iter().find(|it| it.name == topic);
        let info = info.with_context(|| format!("no topic {topic}"))?;
        let mut left: i64 = info.partitions.iter().map(|it| it.high - it.low).sum();
        let from: Vec<_> = info.partitions.iter().map(|it| (topic, it.id, it.low)).collect();
        let mut reader = bus.reader(&from)?;
        let mut published = Self::default();
        while left > 0 {
            let polled = timeout(Duration::from_secs(30), reader.poll(5_000, Duration::ZERO)).await;
            let Ok(polled) = polled else { bail!("{left} records of {topic} cannot be read") };
            for record in polled? {
                left -= 1;
                let sequence = record.header("ce_sequence").and_then(|it| std::str::from_utf8(it).ok());
                let sequence =
                    sequence.and_then(|it| it.parse().ok()).context("a record without ce_sequence")?;
                published.note(record.key.context("a record without a key")?, sequence);
            }
        }
        reader.close().await;
        Ok(published)
    }

    /// Why this is not what `rows` rows of an outbox are to become; nothing if it is.
    pub(crate) fn failures(&self, name: &str, rows: i64) -> Vec<String> {
        let mut failures = Vec::new();
        if self.misplaced > 0 {
            failures.push(format!("{name}: {} events are not the next of their key", self.misplaced));
        }
        if self.events() != rows {
            failures
                .push(format!("{name}: {rows} events were committed, {} are on the topic", self.events()));
        }
        failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(sequences: &[i64], misplaced: u64, repeated: u64) {
        let mut published = Published::default();
        sequences.iter().for_each(|it| published.note(b"k".to_vec(), *it));
        assert_eq!((published.misplaced, published.repeated), (misplaced, repeated), "{sequences:?}");
    }

    #[test]
    fn a_gap_and_a_wrong_order_are_found_and_repetitions_are_not_held_against_anybody() {
        check(&[1, 2, 3], 0, 0);
        check(&[1, 2, 1, 2, 3], 0, 2);
        check(&[1, 3], 1, 0);
        check(&[2, 1], 1, 1);
    }

    #[test]
    fn a_lost_event_fails_the_run() {
        let mut published = Published::default();
        (1..=2).for_each(|it| published.note(b"k".to_vec(), it));
        assert_eq!(published.failures("x", 2), Vec::<String>::new());
        assert_eq!(published.failures("x", 3), ["x: 3 events were committed, 2 are on the topic"]);
    }
}
