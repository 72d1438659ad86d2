use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rdkafka::{
    ClientContext,
    consumer::{BaseConsumer, Consumer as _, ConsumerContext, Rebalance},
    error::KafkaError,
};

use super::log_connection_trouble;
use crate::crash::{self, Crash};

/// Counts the assignments of partitions to this member, so that work begun under one is not stored under
/// another.
#[derive(Default)]
pub(super) struct Generations {
    count: AtomicU64,
    /// Whether there is one now; it may be of no partition.
    pub(super) assigned: AtomicBool,
}

impl Generations {
    pub(super) fn current(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }
}

impl ClientContext for Generations {
    fn error(&self, error: KafkaError, reason: &str) {
        log_connection_trouble(&error, reason);
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
