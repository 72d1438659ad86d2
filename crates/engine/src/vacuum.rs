//! Keeps the tables small that turn over many times a minute, for which autovacuum is too slow.

use std::{
    convert::Infallible,
    time::{Duration, Instant},
};

use sqlx::{AssertSqlSafe, postgres::PgConnectOptions};

use crate::database::{ANSWER, Link, answered};

const EVERY: Duration = Duration::from_secs(1);
/// As long as the server gives a statement here, and a little.
const LONGEST: Duration = Duration::from_secs(610);
const TABLES: [&str; 6] = ["outbox", "effect", "deadline", "idempotency_key", "parked_key", "dead_letter"];

/// Vacuums where it is worth it, without an end. For one process of a database: the one whose relay is active.
pub(crate) async fn keep(options: &PgConnectOptions) -> Infallible {
    let mut link = Link::new(options.clone().options([("statement_timeout", "10min")]));
    let mut pause = EVERY;
    loop {
        tokio::time::sleep(pause).await;
        let begun = Instant::now();
        if let Err(error) = round(&mut link).await {
            tracing::warn!(%error, "the tables were not vacuumed");
            link.drop_connection();
        }
        // One that cannot remove anything, because somebody reads with an old snapshot, is not to be all that is done.
        pause = EVERY.max(begun.elapsed());
    }
}

/// By the statistics, which count what all processes have done: a second ago, or ten where a connection has had
/// nothing to do since. The outbox is nearly all dead rows at all times; of a table that keeps many, a tenth has to be
/// worth the walk over its indexes.
async fn round(link: &mut Link) -> sqlx::Result<()> {
    let connection = link.get().await?;
    let worth_it = sqlx::query_scalar(
        "select relname::text from pg_stat_user_tables
         where schemaname = 'engine' and relname = any($1)
             and n_dead_tup > 1000 + case relname when 'outbox' then 0 else n_live_tup / 10 end",
    )
    .bind(&TABLES[..])
    .fetch_all(&mut *connection);
    let tables: Vec<String> = answered(ANSWER, worth_it).await?;
    for table in tables {
        let vacuum = AssertSqlSafe(format!("vacuum (truncate off) engine.{table}"));
        answered(LONGEST, sqlx::raw_sql(vacuum).execute(&mut *connection)).await?;
    }
    Ok(())
}
