//! Rows of the read model that are written anew from their events.

use std::collections::{BTreeMap, BTreeSet};

use events::OrderId;
use sqlx::{PgConnection, Row, postgres::PgRow};
use uuid::Uuid;

use super::fold;
use crate::order::Order;

/// Locks the first events of orders whose rows may be gone, and with them the right to write those rows: until then
/// nobody follows such an order. To be called before the rows are locked, of all that are to be written anew.
pub(super) async fn lock(tx: &mut PgConnection, ids: &BTreeSet<OrderId>) -> sqlx::Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "select from order_event where order_id = any($1) and version = 1 order by order_id for update",
    )
    .bind(uuids(ids))
    .execute(tx)
    .await?;
    Ok(())
}

/// Adds the folds of orders that are locked, and returns those whose events are not whole. An error here would keep
/// the commands waiting that share the transaction.
pub(super) async fn read(
    tx: &mut PgConnection,
    ids: &BTreeSet<OrderId>,
    orders: &mut BTreeMap<OrderId, Order>,
) -> sqlx::Result<BTreeSet<OrderId>> {
    let mut broken = BTreeSet::new();
    if ids.is_empty() {
        return Ok(broken);
    }
    let rows = sqlx::query(
        "select order_id, version, type, data from order_event where order_id = any($1)
         order by order_id, version",
    )
    .bind(uuids(ids))
    .fetch_all(tx)
    .await?;
    let mut of_order: BTreeMap<OrderId, Vec<PgRow>> = BTreeMap::new();
    for row in rows {
        of_order.entry(OrderId(row.try_get("order_id")?)).or_default().push(row);
    }
    for (id, rows) in of_order {
        let last: Option<i64> = rows.last().map(|it| it.try_get("version")).transpose()?;
        match fold(&rows).ok().and_then(|mut it| it.remove(&id)) {
            Some(order) if Some(order.version) == last => drop(orders.insert(id, order)),
            _ => drop(broken.insert(id)),
        }
    }
    Ok(broken)
}

fn uuids(ids: &BTreeSet<OrderId>) -> Vec<Uuid> {
    ids.iter().map(|it| it.0).collect()
}
