//! The unit of work: a batch of inputs, one transaction.

mod claims;
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
use tokio::sync::{Notify, mpsc};
use uuid::Uuid;

use self::{claims::Claims, written::Written};
use crate::{
    dead_letter::{self, Fate, Poison, Rerun},
    deadline::DeadlineId,
    decider::{Cause, Decider},
    effect::{self, Call},
    fault::{Fault, Remedy},
    health::{Health, Part},
    idempotency::{self, IdempotencyKey},
    metrics::Metrics,
    mutant::Mutation,
    outbox,
    trace::Spans,
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
}

/// How often a batch, and then each half of it, is begun again for a conflict before that counts as a failure.
const CONFLICTS: u32 = 6;
/// A transaction that takes longer has lost its server, and goes with its connection: longer than locks are waited for.
const ATTEMPT: Duration = Duration::from_secs(20);

impl<D: Decider> Unit<D> {
    /// Applies `items` in their order and appends their outcomes. On an error the outcomes are those of the
    /// items that are committed; the others have had no effect.
    pub(crate) async fn run(
        &self,
        connection: &mut PgConnection,
        items: &mut [Item<D>],
        outcomes: &mut Vec<Outcome<D>>,
    ) -> sqlx::Result<()> {
        let all = 0..items.len();
        let mut open = vec![all];
        let mut hurried = false;
        while let Some(range) = open.pop() {
            let mut conflicts = 0;
            loop {
                let fault = match self.attempt(connection, &items[range.clone()], hurried).await {
                    Ok(done) => {
                        outcomes.extend(done);
                        break;
                    }
                    Err(fault) => fault,
                };
                // What came by the log waits in its order. Of the others, none is to wait for the one whose aggregate is
                // held by somebody: that one is found, in a hurry.
                let busy = fault.is_lock_timeout() && !items[range.start].origin.is_of_the_log();
                hurried |= busy;
                match (fault.remedy(), fault) {
                    (Remedy::Wait, Fault::Sql(error)) => return Err(error),
                    (_, _) if busy && range.len() == 1 => {
                        outcomes.push(Outcome::Busy);
                        break;
                    }
                    (Remedy::Again | Remedy::AgainOrBisect, fault) if !busy && conflicts < CONFLICTS => {
                        conflicts += 1;
                        self.count_retry("conflict");
                        tracing::debug!(%fault, "decided anew after a conflict");
                        tokio::time::sleep(Duration::from_millis(u64::from(conflicts * conflicts))).await;
                    }
                    // Whoever holds the lock for so long, the inputs are not to blame.
                    (Remedy::Again, Fault::Sql(error)) if !busy => return Err(error),
                    // The dead letter itself cannot be written: nothing is lost by waiting.
                    (_, Fault::Sql(error)) if range.len() == 1 && items[range.start].input.is_err() => {
                        return Err(error);
                    }
                    (_, fault) if range.len() == 1 => {
                        let item = &mut items[range.start];
                        tracing::warn!(%fault, event.id = %item.cause.id, "an input cannot be applied");
                        let poison = fault.into_poison();
                        if item.origin.is_of_the_log() {
                            item.input = Err(poison);
                        } else {
                            // Nothing was written: a deadline and an effect are there to be tried again.
                            outcomes.push(Outcome::Failed(poison.error));
                            break;
                        }
                    }
                    (_, fault) => {
                        self.count_retry("bisected");
                        tracing::debug!(%fault, len = range.len(), "the batch is halved");
                        let middle = range.start + range.len() / 2;
                        open.push(middle..range.end);
                        open.push(range.start..middle);
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    fn count_retry(&self, reason: &'static str) {
        self.metrics.retries.add(1, &[self.metrics.service.clone(), KeyValue::new("reason", reason)]);
    }

    async fn attempt(
        &self,
        connection: &mut PgConnection,
        items: &[Item<D>],
        hurried: bool,
    ) -> Result<Vec<Outcome<D>>, Fault> {
        let begun = Instant::now();
        let attempt = self.transact(connection, items, hurried);
        // Without an answer it may have been committed or not, as when the connection is lost.
        let silent = || Fault::Sql(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()));
        let attempted = tokio::time::timeout(ATTEMPT, attempt).await;
        let (outcomes, written) = attempted.unwrap_or_else(|_| Err(silent()))?;
        let elapsed = begun.elapsed().as_secs_f64();
        self.metrics.transaction.record(elapsed, std::slice::from_ref(&self.metrics.service));
        self.metrics.batch_size.record(items.len() as u64, std::slice::from_ref(&self.metrics.service));
        self.health.progress(Part::Database);
        self.after_commit(written);
        Ok(outcomes)
    }

    /// One transaction, from its begin to its end.
    async fn transact<'i>(
        &self,
        connection: &mut PgConnection,
        items: &'i [Item<D>],
        hurried: bool,
    ) -> Result<(Vec<Outcome<D>>, Written<'i, D::Event>), Fault> {
        let mut tx = connection.begin().await?;
        if hurried {
            sqlx::query("set local lock_timeout = '100ms'").execute(&mut *tx).await?;
        }
        let (outcomes, written) = match self.carry_out(&mut tx, items).await {
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
        Ok((outcomes, written))
    }

    /// All that a batch does within its transaction.
    async fn carry_out<'i>(
        &self,
        tx: &mut PgConnection,
        items: &'i [Item<D>],
    ) -> Result<(Vec<Outcome<D>>, Written<'i, D::Event>), Fault> {
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
        self.save(tx, &world, &written).await?;
        Ok((outcomes, written))
    }

    async fn save(
        &self,
        tx: &mut PgConnection,
        world: &D::World,
        written: &Written<'_, D::Event>,
    ) -> sqlx::Result<()> {
        if !written.events.is_empty() {
            self.decider.save(tx, world, &written.events).await?;
        }
        outbox::append(tx, &written.outbox).await?;
        effect::save(tx, &written.calls).await?;
        written.deadlines.save(tx).await?;
        idempotency::save(tx, &written.keys).await?;
        dead_letter::settle(tx, D::SERVICE, &written.settled).await?;
        dead_letter::park(tx, D::SERVICE, &written.letters).await?;
        let mirrored: Vec<_> = written.letters.iter().map(|it| dead_letter::mirror(D::SERVICE, it)).collect();
        outbox::append(tx, &mirrored).await
    }

    /// Wakes whoever has something to do now; each of them would find it by itself later.
    fn after_commit(&self, written: Written<'_, D::Event>) {
        if !written.outbox.is_empty() || !written.letters.is_empty() {
            self.relay.notify_one();
        }
        if written.deadlines.any_soon() {
            self.deadlines.notify_one();
        }
        for call in written.calls {
            // A full queue is no loss: the row is found when its lease is over.
            if self.calls.try_send(call).is_err() {
                break;
            }
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
