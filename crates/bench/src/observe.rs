//! One load on a suite, from the first order to the end of the last, and what was seen of it.

use std::{
    collections::{BTreeMap, HashMap},
    convert::Infallible,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::time::{MissedTickBehavior, interval, sleep, sleep_until};
use uuid::Uuid;

use crate::{
    arrivals::{Arrivals, Phase, Spacing},
    customers::{Counts, Failed, Placed, Tally, place},
    orders::{Orders, Skus},
    progress::Progress,
    suite::Suite,
    usage::Usage,
    watcher::{Outcome, Seen, Watcher},
};

const SAMPLES: Duration = Duration::from_millis(250);
/// How many samples there are to one of CPU time, which walks `/proc`.
const USAGES: usize = 4;
/// The longest that orders are awaited after the last one was due: those under way then are an overload, and whether any
/// is lost the books tell.
const DRAIN: Duration = Duration::from_secs(300);

/// What a load is of.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) phases: Vec<Phase>,
    pub(crate) spacing: Spacing,
    pub(crate) skus: Skus,
    pub(crate) seed: u64,
    /// Whether orders are followed to their end, or only to their acceptance.
    pub(crate) to_the_end: bool,
    /// What the 99th percentile from when an order was due to its confirmation may be if its rate is to count as
    /// sustained; to its answer where orders are not followed.
    pub(crate) bound: Duration,
}

/// An accepted order; times are since the start.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    /// How it is to end, by the name of its outcome.
    pub(crate) end: &'static str,
    pub(crate) due: Duration,
    pub(crate) sent: Duration,
    pub(crate) answered: Duration,
    pub(crate) confirmed: Option<Duration>,
    pub(crate) ended: Option<(Duration, Outcome)>,
}

/// What has been spent up to the border of two phases.
#[derive(Debug, Clone)]
pub(crate) struct Cut {
    pub(crate) usage: Usage,
    pub(crate) wal: u64,
    pub(crate) messages: u64,
}

/// Counts at a moment.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sample {
    pub(crate) at: Duration,
    pub(crate) due: u64,
    pub(crate) placed: u64,
    pub(crate) failed: u64,
    pub(crate) ended: u64,
}

#[derive(Debug)]
pub(crate) struct Observed {
    pub(crate) plan: Plan,
    /// In the order in which they were due.
    pub(crate) orders: Vec<Order>,
    pub(crate) failed: Vec<Failed>,
    pub(crate) samples: Vec<Sample>,
    /// One before each phase and one after the last.
    pub(crate) cuts: Vec<Cut>,
    /// What components that are one process hold when the last order is due, in bytes.
    pub(crate) memory: BTreeMap<String, u64>,
    /// About one a second, each with its time since the start.
    pub(crate) usage: Vec<(Duration, Usage)>,
    /// From when the last order could be due until all had ended; none if some had not.
    pub(crate) drained: Option<Duration>,
}

impl Plan {
    pub(crate) fn lasts(&self) -> Duration {
        self.phases.iter().map(|it| it.lasts).sum()
    }

    /// When a phase begins, since the start; that after the last is the end.
    pub(crate) fn begins(&self, phase: usize) -> Duration {
        self.phases.iter().take(phase).map(|it| it.lasts).sum()
    }
}

