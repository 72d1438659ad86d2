use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use audit::number;
use bus::topics;
use nix::sys::signal::Signal;
use tokio::time::sleep;

use super::{Service, process::stopped};
use crate::suite::Suite;

const TAKES_OVER: Duration = Duration::from_secs(20);
const AT_STAKE: Duration = Duration::from_secs(30);
/// A record and its acknowledgement take that each.
const SLOW: Duration = Duration::from_millis(100);

/// The backend that holds the advisory lock of a service's relays.
async fn leader(suite: &Suite, service: Service) -> anyhow::Result<Option<i32>> {
    // A 64-bit key is shown in two halves, with 1 for "one key", see pg_locks.
    let query = "select l.pid from pg_locks l join pg_database d on d.oid = l.database
        where l.locktype = 'advisory' and l.granted and d.datname = $1
          and l.classid = x'57415942'::int and l.objid = x'494c4c01'::int and l.objsubid = 1";
    let pid = sqlx::query_scalar(query).bind(suite.database(service));
    Ok(pid.fetch_optional(&suite.ground.admin).await?)
}

/// Waits until another backend leads; returns it, and how long that took.
async fn other_leader(suite: &Suite, service: Service, than: i32) -> anyhow::Result<(i32, Duration)> {
    let begun = Instant::now();
    loop {
        if let Some(it) = leader(suite, service).await?.filter(|it| *it != than) {
            return Ok((it, begun.elapsed()));
        }
        ensure!(begun.elapsed() < TAKES_OVER, "no relay of {service} takes over in {TAKES_OVER:?}");
        sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until a process says that its relay leads, and that no other does.
async fn leads(suite: &Suite, name: &str) -> anyhow::Result<bool> {
    Ok(suite.metric(name, "waybill_relay_leads", "").await? > 0.0)
}

async fn pending(suite: &Suite, service: Service) -> anyhow::Result<i64> {
    let count = sqlx::query_scalar("select count(*) from engine.outbox");
    Ok(count.fetch_one(&suite.pools[service]).await?)
}

/// Two processes; the one that leads is found and given to `strike`, and in the end the first is alone again.
async fn with_two<T>(
    suite: &Suite,
    service: Service,
    strike: impl AsyncFnOnce(String, String) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let (first, second) = (format!("{service}-1"), format!("{service}-2"));
    suite.add(&second, true).await?;
    suite.ready(&second).await?;
    let (active, stand_by) = if leads(suite, &second).await? { (&second, &first) } else { (&first, &second) };
    let outcome = strike(active.clone(), stand_by.clone()).await;
    let stopped = suite.terminate(&second).await;
    suite.remove(&second).await;
    suite.ready(&first).await?;
    stopped?;
    outcome
}

pub(super) async fn failover(suite: &Suite, service: Service) -> anyhow::Result<String> {
    with_two(suite, service, async |active, stand_by| {
        let before = leader(suite, service).await?.context("no relay leads")?;
        let waiting = stopped_with_rows(suite, service, &active).await?;
        let pid = suite.kill(&active).await?;
        let taken = other_leader(suite, service, before).await;
        suite.restart(&active).await?;
        suite.ready(&active).await?;
        let (after, took) = taken?;
        Ok(format!(
            "{active} (pid {pid}, backend {before}) was killed with {} in the outbox, {stand_by} (backend {after}) \
             led after {took:.1?}",
            number(waiting, "row")
        ))
    })
    .await
}

/// Stops the process whose relay leads while something is at stake: rows are in the outbox, which it may have published
/// or not. Returns how many.
async fn stopped_with_rows(suite: &Suite, service: Service, active: &str) -> anyhow::Result<i64> {
    // Rows stay there for as long as the broker takes to acknowledge them, which is too short to be met.
    suite.ground.to_kafka.delay(SLOW);
    let begun = Instant::now();
    let rows = async {
        loop {
            if pending(suite, service).await? > 0 {
                stopped(suite.signal(active, Signal::SIGSTOP).await?).await?;
                let waiting = pending(suite, service).await?;
                if waiting > 0 {
                    return Ok(waiting);
                }
                suite.signal(active, Signal::SIGCONT).await?;
            }
            ensure!(begun.elapsed() < AT_STAKE, "no row stayed in the outbox of {service} in {AT_STAKE:?}");
            sleep(Duration::from_millis(5)).await;
        }
    };
    let rows = rows.await;
    suite.ground.to_kafka.heal();
    if rows.is_err() {
        suite.signal(active, Signal::SIGCONT).await?;
    }
    rows
}

pub(super) async fn stale(suite: &Suite, service: Service, hold: Duration) -> anyhow::Result<String> {
    with_two(suite, service, async |active, stand_by| {
        let before = leader(suite, service).await?.context("no relay leads")?;
        let pid = suite.signal(&active, Signal::SIGSTOP).await?;
        let struck = async {
            stopped(pid).await?;
            let end: bool = sqlx::query_scalar("select pg_terminate_backend($1)")
                .bind(before)
                .fetch_one(&suite.ground.admin)
                .await?;
            ensure!(end, "backend {before} is gone already");
            let taken = other_leader(suite, service, before).await?;
            sleep(hold / 2).await;
            Ok(taken)
        };
        let struck = struck.await;
        suite.signal(&active, Signal::SIGCONT).await?;
        let (after, took) = struck?;
        sleep(hold / 4).await;
        let now = leader(suite, service).await?;
        ensure!(now == Some(after), "backend {after} led, and now {now:?} does");
        Ok(format!(
            "{active} (pid {pid}) was stopped and its lock (backend {before}) taken, {stand_by} (backend {after}) \
             led after {took:.1?} and goes on to, with {active} awake"
        ))
    })
    .await
}

/// The broker takes small records of a topic only: `order.placed` is refused, and its key held back.
pub(super) async fn refusal(suite: &Suite, service: Service, hold: Duration) -> anyhow::Result<String> {
    let name = format!("{service}-1");
    let refused = async || -> anyhow::Result<usize> {
        Ok(suite.log(&name).await?.matches("the broker refuses an event").count())
    };
    let plan = topics::plan(&suite.prefix, &[]);
    let topic = plan.iter().find(|it| it.name == topics::name(&suite.prefix, service));
    let topic = topic.context("no such topic")?;
    let before = refused().await?;
    let mut small = topic.config.clone();
    small.push(("max.message.bytes", "650"));
    suite.ground.bus.configure_topic(&topic.name, &small).await?;
    let begun = Instant::now();
    while refused().await? == before && begun.elapsed() < TAKES_OVER {
        sleep(Duration::from_millis(50)).await;
    }
    sleep(hold).await;
    let (count, waiting) = (refused().await? - before, pending(suite, service).await?);
    suite.ground.bus.configure_topic(&topic.name, &topic.config).await?;
    ensure!(count > 0, "the broker refused nothing");
    let (records, rows) = (number(count, "record"), number(waiting, "row"));
    Ok(format!("the broker refused {records} over 650 B, {rows} waited"))
}
