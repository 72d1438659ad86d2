//! The read model: written with the events, read by HTTP.

use engine::Writes;
use events::OrderId;
use sqlx::{PgPool, QueryBuilder, Row, postgres::PgRow};
use uuid::Uuid;

use super::decode_error;
use crate::{
    order::{Order, OrderEvent, Return},
    view::{Compensation, OrderView, Progress, Status, reason_name, reason_of},
};

macro_rules! insert {
    ($($more:literal)?) => {
        concat!(
            "insert into order_view (order_id, version, sequence, status, customer_id, total_amount, currency,
                 cancel_reason, tracking_number, paid, placed_at, cancelling, stock_compensation,
                 payment_compensation)
             select * from unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::bigint[],
                 $7::text[], $8::text[], $9::text[], $10::bool[], $11::timestamptz[], $12::bool[], $13::text[],
                 $14::text[])",
            $($more)?
        )
    };
}

pub(super) fn create(writes: &mut Writes, created: &[(OrderId, &Order)]) {
    insert(writes, insert!(), created);
}

/// Writes whole rows, whether they are there or not.
pub(super) fn rewrite(writes: &mut Writes, rows: &[(OrderId, &Order)]) {
    let sql = insert!(
        " on conflict (order_id) do update
         set version = excluded.version, sequence = excluded.sequence, status = excluded.status,
             customer_id = excluded.customer_id, total_amount = excluded.total_amount,
             currency = excluded.currency, cancel_reason = excluded.cancel_reason,
             tracking_number = excluded.tracking_number, paid = excluded.paid, placed_at = excluded.placed_at,
             cancelling = excluded.cancelling, stock_compensation = excluded.stock_compensation,
             payment_compensation = excluded.payment_compensation"
    );
    insert(writes, sql, rows);
}

fn insert(writes: &mut Writes, sql: &'static str, created: &[(OrderId, &Order)]) {
    if created.is_empty() {
        return;
    }
    let progress: Vec<Progress> = created.iter().map(|(_, order)| Progress::of(order)).collect();
    writes
        .add(sql)
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
        .bind(progress.iter().map(|it| it.cancelling).collect::<Vec<_>>())
        .bind(progress.iter().map(|it| it.returned(|all| all.stock)).collect::<Vec<_>>())
        .bind(progress.iter().map(|it| it.returned(|all| all.payment)).collect::<Vec<_>>());
}

pub(super) fn update(writes: &mut Writes, changed: &[(OrderId, &Order)]) {
    if changed.is_empty() {
        return;
    }
    let progress: Vec<Progress> = changed.iter().map(|(_, order)| Progress::of(order)).collect();
    writes
        .add(
            "update order_view v
             set version = it.version, sequence = it.sequence, status = it.status,
                 cancel_reason = it.cancel_reason, tracking_number = it.tracking_number, paid = it.paid,
                 cancelling = it.cancelling, stock_compensation = it.stock, payment_compensation = it.payment
             from unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::bool[],
                         $8::bool[], $9::text[], $10::text[])
                 it (order_id, version, sequence, status, cancel_reason, tracking_number, paid, cancelling,
                     stock, payment)
             where v.order_id = it.order_id",
        )
        .bind(changed.iter().map(|it| it.0.0).collect::<Vec<_>>())
        .bind(progress.iter().map(|it| it.version).collect::<Vec<_>>())
        .bind(changed.iter().map(|it| it.1.sequence).collect::<Vec<_>>())
        .bind(progress.iter().map(|it| it.status.name()).collect::<Vec<_>>())
        .bind(progress.iter().map(|it| it.cancel_reason.map(reason_name)).collect::<Vec<_>>())
        .bind(progress.iter().map(|it| it.tracking_number.as_deref()).collect::<Vec<_>>())
        .bind(progress.iter().map(|it| it.paid).collect::<Vec<_>>())
        .bind(progress.iter().map(|it| it.cancelling).collect::<Vec<_>>())
        .bind(progress.iter().map(|it| it.returned(|all| all.stock)).collect::<Vec<_>>())
        .bind(progress.iter().map(|it| it.returned(|all| all.payment)).collect::<Vec<_>>());
}

/// One order of the read model.
pub(crate) async fn order(pool: &PgPool, id: OrderId) -> sqlx::Result<Option<OrderView>> {
    let row = sqlx::query(
        "select v.status, v.version, v.paid, v.cancel_reason, v.tracking_number, v.cancelling, v.stock_compensation,
             v.payment_compensation, e.type, e.data
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
///
/// A statement for each combination of filters, as a parameter that may be null hides from the planner how many
/// rows there are, and the first events fetched one by one, so that no plan joins more than the page. By
/// customer there is an index. By status alone the newest orders are read until the page is full: an index on
/// what changes would cost every update more than it saves here.
pub(crate) async fn orders(pool: &PgPool, wanted: &Wanted<'_>) -> sqlx::Result<Vec<OrderView>> {
    let mut query = QueryBuilder::new(
        "select v.status, v.version, v.paid, v.cancel_reason, v.tracking_number, v.cancelling, v.stock_compensation,
             v.payment_compensation, e.type, e.data
         from order_view v cross join lateral
             (select type, data from order_event where order_id = v.order_id and version = 1 limit 1) e
         where v.order_id < ",
    );
    query.push_bind(wanted.before.map_or(Uuid::max(), |it| it.0));
    if let Some(customer) = wanted.customer {
        query.push(" and v.customer_id = ").push_bind(customer);
    }
    if let Some(status) = wanted.status {
        query.push(" and v.status = ").push_bind(status.name());
    }
    query.push(" order by v.order_id desc limit ").push_bind(wanted.limit);
    query.build().fetch_all(pool).await?.iter().map(view).collect()
}

fn view(row: &PgRow) -> sqlx::Result<OrderView> {
    let placed = OrderEvent::from_stored(row.try_get("type")?, row.try_get("data")?).map_err(decode_error)?;
    let OrderEvent::Placed(placed) = placed else {
        return Err(sqlx::Error::Decode("an order's first event is not `placed`".into()));
    };
    let status: &str = row.try_get("status")?;
    let (stock, payment) = (returned(row, "stock_compensation")?, returned(row, "payment_compensation")?);
    let reason: Option<&str> = row.try_get("cancel_reason")?;
    let progress = Progress {
        status: Status::parse(status)
            .ok_or_else(|| sqlx::Error::Decode(format!("no status {status:?}").into()))?,
        version: row.try_get("version")?,
        paid: row.try_get("paid")?,
        cancelling: row.try_get("cancelling")?,
        cancel_reason: reason.and_then(reason_of),
        compensation: Compensation::of(stock, payment),
        tracking_number: row.try_get("tracking_number")?,
    };
    Ok(OrderView::new(*placed, progress))
}

fn returned(row: &PgRow, column: &str) -> sqlx::Result<Option<Return>> {
    let name: Option<&str> = row.try_get(column)?;
    Ok(name.and_then(Return::parse))
}
