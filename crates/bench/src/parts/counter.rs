//! A service that does as little as a service can: counters that are raised by events and by commands, and that tell
//! of it. Inbox, state, outbox and relay cost what they cost everywhere; hardly anything else does.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use engine::{Arrival, Decided, Decider, Decision, Publication, Recorded, Timestamp, Writes};
use events::{Aggregate, Unreadable};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, Row};

/// The name and type of the events that raise counters, and the type of those that tell of it.
const RAISE: &str = "counter.raise";
pub(crate) const RAISE_TYPE: &str = "waybill.counter.raise.v1";
pub(crate) const RAISED_TYPE: &str = "waybill.counter.raised.v1";
/// The topic that is read, and the one that is written to.
pub(crate) const READS: &[Aggregate] = &[Aggregate::Order];
pub(crate) const PUBLISHES: Aggregate = Aggregate::Payment;

pub(crate) const SCHEMA: &str = "create table counter (
    counter_id text not null,
    value bigint not null,
    constraint counter_pkey primary key (counter_id)
) with (fillfactor = 70)";

/// So much text that a row of the outbox, and a record, has a payload of about 400 B.
const NOTE: usize = 330;

/// What raises a counter by one. Events on the log and commands carry the same.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Raise {
    pub(crate) counter: String,
    pub(crate) note: String,
}

impl Raise {
    pub(crate) fn of(counter: String) -> Self {
        let noise = || char::from(fastrand::alphanumeric() as u8);
        Self { counter, note: std::iter::repeat_with(noise).take(NOTE).collect() }
    }
}

/// A counter was raised.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Raised {
    pub(crate) counter: String,
    pub(crate) value: i64,
    pub(crate) note: String,
}

/// A counter as it is in a batch.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counter {
    pub(crate) value: i64,
    stored: bool,
}

pub(crate) type World = BTreeMap<String, Counter>;

/// What marks the beginning and the end of what is measured: messages of these counters, before and behind the others.
pub(crate) const HEAD: &str = "head-";
pub(crate) const TAIL: &str = "tail-";

/// Which of them have been decided. Seen in this process, so that no database pays for it; each as early as the other,
/// a save and a commit before it is on disk.
#[derive(Debug, Default)]
pub(crate) struct Edges {
    is_begun: AtomicBool,
    tails: Mutex<BTreeSet<String>>,
}

impl Edges {
    fn note(&self, counter: &str) {
        if counter.starts_with(HEAD) {
            self.is_begun.store(true, Ordering::Relaxed);
        } else if counter.starts_with(TAIL) {
            self.tails.lock().unwrap_or_else(PoisonError::into_inner).insert(counter.to_owned());
        }
    }

    /// The first message before the others has been decided.
    pub(crate) fn is_begun(&self) -> bool {
        self.is_begun.load(Ordering::Relaxed)
    }

    /// So many messages behind the others have been decided, each once however often it was tried.
    pub(crate) fn tails(&self) -> usize {
        self.tails.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

#[derive(Default)]
pub(crate) struct Counters(pub(crate) Arc<Edges>);

impl Decider for Counters {
    type Input = Raise;
    type Event = Raised;
    type World = World;
    /// The counter's value, which is the sequence of the event that tells of it.
    type Reply = i64;
    type Refusal = std::convert::Infallible;

    const SERVICE: &'static str = "counter";

    fn read(&self, event: &Arrival<'_>) -> Result<Option<Raise>, Unreadable> {
        match event.name {
            RAISE => {
                serde_json::from_slice(event.data).map(Some).map_err(|it| Unreadable::Data(it.to_string()))
            }
            _ => Ok(None),
        }
    }

    async fn load(&self, tx: &mut PgConnection, inputs: &[&Raise]) -> sqlx::Result<World> {
        lock(tx, inputs.iter().map(|it| it.counter.as_str())).await
    }

    fn decide(&self, world: &World, input: &Raise, _: Timestamp) -> Decided<Self> {
        let value = world[&input.counter].value + 1;
        Ok(Decision::events([Raised { counter: input.counter.clone(), value, note: input.note.clone() }]))
    }

    fn evolve(&self, world: &mut World, event: &Raised) {
        world.entry(event.counter.clone()).or_default().value = event.value;
        self.0.note(&event.counter);
    }

    fn reply(&self, world: &World, input: &Raise) -> Option<i64> {
        world.get(&input.counter).map(|it| it.value)
    }

    fn publish(&self, _: &World, event: &Raised) -> Option<Publication> {
        Some(Publication {
            aggregate: PUBLISHES,
            key: event.counter.clone(),
            r#type: RAISED_TYPE,
            sequence: event.value,
            // Strings and a number: there is no value that JSON lacks.
            data: serde_json::to_vec(event).unwrap_or_default(),
        })
    }

    fn save(&self, writes: &mut Writes, world: &World, _: &[Recorded<Raised>]) {
        save(writes, world);
    }
}

/// Locks the counters that are there, in the order of their ids; the others begin at nothing.
pub(crate) async fn lock<'c>(
    tx: &mut PgConnection,
    counters: impl Iterator<Item = &'c str>,
) -> sqlx::Result<World> {
    let mut world: World = counters.map(|it| (it.to_owned(), Counter::default())).collect();
    let rows = sqlx::query(
        "select counter_id, value from counter where counter_id = any($1) order by counter_id for update",
    )
    .bind(world.keys().cloned().collect::<Vec<_>>())
    .fetch_all(tx)
    .await?;
    for row in &rows {
        world.insert(row.try_get("counter_id")?, Counter { value: row.try_get("value")?, stored: true });
    }
    Ok(world)
}

/// A new counter is inserted plainly: of two batches that create it at once the second is decided anew.
pub(crate) fn save(writes: &mut Writes, world: &World) {
    let (stored, new): (Vec<_>, Vec<_>) = world.iter().partition(|(_, it)| it.stored);
    let insert = "insert into counter (counter_id, value) select * from unnest($1::text[], $2::bigint[])";
    let update = "update counter set value = it.value
        from unnest($1::text[], $2::bigint[]) it (id, value) where counter_id = it.id";
    for (statement, counters) in [(insert, new), (update, stored)] {
        if counters.is_empty() {
            continue;
        }
        writes
            .add(statement)
            .bind(counters.iter().map(|it| it.0.as_str()).collect::<Vec<_>>())
            .bind(counters.iter().map(|it| it.1.value).collect::<Vec<_>>());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_decided_again_is_counted_once() {
        let edges = Edges::default();
        ["counter-1", "tail-1", "tail-1"].iter().for_each(|it| edges.note(it));
        assert!(!edges.is_begun() && edges.tails() == 1, "{edges:?}");
        ["head-7", "tail-2"].iter().for_each(|it| edges.note(it));
        assert!(edges.is_begun() && edges.tails() == 2, "{edges:?}");
    }
}
