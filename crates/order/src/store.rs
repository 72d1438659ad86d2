//! All SQL of the order service: here the events of orders, beside it the read model and the price list.

mod price;
mod refold;
mod view;

use std::collections::{BTreeMap, BTreeSet};

use engine::Recorded;
use events::OrderId;
use sqlx::{PgConnection, PgPool, Row, postgres::PgRow};

pub(crate) use self::{
    price::{prices, save_prices},
    refold::rewrite,
    view::{Wanted, order, orders},
};
use crate::{
    decider::Fact,
    order::{Order, OrderEvent},
    warm::Warm,
};

fn decode_error(error: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(error))
}

/// Locks orders, in the order of their ids, and folds the events of those that are followed (where that has not been
/// done) and of those whose rows are to be written anew. Those that do not exist are left out; those of the latter whose events are not whole are
/// told apart, so that they alone are refused.
pub(crate) async fn lock_orders(
    tx: &mut PgConnection,
    warm: &Warm,
    followed: &BTreeSet<OrderId>,
    anew: &BTreeSet<OrderId>,
) -> sqlx::Result<(BTreeMap<OrderId, Order>, BTreeSet<OrderId>)> {
    if followed.is_empty() && anew.is_empty() {
        return Ok((BTreeMap::new(), BTreeSet::new()));
    }
    refold::lock(tx, anew).await?;
    let locked = sqlx::query(
        "select order_id, version from order_view where order_id = any($1) order by order_id for update",
    )
    .bind(followed.union(anew).map(|it| it.0).collect::<Vec<_>>())
    .fetch_all(&mut *tx)
    .await?;
    let (mut orders, mut cold) = (BTreeMap::new(), Vec::new());
    for row in &locked {
        let id = OrderId(row.try_get(0)?);
        if !followed.contains(&id) {
            continue;
        }
        match warm.take(id, row.try_get(1)?) {
            Some(order) => drop(orders.insert(id, order)),
            None => cold.push(id.0),
        }
    }
    if !cold.is_empty() {
        // A statement of its own: it sees what the transactions that were waited for have committed.
        let rows = sqlx::query(
            "select order_id, type, data from order_event where order_id = any($1) order by order_id, version",
        )
        .bind(&cold)
        .fetch_all(&mut *tx)
        .await?;
        orders.extend(fold(&rows)?);
    }
    let broken = refold::read(tx, anew, &mut orders).await?;
    Ok((orders, broken))
}

fn fold(rows: &[PgRow]) -> sqlx::Result<BTreeMap<OrderId, Order>> {
    let mut orders: BTreeMap<OrderId, Order> = BTreeMap::new();
    for row in rows {
        let id = OrderId(row.try_get("order_id")?);
        let event =
            OrderEvent::from_stored(row.try_get("type")?, row.try_get("data")?).map_err(decode_error)?;
        match (orders.get_mut(&id), event) {
            (None, OrderEvent::Placed(placed)) => drop(orders.insert(id, Order::begin(*placed))),
            (Some(order), event) => order.evolve(&event),
            (None, _) => return Err(sqlx::Error::Decode("an order's first event is not `placed`".into())),
        }
    }
    Ok(orders)
}

/// Appends the events of a batch and brings the read model of their orders up to them, both by one statement.
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
    let (first, further): (Vec<_>, Vec<_>) = appended
        .into_iter()
        .zip(versions)
        .map(|((id, event, fact), version)| Appended { id, version, event, fact })
        .partition(|it| placed.contains(&it.id));
    view::create(tx, &created, &first).await?;
    view::update(tx, &changed, &further).await
}

fn take_next(next: &mut BTreeMap<OrderId, i64>, id: OrderId) -> i64 {
    let version = next.entry(id).or_insert(1);
    *version += 1;
    *version - 1
}

/// An event on its way into the database.
struct Appended<'a> {
    id: OrderId,
    version: i64,
    event: &'a OrderEvent,
    fact: &'a Recorded<Fact>,
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
