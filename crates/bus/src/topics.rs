//! The topics of the suite: names, partitions and retention in one place.

use events::Aggregate;

/// A topic as it is to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSpec {
    pub name: String,
    pub partitions: i32,
    pub replication: i32,
    /// Kafka's topic configuration (`retention.ms`, ..).
    pub config: Vec<(&'static str, &'static str)>,
}

/// A topic as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicInfo {
    pub name: String,
    pub partitions: Vec<PartitionInfo>,
}

/// `low..high` are the offsets that a partition holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionInfo {
    pub id: i32,
    pub low: i64,
    pub high: i64,
}

/// How far a consumer group has come in a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    pub topic: String,
    pub partition: i32,
    /// The first offset that the group has not done; `None` when it has committed nothing yet.
    pub committed: Option<i64>,
    /// The first offset that the partition still has: what lay before it nobody can read any more.
    pub low: i64,
    /// The offset that the next record of the partition will get. What an open transaction keeps back lies before it.
    pub end: i64,
}

/// More partitions than this cost more than they bring on one machine; consumers of a group share them.
const PARTITIONS: i32 = 6;
/// Shorter than the retention of every inbox, so that whatever can be read again is known there.
const SEVEN_DAYS: &str = "604800000";
const THIRTY_DAYS: &str = "2592000000";

/// The topic of an aggregate: `<prefix>.<aggregate>`.
pub fn name(prefix: &str, aggregate: &str) -> String {
    format!("{prefix}.{aggregate}")
}

/// All topics of the suite under `prefix`: one per aggregate, and one of dead letters per service.
/// Products are compacted: the topic keeps the last word on every SKU for a new reader.
pub fn plan(prefix: &str, services: &[&str]) -> Vec<TopicSpec> {
    let aggregates = Aggregate::ALL.iter().map(|aggregate| {
        let config = match aggregate {
            Aggregate::Product => vec![("cleanup.policy", "compact")],
            _ => vec![("retention.ms", SEVEN_DAYS)],
        };
        TopicSpec { name: name(prefix, aggregate.name()), partitions: PARTITIONS, replication: 1, config }
    });
    let dead = services.iter().map(|service| TopicSpec {
        name: name(prefix, &format!("{service}.dead")),
        partitions: 1,
        replication: 1,
        config: vec![("retention.ms", THIRTY_DAYS)],
    });
    aggregates.chain(dead).collect()
}
