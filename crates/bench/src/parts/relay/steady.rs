//! How late events are at a steady rate.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, ensure};
use bus::Trace;
use engine::{Cause, Rejected, Timestamp};
use time::format_description::well_known::Rfc3339;
use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, timeout},
};
use uuid::Uuid;

use super::KEYS;
use crate::{
    figures::{Figures, Latencies},
    parts::{
        counter::{Counters, PUBLISHES, Raise},
        machine::{Machine, Running, Service},
        published::Published,
    },
};

/// How long the last events are waited for.
const LAST: Duration = Duration::from_secs(60);

/// An event: the number of its counter, and its sequence.
type Event = (u64, i64);

/// What became of the commands.
#[derive(Default)]
struct Committed {
    /// When each event was due, and when its command's caller had its answer, some time after the commit.
    at: HashMap<Event, (Instant, Instant)>,
    refused: u64,
}

/// What the reader had of an event.
#[derive(Debug, Clone, Copy)]
struct Seen {
    at: Instant,
    /// For how long it had been decided then, by `ce_time`, before its transaction was saved and committed.
    decided: Duration,
}

/// A rate that is held for a while.
pub(super) struct Steady {
    pub(super) rate: u32,
    pub(super) seconds: u32,
}

impl Steady {
    pub(super) async fn run(&self, machine: &Machine) -> anyhow::Result<(Figures, Vec<String>)> {
        let service = machine.service(&format!("steady_{}", self.rate)).await?;
        let engine = service.run(|_| true);
        let mut reader = machine.bus.consumer("bench-reader", &[service.topic(PUBLISHES)], None)?;
        warm_up(&engine, &mut reader).await?;
        let before = machine.components.usage()?;
        let committed: Arc<Mutex<Committed>> = Arc::default();
        let mut placing = Box::pin(self.place(&engine, committed.clone()));
        let mut seen: HashMap<Event, Seen> = HashMap::new();
        let wanted = loop {
            tokio::select! {
                placed = &mut placing => break placed?,
                records = reader.poll(1_000, Duration::ZERO) => note(&mut seen, &records?)?,
            }
        };
        drop(placing);
        let spent = machine.components.usage()?.since(&before);
        let last = Instant::now();
        while seen.len() < wanted && last.elapsed() < LAST {
            if let Ok(records) = timeout(Duration::from_secs(1), reader.poll(1_000, Duration::ZERO)).await {
                note(&mut seen, &records?)?;
            }
        }
        let drained = last.elapsed();
        reader.close().await;
        engine.stop().await?;
        let committed = std::mem::take(&mut *committed.lock().unwrap_or_else(PoisonError::into_inner));
        let mut failures = check(&service, &committed, machine).await?;
        if seen.len() < wanted {
            failures.push(format!("{}/s: {} events of {wanted} were read", self.rate, seen.len()));
        }
        let mut figures = told(&committed, &seen);
        figures.put("rate", wanted as f64 / spent.took.as_secs_f64(), "/s");
        figures.put("refused", committed.refused as f64, "");
        figures.put("drain after the last", drained.as_secs_f64() * 1e3, "ms");
        figures.put_cpu(&spent, wanted as f64 / 1e3, "1000");
        Ok((figures, failures))
    }

