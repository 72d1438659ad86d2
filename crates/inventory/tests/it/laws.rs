//! The conservation laws of the stock, as plain SQL: each query returns what breaks its law, so nothing.

use sqlx::{PgPool, Row};

/// Per SKU: what is on hand and what was deducted add up to what was ever adjusted by hand.
pub(crate) const SUPPLY: &str = "
    select p.sku, p.on_hand + p.deducted as counted, coalesce(sum(a.delta), 0)::bigint as expected
    from product p left join adjustment a on a.sku = p.sku
    group by p.sku
    having p.on_hand + p.deducted <> coalesce(sum(a.delta), 0)";

/// Per SKU: what is reserved is the sum of the live reservations; also for SKUs that are no products.
pub(crate) const RESERVED: &str = "
    with live as (
        select item.sku, sum(item.quantity)::bigint as quantity
        from reservation r, jsonb_to_recordset(r.items) item (sku text, quantity bigint)
        where r.status in ('reserved', 'kept')
        group by item.sku)
    select coalesce(p.sku, live.sku) as sku, coalesce(p.reserved, 0) as counted,
        coalesce(live.quantity, 0) as expected
    from product p full join live on live.sku = p.sku
    where coalesce(p.reserved, 0) <> coalesce(live.quantity, 0)";

/// What breaks a law, in words.
pub(crate) async fn broken(pool: &PgPool) -> Vec<String> {
    let mut broken = Vec::new();
    for (law, query) in [("supply", SUPPLY), ("reserved", RESERVED)] {
        for row in sqlx::query(query).fetch_all(pool).await.unwrap() {
            let (sku, counted, expected): (String, i64, i64) = (row.get(0), row.get(1), row.get(2));
            broken.push(format!("{law} of {sku} is {counted}, not {expected}"));
        }
    }
    broken
}
