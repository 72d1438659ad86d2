//! What an operator can ask for, and is answered.

use serde::Serialize;
use sqlx::PgPool;
use tokio::sync::{mpsc, oneshot};

use crate::dead_letter::{self, Action, By, DeadLetter, Fate, Wanted};

/// What an operator sees of a service's dead letters, and can do about them. Cheap to clone.
#[derive(Clone)]
pub struct DeadLetters {
    pub(crate) consumer: &'static str,
    pub(crate) pool: PgPool,
    pub(crate) requests: mpsc::Sender<Request>,
}

/// Whose turn it is: always whole keys, from their first letter on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// The key of this letter.
    Id(i64),
    Key(String),
    /// The keys whose first letter is of this type: `waybill.order.placed.v2`, or `order.placed`.
    Type(String),
    All,
}

/// How many letters came to what.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Redriven {
    pub applied: u64,
    /// Their events had been applied before.
    pub duplicates: u64,
    /// Nobody here handles their type.
    pub skipped: u64,
    pub discarded: u64,
    /// They are poison still.
    pub failed: u64,
    /// There is more to do, from this key on: a call takes some seconds at the most.
    #[serde(skip)]
    pub next: Option<Vec<u8>>,
}

/// Why nothing was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RedriveError {
    #[error("there is no such dead letter")]
    Unknown,
    #[error("this letter waits behind another one of its key, which has to go first")]
    NotFirst,
    #[error("the database is not available")]
    Unavailable,
}

/// A redrive to be done by the task.
pub(crate) struct Request {
    pub(super) which: Which,
    pub(super) by: By,
    pub(super) discard: bool,
    pub(super) from: Option<Vec<u8>>,
    pub(super) answer: oneshot::Sender<Result<Redriven, RedriveError>>,
}

impl DeadLetters {
    /// The same, read over another pool.
    #[must_use]
    pub fn read_over(self, pool: PgPool) -> Self {
        Self { pool, ..self }
    }

    /// Oldest first, without headers and payloads.
    pub async fn list(&self, wanted: &Wanted) -> sqlx::Result<Vec<DeadLetter>> {
        dead_letter::list(&self.pool, self.consumer, wanted).await
    }

    /// One with its headers and payload.
    pub async fn show(&self, id: i64) -> sqlx::Result<Option<DeadLetter>> {
        dead_letter::show(&self.pool, self.consumer, id).await
    }

    /// What was done about dead letters, newest first; `before` is the id of the last action of the page before.
    pub async fn actions(&self, before: Option<i64>, limit: i64) -> sqlx::Result<Vec<Action>> {
        dead_letter::actions(&self.pool, self.consumer, before, limit).await
    }

    /// Runs the letters of the keys again, each key until a letter fails. `from` is the `next` of the call before.
    pub async fn redrive(
        &self,
        which: Which,
        by: By,
        from: Option<Vec<u8>>,
    ) -> Result<Redriven, RedriveError> {
        self.ask(which, by, false, from).await
    }

    /// Throws away the poison letter at the head of each key, and runs what waited behind it.
    pub async fn discard(
        &self,
        which: Which,
        by: By,
        from: Option<Vec<u8>>,
    ) -> Result<Redriven, RedriveError> {
        self.ask(which, by, true, from).await
    }

    async fn ask(
        &self,
        which: Which,
        by: By,
        discard: bool,
        from: Option<Vec<u8>>,
    ) -> Result<Redriven, RedriveError> {
        let (answer, answered) = oneshot::channel();
        let request = Request { which, by, discard, from, answer };
        self.requests.send(request).await.map_err(|_| RedriveError::Unavailable)?;
        answered.await.unwrap_or(Err(RedriveError::Unavailable))
    }
}

impl Redriven {
    pub(super) fn count(&mut self, fate: Fate) {
        match fate {
            Fate::Applied => self.applied += 1,
            Fate::Duplicate => self.duplicates += 1,
            Fate::Skipped => self.skipped += 1,
            Fate::Discarded => self.discarded += 1,
            Fate::Failed => self.failed += 1,
            // They are not this one's doing.
            Fate::Waiting | Fate::Gone => {}
        }
    }
}
