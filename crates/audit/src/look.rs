//! A look at the four databases and at the provider's ledger: effects before causes. Each database is looked at in one
//! snapshot, but for the orders: their events are many, and are folded page by page, each in a snapshot of its own.

mod fold;
mod stock;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::Context;
use events::{Aggregate, Item, Timestamp};
use futures::TryStreamExt;
use sqlx::{PgPool, Postgres, Row, Transaction, postgres::PgRow};
use uuid::Uuid;

pub(crate) use self::stock::Priced;
use crate::{
    Sources,
    answer::answered,
    law::Law,
    ledger,
    report::Verdicts,
    seen::{Held, Holding, Leg, Moving, Paid, Paying, Print, Seen, Shipped},
    topic::{Key, Numbered},
};

/// What was seen.
#[derive(Default)]
pub(crate) struct Look {
    pub(crate) as_of: Option<Timestamp>,
    pub(crate) orders: HashMap<Uuid, Seen>,
    /// What waits to be published, by aggregate and key.
    pub(crate) outbox: HashMap<(Aggregate, Key), Vec<Numbered>>,
    pub(crate) work: Work,
    /// What shipping's carrier has a deadline for, of whichever parcel.
    pub(crate) legs: BTreeSet<Leg>,
    /// The order service's price list.
    pub(crate) prices: BTreeMap<String, Priced>,
    /// Inventory's products, each with how many of its events were published.
    pub(crate) products: BTreeMap<String, (Priced, i64)>,
}

/// Orders for which some service has something to do.
#[derive(Default)]
pub(crate) struct Work {
    /// Something to publish or to ask, or a time to wait for.
    pub(crate) open: BTreeSet<Uuid>,
    /// Of these, something to ask.
    pub(crate) asked: BTreeSet<Uuid>,
    /// Dead letters.
    pub(crate) parked: BTreeSet<Uuid>,
}

/// Which orders are looked at: all, or those of a second look.
pub(crate) type Wanted<'a> = Option<&'a [Uuid]>;

pub(crate) type Snapshot = Transaction<'static, Postgres>;

/// A snapshot of a whole database, and no way to write to it.
pub(crate) async fn snapshot(pool: &PgPool) -> sqlx::Result<Snapshot> {
    pool.begin_with("begin isolation level repeatable read, read only").await
}

/// Counts are small; one that is not a count at all is none of ours.
pub(crate) fn count(number: i64) -> anyhow::Result<u32> {
    u32::try_from(number).with_context(|| format!("{number} is not a count of events"))
}

impl Look {
    pub(crate) async fn take(
        sources: &Sources,
        wanted: Wanted<'_>,
        verdicts: &mut Verdicts,
    ) -> anyhow::Result<Self> {
        let mut look = Self::default();
        look.order(sources, wanted, verdicts).await.context("looking at the order service's database")?;
        answered(sources.database("shipping")?, look.shipping(sources, wanted))
            .await
            .context("looking at the shipping service's database")?;
        answered(sources.database("payment")?, look.payment(sources, wanted))
            .await
            .context("looking at the payment service's database")?;
        answered(sources.database("inventory")?, look.inventory(sources, wanted, verdicts))
            .await
            .context("looking at the inventory service's database")?;
        ledger::read(sources, wanted, &mut look.orders, verdicts).await?;
        Ok(look)
    }

    fn seen(&mut self, id: Uuid) -> &mut Seen {
        self.orders.entry(id).or_default()
    }

    async fn order(
        &mut self,
        sources: &Sources,
        wanted: Wanted<'_>,
        verdicts: &mut Verdicts,
    ) -> anyhow::Result<()> {
        let pool = sources.database("order")?;
        let clock = sqlx::query_scalar("select clock_timestamp()").fetch_one(pool);
        self.as_of = Some(answered(pool, clock).await?);
        match wanted {
            None => {
                let mut from = Some(Uuid::nil());
                while let Some(first) = from {
                    let page = async {
                        fold::page(&mut snapshot(pool).await?, first, &mut self.orders, verdicts).await
                    };
                    from = answered(pool, page).await?;
                }
                verdicts.check(Law::Fold, self.orders.len() as u64);
            }
            // Whether something is to be done for an order is seen together with it: if it was done since, the
            // order would look as it did before.
            Some(ids) => {
                for ids in ids.chunks(fold::PAGE) {
                    let some = async {
                        let mut tx = snapshot(pool).await?;
                        fold::some(&mut tx, ids, &mut self.orders, verdicts).await?;
                        self.engine(&mut tx, Some(ids)).await
                    };
                    answered(pool, some).await?;
                }
            }
        }
        answered(pool, async {
            let mut tx = snapshot(pool).await?;
            self.prices = stock::prices(&mut tx).await?;
            // After the counters: what one of them counts and is no more in the outbox, the log has.
            if wanted.is_none() { self.engine(&mut tx, None).await } else { Ok(()) }
        })
        .await
    }

    async fn shipping(&mut self, sources: &Sources, wanted: Wanted<'_>) -> anyhow::Result<()> {
        let mut tx = snapshot(sources.database("shipping")?).await?;
        let mut rows = sqlx::query(
            "select order_id, sequence, status, captured, kept, awaits_stock from shipment
             where $1::uuid[] is null or order_id = any($1)",
        )
        .bind(wanted)
        .fetch(&mut *tx);
        while let Some(row) = rows.try_next().await? {
            let shipped = Shipped {
                sequence: count(row.try_get("sequence")?)?,
                status: Moving::parse(row.try_get("status")?)?,
                captured: row.try_get("captured")?,
                kept: row.try_get("kept")?,
                awaits_stock: row.try_get("awaits_stock")?,
            };
            self.seen(row.try_get("order_id")?).shipment = Some(shipped);
        }
        drop(rows);
        let kinds = "select distinct kind from engine.deadline where kind in ('dispatch', 'deliver')";
        for kind in sqlx::query_scalar::<_, String>(kinds).fetch_all(&mut *tx).await? {
            self.legs.insert(Leg::parse(&kind)?);
        }
        self.engine(&mut tx, wanted).await
    }

