//! The inbox: an event id that is in it has had its effect.

use std::collections::HashSet;

use sqlx::{AssertSqlSafe, PgPool};
use sqlx::{PgConnection, Row};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// What an open transaction has claimed.
#[derive(Default)]
pub(crate) struct Claim {
    /// The ids that were not in the inbox: those to be processed.
    pub(crate) fresh: HashSet<Uuid>,
    /// The keys that are parked, and stay so until the transaction ends.
    pub(crate) parked: HashSet<Vec<u8>>,
}

/// Puts `ids` into the inbox and locks those of `keys` that are parked.
///
/// A transaction that has claimed one of the ids and is still open is waited for, so that what it has parked is seen.
/// The ids are claimed in sorted order, so that two batches with the same ids wait for each other in one direction only.
pub(crate) async fn claim(
    tx: &mut PgConnection,
    consumer: &str,
    mut ids: Vec<Uuid>,
    keys: &[&[u8]],
) -> sqlx::Result<Claim> {
    let mut claim = Claim::default();
    if ids.is_empty() && keys.is_empty() {
        return Ok(claim);
    }
    ids.sort_unstable();
    ids.dedup();
    let rows = sqlx::query("select fresh, parked from engine.claim($1, $2, $3)")
        .bind(consumer)
        .bind(ids)
        .bind(keys)
        .fetch_all(tx)
        .await?;
    for row in &rows {
        claim.fresh.extend(row.try_get::<Option<Uuid>, _>(0)?);
        claim.parked.extend(row.try_get::<Option<Vec<u8>>, _>(1)?);
    }
    Ok(claim)
}

/// Days for which partitions are kept ahead, so that a service whose housekeeping stands still for a while
/// does not fill the default partition.
const DAYS_AHEAD: i64 = 7;

/// Creates the partitions from yesterday to a week ahead that are not there yet. UUIDv7 begins with
/// milliseconds since 1970 in 48 bits (RFC 9562, 5.7), so a day is a range of ids.
pub(crate) async fn create_partitions(pool: &PgPool, today: OffsetDateTime) -> sqlx::Result<()> {
    for day in -1..=DAYS_AHEAD {
        let from = (today + Duration::days(day)).replace_time(time::Time::MIDNIGHT);
        let to = from + Duration::days(1);
        let name = name_of(from);
        let (low, high) = (first_id(from), first_id(to));
        let statement = format!(
            "create table if not exists engine.{name} partition of engine.inbox
             for values from ('{low}') to ('{high}')"
        );
        // Two processes at once, or ids of that day that are in the default partition already: the rows
        // are as safe there, they are only not dropped by the day.
        if let Err(error) = sqlx::raw_sql(AssertSqlSafe(statement)).execute(pool).await {
            match error.as_database_error().and_then(|it| it.code()).as_deref() {
                Some("42P07" | "23505" | "23514") => tracing::debug!(%error, name, "partition not created"),
                _ => return Err(error),
            }
        }
    }
    Ok(())
}

/// For how many days ids are remembered: twice as long as the topics keep their records, so that whatever can
/// be read again is known.
const DAYS_KEPT: i64 = 14;

/// Drops the partitions of days that are over for long. What is in the default partition stays.
pub(crate) async fn drop_partitions(pool: &PgPool, today: OffsetDateTime) -> sqlx::Result<()> {
    let names: Vec<String> = sqlx::query_scalar(
        "select relname::text from pg_inherits join pg_class on oid = inhrelid
         where inhparent = 'engine.inbox'::regclass and relname ~ '^inbox_[0-9]{8}$' and relname::text < $1",
    )
    .bind(name_of(today - Duration::days(DAYS_KEPT)))
    .fetch_all(pool)
    .await?;
    for name in names {
        tracing::info!(name, "a partition of the inbox is dropped");
        sqlx::raw_sql(AssertSqlSafe(format!("drop table if exists engine.{name}"))).execute(pool).await?;
    }
    Ok(())
}

fn name_of(day: OffsetDateTime) -> String {
    format!("inbox_{:04}{:02}{:02}", day.year(), u8::from(day.month()), day.day())
}

/// The lowest UUIDv7 of a moment.
fn first_id(at: OffsetDateTime) -> Uuid {
    let milliseconds = (at.unix_timestamp_nanos() / 1_000_000) as u128;
    Uuid::from_u128(milliseconds << 80)
}
