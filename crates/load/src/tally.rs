//! What customers have seen.

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, Instant},
};

use serde_json::Value;
use uuid::Uuid;

use crate::wish::Wish;

/// Kinds of failure that are told apart; a suite that says something else each time must not fill the memory.
const KINDS: usize = 100;

/// An order that was accepted.
#[derive(Debug, Clone, Copy)]
pub struct Accepted {
    pub id: Uuid,
    /// When the request that was answered was sent.
    pub sent: Instant,
    /// From then to its answer.
    pub answered: Duration,
    /// From when the order was due to that answer, all attempts included.
    pub waited: Duration,
}

/// An answer that named another order than the first one under the same key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Other {
    pub key: String,
    pub first: Uuid,
    pub then: Uuid,
}

/// Answers of one status that is a defect of the service's, and what the first of them said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Defect {
    pub count: usize,
    /// The request, and the problem's detail, or the body where it is no problem.
    pub first: String,
}

/// Whether an answer tells of a defect: 5xx, unless it says that the service (503), or what it asks (504), is not there
/// now. An outage, of whatever it is, has to be told as such.
pub fn is_defect(status: u16) -> bool {
    matches!(status, 500..600) && !matches!(status, 503 | 504)
}

/// What the clients have seen.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Orders that clients have begun to ask for.
    pub sent: usize,
    /// Orders of an open loop that were due when it was stopped, and not even begun: it could not keep up.
    pub unsent: usize,
    pub accepted: Vec<Accepted>,
    /// Further answers that named the order that the first one had named.
    pub repeated: usize,
    /// Answers that named another order than the first one: each is an order placed twice.
    pub others: Vec<Other>,
    /// Connections that nobody took: the request was never sent, and is sent again.
    pub refused: usize,
    /// Requests on a connection that had served others before and was closed before any answer. A client has
    /// to expect that of kept connections (RFC 9112, 9.3.1 and 9.6), and asks again under the same key.
    pub raced: usize,
    /// Everything else that was not the answer hoped for, by kind: on a connection that was taken, it is an
    /// error of the service's.
    pub failed: BTreeMap<String, usize>,
    /// Of these, the answers that a service never gives on purpose, by status: see [`is_defect`].
    pub defects: BTreeMap<u16, Defect>,
    /// What was asked for in vain until the client's patience was at its end, or was said to be wrong. An order among
    /// them may be there all the same, when it was the answer that got lost.
    pub given_up: Vec<String>,
    /// What cancellations were answered with.
    pub cancels: Vec<(Uuid, u16)>,
}

/// A [`Tally`] in numbers, of the same names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub sent: usize,
    pub accepted: usize,
    pub refused: usize,
    pub raced: usize,
    pub failed: usize,
    pub given_up: usize,
}

/// How long answers took.
#[derive(Debug, Clone, Copy, Default)]
pub struct Latency {
    pub count: usize,
    pub p50: Duration,
    pub p99: Duration,
    pub max: Duration,
}

impl Tally {
    pub fn counts(&self) -> Counts {
        Counts {
            sent: self.sent,
            accepted: self.accepted.len(),
            refused: self.refused,
            raced: self.raced,
            failed: self.failed.values().sum(),
            given_up: self.given_up.len(),
        }
    }

    pub(crate) fn fail(&mut self, kind: String) {
        let full = self.failed.len() >= KINDS && !self.failed.contains_key(&kind);
        *self.failed.entry(if full { "of other kinds".to_owned() } else { kind }).or_default() += 1;
    }

    /// An answer that was not the one hoped for.
    pub(crate) fn answered_otherwise(&mut self, what: &str, status: u16, body: &Value) {
        self.fail(format!("{what}: {status} {body}"));
        if is_defect(status) {
            let defect = self.defects.entry(status).or_insert_with(|| {
                let said = body["detail"].as_str().map_or_else(|| body.to_string(), str::to_owned);
                Defect { count: 0, first: format!("{what}: {said}") }
            });
            defect.count += 1;
        }
    }

    /// An answer has named an order; the first one is what is accepted.
    pub(crate) fn answered(&mut self, wish: &Wish, key: String, it: Accepted) {
        match wish.order.get() {
            Some(first) if *first == it.id => self.repeated += 1,
            Some(first) => self.others.push(Other { key, first: *first, then: it.id }),
            None => {
                wish.order.get_or_init(|| it.id);
                self.accepted.push(it);
            }
        }
    }

    /// How long the answers took to the requests sent in this time.
    pub fn latency(&self, from: Instant, to: Instant) -> Latency {
        let within = self.accepted.iter().filter(|it| (from..to).contains(&it.sent));
        Latency::of(within.map(|it| it.answered).collect())
    }

    /// How many cancellations were answered with each status.
    pub fn cancelled_with(&self) -> BTreeMap<u16, usize> {
        let mut counts = BTreeMap::new();
        self.cancels.iter().for_each(|(_, status)| *counts.entry(*status).or_default() += 1);
        counts
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let answered = Latency::of(self.accepted.iter().map(|it| it.answered).collect());
        let waited = Latency::of(self.accepted.iter().map(|it| it.waited).collect());
        write!(
            f,
            "{} accepted ({} asked for again, {} placed twice); POST {answered}; since due {waited}; {} connections refused, {} \
             kept ones closed in the race; failed: {:?}; given up: {}; cancellations by status: {:?}",
            self.accepted.len(),
            self.repeated,
            self.others.len(),
            self.refused,
            self.raced,
            self.failed,
            self.given_up.len(),
            self.cancelled_with()
        )
    }
}

impl Latency {
    /// By the nearest rank.
    pub fn of(mut all: Vec<Duration>) -> Self {
        all.sort_unstable();
        let rank = |percent: usize| all.get((all.len() * percent).div_ceil(100).saturating_sub(1)).copied();
        let [p50, p99, max] = [50, 99, 100].map(|percent| rank(percent).unwrap_or_default());
        Self { count: all.len(), p50, p99, max }
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p50 {:.1?}, p99 {:.1?}, max {:.1?}", self.p50, self.p99, self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let millis = |range: std::ops::RangeInclusive<u64>| range.rev().map(Duration::from_millis).collect();
        let check = |all: Vec<Duration>, expected: [u64; 3]| {
            let Latency { p50, p99, max, .. } = Latency::of(all);
            assert_eq!([p50, p99, max], expected.map(Duration::from_millis));
        };
        check(millis(1..=200), [100, 198, 200]);
        check(millis(1..=3), [2, 3, 3]);
        check(millis(7..=7), [7, 7, 7]);
        check(vec![], [0, 0, 0]);
    }
}
