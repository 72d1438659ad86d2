use std::time::{Duration, Instant};

use anyhow::ensure;
use nix::sys::signal::Signal;
use tokio::time::sleep;

use super::Service;
use crate::suite::{Suite, is_in_state};

pub(super) async fn kill(suite: &Suite, service: Service, hold: Duration) -> anyhow::Result<String> {
    let name = format!("{service}-1");
    let pid = suite.kill(&name).await?;
    sleep(hold / 4).await;
    let next = suite.restart(&name).await?;
    let ready = suite.ready(&name).await?;
    ensure!(next != pid, "{name} has the pid that was killed");
    Ok(format!("pid {pid} was killed, pid {next} is in its place, ready after {ready:.1?}"))
}

/// Killed in the middle of batches whose transactions are open: what they had read must come again.
pub(super) async fn kill_stuck(suite: &Suite, service: Service, hold: Duration) -> anyhow::Result<String> {
    let (name, proxy) = (format!("{service}-1"), suite.ground.to_postgres(service)?);
    let before = proxy.swallowed();
    let open = proxy.silence();
    sleep(hold).await;
    let killed = suite.kill(&name).await;
    let swallowed = proxy.swallowed() - before;
    proxy.heal();
    let pid = killed?;
    suite.restart(&name).await?;
    let ready = suite.ready(&name).await?;
    ensure!(swallowed > 0, "it had nothing to say to its database");
    Ok(format!(
        "pid {pid} was killed {hold:.1?} after its {open} connections fell silent ({swallowed} bytes never arrived), \
         ready after {ready:.1?}"
    ))
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
