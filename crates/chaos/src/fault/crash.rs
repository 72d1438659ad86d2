use std::{
    os::unix::process::ExitStatusExt,
    time::{Duration, Instant},
};

use anyhow::ensure;
use bus::crash::Crash;
use fastrand::Rng;
use nix::sys::signal::Signal;
use tokio::time::sleep;

use super::Service;
use crate::{SERVICES, suite::Suite};

const REACHED: Duration = Duration::from_secs(40);

/// Who passes a point.
pub(super) fn passers(point: Crash) -> &'static [Service] {
    match point {
        Crash::AfterAnswer => &["payment"],
        Crash::AfterCommand => &["order"],
        _ => &SERVICES,
    }
}

/// Starts the service anew such that it aborts at one of its next passes of that line.
pub(super) async fn crash(
    suite: &Suite,
    point: Crash,
    service: Service,
    rng: &mut Rng,
) -> anyhow::Result<String> {
    let (name, pass) = (format!("{service}-1"), if point == Crash::Rebalance { 1 } else { rng.u32(1..20) });
    suite.terminate(&name).await?;
    let line = format!("crash point {} reached", point.name());
    let before = suite.log(&name).await?.matches(&line).count();
    let variable = ("WAYBILL_CRASH_AT", format!("{}:{pass}", point.name()));
    let pid = suite.start_to_end(&name, variable).await?;
    let ended = ended(suite, &name).await;
    if ended.is_err() {
        suite.kill(&name).await?;
    }
    let said = suite.log(&name).await?.matches(&line).count() > before;
    suite.restart(&name).await?;
    suite.ready(&name).await?;
    let signal = ended?;
    ensure!(signal == Some(Signal::SIGABRT as i32) && said, "pid {pid} ended by {signal:?}, and not there");
    Ok(format!("pid {pid} aborted at pass {pass} (SIGABRT, and its log says so)"))
}

/// Waits until it has ended; the signal that ended it.
async fn ended(suite: &Suite, name: &str) -> anyhow::Result<Option<i32>> {
    let begun = Instant::now();
    loop {
        if let Some(status) = suite.status(name).await? {
            return Ok(status.signal());
        }
        ensure!(begun.elapsed() < REACHED, "{name} does not come to that line in {REACHED:?}");
        sleep(Duration::from_millis(20)).await;
    }
}
