use std::collections::HashSet;

use sqlx::PgConnection;
use uuid::Uuid;

use super::{Item, Origin};
use crate::{
    dead_letter,
    deadline::{self, DeadlineId},
    decider::Decider,
    effect,
    idempotency::Known,
};

/// What an open transaction knows of the batch's inputs.
pub(super) struct Claims {
    pub(super) fresh: HashSet<Uuid>,
    pub(super) parked: HashSet<Vec<u8>>,
    pub(super) replies: Known,
    pub(super) answered: HashSet<Uuid>,
    pub(super) due: HashSet<DeadlineId>,
}

impl Claims {
    /// Whether the world has to be loaded for an item.
    pub(super) fn may_apply<D: Decider>(&self, item: &Item<D>) -> bool {
        match &item.origin {
            Origin::Event(record) => {
                self.fresh.contains(&item.cause.id)
                    && !self.parked.contains(&*dead_letter::parking_key(record))
            }
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
        self.due = deadline::claim(tx, &deadlines).await?.into_iter().collect();
        Ok(())
    }
}
