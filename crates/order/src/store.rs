//! All SQL of the order service.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use engine::Recorded;
use events::{Currency, Money, OrderId, Sku};
use sqlx::{PgConnection, PgPool, Row, postgres::PgRow};
use uuid::Uuid;

use crate::{
    decider::{Fact, Price},
    order::{Order, OrderEvent},
    view::{OrderView, Progress, Status, reason_name, reason_of},
};

fn decode_error(error: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(error))
}

/// Locks orders, in the order of their ids, and folds their events. Those that do not exist are left out.
pub(crate) async fn lock_orders(
    tx: &mut PgConnection,
    ids: BTreeSet<OrderId>,
) -> sqlx::Result<BTreeMap<OrderId, Order>> {
    let ids: Vec<Uuid> = ids.iter().map(|it| it.0).collect();
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let locked: Vec<Uuid> = sqlx::query_scalar(
        "select order_id from order_view where order_id = any($1) order by order_id for update",
    )
    .bind(&ids)
    .fetch_all(&mut *tx)
    .await?;
    // A statement of its own: it sees what the transactions that were waited for have committed.
    let rows = sqlx::query(
        "select order_id, type, data from order_event where order_id = any($1) order by order_id, version",
    )
    .bind(&locked)
    .fetch_all(tx)
    .await?;
    fold(&rows)
}

fn fold(rows: &[PgRow]) -> sqlx::Result<BTreeMap<OrderId, Order>> {
    let mut orders: BTreeMap<OrderId, Order> = BTreeMap::new();
    for row in rows {
        let id = OrderId(row.try_get("order_id")?);
        let event =
            OrderEvent::from_stored(row.try_get("type")?, row.try_get("data")?).map_err(decode_error)?;
        match (orders.get_mut(&id), event) {
            (None, OrderEvent::Placed(placed)) => drop(orders.insert(id, Order::begin(placed))),
            (Some(order), event) => order.evolve(&event),
            (None, _) => return Err(sqlx::Error::Decode("an order's first event is not `placed`".into())),
        }
    }
    Ok(orders)
}

/// The prices of those of `skus` that are products.
pub(crate) async fn prices(tx: &mut PgConnection, skus: BTreeSet<&str>) -> sqlx::Result<HashMap<Sku, Price>> {
    if skus.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query("select sku, name, amount, currency from price where sku = any($1)")
        .bind(skus.into_iter().collect::<Vec<_>>())
        .fetch_all(tx)
        .await?;
    let price = |row: &PgRow| {
        let sku: Sku = row.try_get::<&str, _>("sku")?.parse().map_err(decode_error)?;
        let currency: Currency = row.try_get::<&str, _>("currency")?.parse().map_err(decode_error)?;
        let price = Money { amount: row.try_get("amount")?, currency };
        Ok((sku, Price { name: row.try_get("name")?, price }))
    };
    rows.iter().map(price).collect()
}

/// Appends the events of a batch and brings the read model of their orders up to them.
pub(crate) async fn save_orders(
    tx: &mut PgConnection,
    orders: &BTreeMap<OrderId, Order>,
    facts: &[Recorded<Fact>],
) -> sqlx::Result<()> {
    let mut appended: Vec<(OrderId, &OrderEvent, &Recorded<Fact>)> = Vec::new();
    let mut new: BTreeMap<OrderId, i64> = BTreeMap::new();
    let mut placed = BTreeSet::new();
    for fact in facts {
        if let Fact::Order(id, event) = &fact.event {
            appended.push((*id, event, fact));
            *new.entry(*id).or_default() += 1;
            if matches!(event, OrderEvent::Placed(_)) {
                placed.insert(*id);
            }
        }
    }
    if appended.is_empty() {
        return Ok(());
    }
    let (created, changed): (Vec<_>, Vec<_>) = new
        .keys()
        .filter_map(|id| orders.get(id).map(|order| (*id, order)))
        .partition(|(id, _)| placed.contains(id));
    // The versions of an order's new events end with its version now.
    let mut next: BTreeMap<OrderId, i64> =
        new.iter().filter_map(|(id, count)| Some((*id, orders.get(id)?.version - count + 1))).collect();
    let versions: Vec<i64> = appended.iter().map(|(id, ..)| take_next(&mut next, *id)).collect();
    create_views(tx, &created).await?;
    update_views(tx, &changed).await?;
    append(tx, &appended, &versions).await
}