    /// Submits commands when they are due, however long others take, and waits for all; returns how many were accepted.
    async fn place(&self, engine: &Running, committed: Arc<Mutex<Committed>>) -> anyhow::Result<usize> {
        let total = u64::from(self.rate) * u64::from(self.seconds);
        let begun = Instant::now();
        let mut ticks = interval(Duration::from_millis(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let (mut sent, mut under_way) = (0, JoinSet::new());
        while sent < total {
            ticks.tick().await;
            let due = (begun.elapsed().as_secs_f64() * f64::from(self.rate)) as u64;
            for number in sent..due.min(total) {
                let at = begun + Duration::from_secs_f64(number as f64 / f64::from(self.rate));
                under_way.spawn(submit(engine.commands.clone(), number % KEYS, at, committed.clone()));
            }
            sent = sent.max(due.min(total));
            while under_way.try_join_next().transpose()?.is_some() {}
        }
        while under_way.join_next().await.transpose()?.is_some() {}
        Ok(committed.lock().unwrap_or_else(PoisonError::into_inner).at.len())
    }
}

async fn submit(
    commands: engine::Commands<Counters>,
    counter: u64,
    due: Instant,
    committed: Arc<Mutex<Committed>>,
) {
    let answer = commands.submit(Raise::of(format!("counter-{counter}")), cause(), None).await;
    let now = Instant::now();
    let mut committed = committed.lock().unwrap_or_else(PoisonError::into_inner);
    match answer {
        Ok(value) => drop(committed.at.insert((counter, value), (due, now))),
        Err(Rejected::Refused(never)) => match never {},
        Err(_) => committed.refused += 1,
    }
}

pub(crate) fn cause() -> Cause {
    let id = Uuid::now_v7();
    Cause { id, correlation_id: id, actor: "bench".into(), trace: Trace::default() }
}

/// One event through all of it, so that everybody is connected and has partitions.
async fn warm_up(engine: &Running, reader: &mut bus::Consumer) -> anyhow::Result<()> {
    let answer = engine.commands.submit(Raise::of("first".into()), cause(), None).await;
    ensure!(answer.is_ok(), "the engine does not answer: {answer:?}");
    let first = timeout(LAST, reader.poll(1, Duration::ZERO)).await.context("the relay publishes nothing")?;
    ensure!(first?.len() == 1, "one event is one record");
    Ok(())
}

/// Notes when each event was read first.
fn note(seen: &mut HashMap<Event, Seen>, records: &[bus::Received]) -> anyhow::Result<()> {
    let (at, now) = (Instant::now(), Timestamp::now_utc());
    for record in records {
        let text = |bytes: Option<&[u8]>| bytes.and_then(|it| String::from_utf8(it.to_vec()).ok());
        let key = text(record.key.as_deref()).context("a record without a key")?;
        let counter = key.strip_prefix("counter-").context("a key of somebody else")?.parse()?;
        let sequence = text(record.header("ce_sequence")).context("a record without ce_sequence")?.parse()?;
        let time = text(record.header("ce_time")).context("a record without ce_time")?;
        let decided = now - Timestamp::parse(&time, &Rfc3339).context("a ce_time that is none")?;
        let decided = decided.try_into().unwrap_or_default();
        seen.entry((counter, sequence)).or_insert(Seen { at, decided });
    }
    Ok(())
}

/// What is committed is on the topic, in the order of each key.
async fn check(service: &Service, committed: &Committed, machine: &Machine) -> anyhow::Result<Vec<String>> {
    let rows = service.count("select coalesce(sum(value), 0)::bigint from counter").await?;
    let name = &service.settings.topic_prefix;
    let published = Published::read(&machine.bus, &service.topic(PUBLISHES)).await?;
    let mut failures = published.failures(name, rows);
    if !failures.is_empty() {
        // Lost, or late: the relay has been stopped.
        let waiting = service.count("select count(*) from engine.outbox").await?;
        failures.push(format!("{name}: {waiting} rows wait in the outbox"));
    }
    // The first event was for nothing but to begin. What was refused may have been carried out all the same.
    let accepted = committed.at.len() as i64 + 1;
    if !(accepted..=accepted + committed.refused as i64).contains(&rows) {
        failures.push(format!("{name}: {accepted} commands were accepted, {rows} are in the database"));
    }
    Ok(failures)
}

fn told(committed: &Committed, seen: &HashMap<Event, Seen>) -> Figures {
    let [mut all, mut at_most, mut at_least, mut answered] = std::array::from_fn(|_| Latencies::default());
    for (event, (due, answer)) in &committed.at {
        answered.record(answer.saturating_duration_since(*due));
        let Some(Seen { at, decided }) = seen.get(event) else { continue };
        all.record(at.saturating_duration_since(*due));
        at_most.record(*decided);
        // An event may be read before its command's caller goes on.
        at_least.record(at.saturating_duration_since(*answer));
    }
    let mut figures = Figures::default();
    figures.put_latencies("due to reader", &all);
    figures.put_latencies("decided to reader", &at_most);
    figures.put_latencies("answered to reader", &at_least);
    figures.put_latencies("due to answered", &answered);
    figures
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An event is due, decided 2 ms later, read 5 ms after that, and its caller goes on 1 ms before or after that.
    #[test]
    fn the_way_from_commit_to_reader_lies_between_two_that_are_known() {
        let (due, ms) = (Instant::now(), Duration::from_millis);
        for (answered, least) in [(6, 1.0), (8, 0.0)] {
            let at = [((1, 1), (due, due + ms(answered)))].into();
            let seen = [((1, 1), Seen { at: due + ms(7), decided: ms(5) })].into();
            let figures = told(&Committed { at, refused: 0 }, &seen);
            let p50 = |name: &str| (figures.get(&format!("{name} p50")).expect(name) * 10.0).round() / 10.0;
            assert_eq!((p50("due to reader"), p50("decided to reader")), (7.0, 5.0));
            assert_eq!((p50("answered to reader"), p50("due to answered")), (least, answered as f64));
        }
    }
}
