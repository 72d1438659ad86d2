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
    token::{AfterWork, BeforeWork, Mishap, Token},
};

pub(crate) struct Books {
    intents: HashMap<Arc<str>, Intent>,
    answers: HashMap<Arc<str>, Stored>,
    /// The keys whose first request failed before the work and that were not asked again yet.
    stumbled: HashSet<Arc<str>>,
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
    Refunded { intent: Intent, number: u32, amount: i64, at: i64 },
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
                answer(intent.clone(), change)
            }
            Outcome::Refused(refusal) => {
                Answer::Refused { intent: self.intents.get(&payment_intent)?.clone(), refusal }
            }
        };
        if let Some(key) = key {
            self.stumbled.remove(&key);
            self.answers.insert(key, Stored { fingerprint, answer: answer.clone() });
        }
        Some(answer)
    }

    pub(crate) fn intent(&self, id: &str) -> Option<&Intent> {
        self.intents.get(id)
    }

    pub(crate) fn entries(&self, order_id: Option<&str>) -> Vec<Entry> {
        self.ledger.entries(order_id)
    }

    /// Whether payments can still be written down.
    pub(crate) fn are_sound(&self) -> bool {
        self.journal.is_sound()
    }
}

/// The money that a change moves; none if a declined intent is cancelled.
fn movement(change: Change) -> Option<(Kind, i64)> {
    match change {
        Change::Captured { amount } => Some((Kind::Capture, amount)),
        Change::Canceled { released: 0, .. } => None,
        Change::Canceled { released, .. } => Some((Kind::Cancel, released)),
        Change::Refunded { amount, .. } => Some((Kind::Refund, amount)),
    }
}

fn answer(intent: Intent, change: Change) -> Answer {
    match change {
        Change::Captured { .. } | Change::Canceled { .. } => Answer::Intent(intent),
        Change::Refunded { number, amount, at } => Answer::Refunded { intent, number, amount, at },
    }
}
