//! Consuming: polled batches go through the unit of work; their offsets are stored after the commit.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use bus::{
    Bus, Consumer, Envelope, Malformed, Received,
    crash::{self, Crash},
};
use events::{EventType, NotAType, Unreadable};
use opentelemetry::KeyValue;
use sqlx::postgres::PgConnectOptions;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    database::{Link, backoff},
    dead_letter::{self, Poison},
    decider::{Arrival, Cause, Decider},
    fault::is_too_long,
    gather::gather,
    health::Part,
    mutant::Mutant,
    unit::{Item, Origin, Outcome, Unit},
};

/// One consumer of a service: a member of its group, with a connection of its own.
pub(crate) struct Worker<D: Decider> {
    pub(crate) index: usize,
    pub(crate) unit: Arc<Unit<D>>,
    pub(crate) bus: Bus,
    pub(crate) group: String,
    pub(crate) topics: Vec<String>,
    pub(crate) instance: Option<String>,
    pub(crate) options: PgConnectOptions,
    pub(crate) batch_size: usize,
}

/// Where the last batch had at least this many records they come faster than they are taken.
const LOADED: usize = 2;
/// A batch that takes longer (the database is away, a row is locked) is worked on beside the membership, so
/// that the group's rebalances do not wait for it.
const PATIENCE: Duration = Duration::from_secs(1);
/// A poll is given up after this time, to show that the worker is alive when nothing arrives.
const HEARTBEAT: Duration = Duration::from_secs(3);
/// A client that has served for so long has not failed because of the one before it.
const STEADY: Duration = Duration::from_secs(30);

impl<D: Decider> Worker<D> {
    /// Consumes until `shutdown`. A client that has failed for good is replaced by a new one, which begins at
    /// the committed offsets: after an outage the broker may fence a static member that comes back, and there
    /// is nothing wrong with the service then.
    pub(crate) async fn run(self, shutdown: CancellationToken) -> Result<(), bus::Error> {
        let mut link = Link::new(self.options.clone());
        let mut pauses = backoff();
        while !shutdown.is_cancelled() {
            let begun = Instant::now();
            let mut consumer = self.bus.consumer(&self.group, &self.topics, self.instance.as_deref())?;
            let consumed = self.consume(&mut consumer, &mut link, &shutdown).await;
            if consumed.is_err() {
                // A transaction that was under way holds its locks until it is ended: the partitions' new owner waits.
                link.drop_connection();
            }
            consumer.close().await;
            let Err(error) = consumed else { break };
            tracing::warn!(%error, "the consumer begins anew at its committed offsets");
            if begun.elapsed() > STEADY {
                pauses = backoff();
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(pauses.next().unwrap_or(STEADY)) => {}
            }
        }
        Ok(())
    }

    /// Consumes until `shutdown`, or until the client has failed for good.
    async fn consume(
        &self,
        consumer: &mut Consumer,
        link: &mut Link,
        shutdown: &CancellationToken,
    ) -> Result<(), bus::Error> {
        let mut pause = Duration::ZERO;
        while !shutdown.is_cancelled() {
            let records = tokio::select! {
                () = shutdown.cancelled() => break,
                polled = tokio::time::timeout(HEARTBEAT, consumer.poll(self.batch_size, pause)) => match polled {
                    Ok(polled) => polled?,
                    Err(_) => Vec::new(),
                },
            };
            if consumer.is_assigned() {
                self.unit.health.progress(Part::Consumer(self.index));
            }
            let (loaded, begun) = (records.len() >= LOADED, Instant::now());
            if !records.is_empty() && !self.take(records, link, consumer, shutdown).await? {
                break;
            }
            pause = if loaded { gather(begun.elapsed()) } else { Duration::ZERO };
        }
        Ok(())
    }

    /// Applies a batch and stores its offsets. `false`: stopped before it was done.
    async fn take(
        &self,
        records: Vec<Received>,
        link: &mut Link,
        consumer: &mut Consumer,
        shutdown: &CancellationToken,
    ) -> Result<bool, bus::Error> {
        let positions = bus::positions(&records);
        if self.unit.mutation.is(Mutant::OffsetBeforeCommit) {
            consumer.store(&positions);
        }
        let membership = async {
            tokio::time::sleep(PATIENCE).await;
            consumer.tend().await
        };
        let done = tokio::select! {
            biased;
            done = self.process(records, link, shutdown) => done,
            failed = membership => match failed? {},
        };
        if done {
            consumer.store(&positions);
            self.unit.health.progress(Part::Consumer(self.index));
        }
        Ok(done)
    }

