//! The unit of work: a batch of inputs, one transaction.

mod claims;
mod parts;
mod step;
mod written;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bus::{
    Received,
    crash::{self, Crash},
};
use opentelemetry::KeyValue;
use sqlx::{Connection, PgConnection};
use tokio::{
    sync::{
        Notify,
        mpsc::{self, OwnedPermit},
    },
    time::timeout,
};
use uuid::Uuid;

use self::{claims::Claims, written::Written};
use crate::{
    database::Link,
    dead_letter::{self, Fate, Poison, Rerun},
    deadline::DeadlineId,
    decider::{Cause, Decider},
    effect::{self, Call},
    fault::{self, Fault},
    health::{Health, Part},
    idempotency::{self, IdempotencyKey},
    metrics::Metrics,
    mutant::Mutation,
    outbox,
    trace::Spans,
    writes::Writes,
};

/// An input on its way into a transaction.
pub(crate) struct Item<D: Decider> {
    pub(crate) origin: Origin,
    /// What could not be read is parked in its place in the order. `None` asks for nothing: a dead letter that
    /// is thrown away, or that nobody handles any more.
    pub(crate) input: Result<Option<D::Input>, Poison>,
    pub(crate) cause: Cause,
}

impl<D: Decider> Item<D> {
    /// What is to be decided, if anything is.
    fn input(&self) -> Option<&D::Input> {
        self.input.as_ref().ok()?.as_ref()
    }
}

/// Where an input comes from, which is also how it is kept from being applied twice.
pub(crate) enum Origin {
    Event(Received),
    /// A dead letter that is run again.
    Letter(Rerun),
    Command {
        key: Option<IdempotencyKey>,
    },
    Effect(Uuid),
    Deadline(DeadlineId),
}

impl Origin {
    fn is_of_the_log(&self) -> bool {
        matches!(self, Self::Event(_) | Self::Letter(_))
    }
}

/// What became of an input.
pub(crate) enum Outcome<D: Decider> {
    Done(Option<D::Reply>),
    /// It was applied before.
    Duplicate,
    Parked,
    /// Of a dead letter.
    Settled(Fate),
    Refused(D::Refusal),
    KeyReused,
    /// It cannot be applied; for what is not an event.
    Failed(String),
    /// Somebody holds its aggregate for long; for what is not of the log.
    Busy,
}

/// What a transaction has come to.
type Done<'i, D> = (Vec<Outcome<D>>, Written<'i, <D as Decider>::Event>, <D as Decider>::World);

/// What carries out the batches of a service.
pub(crate) struct Unit<D> {
    pub(crate) decider: D,
    pub(crate) metrics: Metrics,
    pub(crate) health: Health,
    pub(crate) traced: bool,
    pub(crate) mutation: Mutation,
    pub(crate) relay: Arc<Notify>,
    pub(crate) deadlines: Arc<Notify>,
    pub(crate) calls: mpsc::Sender<Call>,
    /// The time that a transaction has.
    pub(crate) attempt: Duration,
}

/// A transaction that takes longer has lost its server, or has too many inputs, and goes with its connection: longer than
/// locks are waited for.
pub(crate) const ATTEMPT: Duration = Duration::from_secs(20);

impl<D: Decider> Unit<D> {
    /// One transaction, in the time that it has.
    async fn attempt(
        &self,
        link: &mut Link,
        items: &[Item<D>],
        hurried: bool,
    ) -> Result<Vec<Outcome<D>>, Fault> {
        let connection = link.get().await?;
        let begun = Instant::now();
        let Ok(done) = timeout(self.attempt, self.transact(connection, items, hurried)).await else {
            link.most = (items.len() / 2).max(1);
            return Err(fault::too_long(items.len(), self.attempt).into());
        };
        let (outcomes, written, world) = done?;
        let took = begun.elapsed();
        // Twice as many will have time enough.
        if items.len() >= link.most && took < self.attempt / 4 {
            link.most = link.most.saturating_mul(2);
        }
        self.metrics.transaction.record(took.as_secs_f64(), std::slice::from_ref(&self.metrics.service));
        self.metrics.batch_size.record(items.len() as u64, std::slice::from_ref(&self.metrics.service));
        self.health.progress(Part::Database);
        self.decider.committed(world);
        self.after_commit(written);
        Ok(outcomes)
    }

