//! The provider's own ledger: who else knows where the money is.

mod intents;

use std::{
    borrow::Cow,
    collections::{BTreeSet, HashMap},
};

use anyhow::Context;
use serde::Deserialize;
use uuid::Uuid;

pub use self::intents::Intent;
pub(crate) use self::intents::of_order;
use crate::{
    Sources,
    law::Law,
    look::Wanted,
    report::{Subject, Verdicts},
    seen::{Print, Seen},
};

#[derive(Deserialize)]
struct Ledger<'a> {
    #[serde(borrow)]
    entries: Vec<Entry<'a>>,
}

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow)]
    payment_intent: Cow<'a, str>,
    #[serde(borrow)]
    order_id: Option<Cow<'a, str>>,
    kind: Kind,
    amount: i64,
    #[serde(borrow)]
    currency: Cow<'a, str>,
    #[serde(borrow)]
    idempotency_key: Option<Cow<'a, str>>,
}

#[derive(Deserialize, Debug, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Authorize,
    Capture,
    Cancel,
    Refund,
}

/// Fewer orders than this are asked for one by one.
const FEW: usize = 20;

/// Adds the provider's books to what is known of each order. An entry that names no order is nobody's.
pub(crate) async fn read(
    sources: &Sources,
    wanted: Wanted<'_>,
    orders: &mut HashMap<Uuid, Seen>,
    verdicts: &mut Verdicts,
) -> anyhow::Result<()> {
    match wanted {
        Some(ids) if ids.len() < FEW => {
            for id in ids {
                enter(sources, &fetch(sources, Some(*id)).await?, |it| it == *id, orders, verdicts).await?;
            }
            Ok(())
        }
        Some(ids) => {
            let ids: std::collections::HashSet<&Uuid> = ids.iter().collect();
            enter(sources, &fetch(sources, None).await?, |it| ids.contains(&it), orders, verdicts).await
        }
        None => enter(sources, &fetch(sources, None).await?, |_| true, orders, verdicts).await,
    }
}

async fn fetch(sources: &Sources, order: Option<Uuid>) -> anyhow::Result<Vec<u8>> {
    let mut url = format!("{}/ledger", sources.provider_url.trim_end_matches('/'));
    if let Some(id) = order {
        url.push_str(&format!("?order_id={id}"));
    }
    let answer = async { sources.http.get(&url).send().await?.error_for_status()?.bytes().await };
    Ok(answer.await.context("looking at the provider's ledger")?.into())
}

async fn enter(
    sources: &Sources,
    body: &[u8],
    wanted: impl Fn(Uuid) -> bool,
    orders: &mut HashMap<Uuid, Seen>,
    verdicts: &mut Verdicts,
) -> anyhow::Result<()> {
    let ledger: Ledger<'_> = serde_json::from_slice(body).context("reading the provider's ledger")?;
    let repaired: BTreeSet<String> = intents::repaired(sources, &ledger.entries).await?;
    for entry in ledger.entries {
        if repaired.contains(&*entry.payment_intent) {
            continue;
        }
        let Some(id) = entry.order_id.as_deref().and_then(|it| it.parse().ok()) else {
            let text = "the provider's ledger has an entry that names no order".to_owned();
            let subject = Subject::Other(entry.payment_intent.clone().into_owned());
            verdicts.violate(Law::Known, subject, vec![entry.told()], text);
            continue;
        };
        if !wanted(id) {
            continue;
        }
        let books = &mut orders.entry(id).or_default().books;
        books.coin.enter(&entry.currency);
        let sum = match entry.kind {
            Kind::Authorize => {
                books.authorizations = books.authorizations.saturating_add(1);
                books.intent.get_or_insert_with(|| Print::of(&&*entry.payment_intent));
                &mut books.authorized
            }
            Kind::Capture => {
                books.captures = books.captures.saturating_add(1);
                &mut books.captured
            }
            Kind::Cancel => &mut books.cancelled,
            Kind::Refund => &mut books.refunded,
        };
        // What a ledger says may be anything; more than any amount can be is the most.
        *sum = sum.saturating_add(entry.amount);
    }
    Ok(())
}

impl Entry<'_> {
    fn told(&self) -> String {
        let key = self.idempotency_key.as_deref().unwrap_or("no key");
        let Self { payment_intent, kind, amount, currency, .. } = self;
        format!("ledger {kind:?} {amount} {currency} {payment_intent} ({key})").to_lowercase()
    }
}

/// The entries of one order, in words.
pub(crate) async fn told(sources: &Sources, order: Uuid) -> anyhow::Result<Vec<String>> {
    let body = fetch(sources, Some(order)).await?;
    let ledger: Ledger<'_> = serde_json::from_slice(&body).context("reading the provider's ledger")?;
    Ok(ledger.entries.iter().map(Entry::told).collect())
}
