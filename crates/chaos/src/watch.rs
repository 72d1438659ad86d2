//! What can be seen of a suite while it runs.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bus::{Progress, topics};
use load::Meter;
use serde::Serialize;
use tokio::{
    select,
    time::{MissedTickBehavior, interval},
};

use crate::{
    SERVICES,
    suite::{Suite, sum_of},
};

const EVERY: Duration = Duration::from_millis(500);
/// Asking the broker how far four groups have come takes longer.
const LAG_EVERY: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(2);

/// One look. What could not be seen, because its server was away, is absent.
#[derive(Debug, Clone, Serialize)]
pub struct Sample {
    /// Since the beginning of the load.
    pub at_ms: u64,
    /// Orders accepted so far.
    pub accepted: u64,
    /// Requests so far that were not answered as hoped for.
    pub errors: u64,
    /// Orders so far that have come to their end.
    pub ended: Option<u64>,
    /// Rows in the four outboxes.
    pub outbox: Option<u64>,
    /// Records that the four groups have not done yet.
    pub lag: Option<u64>,
}

/// What the processes have counted, over all their lives: what one counted in the last half second before it was
/// killed is missing.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Counted {
    pub duplicates_dropped: u64,
    pub dead_letters_parked: u64,
    pub batches_begun_again: u64,
    pub published: u64,
}

/// Name of a metric, and where it goes.
type Counter = (&'static str, fn(&mut Counted) -> &mut u64);
const COUNTERS: [Counter; 4] = [
    ("waybill_events_duplicate_total", |it| &mut it.duplicates_dropped),
    ("waybill_dead_letters_parked_total", |it| &mut it.dead_letters_parked),
    ("waybill_batch_retries_total", |it| &mut it.batches_begun_again),
    ("waybill_events_published_total", |it| &mut it.published),
];

/// Looks at a suite.
#[derive(Default)]
pub(crate) struct Watch {
    samples: Mutex<Vec<Sample>>,
    lag: Mutex<Option<u64>>,
    /// By process and metric: the last that one life of it has said.
    lives: Mutex<BTreeMap<(String, u32, &'static str), f64>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watch {
    /// Does something, and looks meanwhile.
    pub(crate) async fn during<T>(
        &self,
        something: impl Future<Output = T>,
        suite: &Suite,
        load: &Meter,
        begun: Instant,
    ) -> T {
        let look = async {
            tokio::join!(self.sample(suite, load, begun), self.measure_lag(suite), self.scrape(suite)).0
        };
        select! {
            done = something => done,
            never = look => never,
        }
    }

    pub(crate) fn samples(&self) -> Vec<Sample> {
        lock(&self.samples).clone()
    }

    pub(crate) fn counted(&self) -> Counted {
        let (lives, mut counted) = (lock(&self.lives), Counted::default());
        for (name, field) in COUNTERS {
            let sum: f64 = lives.iter().filter(|(key, _)| key.2 == name).map(|(_, value)| value).sum();
            *field(&mut counted) = sum as u64;
        }
        counted
    }

    async fn sample(&self, suite: &Suite, load: &Meter, begun: Instant) -> ! {
        let mut every = interval(EVERY);
        // A look that took long is not made up for by several at once.
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            let (counts, at_ms) = (load.counts(), begun.elapsed().as_millis() as u64);
            let (ended, outbox) = tokio::join!(
                within(count(suite, "order", "order_view where status in ('delivered', 'cancelled')")),
                within(outboxes(suite))
            );
            let lag = *lock(&self.lag);
            let errors = (counts.refused + counts.raced + counts.failed) as u64;
            let sample = Sample { at_ms, accepted: counts.accepted as u64, errors, ended, outbox, lag };
            lock(&self.samples).push(sample);
        }
    }

    async fn measure_lag(&self, suite: &Suite) -> ! {
        let mut every = interval(LAG_EVERY);
        loop {
            every.tick().await;
            let lag = lag(suite).await.ok();
            *lock(&self.lag) = lag;
        }
    }

    async fn scrape(&self, suite: &Suite) -> ! {
        let mut every = interval(EVERY);
        loop {
            every.tick().await;
            let mut running = Vec::new();
            for (name, it) in &suite.lock().await.by_name {
                running.push((name.clone(), it.process.pid(), format!("{}/metrics", it.http)));
            }
            let texts = running.into_iter().map(async |(name, pid, url)| {
                let answer = suite.http.get(url).timeout(PATIENCE).send().await.ok()?;
                Some((name, pid, answer.text().await.ok()?))
            });
            let texts = futures::future::join_all(texts).await;
            let mut lives = lock(&self.lives);
            for (name, pid, text) in texts.into_iter().flatten() {
                for (metric, _) in COUNTERS {
                    lives.insert((name.clone(), pid, metric), sum_of(&text, metric, ""));
                }
            }
        }
    }
}

/// A look that takes long is given up, so that the picture has no hole that is wider than the fault.
async fn within<T>(look: impl Future<Output = anyhow::Result<T>>) -> Option<T> {
    tokio::time::timeout(PATIENCE, look).await.ok()?.ok()
}

/// How many rows a service's database has of what follows `from`.
pub(crate) async fn count(suite: &Suite, service: &str, from: &str) -> anyhow::Result<u64> {
    let query = sqlx::AssertSqlSafe(format!("select count(*) from {from}"));
    let count: i64 = sqlx::query_scalar(query).fetch_one(&suite.pools[service]).await?;
    Ok(count.unsigned_abs())
}

async fn outboxes(suite: &Suite) -> anyhow::Result<u64> {
    let mut sum = 0;
    for service in SERVICES {
        sum += count(suite, service, "engine.outbox").await?;
    }
    Ok(sum)
}

/// How many records all groups have still to do.
pub(crate) async fn lag(suite: &Suite) -> anyhow::Result<u64> {
    let mut lag = 0;
    for service in SERVICES {
        for it in progress(suite, service).await? {
            lag += (it.end - it.committed.unwrap_or(0)).max(0).unsigned_abs();
        }
    }
    Ok(lag)
}

/// How far a service's group has come on all topics that it reads.
pub(crate) async fn progress(suite: &Suite, service: &str) -> anyhow::Result<Vec<Progress>> {
    let topics: Vec<String> =
        audit::reads(service).iter().map(|it| topics::name(&suite.prefix, it.name())).collect();
    Ok(suite.ground.bus.progress(&topics::name(&suite.prefix, service), &topics).await?)
}
