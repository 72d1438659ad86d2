use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use anyhow::ensure;
use audit::number;
use bus::Progress;
use tokio::time::sleep;

use super::Service;
use crate::{suite::Suite, watch::progress};

/// A member with a name of its own is given up after its session, 8 s; and a little.
const GONE: Duration = Duration::from_secs(30);
const ROUNDS: usize = 3;

fn group(suite: &Suite, service: Service) -> String {
    format!("{}.{service}", suite.prefix)
}

/// The group forgets its offsets, so that everything is read again from the first record.
pub(super) async fn rewind(suite: &Suite, service: Service) -> anyhow::Result<String> {
    let (name, group) = (format!("{service}-1"), group(suite, service));
    let (topics, before) = committed(&progress(suite, service).await?);
    suite.terminate(&name).await?;
    let begun = Instant::now();
    // Refused while the broker thinks that the group has a member.
    let rewound = loop {
        match suite.ground.bus.rewind(&group).await {
            Err(error) if begun.elapsed() > GONE => break Err(error),
            Err(_) => sleep(Duration::from_millis(200)).await,
            Ok(()) => break Ok(()),
        }
    };
    let after = progress(suite, service).await;
    suite.restart(&name).await?;
    suite.ready(&name).await?;
    rewound?;
    let (_, after) = committed(&after?);
    let (records, topics) = (number(before, "record"), topics.join(", "));
    ensure!(after == 0 && before > 0, "group {group} had done {records} of {topics}, and then {after}");
    let dropped = number(dropped_again(suite, &name).await?, "duplicate");
    Ok(format!("group {group} had done {records} of {topics}, and then none; {dropped} dropped since"))
}

/// The topics, and how many of their records, all partitions together, are done.
fn committed(progress: &[Progress]) -> (Vec<String>, i64) {
    let topics: BTreeSet<String> = progress.iter().map(|it| it.topic.clone()).collect();
    (topics.into_iter().collect(), progress.iter().filter_map(|it| it.committed).sum())
}

/// The process is new, so that whatever it has dropped is of this replay.
async fn dropped_again(suite: &Suite, name: &str) -> anyhow::Result<u64> {
    let begun = Instant::now();
    loop {
        let dropped = suite.metric(name, "waybill_events_duplicate_total", "").await.unwrap_or_default();
        if dropped > 0.0 {
            return Ok(dropped as u64);
        }
        ensure!(begun.elapsed() < GONE, "{name} has dropped no duplicate of what it reads again");
        sleep(Duration::from_millis(100)).await;
    }
}

/// Another member comes and goes, and each time all partitions are dealt out anew.
pub(super) async fn churn(suite: &Suite, service: Service) -> anyhow::Result<String> {
    let (name, group) = (format!("{service}-3"), group(suite, service));
    let mut seen = Vec::new();
    for _ in 0..ROUNDS {
        // Without a name of its own it leaves the group when it stops.
        suite.add(&name, false).await?;
        suite.ready(&name).await?;
        seen.push(members(suite, &group, 2).await?);
        let stopped = suite.terminate(&name).await;
        suite.remove(&name).await;
        stopped?;
        seen.push(members(suite, &group, 1).await?);
    }
    Ok(format!("{ROUNDS} rounds; members of {group}: {seen:?}"))
}

async fn members(suite: &Suite, group: &str, expected: usize) -> anyhow::Result<usize> {
    let begun = Instant::now();
    loop {
        let members = suite.ground.bus.members(group).await?;
        if members == expected {
            return Ok(members);
        }
        ensure!(begun.elapsed() < GONE, "{group} has {}, not {expected}", number(members, "member"));
        sleep(Duration::from_millis(50)).await;
    }
}
