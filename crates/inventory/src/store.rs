//! All SQL of the inventory service.

use std::collections::{BTreeMap, BTreeSet};

use engine::{Recorded, Writes};
use events::{Item, Money, OrderId, Sku};
use sqlx::{PgConnection, PgPool, Row, postgres::PgRow};
use uuid::Uuid;

use crate::{
    decider::{Fact, World},
    product::{Product, ProductEvent},
    reservation::Reservation,
    view::{ProductView, ReservationView, Status},
};

fn decode_error(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> sqlx::Error {
    sqlx::Error::Decode(error.into())
}

/// Reads reservations, in the order of their ids, and locks them if `lock` is `for update`. Those that do not exist
/// are left out.
pub(crate) async fn read_reservations(
    tx: &mut PgConnection,
    orders: BTreeSet<OrderId>,
    lock: &'static str,
) -> sqlx::Result<BTreeMap<OrderId, Reservation>> {
    if orders.is_empty() {
        return Ok(BTreeMap::new());
    }
    let sql = format!(
        "select order_id, status, items::text as items, expires_at, sequence from reservation
         where order_id = any($1) order by order_id {lock}"
    );
    let ids: Vec<Uuid> = orders.iter().map(|it| it.0).collect();
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(ids).fetch_all(tx).await?;
    rows.iter().map(read_reservation).collect()
}

fn read_reservation(row: &PgRow) -> sqlx::Result<(OrderId, Reservation)> {
    let status: &str = row.try_get("status")?;
    let status = Status::parse(status).ok_or_else(|| decode_error(format!("no status {status:?}")))?;
    let items: Vec<Item> = serde_json::from_str(row.try_get("items")?).map_err(decode_error)?;
    let state = status.state(items, row.try_get("expires_at")?);
    Ok((OrderId(row.try_get("order_id")?), Reservation { sequence: row.try_get("sequence")?, state }))
}

/// Locks products, in the order of their SKUs. Those that do not exist are left out.
pub(crate) async fn lock_products(
    tx: &mut PgConnection,
    skus: BTreeSet<&Sku>,
) -> sqlx::Result<BTreeMap<Sku, Product>> {
    if skus.is_empty() {
        return Ok(BTreeMap::new());
    }
    let rows = sqlx::query(
        "select sku, name, price_amount, price_currency, on_hand, reserved, deducted, sequence from product
         where sku = any($1) order by sku for update",
    )
    .bind(skus.into_iter().map(Sku::as_str).collect::<Vec<_>>())
    .fetch_all(tx)
    .await?;
    rows.iter().map(read_product).collect()
}

fn read_product(row: &PgRow) -> sqlx::Result<(Sku, Product)> {
    let currency = row.try_get::<&str, _>("price_currency")?.parse().map_err(decode_error)?;
    let product = Product {
        name: row.try_get("name")?,
        price: Money { amount: row.try_get("price_amount")?, currency },
        on_hand: row.try_get("on_hand")?,
        reserved: row.try_get("reserved")?,
        deducted: row.try_get("deducted")?,
        sequence: row.try_get("sequence")?,
    };
    Ok((row.try_get::<&str, _>("sku")?.parse().map_err(decode_error)?, product))
}

/// Writes the reservations that `facts` have begun or changed.
pub(crate) fn save_reservations(writes: &mut Writes, world: &World, facts: &[Recorded<Fact>]) {
    // By order: whether it is new.
    let mut touched: BTreeMap<OrderId, bool> = BTreeMap::new();
    for fact in facts {
        if let Fact::Reservation(id, event) = &fact.event {
            *touched.entry(*id).or_default() |= event.is_first();
        }
    }
    let (created, changed): (Vec<_>, Vec<_>) = touched
        .iter()
        .filter_map(|(id, new)| Some((*id, world.reservations.get(id)?, *new)))
        .partition(|(.., new)| *new);
    create_reservations(writes, &created);
    update_reservations(writes, &changed);
}

fn create_reservations(writes: &mut Writes, created: &[(OrderId, &Reservation, bool)]) {
    if created.is_empty() {
        return;
    }
    // Strings and numbers: there is no value that JSON lacks.
    let items = |it: &Reservation| serde_json::to_string(it.items()).expect("items serialise");
    // Plain, without `on conflict`: of two batches that begin the same one, the later decides anew.
    writes
        .add(
            "insert into reservation (order_id, status, items, expires_at, sequence)
         select order_id, status, items::jsonb, expires_at, sequence
         from unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[], $5::bigint[])
             it (order_id, status, items, expires_at, sequence)",
        )
        .bind(created.iter().map(|it| it.0.0).collect::<Vec<_>>())
        .bind(created.iter().map(|it| Status::of(&it.1.state).name()).collect::<Vec<_>>())
        .bind(created.iter().map(|it| items(it.1)).collect::<Vec<_>>())
        .bind(created.iter().map(|it| it.1.expires_at()).collect::<Vec<_>>())
        .bind(created.iter().map(|it| it.1.sequence).collect::<Vec<_>>());
}

