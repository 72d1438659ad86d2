//! What a worker has in hand, and how many calls it may make at once.

use std::{
    collections::{HashSet, VecDeque},
    time::Duration,
};

use recloser::{AsyncRecloser, Recloser};
use tokio::{task::JoinSet, time::Instant};
use uuid::Uuid;

use super::Call;

/// How many calls are under way at once.
const CONCURRENCY: usize = 128;
/// How many are tried at once after the breaker was open, until one is answered. More than the outcomes that the
/// breaker needs to make up its mind.
const PROBES: usize = 8;
/// For how long no call is begun after the breaker was seen open.
const REST: Duration = Duration::from_secs(1);
/// How often the table is searched for calls whose time has come, or whose process is gone. While there is more to
/// be found, it is searched as soon as there is room.
const SEARCH_EVERY: Duration = Duration::from_millis(500);

/// What a call came to.
pub(super) struct Done {
    pub(super) id: Uuid,
    pub(super) outcome: Outcome,
}

pub(super) enum Outcome {
    /// Its answer is applied.
    Answered,
    /// It is to be made again, for this reason; `down`: nobody answered.
    Again { error: String, down: bool },
    /// It was not made.
    Spared,
}

/// What there is to do.
pub(super) struct Desk {
    pub(super) breaker: AsyncRecloser,
    gate: Gate,
    pub(super) under_way: JoinSet<Done>,
    pub(super) ids: HashSet<Uuid>,
    /// Leased in a search and not begun.
    pub(super) found: VecDeque<Call>,
    /// Whose turn it is, when both wait.
    pub(super) fresh_next: bool,
    pub(super) again: Vec<Done>,
    search_at: Instant,
    /// The last search found as much as it was to find.
    pub(super) more: bool,
    /// What was last told of the gate.
    told: Option<bool>,
}

/// How many calls may be under way, by what became of the last ones.
enum Gate {
    Open,
    /// The breaker was open a moment ago: a few calls find out whether it still has to be.
    Ajar,
    ShutUntil(Instant),
}

impl Desk {
    pub(super) fn new() -> Self {
        let breaker = Recloser::custom()
            .error_rate(0.5)
            .closed_len(50)
            .half_open_len(5)
            .open_wait(Duration::from_secs(1))
            .build();
        Self {
            breaker: AsyncRecloser::from(breaker),
            gate: Gate::Open,
            under_way: JoinSet::new(),
            ids: HashSet::new(),
            found: VecDeque::new(),
            fresh_next: true,
            again: Vec::new(),
            search_at: Instant::now(),
            more: false,
            told: None,
        }
    }

    /// How many more calls may be begun.
    pub(super) fn room(&self) -> usize {
        self.gate.limit().saturating_sub(self.under_way.len())
    }

    pub(super) fn note(&mut self, done: Done) {
        self.ids.remove(&done.id);
        match done.outcome {
            Outcome::Answered => self.gate = Gate::Open,
            Outcome::Again { down, .. } => {
                if !down {
                    self.gate = Gate::Open;
                }
                self.again.push(done);
            }
            Outcome::Spared => {
                self.gate = Gate::ShutUntil(Instant::now() + REST);
                self.again.push(done);
            }
        }
    }

    /// The time of rest is over, if it was one.
    pub(super) fn set_ajar(&mut self) {
        if let Gate::ShutUntil(_) = self.gate {
            self.gate = Gate::Ajar;
        }
    }

    /// How many calls there is room to find, in a search that is about to begin.
    pub(super) fn begin_search(&mut self) -> usize {
        (self.search_at, self.more) = (Instant::now() + SEARCH_EVERY, false);
        self.gate.limit().saturating_sub(self.found.len())
    }

    /// Whether calls are made as they come, when that has changed since it was last asked.
    pub(super) fn news(&mut self) -> Option<bool> {
        let open = matches!(self.gate, Gate::Open);
        (self.told.replace(open) != Some(open)).then_some(open)
    }

    /// When it is time to put back, and to search.
    pub(super) fn wake_at(&self) -> Instant {
        match self.gate {
            Gate::ShutUntil(until) => until,
            _ if self.more && self.found.len() * 2 <= self.gate.limit() => Instant::now(),
            _ => self.search_at,
        }
    }
}

impl Gate {
    fn limit(&self) -> usize {
        match self {
            Self::Open => CONCURRENCY,
            Self::Ajar => PROBES,
            Self::ShutUntil(_) => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn while_there_is_more_to_be_found_the_next_search_waits_for_room_alone() {
        let mut desk = Desk::new();
        let limit = desk.begin_search();
        assert!(desk.wake_at() > Instant::now(), "nothing was found");
        desk.more = true;
        assert!(desk.wake_at() <= Instant::now());
        desk.found.extend((0..limit).map(|_| call()));
        assert!(desk.wake_at() > Instant::now(), "as much is in hand as can be");
    }

    fn call() -> Call {
        Call {
            id: Uuid::now_v7(),
            key: String::new(),
            request: String::new(),
            attempt: 1,
            correlation_id: Uuid::now_v7(),
            traceparent: None,
            taken: Instant::now(),
        }
    }
}
