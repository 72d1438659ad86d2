//! The ledger by payment intent: whose money it is, and what is left of it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use serde::Serialize;
use uuid::Uuid;

use super::{Entry, Kind, Ledger, fetch};
use crate::{REPAIR_KEY, Sources, answer::answered};

/// What the provider's ledger says of one payment intent, in minor units.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Intent {
    pub id: String,
    pub currency: String,
    pub authorized: i64,
    pub captured: i64,
    pub refunded: i64,
    /// Of what was authorised, let go.
    pub cancelled: i64,
}

impl Intent {
    /// What was taken and not given back.
    pub fn net(&self) -> i64 {
        self.captured.saturating_sub(self.refunded)
    }

    /// What is held on the card. The rest of what was captured in part is free by itself.
    pub fn held(&self) -> i64 {
        if self.captured > 0 { 0 } else { self.authorized.saturating_sub(self.cancelled) }
    }

    fn enter(&mut self, entry: &Entry<'_>) {
        let sum = match entry.kind {
            Kind::Authorize => &mut self.authorized,
            Kind::Capture => &mut self.captured,
            Kind::Cancel => &mut self.cancelled,
            Kind::Refund => &mut self.refunded,
        };
        *sum = sum.saturating_add(entry.amount);
    }

    fn of(entry: &Entry<'_>) -> Self {
        let (id, currency) = (entry.payment_intent.to_string(), entry.currency.to_string());
        Self { id, currency, ..Self::default() }
    }
}

impl Entry<'_> {
    fn is_repair(&self) -> bool {
        self.idempotency_key.as_deref().is_some_and(|it| it.starts_with(REPAIR_KEY))
    }
}

/// The intents of an order, the first one first.
pub(crate) async fn of_order(sources: &Sources, order: Uuid) -> anyhow::Result<Vec<Intent>> {
    let body = fetch(sources, Some(order)).await?;
    let ledger: Ledger<'_> = serde_json::from_slice(&body).context("reading the provider's ledger")?;
    let mut intents: Vec<Intent> = Vec::new();
    for entry in &ledger.entries {
        let known = intents.iter().position(|it| it.id == entry.payment_intent);
        let at = known.unwrap_or_else(|| {
            intents.push(Intent::of(entry));
            intents.len() - 1
        });
        intents[at].enter(entry);
    }
    Ok(intents)
}

/// The intents that a repair has given back in full and that are not payment's own: of them nothing is left to judge.
/// What payment itself knows stays in the books, whoever gave it back.
pub(super) async fn repaired(sources: &Sources, entries: &[Entry<'_>]) -> anyhow::Result<BTreeSet<String>> {
    let mut intents: BTreeMap<&str, Intent> = BTreeMap::new();
    for entry in entries.iter().filter(|it| it.is_repair()) {
        intents.entry(&entry.payment_intent).or_insert_with(|| Intent::of(entry));
    }
    if intents.is_empty() {
        return Ok(BTreeSet::new());
    }
    for entry in entries {
        if let Some(intent) = intents.get_mut(&*entry.payment_intent) {
            intent.enter(entry);
        }
    }
    let back = intents.values().filter(|it| (it.net(), it.held()) == (0, 0));
    let mut back: BTreeSet<String> = back.map(|it| it.id.clone()).collect();
    let ids: Vec<&String> = back.iter().collect();
    let own = sqlx::query_scalar("select reference from payment where reference = any($1)").bind(ids);
    let pool = sources.database("payment")?;
    let own = answered(pool, own.fetch_all(pool)).await;
    let own: Vec<String> = own.context("asking which payments are payment's own")?;
    back.retain(|it| !own.contains(it));
    Ok(back)
}
