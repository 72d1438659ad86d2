//! A look at the four databases and at the provider's ledger: effects before causes. Each database is looked at in one
//! snapshot, but for the orders: their events are many, and are folded page by page, each in a snapshot of its own.

mod fold;
mod reading;
mod stock;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::Context;
use events::{Aggregate, Timestamp};
use futures::TryStreamExt;
use sqlx::{PgPool, Postgres, Row, Transaction, postgres::PgRow};
use uuid::Uuid;

use self::reading::Reading;
pub(crate) use self::stock::Priced;
use crate::{
    Sources,
    answer::answered,
    law::Law,
    ledger,
    report::{Subject, Verdicts},
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
    /// Orders of which some service says what nobody knows: nothing else is said of them.
    unknown: BTreeSet<Uuid>,
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

impl Look {
    pub(crate) async fn take(
        sources: &Sources,
        wanted: Wanted<'_>,
        verdicts: &mut Verdicts,
    ) -> anyhow::Result<Self> {
        let mut look = Self::default();
        look.order(sources, wanted, verdicts).await.context("looking at the order service's database")?;
        answered(sources.database("shipping")?, look.shipping(sources, wanted, verdicts))
            .await
            .context("looking at the shipping service's database")?;
        answered(sources.database("payment")?, look.payment(sources, wanted, verdicts))
            .await
            .context("looking at the payment service's database")?;
        answered(sources.database("inventory")?, look.inventory(sources, wanted, verdicts))
            .await
            .context("looking at the inventory service's database")?;
        ledger::read(sources, wanted, &mut look.orders, verdicts).await?;
        let Self { orders, unknown, .. } = &mut look;
        orders.retain(|id, _| !unknown.contains(id));
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
                        self.engine(&mut tx, Some(ids), verdicts).await
                    };
                    answered(pool, some).await?;
                }
            }
        }
        answered(pool, async {
            let mut tx = snapshot(pool).await?;
            self.prices = stock::prices(&mut tx, verdicts).await?;
            // After the counters: what one of them counts and is no more in the outbox, the log has.
            if wanted.is_none() { self.engine(&mut tx, None, verdicts).await } else { Ok(()) }
        })
        .await
    }

    async fn shipping(
        &mut self,
        sources: &Sources,
        wanted: Wanted<'_>,
        verdicts: &mut Verdicts,
    ) -> anyhow::Result<()> {
        let mut tx = snapshot(sources.database("shipping")?).await?;
        let mut rows = sqlx::query(
            "select order_id, sequence, status, captured, kept, awaits_stock, tracking_number from shipment
             where $1::uuid[] is null or order_id = any($1)",
        )
        .bind(wanted)
        .fetch(&mut *tx);
        while let Some(row) = rows.try_next().await? {
            let id = row.try_get("order_id")?;
            match shipped(&row, Reading { aggregate: Aggregate::Shipping, id, verdicts })? {
                None => _ = self.unknown.insert(id),
                shipped => self.seen(id).shipment = shipped,
            }
        }
        drop(rows);
        let kinds = "select distinct kind from engine.deadline where kind in ('dispatch', 'deliver')";
        for kind in sqlx::query_scalar::<_, String>(kinds).fetch_all(&mut *tx).await? {
            self.legs.insert(Leg::parse(&kind)?);
        }
        self.engine(&mut tx, wanted, verdicts).await
    }

    async fn payment(
        &mut self,
        sources: &Sources,
        wanted: Wanted<'_>,
        verdicts: &mut Verdicts,
    ) -> anyhow::Result<()> {
        let mut tx = snapshot(sources.database("payment")?).await?;
        let mut rows = sqlx::query(
            "select order_id, sequence, status, reserved, confirmed, cancelled, amount, currency, authorized,
                 captured, refunded, reference
             from payment where $1::uuid[] is null or order_id = any($1)",
        )
        .bind(wanted)
        .fetch(&mut *tx);
        while let Some(row) = rows.try_next().await? {
            let id = row.try_get("order_id")?;
            match paid(&row, Reading { aggregate: Aggregate::Payment, id, verdicts })? {
                None => _ = self.unknown.insert(id),
                paid => self.seen(id).payment = paid,
            }
        }
        drop(rows);
        self.engine(&mut tx, wanted, verdicts).await
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
            let id = row.try_get("order_id")?;
            match held(&row, Reading { aggregate: Aggregate::Inventory, id, verdicts })? {
                None => _ = self.unknown.insert(id),
                held => self.seen(id).stock = held,
            }
        }
        drop(rows);
        self.products = stock::products(&mut tx, verdicts).await?;
        if wanted.is_none() {
            stock::check(&mut tx, verdicts).await?;
        }
        self.engine(&mut tx, wanted, verdicts).await
    }

    /// What the engine of a database has still to do, in the same snapshot as the service's own rows.
    async fn engine(
        &mut self,
        tx: &mut Snapshot,
        wanted: Wanted<'_>,
        verdicts: &mut Verdicts,
    ) -> anyhow::Result<()> {
        let keys: Option<Vec<String>> = wanted.map(|it| it.iter().map(Uuid::to_string).collect());
        let mut rows = sqlx::query(
            "select aggregate_type, aggregate_id, sequence, event_id from engine.outbox
             where sequence is not null and ($1::text[] is null or aggregate_id = any($1)) order by outbox_id",
        )
        .bind(&keys)
        .fetch(&mut **tx);
        while let Some(row) = rows.try_next().await? {
            let (kind, key): (&str, &str) = (row.try_get("aggregate_type")?, row.try_get("aggregate_id")?);
            let numbered = (row.try_get("sequence")?, row.try_get("event_id")?);
            match Aggregate::ALL.into_iter().find(|it| it.name() == kind) {
                Some(aggregate) => self.waits(aggregate, key, numbered),
                None => nobodys(kind, key, numbered, verdicts),
            }
        }
        drop(rows);
        let Some(keys) = keys else { return Ok(()) };
        self.work.read(tx, &keys).await
    }

    fn waits(&mut self, aggregate: Aggregate, key: &str, event: Numbered) {
        let Some(key) = Key::parse(aggregate, key) else { return };
        self.work.open.extend(key.order());
        self.outbox.entry((aggregate, key)).or_default().push(event);
    }
}

