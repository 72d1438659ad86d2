//! The refunds of all intents, and which of them the bank has yet to carry out.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

/// How long the bank takes over a refund that is pending.
const PENDING: Duration = Duration::SECOND;

/// Where a refund stands, in Stripe's words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    /// The amount is set aside, and will be the customer's.
    Pending,
    #[default]
    Succeeded,
    /// The amount is the merchant's, as before.
    Failed,
}

/// `number` counts the refunds of an intent from 1; `at` is in Unix seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refund {
    pub(crate) number: u32,
    pub(crate) amount: i64,
    pub(crate) at: i64,
    pub(crate) status: Status,
}

/// A refund that takes its time, or has taken it.
pub(crate) struct Pending {
    pub(crate) payment_intent: Arc<str>,
    pub(crate) number: u32,
    pub(crate) amount: i64,
    pub(crate) idempotency_key: Option<Arc<str>>,
    /// When it succeeds.
    pub(crate) due: OffsetDateTime,
}

#[derive(Default)]
pub(crate) struct Refunds {
    by_intent: HashMap<Arc<str>, Vec<Refund>>,
    /// In the order in which they were asked for, and so in that of their times.
    pending: VecDeque<Pending>,
}

impl Refunds {
    pub(crate) fn enter(
        &mut self,
        payment_intent: Arc<str>,
        refund: Refund,
        idempotency_key: Option<Arc<str>>,
        at: OffsetDateTime,
    ) {
        let Refund { number, amount, status, .. } = refund;
        self.by_intent.entry(Arc::clone(&payment_intent)).or_default().push(refund);
        if status == Status::Pending {
            let due = at + PENDING;
            self.pending.push_back(Pending { payment_intent, number, amount, idempotency_key, due });
        }
    }

    /// The next refund that has succeeded by `now`, once.
    pub(crate) fn settled(&mut self, now: OffsetDateTime) -> Option<Pending> {
        let done = self.pending.pop_front_if(|it| it.due <= now)?;
        let refunds = self.by_intent.get_mut(&done.payment_intent).into_iter().flatten();
        refunds.filter(|it| it.number == done.number).for_each(|it| it.status = Status::Succeeded);
        Some(done)
    }

    /// The refunds of an intent, the first one first.
    pub(crate) fn of(&self, payment_intent: &str) -> &[Refund] {
        self.by_intent.get(payment_intent).map_or(&[], Vec::as_slice)
    }
}
