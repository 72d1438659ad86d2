use std::time::{Duration, Instant};

use anyhow::ensure;
use audit::number;
use local::Proxy;
use nix::sys::signal::Signal;
use tokio::time::sleep;

use super::Service;
use crate::suite::{Suite, is_in_state};

/// A transaction takes several times that, and is open within some batches.
const SLOW: Duration = Duration::from_millis(100);
const OPEN: Duration = Duration::from_secs(20);

pub(super) async fn kill(suite: &Suite, service: Service, hold: Duration) -> anyhow::Result<String> {
    let name = format!("{service}-1");
    let pid = suite.kill(&name).await?;
    sleep(hold / 4).await;
    let next = suite.restart(&name).await?;
    let ready = suite.ready(&name).await?;
    ensure!(next != pid, "{name} has the pid that was killed");
    Ok(format!("pid {pid} was killed, pid {next} is in its place, ready after {ready:.1?}"))
}

/// Killed in the middle of transactions that have written: what their batches had read must come again.
pub(super) async fn kill_stuck(suite: &Suite, service: Service, hold: Duration) -> anyhow::Result<String> {
    let (name, proxy) = (format!("{service}-1"), suite.ground.to_postgres(service)?);
    let struck = async {
        let silent = silence_in_transaction(suite, service, proxy).await?;
        sleep(hold).await;
        let (open, age) = writing(suite, service).await?;
        ensure!(open > 0, "no transaction was open any more after {hold:.1?}");
        Ok((suite.kill(&name).await?, silent, open, age))
    };
    let struck = struck.await;
    proxy.heal();
    let (pid, silent, open, age) = struck?;
    suite.restart(&name).await?;
    let ready = suite.ready(&name).await?;
    Ok(format!(
        "pid {pid} was killed after {hold:.1?} of silence on {}, {open} of them in a transaction that had written and \
         was {age:.1} s old; ready after {ready:.1?}",
        number(silent, "connection")
    ))
}

/// Silences a service's way to its database while a transaction is open, which stays so; returns how many connections
/// there were.
async fn silence_in_transaction(suite: &Suite, service: Service, proxy: &Proxy) -> anyhow::Result<usize> {
    let begun = Instant::now();
    loop {
        // On a slow way a transaction takes longer than it takes to see it.
        proxy.delay(SLOW);
        while writing(suite, service).await?.0 == 0 {
            ensure!(begun.elapsed() < OPEN, "{service} had no transaction open in {OPEN:?}");
            sleep(Duration::from_millis(5)).await;
        }
        let silent = proxy.silence();
        // What was on its way before arrives all the same, and may be a commit.
        sleep(SLOW * 2).await;
        if writing(suite, service).await?.0 > 0 {
            return Ok(silent);
        }
        ensure!(begun.elapsed() < OPEN, "no transaction of {service} stayed open in {OPEN:?}");
        proxy.heal();
        proxy.cut();
    }
}

/// How many of a service's transactions have written and wait for what comes next, and the age of the oldest in
/// seconds, as its database has it.
async fn writing(suite: &Suite, service: Service) -> anyhow::Result<(i64, f64)> {
    let query = "select count(*), coalesce(extract(epoch from max(now() - xact_start)), 0)::float8
        from pg_stat_activity
        where datname = $1 and application_name = $2 and state = 'idle in transaction' and backend_xid is not null";
    let query = sqlx::query_as(query).bind(suite.database(service)).bind(service);
    Ok(query.fetch_one(&suite.ground.admin).await?)
}

pub(super) async fn freeze(suite: &Suite, service: Service, hold: Duration) -> anyhow::Result<String> {
    let name = format!("{service}-1");
    let held = held_still(suite, &name, hold).await;
    suite.signal(&name, Signal::SIGCONT).await?;
    let (pid, held) = held?;
    suite.ready(&name).await?;
    Ok(format!("pid {pid} was in state T for {held:.1?}"))
}

/// SIGSTOP for some time, in which it stays stopped. The caller lets it go on.
async fn held_still(suite: &Suite, name: &str, hold: Duration) -> anyhow::Result<(u32, Duration)> {
    let pid = suite.signal(name, Signal::SIGSTOP).await?;
    stopped(pid).await?;
    let begun = Instant::now();
    sleep(hold).await;
    ensure!(is_in_state(pid, 'T'), "{name} (pid {pid}) did not stay stopped");
    Ok((pid, begun.elapsed()))
}

/// Waits until a process has really stopped.
pub(super) async fn stopped(pid: u32) -> anyhow::Result<()> {
    let begun = Instant::now();
    while !is_in_state(pid, 'T') {
        ensure!(begun.elapsed() < Duration::from_secs(5), "pid {pid} does not stop");
        sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}
