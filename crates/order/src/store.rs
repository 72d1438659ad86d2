//! All SQL of the order service: here the events of orders, beside it the read model and the price list.

mod price;
mod refold;
mod view;

use std::collections::{BTreeMap, BTreeSet};

use engine::{Recorded, Writes};
use events::OrderId;
use sqlx::{PgConnection, PgPool, Row, postgres::PgRow};

pub(crate) use self::{
    price::{prices, save_prices},
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

/// Appends the events of a batch and brings the read model of their orders up to them.
pub(crate) fn save_orders(writes: &mut Writes, orders: &BTreeMap<OrderId, Order>, facts: &[Recorded<Fact>]) {
    let mut appended: Vec<(OrderId, &OrderEvent, &Recorded<Fact>)> = Vec::new();
    let mut new: BTreeMap<OrderId, i64> = BTreeMap::new();
    let (mut placed, mut refolded) = (BTreeSet::new(), BTreeSet::new());
    for fact in facts {
        match &fact.event {
            Fact::Order(id, event) => {
                appended.push((*id, event, fact));
                *new.entry(*id).or_default() += 1;
                if matches!(event, OrderEvent::Placed(_)) {
                    placed.insert(*id);
                }
            }
            Fact::Refolded(id) => drop(refolded.insert(*id)),
            Fact::Priced(_) => {}
        }
    }
    // The versions of an order's new events end with its version now.
    let mut next: BTreeMap<OrderId, i64> =
        new.iter().filter_map(|(id, count)| Some((*id, orders.get(id)?.version - count + 1))).collect();
    let appended: Vec<_> = appended
        .into_iter()
        .map(|(id, event, fact)| Appended { id, version: take_next(&mut next, id), event, fact })
        .collect();
    append(writes, &appended);
    // Rows that are written anew have in them whatever else has happened to their orders.
    let (created, changed) =
        new.into_keys().filter(|id| !refolded.contains(id)).partition(|id| placed.contains(id));
    let rows = |ids: BTreeSet<OrderId>| -> Vec<(OrderId, &Order)> {
        ids.into_iter().filter_map(|id| Some((id, orders.get(&id)?))).collect()
    };
    view::create(writes, &rows(created));
    view::update(writes, &rows(changed));
    view::rewrite(writes, &rows(refolded));
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

fn append(writes: &mut Writes, events: &[Appended<'_>]) {
    if events.is_empty() {
        return;
    }
    writes
        .add(
            "insert into order_event (order_id, version, event_id, type, data, recorded_at, correlation_id,
                 causation_id, actor)
             select * from unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::text[], $5::text[], $6::timestamptz[],
                 $7::uuid[], $8::uuid[], $9::text[])",
        )
        .bind(events.iter().map(|it| it.id.0).collect::<Vec<_>>())
        .bind(events.iter().map(|it| it.version).collect::<Vec<_>>())
        .bind(events.iter().map(|it| it.fact.id).collect::<Vec<_>>())
        .bind(events.iter().map(|it| it.event.stored_type()).collect::<Vec<_>>())
        .bind(events.iter().map(|it| it.event.stored_data()).collect::<Vec<_>>())
        .bind(events.iter().map(|it| it.fact.at).collect::<Vec<_>>())
        .bind(events.iter().map(|it| it.fact.correlation_id).collect::<Vec<_>>())
        .bind(events.iter().map(|it| it.fact.causation_id).collect::<Vec<_>>())
        .bind(events.iter().map(|it| it.fact.actor.as_ref()).collect::<Vec<_>>());
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