fn update_reservations(writes: &mut Writes, changed: &[(OrderId, &Reservation, bool)]) {
    if changed.is_empty() {
        return;
    }
    writes
        .add(
            "update reservation r
         set status = it.status, expires_at = it.expires_at, sequence = it.sequence
         from unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::bigint[])
             it (order_id, status, expires_at, sequence)
         where r.order_id = it.order_id",
        )
        .bind(changed.iter().map(|it| it.0.0).collect::<Vec<_>>())
        .bind(changed.iter().map(|it| Status::of(&it.1.state).name()).collect::<Vec<_>>())
        .bind(changed.iter().map(|it| it.1.expires_at()).collect::<Vec<_>>())
        .bind(changed.iter().map(|it| it.1.sequence).collect::<Vec<_>>());
}

/// Writes the products that `facts` have added or changed: each once, whatever happened to it.
pub(crate) fn save_products(writes: &mut Writes, world: &World, facts: &[Recorded<Fact>]) {
    // By SKU: whether it is new.
    let mut touched: BTreeMap<&Sku, bool> = BTreeMap::new();
    for fact in facts {
        match &fact.event {
            Fact::Product(sku, event) => {
                *touched.entry(sku).or_default() |= matches!(event, ProductEvent::Added { .. });
            }
            Fact::Reservation(id, event) if event.moves_stock() => {
                let items = world.reservations.get(id).map_or(&[][..], Reservation::items);
                for item in items {
                    touched.entry(&item.sku).or_default();
                }
            }
            Fact::Reservation(..) => {}
        }
    }
    let (created, changed): (Vec<_>, Vec<_>) = touched
        .iter()
        .filter_map(|(sku, new)| Some((*sku, world.products.get(*sku)?, *new)))
        .partition(|(.., new)| *new);
    create_products(writes, &created);
    update_products(writes, &changed);
}

fn create_products(writes: &mut Writes, created: &[(&Sku, &Product, bool)]) {
    if created.is_empty() {
        return;
    }
    writes.add(
        "insert into product (sku, name, price_amount, price_currency, on_hand, reserved, deducted, sequence)
         select * from unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::bigint[], $6::bigint[],
             $7::bigint[], $8::bigint[])",
    )
    .bind(created.iter().map(|it| it.0.as_str()).collect::<Vec<_>>())
    .bind(created.iter().map(|it| it.1.name.as_str()).collect::<Vec<_>>())
    .bind(created.iter().map(|it| it.1.price.amount).collect::<Vec<_>>())
    .bind(created.iter().map(|it| it.1.price.currency.code()).collect::<Vec<_>>())
    .bind(created.iter().map(|it| it.1.on_hand).collect::<Vec<_>>())
    .bind(created.iter().map(|it| it.1.reserved).collect::<Vec<_>>())
    .bind(created.iter().map(|it| it.1.deducted).collect::<Vec<_>>())
    .bind(created.iter().map(|it| it.1.sequence).collect::<Vec<_>>());
}

