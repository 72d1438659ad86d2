use std::{sync::Arc, time::Instant};

use tokio::sync::oneshot;

use super::request::{RedriveError, Redriven};
use crate::dead_letter::By;

/// What is under way for one who asked, or for nobody in particular.
pub(super) struct Turn<'a> {
    pub(super) by: Arc<By>,
    pub(super) discard: Discard,
    pub(super) until: Instant,
    pub(super) asker: Option<&'a oneshot::Sender<Result<Redriven, RedriveError>>>,
    pub(super) total: Redriven,
}

impl Turn<'_> {
    /// Also when nobody waits for it any more: they were told that it was not done, and will ask again.
    pub(super) fn is_over(&self) -> bool {
        Instant::now() > self.until || self.asker.is_some_and(oneshot::Sender::is_closed)
    }
}

/// What is thrown away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Discard {
    Nothing,
    /// The poison at the head of each key.
    Heads,
    /// This letter and no other: another one may be the first of its key by the time that it is looked at.
    Only(i64),
}

impl Discard {
    /// Whether it is this letter that is meant.
    pub(super) fn means(self, id: i64) -> bool {
        match self {
            Self::Nothing => false,
            Self::Heads => true,
            Self::Only(only) => id == only,
        }
    }
}
