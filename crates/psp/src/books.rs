//! Everything the provider knows: intents, answers by idempotency key, and the ledger.
//!
//! One request is carried out at a time, start to end, and written to the journal before it takes effect. So of two
//! concurrent requests with one key the second finds the first one's answer, and what the journal holds is what
//! happened.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
    sync::Arc,
};

use anyhow::Context;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    intent::{Change, Command, Intent, Refusal, Terms},
    journal::{Journal, Outcome, Record},
    ledger::{Entry, Kind, Ledger},
    refund::{Refund, Refunds, Status},
    token::{AfterWork, BeforeWork, Mishap, Token},
};

pub(crate) struct Books {
    intents: HashMap<Arc<str>, Intent>,
    answers: HashMap<Arc<str>, Stored>,
    /// The keys whose first request failed before the work and that were not asked again yet.
    stumbled: HashSet<Arc<str>>,
    refunds: Refunds,
    ledger: Ledger,
    journal: Journal,
}

struct Stored {
    fingerprint: Uuid,
    answer: Answer,
}

/// A request whose parameters are in order.
pub(crate) struct Call {
    pub(crate) idempotency_key: Option<Arc<str>>,
    pub(crate) fingerprint: Uuid,
    pub(crate) request: Request,
}

pub(crate) enum Request {
    Create { amount: i64, currency: Arc<str>, payment_method: Token, metadata: Metadata },
    Change { payment_intent: Arc<str>, command: Command },
}

pub(crate) type Metadata = std::collections::BTreeMap<String, String>;

/// What to tell the client; a snapshot, so that a replay says what the first answer said.
#[derive(Clone)]
pub(crate) enum Answer {
    Intent(Intent),
    Declined(Intent),
    Refunded { intent: Intent, refund: Refund },
    Refused { intent: Intent, refusal: Refusal },
}

pub(crate) enum Performed {
    Fresh(Answer, Option<AfterWork>),
    Replayed(Answer),
    /// Nothing was done.
    Stumbled(BeforeWork),
}

/// Why a request was neither carried out nor stored under its key.
#[derive(Debug)]
pub(crate) enum Objection {
    KeyReused,
    NoSuchIntent,
    Journal(anyhow::Error),
}

impl Books {
    /// Rebuilt from the journal if there is one; otherwise they live as long as the process.
    pub(crate) fn open(journal: Option<&Path>) -> anyhow::Result<Self> {
        let mut books = Self {
            intents: HashMap::new(),
            answers: HashMap::new(),
            stumbled: HashSet::new(),
            refunds: Refunds::default(),
            ledger: Ledger::default(),
            journal: Journal::in_memory(),
        };
        if let Some(path) = journal {
            books.journal = Journal::open(path, |record| {
                books.apply(record).map(drop).context("the record is about an intent that was never opened")
            })?;
        }
        Ok(books)
    }

    pub(crate) fn perform(&mut self, call: Call, now: OffsetDateTime) -> Result<Performed, Objection> {
        let key = call.idempotency_key;
        if let Some(stored) = key.as_ref().and_then(|key| self.answers.get(key)) {
            return match stored.fingerprint == call.fingerprint {
                true => Ok(Performed::Replayed(stored.answer.clone())),
                false => Err(Objection::KeyReused),
            };
        }
        let mishap = self.payment_method(&call.request)?.mishap();
        if let Some(Mishap::Before(mishap)) = mishap
            && self.stumbles(key.as_ref())
        {
            return Ok(Performed::Stumbled(mishap));
        }
        let (payment_intent, outcome) = self.decide(call.request, now)?;
        let record =
            Record { at: now, idempotency_key: key, fingerprint: call.fingerprint, payment_intent, outcome };
        self.journal.append(&record).map_err(Objection::Journal)?;
        let answer = self.apply(record).ok_or(Objection::NoSuchIntent)?;
        match mishap {
            Some(Mishap::After(mishap)) => Ok(Performed::Fresh(answer, Some(mishap))),
            Some(Mishap::Before(_)) | None => Ok(Performed::Fresh(answer, None)),
        }
    }

    fn payment_method(&self, request: &Request) -> Result<Token, Objection> {
        match request {
            Request::Create { payment_method, .. } => Ok(*payment_method),
            Request::Change { payment_intent, .. } => {
                Ok(self.intent(payment_intent).ok_or(Objection::NoSuchIntent)?.terms.payment_method)
            }
        }
    }

