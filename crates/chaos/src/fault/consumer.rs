use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bus::topics;
use tokio::time::sleep;

use super::Service;
use crate::suite::Suite;

/// A member with a name of its own is given up after its session, 8 s; and a little.
const GONE: Duration = Duration::from_secs(30);
const ROUNDS: usize = 3;

fn group(suite: &Suite, service: Service) -> String {
    format!("{}.{service}", suite.prefix)
}

/// The group forgets its offsets, so that everything is read again from the first record.
pub(super) async fn rewind(suite: &Suite, service: Service) -> anyhow::Result<String> {
    let (name, group) = (format!("{service}-1"), group(suite, service));
    let reads = audit::reads(service).first().context("it reads nothing")?;
    let topic = topics::name(&suite.prefix, reads.name());
    let before = suite.ground.bus.progress(&group, std::slice::from_ref(&topic)).await?;
    let before: i64 = before.iter().filter_map(|it| it.committed).sum();
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
    let after = suite.ground.bus.progress(&group, std::slice::from_ref(&topic)).await;
    suite.restart(&name).await?;
    suite.ready(&name).await?;
    rewound?;
    let after: i64 = after?.iter().filter_map(|it| it.committed).sum();
    ensure!(after == 0 && before > 0, "committed offsets of {topic} were {before} and are {after}");
    let dropped = dropped_again(suite, &name).await?;
    Ok(format!(
        "committed offsets of {topic} went from {before} to 0; {dropped} duplicates were dropped since"
    ))
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
        ensure!(begun.elapsed() < GONE, "{group} has {members} members, not {expected}");
        sleep(Duration::from_millis(50)).await;
    }
}
