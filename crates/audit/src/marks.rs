//! Marks: what was committed before them, everybody has read once they are passed.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::Context;
use bus::{Progress, topics};
use events::Aggregate;
use tokio::time::sleep;

use crate::{
    SERVICES, Sources,
    answer::answered,
    reads,
    report::{Finding, Kind},
    words::number,
};

const PAUSE: Duration = Duration::from_millis(100);
/// So often it is looked whether what is not read can be read at all.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Waits until all that is committed now has been published, and what was published by then has been read by every
/// service; each for as long as `patience`. Who keeps it waiting is told.
pub(crate) async fn pass(sources: &Sources, patience: Duration) -> anyhow::Result<Vec<Finding>> {
    let mut late = published(sources, patience).await?;
    late.extend(consumed(sources, patience).await?);
    Ok(late)
}

/// What an outbox has left of what was in it at the mark: how many rows, and the first.
type Left = (i64, Option<i64>);

async fn left(sources: &Sources, service: &str, mark: i64) -> anyhow::Result<Left> {
    let query = "select count(*), min(outbox_id) from engine.outbox where outbox_id <= $1";
    let pool = sources.database(service)?;
    let left = answered(pool, sqlx::query_as(query).bind(mark).fetch_one(pool)).await;
    left.with_context(|| format!("looking at the outbox of {service}"))
}

async fn published(sources: &Sources, patience: Duration) -> anyhow::Result<Vec<Finding>> {
    let mut marks = BTreeMap::new();
    for service in SERVICES {
        let highest = "select coalesce(max(outbox_id), 0) from engine.outbox";
        let pool = sources.database(service)?;
        let mark = answered(pool, sqlx::query_scalar(highest).fetch_one(pool)).await;
        let mark: i64 = mark.with_context(|| format!("looking at the outbox of {service}"))?;
        marks.insert(service, (mark, left(sources, service, mark).await?));
    }
    let begun = Instant::now();
    loop {
        let mut late = Vec::new();
        for (service, (mark, (_, first))) in &marks {
            match left(sources, service, *mark).await? {
                (0, _) => {}
                (count, head) => late.push(relay(service, count, head == *first)),
            }
        }
        if late.is_empty() || begun.elapsed() > patience {
            return Ok(late);
        }
        sleep(PAUSE).await;
    }
}

fn relay(service: &str, count: i64, stands: bool) -> Finding {
    let how = if stands { "its relay does not move" } else { "its relay is behind" };
    let text = format!(
        "{how}: {} {} in the outbox",
        number(count, "event"),
        if count == 1 { "waits" } else { "wait" }
    );
    Finding { kind: Kind::Relay, service: service.to_owned(), key: None, text }
}

/// How far a service has read of each partition that it consumes.
pub(crate) async fn progress(sources: &Sources, service: &str) -> anyhow::Result<Vec<Progress>> {
    let name = |it: &Aggregate| topics::name(&sources.topic_prefix, it.name());
    let read: Vec<String> = reads(service).iter().map(name).collect();
    let progress = sources.bus.progress(&topics::name(&sources.topic_prefix, service), &read).await;
    progress.with_context(|| format!("asking how far {service} has read"))
}

async fn consumed(sources: &Sources, patience: Duration) -> anyhow::Result<Vec<Finding>> {
    let mut marks = BTreeMap::new();
    for service in SERVICES {
        marks.insert(service, progress(sources, service).await?);
    }
    let (begun, mut looked) = (Instant::now(), Instant::now());
    loop {
        let mut late = Vec::new();
        for (service, marks) in &mut marks {
            if marks.iter().any(|mark| reached(mark) < mark.end) {
                let now = progress(sources, service).await?;
                if looked.elapsed() > LOOK_EVERY {
                    pass_gaps(sources, marks, &now).await?;
                }
                late.extend(marks.iter().filter_map(|mark| consumer(service, mark, &now)));
            }
        }
        if looked.elapsed() > LOOK_EVERY {
            looked = Instant::now();
        }
        if late.is_empty() || begun.elapsed() > patience {
            return Ok(late);
        }
        sleep(PAUSE).await;
    }
}

/// Takes away the marks up to which a service has been given all that there is: nobody is given the marks of transactions,
/// and no offset beyond the last record is committed.
async fn pass_gaps(sources: &Sources, marks: &mut Vec<Progress>, now: &[Progress]) -> anyhow::Result<()> {
    let mut behind: BTreeMap<&str, BTreeMap<i32, i64>> = BTreeMap::new();
    for it in now.iter().filter(|it| reached(it) < it.end) {
        behind.entry(&it.topic).or_default().insert(it.partition, reached(it));
    }
    for (topic, from) in behind {
        let past = sources.bus.past_gaps(topic, from).await?;
        marks.retain(|mark| mark.topic != topic || past.get(&mark.partition).is_none_or(|it| *it < mark.end));
    }
    Ok(())
}

/// Up to where nothing is left to read: what retention has taken from a partition is waited for by nobody.
fn reached(progress: &Progress) -> i64 {
    progress.committed.unwrap_or(0).max(progress.low)
}

/// What a service has not read of a partition up to the mark.
fn consumer(service: &str, mark: &Progress, now: &[Progress]) -> Option<Finding> {
    let Progress { topic, partition, committed, end, .. } = mark;
    let now = now.iter().find(|it| it.topic == *topic && it.partition == *partition)?;
    let reached = reached(now);
    if reached >= *end {
        return None;
    }
    let stands = now.committed == *committed;
    let how = if stands { "its consumer does not move" } else { "its consumer is behind" };
    let text = format!("{how}: {topic}/{partition} is read up to {reached} of {end}");
    Some(Finding { kind: Kind::Consumer, service: service.to_owned(), key: None, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(committed: Option<i64>, (low, end): (i64, i64), expected: Option<&str>) {
        let progress = Progress { topic: "waybill.order".into(), partition: 0, committed, low, end };
        let found = consumer("payment", &progress, std::slice::from_ref(&progress)).map(|it| it.text);
        let expected =
            expected.map(|it| format!("its consumer does not move: waybill.order/0 is read up to {it}"));
        assert_eq!(found, expected);
        assert_eq!(reached(&progress) < end, expected.is_some());
    }

    #[test]
    fn what_retention_has_taken_is_not_waited_for() {
        check(None, (5, 5), None);
        check(Some(3), (5, 5), None);
        check(None, (5, 7), Some("5 of 7"));
        check(Some(6), (5, 7), Some("6 of 7"));
        check(Some(7), (5, 7), None);
        check(None, (0, 2), Some("0 of 2"));
        check(None, (0, 0), None);
    }
}
