//! What becomes of orders, as a reader of their topic sees it: in no group, and without asking any service.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, anyhow};
use bus::{Bus, Consumer, Received, topics};
use serde::Deserialize;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How an order has ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Outcome {
    Delivered,
    /// Cancelled, and why.
    Cancelled(String),
}

impl Outcome {
    pub(crate) fn name(&self) -> &str {
        match self {
            Outcome::Delivered => "delivered",
            Outcome::Cancelled(reason) => reason,
        }
    }
}

/// When the reader had each fact, since the start.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    pub(crate) confirmed: Option<Duration>,
    pub(crate) ended: Option<(Duration, Outcome)>,
}

/// Reads until it is ended.
pub(crate) struct Watcher {
    ended: Arc<AtomicU64>,
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<HashMap<Uuid, Seen>>>,
}

impl Watcher {
    /// Begins at the end of the topic.
    pub(crate) async fn begin(bus: &Bus, prefix: &str, begun: Instant) -> anyhow::Result<Self> {
        let topic = topics::name(prefix, "order");
        let there = bus.topics(&topic).await?;
        let info = there.iter().find(|it| it.name == topic).context("no topic of orders")?;
        let from: Vec<_> = info.partitions.iter().map(|it| (topic.as_str(), it.id, it.high)).collect();
        let (reader, ended, stop) =
            (bus.reader(&from)?, Arc::new(AtomicU64::new(0)), CancellationToken::new());
        let task = tokio::spawn(read(reader, begun, ended.clone(), stop.clone()));
        Ok(Self { ended, stop, task })
    }

    /// How many orders have ended so far.
    pub(crate) fn ended(&self) -> Arc<AtomicU64> {
        self.ended.clone()
    }

    /// Ends only when it cannot read on.
    pub(crate) async fn failed(&mut self) -> anyhow::Result<Infallible> {
        let read = (&mut self.task).await?;
        Err(read.err().unwrap_or_else(|| anyhow!("the reader of orders has ended by itself")))
    }

    pub(crate) async fn end(self) -> anyhow::Result<HashMap<Uuid, Seen>> {
        self.stop.cancel();
        self.task.await?
    }
}

async fn read(
    mut reader: Consumer,
    begun: Instant,
    ended: Arc<AtomicU64>,
    stop: CancellationToken,
) -> anyhow::Result<HashMap<Uuid, Seen>> {
    let mut orders = HashMap::new();
    loop {
        let records = tokio::select! {
            () = stop.cancelled() => return Ok(orders),
            records = reader.poll(500, Duration::ZERO) => records?,
        };
        let at = begun.elapsed();
        for record in &records {
            note(&mut orders, record, at, &ended)?;
        }
    }
}

/// The first sight counts: what is delivered again was there before.
fn note(
    orders: &mut HashMap<Uuid, Seen>,
    record: &Received,
    at: Duration,
    count: &AtomicU64,
) -> anyhow::Result<()> {
    let kind = record.header("ce_type").and_then(|it| std::str::from_utf8(it).ok()).unwrap_or_default();
    let name = kind.strip_prefix("waybill.order.").and_then(|it| it.split('.').next());
    let outcome = match name {
        Some("confirmed") => None,
        Some("delivered") => Some(Outcome::Delivered),
        Some("cancelled") => Some(Outcome::Cancelled(reason(record)?)),
        _ => return Ok(()),
    };
    let id = Uuid::try_parse_ascii(record.key.as_deref().unwrap_or_default())
        .context("a key that is no order's")?;
    let seen = orders.entry(id).or_default();
    match outcome {
        None => drop(seen.confirmed.get_or_insert(at)),
        Some(outcome) if seen.ended.is_none() => {
            seen.ended = Some((at, outcome));
            count.fetch_add(1, Ordering::Relaxed);
        }
        Some(_) => {}
    }
    Ok(())
}

fn reason(record: &Received) -> anyhow::Result<String> {
    #[derive(Deserialize)]
    struct Cancelled {
        reason: String,
    }
    let payload = record.payload.as_deref().unwrap_or_default();
    Ok(serde_json::from_slice::<Cancelled>(payload).context("why an order was cancelled")?.reason)
}