fn update_products(writes: &mut Writes, changed: &[(&Sku, &Product, bool)]) {
    if changed.is_empty() {
        return;
    }
    // The currency of a price never changes.
    writes
        .add(
            "update product p
         set name = it.name, price_amount = it.price_amount, on_hand = it.on_hand, reserved = it.reserved,
             deducted = it.deducted, sequence = it.sequence
         from unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[],
             $7::bigint[]) it (sku, name, price_amount, on_hand, reserved, deducted, sequence)
         where p.sku = it.sku",
        )
        .bind(changed.iter().map(|it| it.0.as_str()).collect::<Vec<_>>())
        .bind(changed.iter().map(|it| it.1.name.as_str()).collect::<Vec<_>>())
        .bind(changed.iter().map(|it| it.1.price.amount).collect::<Vec<_>>())
        .bind(changed.iter().map(|it| it.1.on_hand).collect::<Vec<_>>())
        .bind(changed.iter().map(|it| it.1.reserved).collect::<Vec<_>>())
        .bind(changed.iter().map(|it| it.1.deducted).collect::<Vec<_>>())
        .bind(changed.iter().map(|it| it.1.sequence).collect::<Vec<_>>());
}

/// Records every change of a stock level by hand: who, when, why.
pub(crate) fn append_adjustments(writes: &mut Writes, facts: &[Recorded<Fact>]) {
    let adjusted = facts.iter().filter_map(|fact| match &fact.event {
        Fact::Product(sku, ProductEvent::Adjusted { delta, reason }) => Some((fact, sku, *delta, reason)),
        _ => None,
    });
    let adjusted: Vec<_> = adjusted.collect();
    if adjusted.is_empty() {
        return;
    }
    writes
        .add(
            "insert into adjustment (adjustment_id, sku, delta, reason, actor, at)
         select * from unnest($1::uuid[], $2::text[], $3::int[], $4::text[], $5::text[], $6::timestamptz[])",
        )
        .bind(adjusted.iter().map(|it| it.0.id).collect::<Vec<Uuid>>())
        .bind(adjusted.iter().map(|it| it.1.as_str()).collect::<Vec<_>>())
        .bind(adjusted.iter().map(|it| it.2).collect::<Vec<_>>())
        .bind(adjusted.iter().map(|it| it.3.as_str()).collect::<Vec<_>>())
        .bind(adjusted.iter().map(|it| it.0.actor.as_ref()).collect::<Vec<_>>())
        .bind(adjusted.iter().map(|it| it.0.at).collect::<Vec<_>>());
}

/// One product.
pub(crate) async fn product(pool: &PgPool, sku: &Sku) -> sqlx::Result<Option<ProductView>> {
    let row = sqlx::query(
        "select sku, name, price_amount, price_currency, on_hand, reserved, deducted, sequence from product
         where sku = $1",
    )
    .bind(sku.as_str())
    .fetch_optional(pool)
    .await?;
    row.as_ref().map(product_view).transpose()
}

/// Products in the order of their SKUs, from behind `after`.
pub(crate) async fn products(
    pool: &PgPool,
    after: Option<&Sku>,
    limit: i64,
) -> sqlx::Result<Vec<ProductView>> {
    // Every SKU sorts behind the empty text.
    let rows = sqlx::query(
        "select sku, name, price_amount, price_currency, on_hand, reserved, deducted, sequence from product
         where sku > $1 order by sku limit $2",
    )
    .bind(after.map_or("", Sku::as_str))
    .bind(limit)
    .fetch_all(pool)
    .await?;
    rows.iter().map(product_view).collect()
}

fn product_view(row: &PgRow) -> sqlx::Result<ProductView> {
    read_product(row).map(|(sku, product)| ProductView::of(sku, &product))
}

/// One reservation.
pub(crate) async fn reservation(pool: &PgPool, id: OrderId) -> sqlx::Result<Option<ReservationView>> {
    let row = sqlx::query(
        "select order_id, status, items::text as items, expires_at, sequence from reservation
         where order_id = $1",
    )
    .bind(id.0)
    .fetch_optional(pool)
    .await?;
    row.as_ref().map(|row| read_reservation(row).map(|(id, it)| ReservationView::of(id, &it))).transpose()
}