/// An event waits to be published on a topic that there is not.
fn nobodys(kind: &str, key: &str, (sequence, id): Numbered, verdicts: &mut Verdicts) {
    let subject = key.parse().map_or_else(|_| Subject::Other(key.to_owned()), Subject::Order);
    let text = format!("an event in the outbox is of {kind:?}, which no service publishes");
    verdicts.violate(Law::Published, subject, vec![format!("{kind} {key} sequence {sequence} {id}")], text);
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

fn shipped(row: &PgRow, mut reading: Reading<'_>) -> sqlx::Result<Option<Shipped>> {
    let sequence = reading.count(row.try_get("sequence")?);
    let Some(status) = reading.status(row.try_get("status")?, Moving::parse) else { return Ok(None) };
    Ok(Some(Shipped {
        sequence,
        status,
        captured: row.try_get("captured")?,
        kept: row.try_get("kept")?,
        awaits_stock: row.try_get("awaits_stock")?,
        tracking: row.try_get::<Option<String>, _>("tracking_number")?.as_ref().map(Print::of),
    }))
}

fn held(row: &PgRow, mut reading: Reading<'_>) -> sqlx::Result<Option<Held>> {
    let sequence = reading.count(row.try_get("sequence")?);
    let items = reading.items(row.try_get("items")?);
    let status = reading.status(row.try_get("status")?, Holding::parse);
    Ok(status.map(|status| Held { sequence, items, status }))
}

fn paid(row: &PgRow, mut reading: Reading<'_>) -> sqlx::Result<Option<Paid>> {
    let sequence = reading.count(row.try_get("sequence")?);
    let amount = reading.money(row.try_get("amount")?, row.try_get("currency")?);
    let Some(status) = reading.status(row.try_get("status")?, Paying::parse) else { return Ok(None) };
    Ok(Some(Paid {
        amount,
        authorized: row.try_get("authorized")?,
        captured: row.try_get("captured")?,
        refunded: row.try_get("refunded")?,
        sequence,
        status,
        reserved: row.try_get("reserved")?,
        confirmed: row.try_get("confirmed")?,
        cancelled: row.try_get("cancelled")?,
        intent: row.try_get::<Option<&str>, _>("reference")?.map(|it| Print::of(&it)),
    }))
}