    /// True for the first request of a key, and for every request without one.
    fn stumbles(&mut self, key: Option<&Arc<str>>) -> bool {
        key.is_none_or(|key| self.stumbled.insert(Arc::clone(key)))
    }

    fn decide(&self, request: Request, now: OffsetDateTime) -> Result<(Arc<str>, Outcome), Objection> {
        let at = now.unix_timestamp();
        match request {
            Request::Create { amount, currency, payment_method, metadata } => {
                let id: Arc<str> = format!("pi_{}", Uuid::new_v4().simple()).into();
                let terms =
                    Terms { id: Arc::clone(&id), amount, currency, payment_method, metadata, created: at };
                Ok((id, Outcome::Opened { terms, declined: payment_method.decline() }))
            }
            Request::Change { payment_intent, command } => {
                let intent = self.intent(&payment_intent).ok_or(Objection::NoSuchIntent)?;
                let outcome = intent.decide(command, at).map_or_else(Outcome::Refused, Outcome::Changed);
                Ok((payment_intent, outcome))
            }
        }
    }

    /// The one place where the books change, both for a new record and for one that is read back.
    ///
    /// None if the record is about an intent that was never opened.
    fn apply(&mut self, record: Record) -> Option<Answer> {
        let Record { at, idempotency_key: key, fingerprint, payment_intent, outcome } = record;
        self.settle(at);
        let answer = match outcome {
            Outcome::Opened { terms, declined } => {
                if declined.is_none() {
                    self.ledger.enter(Kind::Authorize, terms.amount, &terms, key.clone(), at);
                }
                let intent = Intent::open(terms, declined);
                self.intents.insert(payment_intent, intent.clone());
                if declined.is_some() { Answer::Declined(intent) } else { Answer::Intent(intent) }
            }
            Outcome::Changed(change) => {
                let intent = self.intents.get_mut(&payment_intent)?;
                intent.evolve(change);
                if let Some((kind, amount)) = movement(change) {
                    self.ledger.enter(kind, amount, &intent.terms, key.clone(), at);
                }
                if let Some(refund) = change.refund() {
                    self.refunds.enter(payment_intent, refund, key.clone(), at);
                }
                answer(intent.clone(), change)
            }
            Outcome::Refused(refusal) => {
                let intent = self.intents.get_mut(&payment_intent)?;
                intent.refused(refusal);
                Answer::Refused { intent: intent.clone(), refusal }
            }
        };
        if let Some(key) = key {
            self.stumbled.remove(&key);
            self.answers.insert(key, Stored { fingerprint, answer: answer.clone() });
        }
        Some(answer)
    }

    /// Enters the refunds that the bank has carried out by `now`. Nothing is written down for it: the journal says
    /// when each was asked for, and that says when it is done, also after a restart.
    fn settle(&mut self, now: OffsetDateTime) {
        while let Some(done) = self.refunds.settled(now) {
            if let Some(intent) = self.intents.get(&done.payment_intent) {
                let terms = &intent.terms;
                self.ledger.enter(Kind::Refund, done.amount, terms, done.idempotency_key, done.due);
            }
        }
    }

    pub(crate) fn intent(&self, id: &str) -> Option<&Intent> {
        self.intents.get(id)
    }

    /// An intent with its refunds, the first one first; none if there is no such intent.
    pub(crate) fn refunds(&mut self, intent: &str, now: OffsetDateTime) -> Option<(Intent, Vec<Refund>)> {
        self.settle(now);
        Some((self.intent(intent)?.clone(), self.refunds.of(intent).to_vec()))
    }

    pub(crate) fn entries(&mut self, order_id: Option<&str>, now: OffsetDateTime) -> Vec<Entry> {
        self.settle(now);
        self.ledger.entries(order_id)
    }

    /// Whether payments can still be written down.
    pub(crate) fn are_sound(&self) -> bool {
        self.journal.is_sound()
    }
}

/// The money that a change moves at once; none if a declined intent is cancelled.
fn movement(change: Change) -> Option<(Kind, i64)> {
    match change {
        Change::Captured { amount } => Some((Kind::Capture, amount)),
        Change::Canceled { released: 0, .. } => None,
        Change::Canceled { released, .. } => Some((Kind::Cancel, released)),
        Change::Refunded { amount, status: Status::Succeeded, .. } => Some((Kind::Refund, amount)),
        Change::Refunded { status: Status::Pending | Status::Failed, .. } => None,
    }
}

fn answer(intent: Intent, change: Change) -> Answer {
    match change.refund() {
        Some(refund) => Answer::Refunded { intent, refund },
        None => Answer::Intent(intent),
    }
}
