use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rdkafka::{
    ClientContext,
    consumer::{BaseConsumer, Consumer as _, ConsumerContext, Rebalance},
    error::KafkaError,
};

use super::{
    log_connection_trouble,
    statistics::{Brokers, Group, Statistics},
};
use crate::crash::{self, Crash};

/// Counts the assignments of partitions to this member, so that work begun under one is not stored under
/// another.
#[derive(Default)]
pub(super) struct Generations {
    count: AtomicU64,
    /// Whether there is one now; it may be of no partition.
    pub(super) assigned: AtomicBool,
    /// Since when the client is no settled member of its group, and in which state it is instead.
    unsettled: Mutex<Option<(Instant, String)>>,
    pub(super) brokers: Brokers,
}

impl Generations {
    pub(super) fn current(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    /// In which state the client is, if it has been no settled member of its group for longer than this.
    pub(super) fn unsettled_for(&self, time: Duration) -> Option<String> {
        let unsettled = self.unsettled.lock().unwrap_or_else(PoisonError::into_inner);
        unsettled.as_ref().filter(|it| it.0.elapsed() > time).map(|it| it.1.clone())
    }

    fn note(&self, group: &Group) {
        let mut unsettled = self.unsettled.lock().unwrap_or_else(PoisonError::into_inner);
        let Group { state, join_state, rebalance_reason } = group;
        *unsettled = (!group.is_settled()).then(|| {
            let since = unsettled.take().map_or_else(Instant::now, |it| it.0);
            (since, format!("{state}, {join_state}: {rebalance_reason}"))
        });
    }
}

impl ClientContext for Generations {
    fn error(&self, error: KafkaError, reason: &str) {
        log_connection_trouble(&error, reason);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        let Some(statistics) = Statistics::read(statistics) else { return };
        self.brokers.note(&statistics);
        if let Some(group) = &statistics.cgrp {
            self.note(group);
        }
    }
}

impl ConsumerContext for Generations {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if !matches!(rebalance, Rebalance::Error(_)) {
            crash::point(Crash::Rebalance);
        }
        self.count.fetch_add(1, Ordering::AcqRel);
        self.assigned.store(matches!(rebalance, Rebalance::Assign(_)), Ordering::Relaxed);
        match rebalance {
            Rebalance::Assign(partitions) => {
                tracing::info!(count = partitions.count(), "partitions assigned")
            }
            Rebalance::Revoke(partitions) => tracing::info!(count = partitions.count(), "partitions revoked"),
            Rebalance::Error(error) => tracing::warn!(%error, "the rebalance failed"),
        }
    }

    /// A partition that was paused when it was taken away would stand still when it comes back: the client keeps the
    /// mark.
    fn post_rebalance(&self, client: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let Rebalance::Assign(partitions) = rebalance else { return };
        if let Err(error) = client.resume(partitions) {
            tracing::warn!(%error, "the partitions were not resumed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(generations: &Generations, state: &str, join_state: &str) {
        let cgrp = format!(
            r#"{{"name":"c","brokers":{{}},"topics":{{}},"cgrp":{{"state":"{state}","stateage":1,"join_state":"{join_state}","rebalance_reason":"why"}}}}"#
        );
        generations.stats_raw(cgrp.as_bytes());
    }

    #[test]
    fn a_client_that_is_no_settled_member_says_in_which_state_it_is() {
        let generations = Generations::default();
        assert_eq!(generations.unsettled_for(Duration::ZERO), None);
        generations.stats_raw(br#"{"name":"a producer","brokers":{}}"#);
        told(&generations, "up", "wait-join");
        told(&generations, "up", "wait-sync");
        assert_eq!(generations.unsettled_for(Duration::ZERO).as_deref(), Some("up, wait-sync: why"));
        assert_eq!(generations.unsettled_for(Duration::from_secs(60)), None);
        let begun = generations.unsettled.lock().unwrap().as_ref().unwrap().0;
        told(&generations, "query-coord", "steady");
        assert_eq!(generations.unsettled.lock().unwrap().as_ref().unwrap().0, begun, "since the first one");
        told(&generations, "up", "steady");
        assert_eq!(generations.unsettled_for(Duration::ZERO), None);
    }
}
