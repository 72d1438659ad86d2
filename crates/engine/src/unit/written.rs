use bus::Received;
use events::Timestamp;
use time::OffsetDateTime;
use tokio::sync::mpsc::OwnedPermit;

use super::Item;
use crate::{
    dead_letter::{Letter, Poison, Settled},
    deadline,
    decider::{Decider, Recorded},
    effect::Call,
    idempotency::IdempotencyKey,
    outbox::OutboxRow,
};

/// What a batch writes.
pub(super) struct Written<'i, E> {
    pub(super) at: Timestamp,
    pub(super) events: Vec<Recorded<E>>,
    pub(super) outbox: Vec<OutboxRow>,
    pub(super) calls: Vec<Call>,
    /// Where the first of them go after the commit; the others are found in the table.
    pub(super) places: Vec<OwnedPermit<Call>>,
    pub(super) deadlines: deadline::Changes,
    pub(super) letters: Vec<Letter<'i>>,
    pub(super) settled: Settled<'i>,
    pub(super) keys: Vec<(&'i IdempotencyKey, String)>,
}

impl<'i, E> Written<'i, E> {
    pub(super) fn new() -> Self {
        Self {
            // To the microsecond, as Postgres keeps it.
            at: truncated(OffsetDateTime::now_utc()),
            events: Vec::new(),
            outbox: Vec::new(),
            calls: Vec::new(),
            places: Vec::new(),
            deadlines: deadline::Changes::default(),
            letters: Vec::new(),
            settled: Settled::default(),
            keys: Vec::new(),
        }
    }

    pub(super) fn park<D: Decider>(&mut self, item: &Item<D>, record: &'i Received, poison: Option<Poison>) {
        self.letters.push(Letter { record, event_id: item.cause.id, poison });
    }
}

fn truncated(at: OffsetDateTime) -> OffsetDateTime {
    at.replace_nanosecond(at.nanosecond() / 1_000 * 1_000).unwrap_or(at)
}
