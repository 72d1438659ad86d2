//! What must hold whatever happened: the checks that healthy engines pass and mutants do not.

use std::collections::{HashMap, HashSet};

use bus::Received;
use uuid::Uuid;

use crate::{
    account::{CHANGED_TYPE, Happened},
    rig::Rig,
};

/// How a promise was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Violation {
    /// An event had its effect more than once.
    AppliedTwice { cause: Uuid, times: usize },
    /// An event has had no effect.
    Lost { cause: Uuid },
    /// An event of an account's journal is not on the topic.
    NotPublished { account: String, sequence: i64 },
    /// The topic has an event that is in no journal.
    Invented { account: String, sequence: i64 },
    /// Among first occurrences another sequence number was next.
    OutOfOrder { account: String, expected: i64, found: i64 },
    /// One event is on the topic under two ids.
    TwoIds { account: String, sequence: i64 },
    /// An event had its effect before an earlier one of its account.
    Overtaken { cause: Uuid },
    /// An account's balance is not the sum of its journal.
    Unbalanced { account: String },
}

/// A line of the journal.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) event_id: Uuid,
    pub(crate) account: String,
    pub(crate) sequence: i64,
    pub(crate) cause_id: Uuid,
    pub(crate) kind: String,
}

/// An event as it is on the topic.
#[derive(Debug, Clone)]
pub(crate) struct Published {
    pub(crate) id: Uuid,
    pub(crate) event: Happened,
    /// The header `ce_sequence`.
    pub(crate) sequence: i64,
}

impl Published {
    /// What a record of the topic says; panics if it is no event of an account.
    pub(crate) fn of(record: &Received) -> Self {
        let event = bus::Envelope::open(record).unwrap().read().unwrap();
        assert_eq!(event.r#type, CHANGED_TYPE);
        let happened: Happened = serde_json::from_slice(&event.data).unwrap();
        assert_eq!(record.key.as_deref(), Some(happened.account.as_bytes()));
        Self { id: event.id, event: happened, sequence: event.sequence.unwrap() }
    }
}

/// Each of `causes` is in the journal exactly once.
pub(crate) fn effects_once(causes: &[Uuid], journal: &[Entry]) -> Result<(), Violation> {
    let mut times: HashMap<Uuid, usize> = HashMap::new();
    for entry in journal {
        *times.entry(entry.cause_id).or_default() += 1;
    }
    for cause in causes {
        match times.get(cause) {
            None => return Err(Violation::Lost { cause: *cause }),
            Some(1) => {}
            Some(times) => return Err(Violation::AppliedTwice { cause: *cause, times: *times }),
        }
    }
    Ok(())
}

/// The effects on one account come in the order in which its events, with the ids `causes`, were sent.
pub(crate) fn as_sent(causes: &[Uuid], journal: &[Entry]) -> Result<(), Violation> {
    let applied = journal.iter().map(|it| it.cause_id).filter(|it| causes.contains(it));
    match applied.zip(causes).find(|(applied, sent)| applied != *sent) {
        Some((cause, _)) => Err(Violation::Overtaken { cause }),
        None => Ok(()),
    }
}

/// Per account, the first occurrences on the topic count 1, 2, 3, ..; what occurs again does so under its id.
pub(crate) fn in_order(published: &[Published]) -> Result<(), Violation> {
    let mut seen: HashMap<(&str, i64), Uuid> = HashMap::new();
    let mut last: HashMap<&str, i64> = HashMap::new();
    for it in published {
        let (account, sequence) = (it.event.account.as_str(), it.sequence);
        match seen.insert((account, sequence), it.id) {
            Some(id) if id != it.id => return Err(Violation::TwoIds { account: account.into(), sequence }),
            Some(_) => continue,
            None => {}
        }
        let expected = last.get(account).copied().unwrap_or(0) + 1;
        if sequence != expected {
            return Err(Violation::OutOfOrder { account: account.into(), expected, found: sequence });
        }
        last.insert(account, sequence);
    }
    Ok(())
}

/// What is in the journal is on the topic under the same ids, and nothing else is.
pub(crate) fn complete(journal: &[Entry], published: &[Published]) -> Result<(), Violation> {
    let there: HashSet<Uuid> = published.iter().map(|it| it.id).collect();
    if let Some(it) = journal.iter().find(|it| !there.contains(&it.event_id)) {
        return Err(Violation::NotPublished { account: it.account.clone(), sequence: it.sequence });
    }
    let known: HashSet<Uuid> = journal.iter().map(|it| it.event_id).collect();
    match published.iter().find(|it| !known.contains(&it.id)) {
        Some(it) => {
            Err(Violation::Invented { account: it.event.account.clone(), sequence: it.event.sequence })
        }
        None => Ok(()),
    }
}

/// All of the above of a service at rest, to which events with the ids `causes` were sent.
pub(crate) async fn hold(rig: &Rig, causes: &[Uuid]) -> Result<(), Violation> {
    let journal = rig.journal().await;
    effects_once(causes, &journal)?;
    if let Some(account) = rig.unbalanced().await {
        return Err(Violation::Unbalanced { account });
    }
    let published: Vec<Published> = rig.published().await.iter().map(Published::of).collect();
    in_order(&published)?;
    complete(&journal, &published)
}