    /// Applies a batch, as often as it takes. `false`: stopped before it was done.
    async fn process(&self, records: Vec<Received>, link: &mut Link, shutdown: &CancellationToken) -> bool {
        let (mut items, skipped) = self.read(records);
        let mut pauses = backoff();
        while !items.is_empty() {
            let mut outcomes = Vec::with_capacity(items.len());
            let result = self.unit.run(link, &mut items, &mut outcomes).await;
            self.count(&items, &outcomes);
            let Err(error) = result else {
                crash::point(Crash::AfterCommit);
                break;
            };
            // What is committed is left out the next time; the inbox would do the same.
            items.drain(..outcomes.len());
            tracing::warn!(%error, len = items.len(), "the batch is begun again when the database is back");
            let reason = if is_too_long(&error) { "time" } else { "database" };
            self.unit.metrics.retries.add(1, &[self.service(), KeyValue::new("reason", reason)]);
            tokio::select! {
                () = shutdown.cancelled() => return false,
                () = tokio::time::sleep(pauses.next().unwrap_or(STEADY)) => {}
            }
        }
        self.unit.metrics.skipped.add(skipped, &[self.service()]);
        true
    }

    fn service(&self) -> KeyValue {
        self.unit.metrics.service.clone()
    }

    /// The records that concern this service, as items, and how many do not.
    fn read(&self, records: Vec<Received>) -> (Vec<Item<D>>, u64) {
        let mut items = Vec::with_capacity(records.len());
        let mut skipped = 0;
        for record in records {
            let (input, cause) = match read(&self.unit.decider, &record) {
                Ok(None) => {
                    skipped += 1;
                    continue;
                }
                Ok(Some((input, cause))) => (Ok(Some(input)), cause),
                // Whatever id it claims to have is left to the event that bears it.
                Err(poison) => {
                    (Err(poison), cause_of_unread::<D>(dead_letter::id_of_position(&record), &record))
                }
            };
            items.push(Item { origin: Origin::Event(record), input, cause });
        }
        (items, skipped)
    }

    fn count(&self, items: &[Item<D>], outcomes: &[Outcome<D>]) {
        let mut applied: HashMap<String, u64> = HashMap::new();
        let mut duplicates = 0;
        for (item, outcome) in items.iter().zip(outcomes) {
            match (&item.origin, outcome) {
                (Origin::Event(record), Outcome::Done(_)) => {
                    let name = record.header("ce_type").map_or("structured".into(), String::from_utf8_lossy);
                    match applied.get_mut(&*name) {
                        Some(count) => *count += 1,
                        None => drop(applied.insert(name.into_owned(), 1)),
                    }
                }
                (_, Outcome::Duplicate) => duplicates += 1,
                _ => {}
            }
        }
        for (name, count) in applied {
            self.unit.metrics.consumed.add(count, &[self.service(), KeyValue::new("type", name)]);
        }
        if duplicates > 0 {
            self.unit.metrics.duplicates.add(duplicates, &[self.service()]);
        }
    }
}

/// Reads a record as every consumer does; `None` is for an event that the decider does not handle, told by its type
/// alone. Pure.
pub fn read<D: Decider>(decider: &D, record: &Received) -> Result<Option<(D::Input, Cause)>, Poison> {
    let malformed = |error: Malformed| Poison::new("malformed", error);
    let envelope = Envelope::open(record).map_err(malformed)?;
    let ce_type = envelope.event_type().map_err(malformed)?.to_owned();
    let event_type = match EventType::parse(&ce_type) {
        Ok(it) => it,
        Err(NotAType::Foreign) => return Ok(None),
        // Version 0 is one that nobody reads: poison to whoever handles the name.
        Err(NotAType::Version { name }) => EventType { name, version: 0 },
    };
    let data = envelope.data().unwrap_or_default();
    let arrival = Arrival { name: event_type.name, version: event_type.version, data };
    let read = decider.read(&arrival);
    if let Ok(None) = read {
        return Ok(None);
    }
    // From here on the event concerns this service: whatever is wrong with it is poison.
    let event = envelope.read().map_err(malformed)?;
    let Some(input) = read.map_err(unreadable)? else { return Ok(None) };
    let cause = Cause {
        id: event.id,
        correlation_id: event.correlation_id.unwrap_or(event.id),
        actor: format!("service:{}", D::SERVICE).into(),
        trace: event.trace.into_owned(),
    };
    Ok(Some((input, cause)))
}

fn unreadable(error: Unreadable) -> Poison {
    let cause = match &error {
        Unreadable::Version { .. } => "unknown-version",
        _ => "undecodable",
    };
    Poison::new(cause, error)
}

/// What a message is known by that could not, or need not, be read.
pub(crate) fn cause_of_unread<D: Decider>(id: Uuid, record: &Received) -> Cause {
    Cause {
        id,
        correlation_id: id,
        actor: format!("service:{}", D::SERVICE).into(),
        trace: bus::cloud_event::trace(record).into_owned(),
    }
}