    async fn payment(&mut self, sources: &Sources, wanted: Wanted<'_>) -> anyhow::Result<()> {
        let mut tx = snapshot(sources.database("payment")?).await?;
        let mut rows = sqlx::query(
            "select order_id, sequence, status, reserved, confirmed, cancelled, amount, currency, authorized,
                 captured, refunded, reference
             from payment where $1::uuid[] is null or order_id = any($1)",
        )
        .bind(wanted)
        .fetch(&mut *tx);
        while let Some(row) = rows.try_next().await? {
            let paid = paid(&row)?;
            self.seen(row.try_get("order_id")?).payment = Some(paid);
        }
        drop(rows);
        self.engine(&mut tx, wanted).await
    }

    async fn inventory(
        &mut self,
        sources: &Sources,
        wanted: Wanted<'_>,
        verdicts: &mut Verdicts,
    ) -> anyhow::Result<()> {
        let mut tx = snapshot(sources.database("inventory")?).await?;
        let mut rows = sqlx::query(
            "select order_id, sequence, status, items::text from reservation
             where $1::uuid[] is null or order_id = any($1)",
        )
        .bind(wanted)
        .fetch(&mut *tx);
        while let Some(row) = rows.try_next().await? {
            let status = Holding::parse(row.try_get("status")?)?;
            let items: Vec<Item> = serde_json::from_str(row.try_get("items")?)?;
            let items = items.iter().map(|it| (it.sku.as_str(), it.quantity));
            let items = (items.len() > 0).then(|| Print::of_items(items));
            let held = Held { sequence: count(row.try_get("sequence")?)?, status, items };
            self.seen(row.try_get("order_id")?).stock = Some(held);
        }
        drop(rows);
        self.products = stock::products(&mut tx).await?;
        if wanted.is_none() {
            stock::check(&mut tx, verdicts).await?;
        }
        self.engine(&mut tx, wanted).await
    }

    /// What the engine of a database has still to do, in the same snapshot as the service's own rows.
    async fn engine(&mut self, tx: &mut Snapshot, wanted: Wanted<'_>) -> anyhow::Result<()> {
        let keys: Option<Vec<String>> = wanted.map(|it| it.iter().map(Uuid::to_string).collect());
        let mut rows = sqlx::query(
            "select aggregate_type, aggregate_id, sequence, event_id from engine.outbox
             where sequence is not null and ($1::text[] is null or aggregate_id = any($1)) order by outbox_id",
        )
        .bind(&keys)
        .fetch(&mut **tx);
        while let Some(row) = rows.try_next().await? {
            let kind: &str = row.try_get("aggregate_type")?;
            let known = Aggregate::ALL.into_iter().find(|it| it.name() == kind);
            let aggregate = known.with_context(|| format!("no aggregate is called {kind:?}"))?;
            let key = Key::parse(aggregate, row.try_get("aggregate_id")?);
            if let Some(id) = key.as_ref().and_then(Key::order) {
                self.work.open.insert(id);
            }
            if let Some(key) = key {
                let numbered = (row.try_get("sequence")?, row.try_get("event_id")?);
                self.outbox.entry((aggregate, key)).or_default().push(numbered);
            }
        }
        drop(rows);
        let Some(keys) = keys else { return Ok(()) };
        self.work.read(tx, &keys).await
    }
}

impl Work {
    async fn read(&mut self, tx: &mut Snapshot, keys: &[String]) -> anyhow::Result<()> {
        let open: Vec<(String, bool)> = sqlx::query_as(
            "select key, true from engine.effect where key = any($1)
             union select key, false from engine.deadline where key = any($1)",
        )
        .bind(keys)
        .fetch_all(&mut **tx)
        .await?;
        for (key, is_asked) in open {
            let Ok(id) = key.parse::<Uuid>() else { continue };
            self.open.insert(id);
            if is_asked {
                self.asked.insert(id);
            }
        }
        let parked: Vec<Vec<u8>> =
            sqlx::query_scalar("select key from engine.dead_letter where key = any($1) group by key")
                .bind(keys.iter().map(String::as_bytes).collect::<Vec<_>>())
                .fetch_all(&mut **tx)
                .await?;
        let order = |key: &Vec<u8>| std::str::from_utf8(key).ok()?.parse::<Uuid>().ok();
        self.parked.extend(parked.iter().filter_map(order));
        Ok(())
    }
}

fn paid(row: &PgRow) -> anyhow::Result<Paid> {
    Ok(Paid {
        amount: match row.try_get::<Option<&str>, _>("currency")? {
            Some(currency) => Some(stock::money(row.try_get("amount")?, currency)?),
            None => None,
        },
        authorized: row.try_get("authorized")?,
        captured: row.try_get("captured")?,
        refunded: row.try_get("refunded")?,
        sequence: count(row.try_get("sequence")?)?,
        status: Paying::parse(row.try_get("status")?)?,
        reserved: row.try_get("reserved")?,
        confirmed: row.try_get("confirmed")?,
        cancelled: row.try_get("cancelled")?,
        intent: row.try_get::<Option<&str>, _>("reference")?.map(|it| Print::of(&it)),
    })
}
