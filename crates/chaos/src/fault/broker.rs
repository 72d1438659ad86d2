use std::time::{Duration, Instant};

use anyhow::ensure;
use nix::sys::signal::Signal;
use tokio::time::sleep;

use super::process::stopped;
use crate::suite::{Suite, is_in_state};

pub(super) async fn kill(suite: &Suite, hold: Duration) -> anyhow::Result<String> {
    let mut kafka = suite.ground.kafka.lock().await;
    let pid = kafka.pid();
    kafka.kill().await?;
    ensure!(!kafka.is_running(), "the broker survives");
    sleep(hold / 4).await;
    let begun = Instant::now();
    kafka.restart().await?;
    let next = kafka.pid();
    Ok(format!("pid {pid} was killed, pid {next} serves after {:.1?}", begun.elapsed()))
}

pub(super) async fn pause(suite: &Suite, hold: Duration) -> anyhow::Result<String> {
    let mut kafka = suite.ground.kafka.lock().await;
    let pid = kafka.pid();
    kafka.signal(Signal::SIGSTOP)?;
    let held = async {
        stopped(pid).await?;
        sleep(hold).await;
        ensure!(is_in_state(pid, 'T'), "the broker did not stay stopped");
        Ok(())
    };
    let held = held.await;
    kafka.signal(Signal::SIGCONT)?;
    held.map(|()| format!("pid {pid} was in state T for {hold:.1?}"))
}