fn take_next(next: &mut BTreeMap<OrderId, i64>, id: OrderId) -> i64 {
    let version = next.entry(id).or_insert(1);
    *version += 1;
    *version - 1
}

async fn append(
    tx: &mut PgConnection,
    appended: &[(OrderId, &OrderEvent, &Recorded<Fact>)],
    versions: &[i64],
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into order_event (order_id, version, event_id, type, data, recorded_at, correlation_id,
             causation_id, actor)
         select * from unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::text[], $5::text[], $6::timestamptz[],
             $7::uuid[], $8::uuid[], $9::text[])",
    )
    .bind(appended.iter().map(|it| it.0.0).collect::<Vec<_>>())
    .bind(versions)
    .bind(appended.iter().map(|it| it.2.id).collect::<Vec<_>>())
    .bind(appended.iter().map(|it| it.1.stored_type()).collect::<Vec<_>>())
    .bind(appended.iter().map(|it| it.1.stored_data()).collect::<Vec<_>>())
    .bind(appended.iter().map(|it| it.2.at).collect::<Vec<_>>())
    .bind(appended.iter().map(|it| it.2.correlation_id).collect::<Vec<_>>())
    .bind(appended.iter().map(|it| it.2.causation_id).collect::<Vec<_>>())
    .bind(appended.iter().map(|it| it.2.actor.as_ref()).collect::<Vec<_>>())
    .execute(tx)
    .await?;
    Ok(())
}

async fn create_views(tx: &mut PgConnection, created: &[(OrderId, &Order)]) -> sqlx::Result<()> {
    if created.is_empty() {
        return Ok(());
    }
    let progress: Vec<Progress> = created.iter().map(|(_, order)| Progress::of(order)).collect();
    sqlx::query(
        "insert into order_view (order_id, version, sequence, status, customer_id, total_amount, currency,
             cancel_reason, tracking_number, paid, placed_at)
         select * from unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::bigint[],
             $7::text[], $8::text[], $9::text[], $10::bool[], $11::timestamptz[])",
    )
    .bind(created.iter().map(|it| it.0.0).collect::<Vec<_>>())
    .bind(progress.iter().map(|it| it.version).collect::<Vec<_>>())
    .bind(created.iter().map(|it| it.1.sequence).collect::<Vec<_>>())
    .bind(progress.iter().map(|it| it.status.name()).collect::<Vec<_>>())
    .bind(created.iter().map(|it| it.1.placed.customer.id.as_str()).collect::<Vec<_>>())
    .bind(created.iter().map(|it| it.1.placed.total.amount).collect::<Vec<_>>())
    .bind(created.iter().map(|it| it.1.placed.total.currency.code()).collect::<Vec<_>>())
    .bind(progress.iter().map(|it| it.cancel_reason.map(reason_name)).collect::<Vec<_>>())
    .bind(progress.iter().map(|it| it.tracking_number.as_deref()).collect::<Vec<_>>())
    .bind(progress.iter().map(|it| it.paid).collect::<Vec<_>>())
    .bind(created.iter().map(|it| it.1.placed.placed_at).collect::<Vec<_>>())
    .execute(tx)
    .await?;
    Ok(())
}

async fn update_views(tx: &mut PgConnection, changed: &[(OrderId, &Order)]) -> sqlx::Result<()> {
    if changed.is_empty() {
        return Ok(());
    }
    let progress: Vec<Progress> = changed.iter().map(|(_, order)| Progress::of(order)).collect();
    sqlx::query(
        "update order_view v
         set version = it.version, sequence = it.sequence, status = it.status, cancel_reason = it.cancel_reason,
             tracking_number = it.tracking_number, paid = it.paid
         from unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::bool[])
             it (order_id, version, sequence, status, cancel_reason, tracking_number, paid)
         where v.order_id = it.order_id",
    )
    .bind(changed.iter().map(|it| it.0.0).collect::<Vec<_>>())
    .bind(progress.iter().map(|it| it.version).collect::<Vec<_>>())
    .bind(changed.iter().map(|it| it.1.sequence).collect::<Vec<_>>())
    .bind(progress.iter().map(|it| it.status.name()).collect::<Vec<_>>())
    .bind(progress.iter().map(|it| it.cancel_reason.map(reason_name)).collect::<Vec<_>>())
    .bind(progress.iter().map(|it| it.tracking_number.as_deref()).collect::<Vec<_>>())
    .bind(progress.iter().map(|it| it.paid).collect::<Vec<_>>())
    .execute(tx)
    .await?;
    Ok(())
}

