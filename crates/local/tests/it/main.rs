//! Real servers: that they survive what fault runs do to them, and leave nothing behind.
#![expect(clippy::unwrap_used, reason = "the helpers of tests fail as tests do")]

mod command;
mod kafka;
mod ports;
mod postgres;
mod proxy;
mod wire;

use std::path::Path;

/// Whether a process runs; one that only waits to be reaped does not.
fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

#[track_caller]
fn assert_no_process(dir: &Path) {
    assert!(processes_in(dir).is_empty(), "still in {}: {:?}", dir.display(), processes_in(dir));
}

/// The processes whose working directory is below `dir`, as our servers' are.
fn processes_in(dir: &Path) -> Vec<u32> {
    let pids = std::fs::read_dir("/proc").expect("/proc").flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &u32| {
        let cwd = std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_default();
        runs(*pid) && cwd.starts_with(dir)
    })
    .collect()
}
