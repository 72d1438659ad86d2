//! What is counted in the tables, as an operator sees it: by a service of a name of its own, as the instruments are
//! those of the whole process.

use std::{collections::BTreeMap, time::Duration};

use engine::{Arrival, Decided, Decider, Engine, Publication, Recorded, Timestamp, Writes};
use events::Unreadable;
use sqlx::PgConnection;
use testkit::eventually;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    account::{Accounts, Happened, Input, Insufficient, Statement, World},
    metrics,
    rig::Rig,
    teller::Mood,
};

/// Accounts under another name.
struct Gauged;

impl Decider for Gauged {
    type Input = Input;
    type Event = Happened;
    type World = World;
    type Reply = Statement;
    type Refusal = Insufficient;

    const SERVICE: &'static str = "gauged";
    const DEADLINES: &'static [&'static str] = Accounts::DEADLINES;

    fn read(&self, event: &Arrival<'_>) -> Result<Option<Input>, Unreadable> {
        Accounts.read(event)
    }

    async fn load(&self, tx: &mut PgConnection, inputs: &[&Input]) -> sqlx::Result<World> {
        Accounts.load(tx, inputs).await
    }

    fn decide(&self, world: &World, input: &Input, at: Timestamp) -> Decided<Self> {
        Accounts.decide(world, input, at)
    }

    fn evolve(&self, world: &mut World, event: &Happened) {
        Accounts.evolve(world, event);
    }

    fn reply(&self, world: &World, input: &Input) -> Option<Statement> {
        Accounts.reply(world, input)
    }

    fn publish(&self, world: &World, event: &Happened) -> Option<Publication> {
        Accounts.publish(world, event)
    }

    fn save(&self, writes: &mut Writes, world: &World, events: &[Recorded<Happened>]) {
        Accounts.save(writes, world, events);
    }
}

/// Waits until the gauge has these values, by its labels.
async fn reads(name: &str, wanted: &[(&str, f64)]) {
    let wanted: BTreeMap<String, f64> = wanted.iter().map(|(label, it)| ((*label).to_owned(), *it)).collect();
    eventually(Duration::from_secs(30), name, async || match metrics::gauge(Gauged::SERVICE, name) {
        seen if seen == wanted => Ok(()),
        seen => Err(format!("{seen:?}")),
    })
    .await;
}

/// Waits until the gauge is within bounds.
async fn reads_about(name: &str, bounds: std::ops::Range<f64>) {
    eventually(Duration::from_secs(30), name, async || match metrics::gauge(Gauged::SERVICE, name).get("") {
        Some(seen) if bounds.contains(seen) => Ok(()),
        seen => Err(format!("{seen:?}")),
    })
    .await;
}

/// Dead letters by their labels: those that there are, and all others as none.
const LETTERS: [(&str, f64); 8] = [
    ("impossible poison", 1.0),
    ("key-parked waiting", 2.0),
    ("malformed poison", 1.0),
    ("oversized poison", 0.0),
    ("panic poison", 0.0),
    ("refused-by-database poison", 0.0),
    ("undecodable poison", 0.0),
    ("unknown-version poison", 0.0),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_what_fails_and_what_nobody_knows_is_told() {
    let rig = Rig::new().await;
    let rows = "insert into engine.dead_letter (consumer, key, event_id, status, cause, error, topic, partition, \"offset\", headers)
        values ('gauged', 'a', uuidv7(), 'poison', 'impossible', '', 't', 0, 0, '[]'),
            ('gauged', 'a', uuidv7(), 'waiting', 'key-parked', '', 't', 0, 1, '[]'),
            ('gauged', 'a', uuidv7(), 'waiting', 'key-parked', '', 't', 0, 2, '[]'),
            ('gauged', 'b', uuidv7(), 'poison', 'malformed', '', 't', 0, 3, '[]');
        insert into engine.parked_key (consumer, key) values ('gauged', 'a'), ('gauged', 'b');
        insert into engine.deadline (key, kind, due_at, correlation_id)
        select 'k-' || n, 'foreign', clock_timestamp() - interval '1 day', uuidv7() from generate_series(1, 7) n
        union all select 'later', 'foreign', clock_timestamp() + interval '1 day', uuidv7()
        union all select 'stuck', 'expiry', clock_timestamp() - interval '1 hour', uuidv7();
        insert into engine.effect (effect_id, key, request, due_at, attempt, correlation_id, created_at)
        select uuidv7(), 'a', 'a', clock_timestamp() + interval '1 hour', n, uuidv7(), clock_timestamp() - interval '2 hours'
        from generate_series(1, 8) n;
        insert into engine.outbox (event_id, aggregate_type, aggregate_id, type, occurred_at)
        select uuidv7(), 'payment', 'x', 'x', clock_timestamp() - interval '10 minutes' from generate_series(1, 30)";
    sqlx::raw_sql(rows).execute(&rig.pool).await.unwrap();
    rig.teller.set(Mood::Unanswered);
    let settings = rig.engine("gauged").with(|it| it.outbox_limit = 20).settings;
    let engine = Engine::new(Gauged, rig.teller.clone(), settings);
    let shutdown = CancellationToken::new();
    let mut tasks = JoinSet::new();
    for task in engine.tasks(shutdown.clone()) {
        if ["housekeeping", "pressure", "effects", "deadlines"].contains(&task.name) {
            tasks.spawn(task.future);
        }
    }

    reads("waybill_dead_letters", &LETTERS).await;
    reads("waybill_parked_keys", &[("", 2.0)]).await;
    reads("waybill_deadlines_unknown", &[("", 7.0)]).await;
    // Nobody takes commands in this engine, so that the one which is known cannot be taken either.
    reads_about("waybill_deadlines_overdue_seconds", 3_600.0..7_200.0).await;
    reads("waybill_effects_pending", &[("", 8.0)]).await;
    reads("waybill_effects_failing", &[("", 4.0)]).await;
    reads_about("waybill_effects_oldest_age_seconds", 7_200.0..10_800.0).await;
    reads("waybill_outbox_pending", &[("", 30.0)]).await;
    reads_about("waybill_outbox_oldest_age_seconds", 600.0..3_600.0).await;
    reads("waybill_shedding", &[("", 1.0)]).await;
    reads("waybill_breaker_open", &[("", 0.0)]).await;

    let again = "delete from engine.dead_letter; delete from engine.outbox;
        delete from engine.deadline where kind = 'foreign';
        insert into engine.effect (effect_id, key, request, due_at, correlation_id)
        select uuidv7(), 'a', 'a', clock_timestamp(), uuidv7() from generate_series(1, 300)";
    sqlx::raw_sql(again).execute(&rig.pool).await.unwrap();
    reads("waybill_breaker_open", &[("", 1.0)]).await;
    reads("waybill_shedding", &[("", 0.0)]).await;
    reads("waybill_deadlines_unknown", &[("", 0.0)]).await;
    reads_about("waybill_effects_pending", 308.0..309.0).await;
    let none = LETTERS.map(|(labels, _)| (labels, 0.0));
    reads("waybill_dead_letters", &none).await;

    shutdown.cancel();
    // The deadline that waits for an answer is given up with its engine.
    tasks.shutdown().await;
    rig.close().await;
}
