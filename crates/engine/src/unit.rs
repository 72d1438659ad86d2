//! The unit of work: a batch of inputs, one transaction.

mod claims;
mod written;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant},
};

use bus::Received;
use events::Timestamp;
use opentelemetry::KeyValue;
use sqlx::{Connection, PgConnection};
use tokio::sync::{Notify, mpsc};
use uuid::Uuid;

use self::{claims::Claims, written::Written};
use crate::{
    dead_letter::{self, Fate, Poison, Rerun},
    deadline::DeadlineId,
    decider::{Cause, Decider, Decision, Declined, Recorded},
    effect::{self, Call},
    fault::{Fault, Remedy},
    health::{Health, Part},
    idempotency::{self, IdempotencyKey},
    metrics::Metrics,
    mutant::Mutation,
    outbox::{self, MAX_EVENT_BYTES, OutboxRow},
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
        tx.commit().await?;
        let elapsed = begun.elapsed().as_secs_f64();
        self.metrics.transaction.record(elapsed, std::slice::from_ref(&self.metrics.service));
        self.metrics.batch_size.record(items.len() as u64, std::slice::from_ref(&self.metrics.service));
        self.health.progress(Part::Database);
        self.after_commit(written);
        Ok(outcomes)
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
        claims.take_turns(tx, items).await?;
        let mut written = Written::new();
        let mut outcomes = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            outcomes.push(self.step(&mut world, &mut claims, item, (&spans, index), &mut written)?);
        }
        self.save(tx, &world, &written).await?;
        Ok((outcomes, written))
    }

    /// Takes one input as far as it goes.
    fn step<'i>(
        &self,
        world: &mut D::World,
        claims: &mut Claims,
        item: &'i Item<D>,
        (spans, index): (&Spans, usize),
        written: &mut Written<'i, D::Event>,
    ) -> Result<Outcome<D>, Fault> {
        if let Some(outcome) = claims.settle(item, written) {
            return Ok(outcome);
        }
        let verdict = match &item.input {
            Ok(Some(input)) => self.decide(world, input, written.at),
            Ok(None) => Verdict::Decided(Decision::nothing()),
            Err(poison) => Verdict::Poison(poison.clone()),
        };
        match (verdict, &item.origin) {
            (Verdict::Decided(decision), _) => {
                let cause = Cause { trace: spans.trace(index, &item.cause), ..item.cause.clone() };
                self.apply(world, decision, &cause, written)?;
                self.reply(world, claims, item, written)
            }
            (Verdict::Refused(refusal), Origin::Command { .. }) => Ok(Outcome::Refused(refusal)),
            (Verdict::Refused(_), _) => {
                Err(Fault::Input(Poison::new("impossible", "only a command can be refused")))
            }
            (Verdict::Poison(poison), Origin::Event(record)) => {
                claims.parked.insert(dead_letter::parking_key(record).into_owned());
                written.park(item, record, Some(poison));
                Ok(Outcome::Parked)
            }
            (Verdict::Poison(poison), Origin::Letter(letter)) => {
                written.settled.failed.push((letter, poison));
                Ok(Outcome::Settled(Fate::Failed))
            }
            (Verdict::Poison(poison), Origin::Command { .. }) => Ok(Outcome::Failed(poison.error)),
            // Its row is taken by this transaction, which is begun anew without it.
            (Verdict::Poison(poison), Origin::Effect(_) | Origin::Deadline(_)) => Err(Fault::Input(poison)),
        }
    }

    fn decide(&self, world: &D::World, input: &D::Input, at: Timestamp) -> Verdict<D> {
        // The world is only read here, so that a panic leaves it as it was.
        match catch_unwind(AssertUnwindSafe(|| self.decider.decide(world, input, at))) {
            Ok(Ok(decision)) => Verdict::Decided(decision),
            Ok(Err(Declined::Refused(refusal))) => Verdict::Refused(refusal),
            Ok(Err(Declined::Impossible(reason))) => Verdict::Poison(Poison::new("impossible", reason)),
            Err(panic) => Verdict::Poison(Poison::new("panic", message(&*panic))),
        }
    }

    /// Writes down what was decided, and lets the world follow.
    fn apply(
        &self,
        world: &mut D::World,
        decision: Decision<D::Event>,
        cause: &Cause,
        written: &mut Written<'_, D::Event>,
    ) -> Result<(), Fault> {
        for event in decision.events {
            let id = Uuid::now_v7();
            let publication = catch_unwind(AssertUnwindSafe(|| {
                self.decider.evolve(world, &event);
                self.decider.publish(world, &event)
            }));
            // The world may be half changed: the batch begins anew without this input.
            let publication =
                publication.map_err(|panic| Fault::Input(Poison::new("panic", message(&*panic))))?;
            if let Some(it) = publication {
                if it.data.len() > MAX_EVENT_BYTES {
                    let error = format!("{} of {} B is over {MAX_EVENT_BYTES} B", it.r#type, it.data.len());
                    return Err(Fault::Input(Poison::new("oversized", error)));
                }
                written.outbox.push(OutboxRow {
                    event_id: id,
                    aggregate_type: it.aggregate.name().into(),
                    aggregate_id: it.key,
                    r#type: it.r#type.into(),
                    sequence: Some(it.sequence),
                    occurred_at: written.at,
                    correlation_id: Some(cause.correlation_id),
                    causation_id: Some(cause.id),
                    actor: Some(cause.actor.clone()),
                    trace: cause.trace.clone(),
                    headers: None,
                    payload: Some(it.data),
                });
            }
            written.events.push(Recorded {
                id,
                event,
                at: written.at,
                correlation_id: cause.correlation_id,
                causation_id: cause.id,
                actor: cause.actor.clone(),
            });
        }
        written.calls.extend(decision.effects.into_iter().map(|it| Call::new(it, cause)));
        decision.deadlines.into_iter().for_each(|it| written.deadlines.add(it, cause));
        Ok(())
    }

    /// What an applied input is answered with; of a command with an idempotency key the answer is kept.
    fn reply<'i>(
        &self,
        world: &D::World,
        claims: &mut Claims,
        item: &'i Item<D>,
        written: &mut Written<'i, D::Event>,
    ) -> Result<Outcome<D>, Fault> {
        if let Origin::Letter(letter) = &item.origin {
            return Ok(claims.let_go(letter, letter.fate(item.input().is_some()), written));
        }
        let (Origin::Command { key }, Some(input)) = (&item.origin, item.input()) else {
            return Ok(Outcome::Done(None));
        };
        let reply = self.decider.reply(world, input);
        if let (Some(key), Some(reply)) = (key, &reply) {
            let reply = serde_json::to_string(reply)
                .map_err(|error| Fault::Input(Poison::new("impossible", error)))?;
            claims.replies.insert(key.key.clone(), (key.fingerprint.clone(), reply.clone()));
            written.keys.push((key, reply));
        }
        Ok(Outcome::Done(reply))
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

/// What a decision came to.
enum Verdict<D: Decider> {
    Decided(Decision<D::Event>),
    Refused(D::Refusal),
    Poison(Poison),
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|it| (*it).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "panicked".to_owned())
}
