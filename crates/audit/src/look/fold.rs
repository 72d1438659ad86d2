//! The order service's events, folded as it folds them, against its read model.

use std::collections::HashMap;

use events::Timestamp;
use futures::{TryStreamExt, stream::BoxStream};
use order::{Order, OrderEvent, OrderView};
use serde::Serialize;
use serde_json::Value;
use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

use super::Snapshot;
use crate::{
    law::Law,
    report::{Subject, Verdicts},
    seen::{Ordered, Print, Prints, Seen},
};

macro_rules! columns {
    ($from:literal) => {
        concat!(
            "select order_id, e.version, e.event_id, e.type, e.data, v.order_id is not null as is_shown,
                 v.version as shown_version, v.sequence, v.status, v.customer_id, v.total_amount, v.currency,
                 v.cancel_reason, v.tracking_number, v.paid, v.cancelling, v.stock_compensation,
                 v.payment_compensation,
                 case when v.placed_at between '0001-01-01 00:00Z' and '9999-12-31 00:00Z' then v.placed_at end
                     as placed_at ",
            $from,
            " order by order_id, e.version"
        )
    };
}

const RANGE: &str = columns!(
    "from (select * from order_event where order_id between $1 and $2) e
         full join (select * from order_view where order_id between $1 and $2) v using (order_id)"
);
const SOME: &str = columns!(
    "from unnest($1::uuid[]) it (order_id) left join order_event e using (order_id)
         left join order_view v using (order_id)"
);

/// So many orders are read in one snapshot: it holds back vacuum for as long as it lasts.
pub(super) const PAGE: usize = 500;

/// Folds a page of all orders, from this id on; returns where the next page begins.
pub(super) async fn page(
    tx: &mut Snapshot,
    from: Uuid,
    orders: &mut HashMap<Uuid, Seen>,
    verdicts: &mut Verdicts,
) -> anyhow::Result<Option<Uuid>> {
    let last = "select order_id from order_view where order_id >= $1 order by order_id limit 1 offset $2";
    let last: Option<Uuid> =
        sqlx::query_scalar(last).bind(from).bind(PAGE as i64 - 1).fetch_optional(&mut **tx).await?;
    // The last page takes what there are events of and no row.
    let rows = sqlx::query(RANGE).bind(from).bind(last.unwrap_or(Uuid::max()));
    fold(rows.fetch(&mut **tx), orders, verdicts).await?;
    Ok(last.and_then(|it| it.as_u128().checked_add(1)).map(Uuid::from_u128))
}

/// Folds these orders.
pub(super) async fn some(
    tx: &mut Snapshot,
    ids: &[Uuid],
    orders: &mut HashMap<Uuid, Seen>,
    verdicts: &mut Verdicts,
) -> anyhow::Result<()> {
    fold(sqlx::query(SOME).bind(ids).fetch(&mut **tx), orders, verdicts).await
}

/// Folds one order after the other, and keeps of each what the laws need.
async fn fold(
    mut rows: BoxStream<'_, sqlx::Result<PgRow>>,
    orders: &mut HashMap<Uuid, Seen>,
    verdicts: &mut Verdicts,
) -> anyhow::Result<()> {
    let mut folding: Option<Folding> = None;
    while let Some(row) = rows.try_next().await? {
        let id = row.try_get("order_id")?;
        if folding.as_ref().is_none_or(|it| it.id != id) {
            finish(folding.replace(Folding::begin(id, &row)?), orders, verdicts);
        }
        if let Some(folding) = &mut folding {
            folding.take(&row)?;
        }
    }
    finish(folding, orders, verdicts);
    Ok(())
}

fn finish(folding: Option<Folding>, orders: &mut HashMap<Uuid, Seen>, verdicts: &mut Verdicts) {
    // An order that was asked for may be nobody's.
    let Some(it) = folding.filter(|it| it.shown.is_some() || it.is_told) else { return };
    if let Some(broken) = it.broken() {
        if it.gap.is_none() && it.order.is_some() {
            verdicts.stale_rows.insert(it.id);
        }
        let last = it.last.into_iter().collect();
        verdicts.violate(Law::Fold, Subject::Order(it.id), last, broken);
    }
    if let Some(order) = &it.order {
        let view = OrderView::of(order);
        if !order.adds_up() {
            let text = format!("its total is {}, and its lines come to another sum", view.total.amount);
            verdicts.violate(Law::Amounts, Subject::Order(it.id), vec![], text);
        }
        let ordered = Ordered {
            total: view.total,
            items: Print::of_items(view.lines.iter().map(|it| (it.sku.as_str(), it.quantity))),
            tracking: view.tracking_number.as_ref().map(Print::of),
            version: count(order.version),
            sequence: count(order.sequence),
            events: it.published,
            status: view.status,
            paid: view.paid,
            confirmed: it.confirmed,
            stock_back: view.compensation.and_then(|it| it.stock),
            money_back: view.compensation.and_then(|it| it.payment),
        };
        orders.entry(it.id).or_default().order = Some(ordered);
    }
}

