//! All SQL of the payment service.

use std::collections::{BTreeMap, BTreeSet};

use engine::Writes;
use events::{Currency, Money, OrderId};
use sqlx::{PgConnection, PgPool, Row as _, postgres::PgRow};
use uuid::Uuid;

use crate::{
    payment::Payment,
    row::Row,
    view::{OpenCall, PaymentView, Status},
};

fn decode_error(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> sqlx::Error {
    sqlx::Error::Decode(error.into())
}

/// Locks payments, in the order of their orders' ids. Those that do not exist are left out.
pub(crate) async fn lock_payments(
    tx: &mut PgConnection,
    ids: &BTreeSet<OrderId>,
) -> sqlx::Result<BTreeMap<OrderId, Payment>> {
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let rows = sqlx::query(
        "select order_id, sequence, status, reserved, confirmed, cancelled, amount, currency, payment_method,
             reference, code, authorized, captured, refunded
         from payment where order_id = any($1) order by order_id for update",
    )
    .bind(ids.iter().map(|it| it.0).collect::<Vec<Uuid>>())
    .fetch_all(tx)
    .await?;
    let payment = |it: &PgRow| {
        let row = row(it)?;
        let (id, status) = (row.order_id, row.status);
        let payment = row.payment();
        let unreadable = || decode_error(format!("the payment of {id} lacks what {} needs", status.name()));
        Ok((id, payment.ok_or_else(unreadable)?))
    };
    rows.iter().map(payment).collect()
}

fn row(row: &PgRow) -> sqlx::Result<Row> {
    let status: &str = row.try_get("status")?;
    let amount = match row.try_get::<Option<&str>, _>("currency")? {
        Some(code) => {
            let currency: Currency = code.parse().map_err(decode_error)?;
            Some(Money { amount: row.try_get("amount")?, currency })
        }
        None => None,
    };
    Ok(Row {
        order_id: OrderId(row.try_get("order_id")?),
        sequence: row.try_get("sequence")?,
        status: Status::parse(status).ok_or_else(|| decode_error(format!("no status {status:?}")))?,
        reserved: row.try_get("reserved")?,
        confirmed: row.try_get("confirmed")?,
        cancelled: row.try_get("cancelled")?,
        amount,
        payment_method: row.try_get("payment_method")?,
        reference: row.try_get("reference")?,
        code: row.try_get("code")?,
        authorized: row.try_get("authorized")?,
        captured: row.try_get("captured")?,
        refunded: row.try_get("refunded")?,
    })
}

/// Writes payments that had no row. One that another transaction has created meanwhile violates the primary key,
/// and all is decided anew on what that one wrote.
pub(crate) fn create_payments(writes: &mut Writes, created: &[&Payment]) {
    let sql =
        "insert into payment (order_id, sequence, status, reserved, confirmed, cancelled, amount, currency,
             payment_method, reference, code, authorized, captured, refunded)
         select * from unnest($1::uuid[], $2::bigint[], $3::text[], $4::bool[], $5::bool[], $6::bool[],
             $7::bigint[], $8::text[], $9::text[], $10::text[], $11::text[], $12::bigint[], $13::bigint[],
             $14::bigint[])";
    write(writes, sql, created);
}

/// Writes payments whose rows are locked.
pub(crate) fn update_payments(writes: &mut Writes, changed: &[&Payment]) {
    let sql = "update payment p
         set sequence = it.sequence, status = it.status, reserved = it.reserved, confirmed = it.confirmed,
             cancelled = it.cancelled, amount = it.amount, currency = it.currency,
             payment_method = it.payment_method, reference = it.reference, code = it.code,
             authorized = it.authorized, captured = it.captured, refunded = it.refunded
         from unnest($1::uuid[], $2::bigint[], $3::text[], $4::bool[], $5::bool[], $6::bool[],
             $7::bigint[], $8::text[], $9::text[], $10::text[], $11::text[], $12::bigint[], $13::bigint[],
             $14::bigint[])
             it (order_id, sequence, status, reserved, confirmed, cancelled, amount, currency,
                 payment_method, reference, code, authorized, captured, refunded)
         where p.order_id = it.order_id";
    write(writes, sql, changed);
}

fn write(writes: &mut Writes, sql: &'static str, payments: &[&Payment]) {
    if payments.is_empty() {
        return;
    }
    let rows: Vec<Row> = payments.iter().map(|it| Row::of(it)).collect();
    writes
        .add(sql)
        .bind(rows.iter().map(|it| it.order_id.0).collect::<Vec<_>>())
        .bind(rows.iter().map(|it| it.sequence).collect::<Vec<_>>())
        .bind(rows.iter().map(|it| it.status.name()).collect::<Vec<_>>())
        .bind(rows.iter().map(|it| it.reserved).collect::<Vec<_>>())
        .bind(rows.iter().map(|it| it.confirmed).collect::<Vec<_>>())
        .bind(rows.iter().map(|it| it.cancelled).collect::<Vec<_>>())
        .bind(rows.iter().map(|it| it.amount.map(|it| it.amount)).collect::<Vec<_>>())
        .bind(rows.iter().map(|it| it.amount.map(|it| it.currency.code())).collect::<Vec<_>>())
        .bind(rows.iter().map(|it| it.payment_method.as_deref()).collect::<Vec<_>>())
        .bind(rows.iter().map(|it| it.reference.as_deref()).collect::<Vec<_>>())
        .bind(rows.iter().map(|it| it.code.as_deref()).collect::<Vec<_>>())
        .bind(rows.iter().map(|it| it.authorized).collect::<Vec<_>>())
        .bind(rows.iter().map(|it| it.captured).collect::<Vec<_>>())
        .bind(rows.iter().map(|it| it.refunded).collect::<Vec<_>>());
}

/// The payment of an order, as it stands, and whether the provider is being asked something about it. The engine
/// takes a call away in the transaction that changes the payment, so that one statement sees both or neither.
pub(crate) async fn payment(pool: &PgPool, id: OrderId) -> sqlx::Result<Option<PaymentView>> {
    let found = sqlx::query(
        "select order_id, sequence, status, reserved, confirmed, cancelled, amount, currency, payment_method,
             reference, code, authorized, captured, refunded, attempt, error
         from payment left join engine.effect on key = $2 where order_id = $1",
    )
    .bind(id.0)
    .bind(id.to_string())
    .fetch_optional(pool)
    .await?;
    found.as_ref().map(|it| Ok(row(it)?.view(open_call(it)?))).transpose()
}

fn open_call(row: &PgRow) -> sqlx::Result<Option<OpenCall>> {
    let attempts: Option<i32> = row.try_get("attempt")?;
    let last_error = row.try_get("error")?;
    Ok(attempts.map(|attempts| OpenCall { attempts, last_error }))
}
