use std::collections::HashSet;

use sqlx::PgConnection;
use uuid::Uuid;

use super::{Item, Origin, Outcome, written::Written};
use crate::{
    dead_letter::{self, Fate, Rerun, Reruns},
    deadline::{self, DeadlineId},
    decider::Decider,
    effect,
    idempotency::{self, Known},
    inbox,
    mutant::{Mutant, Mutation},
};

/// What an open transaction knows of the batch's inputs.
pub(super) struct Claims {
    pub(super) fresh: HashSet<Uuid>,
    pub(super) parked: HashSet<Vec<u8>>,
    pub(super) reruns: Reruns,
    pub(super) replies: Known,
    pub(super) answered: HashSet<Uuid>,
    pub(super) due: HashSet<DeadlineId>,
}

impl Claims {
    /// Claims the events' ids, then locks the parked keys among theirs.
    pub(super) async fn take<D: Decider>(
        tx: &mut PgConnection,
        consumer: &str,
        items: &[Item<D>],
        mutation: Mutation,
    ) -> sqlx::Result<Self> {
        let (mut ids, mut keys, mut letters, mut idempotency) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for item in items {
            match &item.origin {
                Origin::Event(record) => {
                    ids.push(item.cause.id);
                    keys.push(dead_letter::parking_key(record));
                }
                Origin::Letter(letter) => {
                    ids.extend(letter.has_new_id(item.cause.id).then_some(item.cause.id));
                    keys.push(letter.key.as_slice().into());
                    letters.push(letter);
                }
                Origin::Command { key: Some(key) } => idempotency.push(key.key.as_str()),
                _ => {}
            }
        }
        let forgotten = if mutation.is(Mutant::NoInbox) { std::mem::take(&mut ids) } else { Vec::new() };
        let keys: Vec<&[u8]> = keys.iter().map(AsRef::as_ref).collect();
        let mut claim = inbox::claim(tx, consumer, ids, &keys).await?;
        claim.fresh.extend(forgotten);
        Ok(Self {
            fresh: claim.fresh,
            parked: claim.parked,
            reruns: Reruns::there(tx, consumer, &letters, mutation).await?,
            replies: idempotency::known(tx, &idempotency).await?,
            answered: HashSet::new(),
            due: HashSet::new(),
        })
    }

    /// Whether the world has to be loaded for an item.
    pub(super) fn may_apply<D: Decider>(&self, item: &Item<D>) -> bool {
        match &item.origin {
            Origin::Event(record) => {
                self.fresh.contains(&item.cause.id)
                    && !self.parked.contains(&*dead_letter::parking_key(record))
            }
            Origin::Letter(letter) => self.reruns.is_there(letter),
            Origin::Command { key: Some(key) } => !self.replies.contains_key(&key.key),
            _ => true,
        }
    }

    /// Takes the rows of answers and deadlines, now that their aggregates are locked: in the other order,
    /// an event that clears a deadline under the aggregate's lock would deadlock with it.
    pub(super) async fn take_turns<D: Decider>(
        &mut self,
        tx: &mut PgConnection,
        items: &[Item<D>],
        mutation: Mutation,
    ) -> sqlx::Result<()> {
        let (mut answers, mut deadlines) = (Vec::new(), Vec::new());
        for item in items {
            match &item.origin {
                Origin::Effect(id) => answers.push(*id),
                Origin::Deadline(id) => deadlines.push(id),
                _ => {}
            }
        }
        self.answered = effect::claim(tx, &answers).await?;
        let due = deadline::claim(tx, &deadlines).await?;
        self.due = match mutation.is(Mutant::ExpiryWithoutLock) {
            true => deadlines.into_iter().cloned().collect(),
            false => due.into_iter().collect(),
        };
        Ok(())
    }

    /// What becomes of an input without a decision: it was applied before, or it is not its turn.
    pub(super) fn settle<'i, D: Decider>(
        &mut self,
        item: &'i Item<D>,
        written: &mut Written<'i, D::Event>,
    ) -> Option<Outcome<D>> {
        match &item.origin {
            Origin::Event(_) if !self.fresh.remove(&item.cause.id) => Some(Outcome::Duplicate),
            Origin::Event(record) if self.parked.contains(&*dead_letter::parking_key(record)) => {
                written.park(item, record, None);
                Some(Outcome::Parked)
            }
            Origin::Letter(letter) => self.settle_letter(letter, item.cause.id, written),
            Origin::Effect(id) => (!self.answered.remove(id)).then_some(Outcome::Duplicate),
            Origin::Deadline(id) => (!self.due.remove(id)).then_some(Outcome::Duplicate),
            Origin::Command { key: Some(key) } => {
                let (fingerprint, reply) = self.replies.get(&key.key)?;
                Some(if *fingerprint == key.fingerprint { stored(reply) } else { Outcome::KeyReused })
            }
            Origin::Event(_) | Origin::Command { key: None } => None,
        }
    }

    fn settle_letter<'i, D: Decider>(
        &mut self,
        letter: &'i Rerun,
        id: Uuid,
        written: &mut Written<'i, D::Event>,
    ) -> Option<Outcome<D>> {
        if !self.reruns.is_there(letter) {
            return Some(Outcome::Settled(Fate::Gone));
        }
        if letter.has_new_id(id) {
            match self.fresh.remove(&id) {
                true => written.settled.named.push((letter, id)),
                false if self.reruns.is_first(letter) => {
                    return Some(self.let_go(letter, Fate::Duplicate, written));
                }
                false => {}
            }
        }
        (!self.reruns.is_first(letter)).then_some(Outcome::Settled(Fate::Waiting))
    }

    /// A letter leaves; the next one of its key is the first now.
    pub(super) fn let_go<'i, D: Decider>(
        &mut self,
        letter: &'i Rerun,
        fate: Fate,
        written: &mut Written<'i, D::Event>,
    ) -> Outcome<D> {
        self.reruns.leaves(letter);
        written.settled.left.push((letter, fate));
        Outcome::Settled(fate)
    }
}

fn stored<D: Decider>(reply: &str) -> Outcome<D> {
    match serde_json::from_str(reply) {
        Ok(reply) => Outcome::Done(Some(reply)),
        Err(error) => Outcome::Failed(format!("the stored reply cannot be read: {error}")),
    }
}
