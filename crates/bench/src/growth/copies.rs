//! Orders of the past that need not be placed: copies of some that were. They are of orders that were out of stock, since
//! these neither hold stock nor were ever charged, so that the books stay in order; of all else they have what an order
//! leaves behind: events and read model, a reservation, a payment and a shipment that came to nothing, a kept answer, and
//! in the inboxes as many ids as the orders before have left there.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use anyhow::{Context, ensure};
use audit::SERVICES;
use futures::future::try_join_all;
use sqlx::{AssertSqlSafe, PgPool};
use uuid::Uuid;

use crate::{progress::Progress, suite::Suite};

/// The time over which copies were placed, and how long ago that began: long before the topics' first record, which is
/// why nobody asks them about copies, and mostly in the partition of the inbox that is in use (unless it is night in UTC).
const SPAN: Duration = Duration::from_secs(6_000);
const AGO: Duration = Duration::from_secs(7_200);
/// So many are made in one transaction.
const PART: u64 = 50_000;
/// Templates of ids in an inbox.
const IDS: i64 = 1_000;

pub(super) struct Copies {
    made: u64,
    tables: Vec<Table>,
}

/// A table that is copied into.
struct Table {
    pool: PgPool,
    /// Takes the templates' ids, the first number, that behind the last, the beginning of the time that they are placed
    /// in, in ms since 1970, and how many ms it takes a row on average.
    statement: String,
    templates: Vec<Uuid>,
    /// How many rows there are to an order.
    each: f64,
    begins_ms: i64,
    step_ms: f64,
}

/// How many ids there are in each service's inbox.
pub(super) struct Inboxes(BTreeMap<&'static str, i64>);

impl Inboxes {
    pub(super) async fn count(suite: &Suite) -> anyhow::Result<Self> {
        let mut all = BTreeMap::new();
        for service in SERVICES {
            let count = sqlx::query_scalar("select count(*) from engine.inbox");
            all.insert(service, count.fetch_one(&suite.pools[service]).await?);
        }
        Ok(Self(all))
    }
}

impl Copies {
    /// Of the orders that are there, which have come since the `shelves` were filled; there will be `most` at the most.
    pub(super) async fn of_the_refused(suite: &Suite, shelves: &Inboxes, most: u64) -> anyhow::Result<Self> {
        let refused =
            "select order_id from order_view where cancel_reason = 'out-of-stock' order by order_id";
        let refused: Vec<Uuid> = sqlx::query_scalar(refused).fetch_all(&suite.pools["order"]).await?;
        ensure!(!refused.is_empty(), "none of the first orders was out of stock");
        let orders: i64 =
            sqlx::query_scalar("select count(*) from order_view").fetch_one(&suite.pools["order"]).await?;
        let begins = SystemTime::now() - AGO;
        let begins_ms = begins.duration_since(SystemTime::UNIX_EPOCH)?.as_millis() as i64;
        let step_ms = SPAN.as_millis() as f64 / most.max(1) as f64;
        let mut tables = Vec::new();
        for (service, table) in [
            ("order", "order_event"),
            ("order", "order_view"),
            ("inventory", "reservation"),
            ("payment", "payment"),
            ("shipping", "shipment"),
        ] {
            let (pool, templates) = (suite.pools[service].clone(), refused.clone());
            let statement = copy_of_rows(&pool, table).await?;
            tables.push(Table { pool, statement, templates, each: 1.0, begins_ms, step_ms });
        }
        let now = Inboxes::count(suite).await?;
        for service in SERVICES {
            let pool = suite.pools[service].clone();
            let count = now.0[service] - shelves.0[service];
            let templates = sqlx::query_scalar("select event_id from engine.inbox limit $1").bind(IDS);
            let (templates, each) = (templates.fetch_all(&pool).await?, count as f64 / orders.max(1) as f64);
            let statement = copy_of_ids(service);
            tables.push(Table { pool, statement, templates, each, begins_ms, step_ms: step_ms / each });
        }
        let (pool, statement) = (suite.pools["order"].clone(), COPY_OF_ANSWERS.to_owned());
        tables.push(Table { pool, statement, templates: refused, each: 1.0, begins_ms, step_ms });
        Ok(Self { made: 0, tables })
    }

    /// Makes so many more, and leaves the tables as vacuum would.
    pub(super) async fn add(
        &mut self,
        suite: &Suite,
        count: u64,
        progress: &Progress<'_>,
    ) -> anyhow::Result<()> {
        let (first, all) = (self.made, self.made + count);
        progress.begin_counting(count, "copies");
        while self.made < all {
            let next = all.min(self.made + PART);
            try_join_all(self.tables.iter().map(|it| it.copy(self.made, next))).await?;
            self.made = next;
            progress.counted(next - first);
        }
        progress.end();
        for pool in suite.pools.values() {
            sqlx::raw_sql("vacuum analyze").execute(pool).await?;
        }
        Ok(())
    }
}

impl Table {
    async fn copy(&self, from: u64, to: u64) -> anyhow::Result<()> {
        let row = |order: u64| (order as f64 * self.each) as i64;
        sqlx::query(AssertSqlSafe(self.statement.as_str()))
            .bind(&self.templates)
            .bind(row(from))
            .bind(row(to))
            .bind(self.begins_ms)
            .bind(self.step_ms)
            .execute(&self.pool)
            .await
            .with_context(|| self.statement.clone())?;
        Ok(())
    }
}

/// The template of a number, and the id of the copy, the same in all databases: a UUIDv7 (RFC 9562, 5.7) of the time that
/// the number stands for.
const NUMBERED: &str = "generate_series($2::bigint, $3::bigint - 1) n
    cross join lateral (select ($1::uuid[])[1 + n % cardinality($1::uuid[])] as old) template";

fn new_id(old: &str) -> String {
    format!(
        "(select (lpad(to_hex($4::bigint + (n * $5::float8)::bigint), 12, '0') || '7' || substr(hash, 1, 3)
             || '8' || substr(hash, 4, 15))::uuid from md5({old}::text || n) hash)"
    )
}

/// All columns as they are in the order's rows, but for ids.
async fn copy_of_rows(pool: &PgPool, table: &str) -> anyhow::Result<String> {
    let columns = "select attname::text from pg_attribute
         where attrelid = $1::regclass and attnum > 0 and not attisdropped order by attnum";
    let columns: Vec<String> = sqlx::query_scalar(columns).bind(table).fetch_all(pool).await?;
    let copied = columns.iter().map(|column| match column.as_str() {
        "order_id" => new_id("old"),
        "event_id" => new_id("t.event_id"),
        other => format!("t.{other}"),
    });
    let (names, copied) = (columns.join(", "), copied.collect::<Vec<_>>().join(", "));
    Ok(format!(
        "insert into {table} ({names}) select {copied} from {NUMBERED} join {table} t on t.order_id = old"
    ))
}

fn copy_of_ids(consumer: &str) -> String {
    format!(
        "insert into engine.inbox (event_id, consumer) select {}, '{consumer}' from {NUMBERED}",
        new_id("old")
    )
}

const COPY_OF_ANSWERS: &str = "insert into engine.idempotency_key (idempotency_key, fingerprint, reply)
    select 'copy-' || n, fingerprint, reply
    from generate_series($2::bigint, $3::bigint - 1) n
        cross join (select fingerprint, reply from engine.idempotency_key limit 1) answer
    where $1::uuid[] is not null and $4::bigint is not null and $5::float8 is not null";