    /// One transaction, from its begin to its end.
    async fn transact<'i>(
        &self,
        connection: &mut PgConnection,
        items: &'i [Item<D>],
        hurried: bool,
    ) -> Result<Done<'i, D>, Fault> {
        let mut tx = connection.begin().await?;
        if hurried {
            sqlx::query("set local lock_timeout = '100ms'").execute(&mut *tx).await?;
        }
        let done = match self.carry_out(&mut tx, items).await {
            Ok(done) => done,
            Err(fault) => {
                // At once: a transaction that is dropped keeps its locks until its connection is next used.
                // If this fails the connection is broken, and that ends the transaction too.
                let _ = tx.rollback().await;
                return Err(fault);
            }
        };
        crash::point(Crash::MidBatch);
        tx.commit().await?;
        Ok(done)
    }

    /// All that a batch does within its transaction.
    async fn carry_out<'i>(&self, tx: &mut PgConnection, items: &'i [Item<D>]) -> Result<Done<'i, D>, Fault> {
        let spans = Spans::start(self.traced, D::SERVICE, items.iter().map(|it| &it.cause));
        let mut claims = Claims::take(tx, D::SERVICE, items, self.mutation).await?;
        let inputs: Vec<&D::Input> =
            items.iter().filter(|it| claims.may_apply(it)).filter_map(Item::input).collect();
        let mut world = self.decider.load(tx, &inputs).await?;
        claims.take_turns(tx, items, self.mutation).await?;
        let mut written = Written::new();
        let mut outcomes = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            outcomes.push(self.step(&mut world, &mut claims, item, (&spans, index), &mut written)?);
        }
        written.places = self.places(written.calls.len());
        self.save(tx, &world, &written).await?;
        Ok((outcomes, written, world))
    }

    /// Places among the calls that this process's worker has before it: as many as are wanted, or as there are.
    fn places(&self, wanted: usize) -> Vec<OwnedPermit<Call>> {
        (0..wanted).map_while(|_| self.calls.clone().try_reserve_owned().ok()).collect()
    }

    async fn save(
        &self,
        tx: &mut PgConnection,
        world: &D::World,
        written: &Written<'_, D::Event>,
    ) -> sqlx::Result<()> {
        let mut writes = Writes::default();
        if !written.events.is_empty() {
            self.decider.save(&mut writes, world, &written.events);
        }
        outbox::append(&mut writes, &written.outbox);
        effect::save(&mut writes, &written.calls, written.places.len());
        written.deadlines.save(&mut writes);
        idempotency::save(&mut writes, &written.keys);
        writes.send(tx).await?;
        dead_letter::settle(tx, D::SERVICE, &written.settled).await?;
        dead_letter::park(tx, D::SERVICE, &written.letters).await?;
        let mirrored: Vec<_> = written.letters.iter().map(|it| dead_letter::mirror(D::SERVICE, it)).collect();
        let mut writes = Writes::default();
        outbox::append(&mut writes, &mirrored);
        writes.send(tx).await
    }

    /// Wakes whoever has something to do now; each of them would find it by itself later.
    fn after_commit(&self, written: Written<'_, D::Event>) {
        if !written.outbox.is_empty() || !written.letters.is_empty() {
            self.relay.notify_one();
        }
        if written.deadlines.any_soon() {
            self.deadlines.notify_one();
        }
        for (place, call) in written.places.into_iter().zip(written.calls) {
            place.send(call);
        }
        for letter in &written.letters {
            let cause = KeyValue::new("cause", letter.cause());
            self.metrics.parked.add(1, &[self.metrics.service.clone(), cause]);
            if letter.poison.is_some() {
                tracing::warn!(
                    event.id = %letter.event_id, topic = %letter.record.topic, letter.record.partition,
                    letter.record.offset, cause = letter.cause(), error = letter.error(), "dead letter"
                );
            }
        }
    }
}