/// Of events that have been read one by one.
fn count(events: i64) -> u32 {
    u32::try_from(events).unwrap_or(u32::MAX)
}

/// An order, as far as its events have been read.
struct Folding {
    id: Uuid,
    shown: Option<Shown>,
    order: Option<Order>,
    confirmed: bool,
    is_told: bool,
    gap: Option<String>,
    last: Option<String>,
    published: Prints,
}

impl Folding {
    fn begin(id: Uuid, row: &PgRow) -> anyhow::Result<Self> {
        let shown = if row.try_get("is_shown")? { Some(Shown::read(row)?) } else { None };
        Ok(Self {
            id,
            shown,
            order: None,
            confirmed: false,
            is_told: false,
            gap: None,
            last: None,
            published: Prints::default(),
        })
    }

    fn take(&mut self, row: &PgRow) -> anyhow::Result<()> {
        let Some(version) = row.try_get::<Option<i64>, _>("version")? else { return Ok(()) };
        let (name, id): (&str, Uuid) = (row.try_get("type")?, row.try_get("event_id")?);
        self.is_told = true;
        self.last = Some(format!("order_event {version} {name} {id}"));
        let event = match OrderEvent::from_stored(name, row.try_get("data")?) {
            Ok(event) => event,
            Err(error) => {
                self.gap.get_or_insert_with(|| format!("its event {version} cannot be read: {error}"));
                return Ok(());
            }
        };
        self.confirmed |= matches!(event, OrderEvent::Confirmed { .. });
        let is_published = event.is_published();
        match (&mut self.order, event) {
            (None, OrderEvent::Placed(placed)) => self.order = Some(Order::begin(*placed)),
            (Some(order), event) => {
                if !order.fits(&event) {
                    self.gap
                        .get_or_insert_with(|| format!("its event {version}, {name}, is none of its life"));
                }
                order.evolve(&event);
            }
            (None, _) => {}
        }
        let (folded, sequence) = self.order.as_ref().map_or((0, 0), |it| (it.version, it.sequence));
        if is_published {
            self.published.add(&(sequence, id));
        }
        if folded != version {
            self.gap.get_or_insert_with(|| format!("its event {version} is the {folded}th that is there"));
        }
        Ok(())
    }

    fn broken(&self) -> Option<String> {
        if let Some(gap) = &self.gap {
            return Some(gap.clone());
        }
        match (&self.order, &self.shown) {
            (Some(order), Some(shown)) => shown.differs(order),
            (Some(_), None) => Some("it has events, and no row in the read model".into()),
            (None, _) => Some("it has a row in the read model, and no events".into()),
        }
    }
}

/// A row of the read model, column by column as JSON, so that any of them may be told.
struct Shown {
    columns: Vec<(&'static str, Value)>,
    /// `None`: in a year that no event can tell.
    placed_at: Option<Timestamp>,
}

impl Shown {
    fn read(row: &PgRow) -> anyhow::Result<Self> {
        let mut columns = Vec::with_capacity(12);
        for name in ["shown_version", "sequence", "total_amount"] {
            columns.push((name, row.try_get::<i64, _>(name)?.into()));
        }
        for name in ["paid", "cancelling"] {
            columns.push((name, row.try_get::<bool, _>(name)?.into()));
        }
        for name in TEXTS {
            columns.push((name, row.try_get::<Option<String>, _>(name)?.into()));
        }
        Ok(Self { columns, placed_at: row.try_get("placed_at")? })
    }

    /// What is otherwise than the events say.
    fn differs(&self, order: &Order) -> Option<String> {
        let view = OrderView::of(order);
        let back = view.compensation;
        let told = [
            json(order.version),
            json(order.sequence),
            json(view.total.amount),
            json(view.paid),
            json(view.cancelling),
            json(view.status),
            json(&view.customer.id),
            json(view.total.currency.code()),
            json(view.cancel_reason),
            json(&view.tracking_number),
            json(back.and_then(|it| it.stock)),
            json(back.and_then(|it| it.payment)),
        ];
        let differs = self.columns.iter().zip(told).find(|((_, shown), told)| shown != told);
        if let Some(((name, shown), told)) = differs {
            return Some(format!("its events fold to {name} {told}, and its row says {shown}"));
        }
        // The database keeps microseconds.
        let apart = self.placed_at.map(|it| (it - view.placed_at).abs());
        let same = apart.is_some_and(|it| it < time::Duration::microseconds(1));
        (!same).then(|| "its row was placed at another time than it was".into())
    }
}

const TEXTS: [&str; 7] = [
    "status",
    "customer_id",
    "currency",
    "cancel_reason",
    "tracking_number",
    "stock_compensation",
    "payment_compensation",
];

fn json(value: impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}