/// Carries a plan out, beginning at `begun`.
pub(crate) async fn observe(
    suite: &Suite,
    plan: Plan,
    begun: Instant,
    progress: &Progress<'_>,
) -> anyhow::Result<Observed> {
    let mut watcher = Watcher::begin(&suite.ground.bus, &suite.prefix, begun).await?;
    let (counts, ended, seen) = (Arc::new(Counts::default()), watcher.ended(), Mutex::default());
    let look = || Sample {
        at: begun.elapsed(),
        due: counts.due.load(Ordering::Relaxed),
        placed: counts.placed.load(Ordering::Relaxed),
        failed: counts.failed.load(Ordering::Relaxed),
        ended: ended.load(Ordering::Relaxed),
    };
    progress.begin(plan.lasts());
    let load =
        async { tokio::try_join!(placed(suite, &plan, begun, &counts, &ended), cuts(suite, &plan, begun)) };
    let ((tally, drained), (cuts, memory)) = tokio::select! {
        done = load => done?,
        failed = watcher.failed() => match failed? {},
        never = sample(suite, look, &seen, progress) => match never? {},
    };
    progress.end();
    let Samples { samples, usage } = seen.into_inner().unwrap_or_else(PoisonError::into_inner);
    let orders = joined(&tally.placed, watcher.end().await?);
    Ok(Observed { plan, orders, failed: tally.failed, samples, cuts, memory, usage, drained })
}

/// Places all orders, and waits for their ends where those are of interest: how long that took, if there was one.
async fn placed(
    suite: &Suite,
    plan: &Plan,
    begun: Instant,
    counts: &Arc<Counts>,
    ended: &AtomicU64,
) -> anyhow::Result<(Tally, Option<Duration>)> {
    let arrivals = Arrivals::new(plan.spacing, plan.seed, &plan.phases);
    let orders = Orders::new(plan.skus, plan.seed);
    // A load of its own keys: a suite may be measured several times.
    let key = Uuid::now_v7().simple().to_string();
    let tally = place(begun, suite.at("order")?, &key, arrivals, orders, counts.clone()).await?;
    let all = tally.placed.len() as u64;
    let done = || !plan.to_the_end || ended.load(Ordering::Relaxed) >= all;
    while !done() && begun.elapsed() < plan.lasts() + DRAIN {
        sleep(Duration::from_millis(5)).await;
    }
    Ok((tally, done().then(|| begun.elapsed().saturating_sub(plan.lasts()))))
}

/// What the customers know of each order, and what the reader has seen of it.
fn joined(placed: &[Placed], mut seen: HashMap<Uuid, Seen>) -> Vec<Order> {
    let orders = placed.iter().map(|it| {
        let seen = seen.remove(&it.id).unwrap_or_default();
        let (end, due, sent, answered) = (it.end, it.due, it.sent, it.answered);
        Order { end, due, sent, answered, confirmed: seen.confirmed, ended: seen.ended }
    });
    orders.collect()
}

#[derive(Default)]
struct Samples {
    samples: Vec<Sample>,
    usage: Vec<(Duration, Usage)>,
}

/// Looks every now and then, and tells of it. It ends with an error alone.
async fn sample(
    suite: &Suite,
    look: impl Fn() -> Sample,
    seen: &Mutex<Samples>,
    progress: &Progress<'_>,
) -> anyhow::Result<Infallible> {
    let mut every = interval(SAMPLES);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        let it = look();
        let Sample { at, due, placed, failed, ended } = it;
        progress.at(at, &format!("{due} due, {placed} accepted, {ended} ended, {failed} failed"));
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.samples.len().is_multiple_of(USAGES) {
            seen.usage.push((at, suite.components().usage()?));
        }
        seen.samples.push(it);
    }
}

/// What has been spent up to each border, and the memory at the last one.
async fn cuts(
    suite: &Suite,
    plan: &Plan,
    begun: Instant,
) -> anyhow::Result<(Vec<Cut>, BTreeMap<String, u64>)> {
    let mut cuts = Vec::new();
    for phase in 0..=plan.phases.len() {
        sleep_until((begun + plan.begins(phase)).into()).await;
        cuts.push(cut(suite).await?);
    }
    Ok((cuts, suite.components().resident()?))
}

async fn cut(suite: &Suite) -> anyhow::Result<Cut> {
    let usage = suite.components().usage()?;
    Ok(Cut { usage, wal: suite.ground.wal().await?, messages: suite.ground.messages(&suite.prefix).await? })
}
