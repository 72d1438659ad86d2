use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use audit::number;
use sqlx::{Connection, Executor, PgConnection, Row};
use tokio::time::sleep;

use super::Service;
use crate::suite::Suite;

/// How long rows are held that nobody has asked for yet.
const TAKEN: Duration = Duration::from_secs(1);
const WANTED: Duration = Duration::from_secs(20);

pub(super) async fn storm(suite: &Suite, service: Service, hold: Duration) -> anyhow::Result<String> {
    let (begun, mut terminated, mut rounds) = (Instant::now(), 0_i64, 0_u64);
    while begun.elapsed() < hold {
        // By the name that only the service's own connections have: what watches it stays connected.
        let count: i64 = sqlx::query_scalar(
            "select count(*) filter (where pg_terminate_backend(pid)) from pg_stat_activity
             where datname = $1 and application_name = $2",
        )
        .bind(suite.database(service))
        .bind(service)
        .fetch_one(&suite.ground.admin)
        .await?;
        (terminated, rounds) = (terminated + count, rounds + 1);
        sleep(Duration::from_millis(250)).await;
    }
    ensure!(terminated > 0, "{service} had no connection in {}", number(rounds, "round"));
    Ok(format!("{} terminated in {}", number(terminated, "backend"), number(rounds, "round")))
}

pub(super) async fn restart(suite: &Suite) -> anyhow::Result<String> {
    let started = "select pg_postmaster_start_time()::text";
    let before: String = sqlx::query_scalar(started).fetch_one(&suite.ground.admin).await?;
    let begun = Instant::now();
    suite.ground.postgres.lock().await.restart_immediately().await?;
    let took = begun.elapsed();
    // The first connections of the pool are those that the restart has ended.
    let mut fresh = PgConnection::connect(&suite.ground.database_url("postgres", None).await).await?;
    let after: String = sqlx::query_scalar(started).fetch_one(&mut fresh).await?;
    ensure!(before != after, "the postmaster runs since {before}");
    Ok(format!("the postmaster of {before} ended, that of {after} serves after {took:.1?}"))
}

/// Two transactions that do nothing: one holds rows that everybody wants, for a while, the other a snapshot for all the
/// time, so that nothing that is deleted meanwhile can be cleared away.
pub(super) async fn idle_in_transaction(
    suite: &Suite,
    service: Service,
    hold: Duration,
) -> anyhow::Result<String> {
    let url = suite.ground.database_url(&suite.database(service), None).await;
    let (mut old, mut greedy) = (PgConnection::connect(&url).await?, PgConnection::connect(&url).await?);
    let mut snapshot = old.begin_with("begin isolation level repeatable read").await?;
    let pid: i32 = sqlx::query_scalar("select pg_backend_pid() from pg_current_xact_id()")
        .fetch_one(&mut *snapshot)
        .await?;
    let (held, waiting) = hold_wanted(suite, service, &mut greedy).await?;
    sleep(hold / 3).await;
    greedy.execute("rollback").await?;
    sleep(hold).await;
    let row = sqlx::query(
        "select state, backend_xmin::text, extract(epoch from now() - xact_start)::float8
         from pg_stat_activity where pid = $1",
    )
    .bind(pid)
    .fetch_one(&suite.ground.admin)
    .await?;
    let (state, xmin, age): (String, Option<String>, f64) = (row.get(0), row.get(1), row.get(2));
    snapshot.rollback().await?;
    ensure!(state == "idle in transaction", "the holder is {state}");
    let xmin = xmin.context("the holder holds no snapshot")?;
    Ok(format!(
        "idle in transaction for {age:.1} s with the snapshot of {xmin}; {} waited for {}",
        number(waiting, "backend"),
        number(held, "row")
    ))
}

/// Takes rows that somebody waits for, and holds them; returns how many, and for how many backends. What is under way
/// may not go over any of those that were there: then they are let go, and others are taken.
async fn hold_wanted(
    suite: &Suite,
    service: Service,
    greedy: &mut PgConnection,
) -> anyhow::Result<(u64, i64)> {
    let holder: i32 = sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut *greedy).await?;
    let begun = Instant::now();
    loop {
        greedy.execute("begin").await?;
        let (held, taken) = (sqlx::query(hot_rows(service)).execute(&mut *greedy).await?, Instant::now());
        while taken.elapsed() < TAKEN {
            let waiting = "select count(*) from pg_stat_activity where $1 = any(pg_blocking_pids(pid))";
            let waiting: i64 =
                sqlx::query_scalar(waiting).bind(holder).fetch_one(&suite.ground.admin).await?;
            if waiting > 0 {
                return Ok((held.rows_affected(), waiting));
            }
            sleep(Duration::from_millis(20)).await;
        }
        greedy.execute("rollback").await?;
        let rows = held.rows_affected();
        ensure!(begun.elapsed() < WANTED, "nobody waits for any of {rows} rows of {service} in {WANTED:?}");
    }
}

/// Rows that much of the service's work goes over, locked in the order of their keys, as everybody does.
fn hot_rows(service: Service) -> &'static str {
    match service {
        "inventory" => "select from product order by sku for update",
        "order" => {
            "select from order_view where order_id in (select order_id from order_view order by order_id desc limit 200)
             order by order_id for update"
        }
        "payment" => {
            "select from payment where order_id in (select order_id from payment order by order_id desc limit 200)
             order by order_id for update"
        }
        _ => {
            "select from shipment where order_id in (select order_id from shipment order by order_id desc limit 200)
             order by order_id for update"
        }
    }
}
