use std::collections::{BTreeMap, BTreeSet, HashSet};

use events::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use crate::{
    law::Law,
    seen::{Leg, Seen},
};

/// What an audit came to.
#[derive(Serialize, Debug, Clone)]
pub struct Report {
    /// The moment of the first look, by the order service's database.
    #[serde(with = "events::timestamp")]
    pub as_of: Timestamp,
    pub took_ms: u64,
    /// How many there were of each status.
    pub orders: BTreeMap<String, u64>,
    /// Orders that have not come to where their end can be judged.
    pub in_flight: u64,
    /// Records on the topics that are none of the services' events.
    pub ignored_records: u64,
    /// Aggregates whose history the topics hold no more, because of their retention.
    pub forgotten: u64,
    /// Orders in flight whose parcels nobody moves but a person.
    pub awaiting_person: u64,
    pub laws: Vec<Checked>,
    /// At most [`MOST`] of each law; `laws` counts all.
    pub violations: Vec<Violation>,
    /// At most [`MOST`] of each kind.
    pub findings: Vec<Finding>,
    /// Orders whose events are whole, and of which the row in the read model alone is wrong.
    pub stale_rows: BTreeSet<Uuid>,
    /// Orders that break a law while something is under way for them still, or parked: it may change what is wrong.
    pub unsettled: BTreeSet<Uuid>,
}

/// How often a law was checked, and broken.
#[derive(Serialize, Debug, Clone)]
pub struct Checked {
    pub law: Law,
    pub statement: &'static str,
    pub checked: u64,
    pub violations: u64,
}

/// A law that is broken.
#[derive(Serialize, Debug, Clone)]
pub struct Violation {
    pub law: Law,
    pub order_id: Option<Uuid>,
    pub sku: Option<String>,
    /// Those concerned, each by type, id and sequence or position, or as an entry of the provider's ledger.
    pub events: Vec<String>,
    pub text: String,
}

/// Nothing is lost, but somebody should look.
#[derive(Serialize, Debug, Clone)]
pub struct Finding {
    pub kind: Kind,
    pub service: String,
    /// The key of an order, a product or a record that it is about.
    pub key: Option<String>,
    pub text: String,
}

#[derive(Serialize, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A deadline has passed, or a call to the outside was due, and nothing was done about it.
    Overdue,
    /// A deadline, or a call to the outside, is further ahead than any should be.
    PutOff,
    /// A call to the outside was made five times or more in vain.
    Failing,
    /// Dead letters hold up a key.
    Parked,
    /// A parcel that could move has no deadline, where a carrier moves parcels by deadlines.
    Carrier,
    /// What was to be published is not, in good time.
    Relay,
    /// What was published is not read, in good time.
    Consumer,
}

/// So many violations of a law, and findings of a kind, are told one by one.
pub const MOST: usize = 100;

impl Report {
    /// Neither violation nor finding.
    pub fn is_clean(&self) -> bool {
        self.violations.is_empty() && self.findings.is_empty()
    }
}

/// What is being found out.
#[derive(Default)]
pub(crate) struct Verdicts {
    checked: BTreeMap<Law, u64>,
    counts: BTreeMap<Law, u64>,
    told: HashSet<(Law, String)>,
    pub(crate) violations: Vec<Violation>,
    pub(crate) findings: Vec<Finding>,
    pub(crate) stale_rows: BTreeSet<Uuid>,
    pub(crate) ignored_records: u64,
    pub(crate) forgotten: u64,
    pub(crate) awaiting_person: u64,
    /// The legs that a carrier, not a person, has carried parcels on.
    pub(crate) carried: BTreeSet<Leg>,
}

/// What a violation is of.
#[derive(Debug, Clone)]
pub(crate) enum Subject {
    Order(Uuid),
    Sku(String),
    /// A key of dead letters, or an entry of the ledger, that is neither.
    Other(String),
}

impl Verdicts {
    pub(crate) fn check(&mut self, law: Law, times: u64) {
        *self.checked.entry(law).or_default() += times;
    }

    /// A law is broken. The same again, which a second look may see, is not told twice; a law that is broken in two
    /// ways is.
    pub(crate) fn violate(&mut self, law: Law, subject: Subject, events: Vec<String>, text: String) {
        self.tell(law, subject, &text.clone(), events, text);
    }

    /// What is seen of an order breaks a law in this way, in whichever state a second look sees it.
    pub(crate) fn contradict(&mut self, (law, what): (Law, &'static str), id: Uuid, seen: &Seen) {
        self.tell(law, Subject::Order(id), what, vec![], format!("{what}: {seen}"));
    }

    fn tell(&mut self, law: Law, subject: Subject, what: &str, events: Vec<String>, text: String) {
        let (order_id, sku, key) = match subject {
            Subject::Order(id) => (Some(id), None, id.to_string()),
            Subject::Sku(sku) => (None, Some(sku.clone()), sku),
            Subject::Other(key) => (None, None, key),
        };
        if !self.told.insert((law, format!("{key} {} {what}", events.join(" ")))) {
            return;
        }
        let count = self.counts.entry(law).or_default();
        *count += 1;
        if *count <= MOST as u64 {
            self.violations.push(Violation { law, order_id, sku, events, text });
        }
    }

    pub(crate) fn is_violated(&self, id: Uuid) -> bool {
        self.violations.iter().any(|it| it.order_id == Some(id))
    }

    pub(crate) fn laws(&self) -> Vec<Checked> {
        let count = |of: &BTreeMap<Law, u64>, law| of.get(&law).copied().unwrap_or(0);
        let checked = |law: Law| Checked {
            law,
            statement: law.statement(),
            checked: count(&self.checked, law),
            violations: count(&self.counts, law),
        };
        Law::ALL.into_iter().map(checked).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_ways_of_breaking_one_law_are_two_and_the_same_way_is_one() {
        let (mut verdicts, id) = (Verdicts::default(), Uuid::now_v7());
        let mut later = Seen::default();
        later.books.refunded = 5;
        for seen in [Seen::default(), later] {
            verdicts.contradict((Law::Caused, "shipped, and no parcel has left"), id, &seen);
            verdicts.contradict((Law::Caused, "confirmed without reserved stock"), id, &seen);
        }
        for sequence in [2, 3, 2] {
            verdicts.violate(Law::Sequence, Subject::Order(id), vec![], format!("{sequence} is another"));
        }
        let counts = |law| verdicts.laws().iter().find(|it| it.law == law).map(|it| it.violations);
        assert_eq!((counts(Law::Caused), counts(Law::Sequence)), (Some(2), Some(2)));
        assert_eq!(verdicts.violations.len(), 4);
    }
}