/// The last price of each product in the batch.
pub(crate) async fn save_prices(tx: &mut PgConnection, facts: &[Recorded<Fact>]) -> sqlx::Result<()> {
    let mut prices = BTreeMap::new();
    for fact in facts {
        if let Fact::Priced(product) = &fact.event {
            prices.insert(product.sku.as_str(), product);
        }
    }
    if prices.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into price (sku, name, amount, currency)
         select * from unnest($1::text[], $2::text[], $3::bigint[], $4::text[])
         on conflict (sku) do update
         set name = excluded.name, amount = excluded.amount, currency = excluded.currency",
    )
    .bind(prices.keys().copied().collect::<Vec<_>>())
    .bind(prices.values().map(|it| it.name.as_str()).collect::<Vec<_>>())
    .bind(prices.values().map(|it| it.price.amount).collect::<Vec<_>>())
    .bind(prices.values().map(|it| it.price.currency.code()).collect::<Vec<_>>())
    .execute(tx)
    .await?;
    Ok(())
}

/// One order of the read model.
pub(crate) async fn order(pool: &PgPool, id: OrderId) -> sqlx::Result<Option<OrderView>> {
    let row = sqlx::query(
        "select v.status, v.version, v.paid, v.cancel_reason, v.tracking_number, e.type, e.data
         from order_view v join order_event e on e.order_id = v.order_id and e.version = 1
         where v.order_id = $1",
    )
    .bind(id.0)
    .fetch_optional(pool)
    .await?;
    row.as_ref().map(view).transpose()
}

/// What a list of orders is narrowed down to.
#[derive(Debug, Default)]
pub(crate) struct Wanted<'a> {
    pub(crate) customer: Option<&'a str>,
    pub(crate) status: Option<Status>,
    /// Older than this order.
    pub(crate) before: Option<OrderId>,
    pub(crate) limit: i64,
}

/// Orders of the read model, newest first. Order ids are UUIDv7: their order is that of placing.
pub(crate) async fn orders(pool: &PgPool, wanted: &Wanted<'_>) -> sqlx::Result<Vec<OrderView>> {
    // Two statements and not one with `or`: each has the index that it needs.
    let query = match wanted.customer {
        Some(_) => {
            "select v.status, v.version, v.paid, v.cancel_reason, v.tracking_number, e.type, e.data
             from order_view v join order_event e on e.order_id = v.order_id and e.version = 1
             where v.customer_id = $1 and v.order_id < $2 and ($3::text is null or v.status = $3)
             order by v.order_id desc limit $4"
        }
        None => {
            "select v.status, v.version, v.paid, v.cancel_reason, v.tracking_number, e.type, e.data
             from order_view v join order_event e on e.order_id = v.order_id and e.version = 1
             where $1::text is null and v.order_id < $2 and ($3::text is null or v.status = $3)
             order by v.order_id desc limit $4"
        }
    };
    let rows = sqlx::query(query)
        .bind(wanted.customer)
        .bind(wanted.before.map_or(Uuid::max(), |it| it.0))
        .bind(wanted.status.map(Status::name))
        .bind(wanted.limit)
        .fetch_all(pool)
        .await?;
    rows.iter().map(view).collect()
}

fn view(row: &PgRow) -> sqlx::Result<OrderView> {
    let placed = OrderEvent::from_stored(row.try_get("type")?, row.try_get("data")?).map_err(decode_error)?;
    let OrderEvent::Placed(placed) = placed else {
        return Err(sqlx::Error::Decode("an order's first event is not `placed`".into()));
    };
    let status: &str = row.try_get("status")?;
    let reason: Option<&str> = row.try_get("cancel_reason")?;
    let progress = Progress {
        status: Status::parse(status)
            .ok_or_else(|| sqlx::Error::Decode(format!("no status {status:?}").into()))?,
        version: row.try_get("version")?,
        paid: row.try_get("paid")?,
        cancel_reason: reason.and_then(reason_of),
        tracking_number: row.try_get("tracking_number")?,
    };
    Ok(OrderView::new(placed, progress))
}

/// An order's stored events, oldest first.
pub(crate) async fn history(pool: &PgPool, id: OrderId) -> sqlx::Result<Vec<PgRow>> {
    sqlx::query(
        "select version, event_id, type, data, recorded_at, correlation_id, causation_id, actor
         from order_event where order_id = $1 order by version",
    )
    .bind(id.0)
    .fetch_all(pool)
    .await
}
