//! One input of a batch: from its turn to what follows from it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use events::Timestamp;
use uuid::Uuid;

use super::{Item, Origin, Outcome, Unit, claims::Claims, written::Written};
use crate::{
    dead_letter::{self, Fate, Poison},
    decider::{Cause, Decider, Decision, Declined, Publication, Recorded},
    effect::Call,
    fault::Fault,
    outbox::{MAX_EVENT_BYTES, OutboxRow},
    trace::Spans,
};

impl<D: Decider> Unit<D> {
    /// Takes one input as far as it goes.
    pub(super) fn step<'i>(
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
                written.outbox.push(row(id, it, cause, written.at));
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
}

/// An event as it is to be published.
fn row(id: Uuid, it: Publication, cause: &Cause, at: Timestamp) -> OutboxRow {
    OutboxRow {
        event_id: id,
        aggregate_type: it.aggregate.name().into(),
        aggregate_id: it.key,
        r#type: it.r#type.into(),
        sequence: Some(it.sequence),
        occurred_at: at,
        correlation_id: Some(cause.correlation_id),
        causation_id: Some(cause.id),
        actor: Some(cause.actor.clone()),
        trace: cause.trace.clone(),
        headers: None,
        payload: Some(it.data),
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
