//! The provider's own account of the money: what really moved, in order, and nothing else.

use std::{collections::HashMap, sync::Arc};

use serde::Serialize;
use time::OffsetDateTime;

use crate::intent::Terms;

/// One movement of money. Replayed answers and refusals never make one.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Entry {
    pub(crate) payment_intent: Arc<str>,
    /// The intent's `metadata[order_id]`.
    pub(crate) order_id: Option<Arc<str>>,
    pub(crate) kind: Kind,
    pub(crate) amount: i64,
    pub(crate) currency: Arc<str>,
    pub(crate) idempotency_key: Option<Arc<str>>,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) at: OffsetDateTime,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Authorize,
    Capture,
    Cancel,
    Refund,
}

/// All entries in order, with the positions of each order's, so that an audit of one order reads only its own.
#[derive(Default)]
pub(crate) struct Ledger {
    entries: Vec<Entry>,
    by_order: HashMap<Arc<str>, Vec<usize>>,
}

impl Ledger {
    pub(crate) fn enter(
        &mut self,
        kind: Kind,
        amount: i64,
        terms: &Terms,
        idempotency_key: Option<Arc<str>>,
        at: OffsetDateTime,
    ) {
        let order_id = terms.metadata.get("order_id").map(|order_id| Arc::from(order_id.as_str()));
        if let Some(order_id) = &order_id {
            self.by_order.entry(Arc::clone(order_id)).or_default().push(self.entries.len());
        }
        let (payment_intent, currency) = (Arc::clone(&terms.id), Arc::clone(&terms.currency));
        self.entries.push(Entry { payment_intent, order_id, kind, amount, currency, idempotency_key, at });
    }

    /// A copy, so that the caller can write it out without holding up payments.
    pub(crate) fn entries(&self, order_id: Option<&str>) -> Vec<Entry> {
        match order_id {
            None => self.entries.clone(),
            Some(order_id) => self
                .by_order
                .get(order_id)
                .into_iter()
                .flatten()
                .filter_map(|position| self.entries.get(*position))
                .cloned()
                .collect(),
        }
    }
}
