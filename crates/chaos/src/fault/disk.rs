use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use audit::number;
use tokio::time::sleep;

use crate::{disk::Disk, ground::Disks, suite::Suite};

const NO_SPACE: &str = "No space left on device";
/// A server notices when what it writes takes more room: within what it has reserved it goes on for a while, and orders
/// are placed meanwhile.
const NOTICE: Duration = Duration::from_secs(60);

pub(super) async fn broker(suite: &Suite, hold: Duration) -> anyhow::Result<String> {
    let disks = disks(suite)?;
    let log = suite.ground.kafka.lock().await.log();
    let noticed = fill(&disks.kafka, log, hold).await;
    disks.kafka.free()?;
    // A broker whose only disk has failed gives up, or goes on without it, which is no better.
    let mut kafka = suite.ground.kafka.lock().await;
    let ended = !kafka.is_running();
    kafka.kill().await?;
    kafka.restart().await?;
    noticed.map(|it| format!("{it}; the broker {}", if ended { "ended" } else { "stood still" }))
}

pub(super) async fn postgres(suite: &Suite, hold: Duration) -> anyhow::Result<String> {
    let disks = disks(suite)?;
    let log = suite.ground.postgres.lock().await.log();
    let noticed = fill(&disks.postgres, log, hold).await;
    disks.postgres.free()?;
    let mut postgres = suite.ground.postgres.lock().await;
    // It recovers by itself as long as it finds room for that.
    let ended = !postgres.is_running();
    if ended {
        postgres.restart().await?;
    }
    noticed.map(|it| format!("{it}; the server {}", if ended { "ended" } else { "went on" }))
}

fn disks(suite: &Suite) -> anyhow::Result<&Disks> {
    suite.ground.disks.as_ref().context("this run has no disks of its own")
}

/// Fills a disk until the server has said in its log that it cannot write, and for `hold` more.
async fn fill(disk: &Disk, log: PathBuf, hold: Duration) -> anyhow::Result<String> {
    let complaints = || fs::read_to_string(&log).unwrap_or_default().matches(NO_SPACE).count();
    let (before, begun) = (complaints(), Instant::now());
    let used = disk.fill()?;
    let refused = disk.try_to_write().err().map(|it| it.to_string());
    while complaints() == before {
        ensure!(begun.elapsed() < NOTICE, "the server did not notice in {NOTICE:?}");
        sleep(Duration::from_millis(50)).await;
    }
    let noticed = begun.elapsed();
    sleep(hold).await;
    let count = complaints() - before;
    let refused = refused.context("the disk took more")?;
    Ok(format!(
        "full at {} MB (\"{refused}\"); the server said so after {noticed:.1?}, {}",
        used >> 20,
        number(count, "time")
    ))
}
