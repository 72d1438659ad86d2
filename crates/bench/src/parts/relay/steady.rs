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
    phase::{allowed, longest_drain},
};

/// How long nothing may come while events are waited for.
const LAST: Duration = Duration::from_secs(60);
/// What is placed before anything is measured: the first events of a producer, and of a topic, are late.
const WARM_UP_SECS: u32 = 2;

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

/// How a rate was held.
#[derive(Debug, Clone, Copy)]
struct Course {
    /// By how many events the mean backlog of the last third is larger than that of the first.
    growth: f64,
    /// How long after the last event was due the last one was read.
    drained: Duration,
}

/// A rate that is held for a while.
pub(super) struct Steady {
    pub(super) rate: u32,
    pub(super) seconds: u32,
}

/// What has come of it.
pub(super) struct Held {
    pub(super) figures: Figures,
    pub(super) due_to_reader: Latencies,
    /// Why the books are not in order.
    pub(super) failures: Vec<String>,
    /// Why it was more than the relay keeps up with.
    pub(super) overload: Option<String>,
}

impl Steady {
    pub(super) async fn run(&self, machine: &Machine, name: &str) -> anyhow::Result<Held> {
        let service = machine.service(name).await?;
        let engine = service.run(|_| true);
        let mut reader = machine.bus.consumer("bench-reader", &[service.topic(PUBLISHES)], None)?;
        first(&engine, &mut reader).await?;
        let committed: Arc<Mutex<Committed>> = Arc::default();
        let mut placing = Box::pin(async {
            self.place(&engine, WARM_UP_SECS, committed.clone()).await?;
            let before = machine.components.usage()?;
            let from = Instant::now();
            self.place(&engine, self.seconds, committed.clone()).await?;
            anyhow::Ok((from, before))
        });
        let mut seen: HashMap<Event, Seen> = HashMap::new();
        let (from, before) = loop {
            tokio::select! {
                placed = &mut placing => break placed?,
                records = reader.poll(1_000, Duration::ZERO) => note(&mut seen, &records?)?,
            }
        };
        drop(placing);
        let wanted = committed.lock().unwrap_or_else(PoisonError::into_inner).at.len();
        let spent = machine.components.usage()?.since(&before);
        while seen.len() < wanted
            && let Ok(records) = timeout(LAST, reader.poll(1_000, Duration::ZERO)).await
        {
            note(&mut seen, &records?)?;
        }
        reader.close().await;
        engine.stop().await?;
        let committed = std::mem::take(&mut *committed.lock().unwrap_or_else(PoisonError::into_inner));
        let mut failures = check(&service, &committed, machine).await?;
        if seen.len() < wanted {
            failures.push(format!("{}/s: {} events of {wanted} were read", self.rate, seen.len()));
        }
        let course = self.course(&committed, &seen, from);
        let (latencies, due_to_reader) = told(&committed, &seen, from);
        let measured = committed.at.values().filter(|it| it.0 >= from).count() as f64;
        let mut figures = Figures::default();
        figures.put("rate", measured / spent.took.as_secs_f64(), "/s");
        figures.0.extend(latencies.0);
        figures.put("refused", committed.refused as f64, "");
        figures.put("drained after", course.drained.as_secs_f64(), "s");
        figures.put_cpu(&spent, measured / 1e3, "1,000");
        Ok(Held { figures, due_to_reader, failures, overload: self.overload(committed.refused, &course) })
    }

    /// How events went that were due from a moment on.
    fn course(&self, committed: &Committed, seen: &HashMap<Event, Seen>, from: Instant) -> Course {
        let lasts = Duration::from_secs(self.seconds.into());
        let third = lasts / 3;
        // For how long events were in the backlog of each third, all together. One that was never read is to the end.
        let (mut waited, mut last) = ([0.0; 3], from);
        for (event, (due, _)) in committed.at.iter().filter(|it| it.1.0 >= from) {
            let read = seen.get(event).map(|it| it.at);
            for (index, waited) in (0..).zip(&mut waited) {
                let (begin, end) = (from + third * index, from + third * (index + 1));
                let left = read.map_or(end, |it| it.min(end));
                *waited += left.saturating_duration_since(begin.max(*due)).as_secs_f64();
            }
            last = last.max(read.unwrap_or(from));
        }
        let growth = (waited[2] - waited[0]) / third.as_secs_f64();
        Course { growth, drained: last.saturating_duration_since(from + lasts) }
    }

    fn overload(&self, refused: u64, course: &Course) -> Option<String> {
        let lasts = Duration::from_secs(self.seconds.into());
        let Course { growth, drained } = *course;
        match () {
            () if refused > 0 => Some(format!("{refused} commands were refused")),
            () if growth > allowed(f64::from(self.rate), lasts.as_secs_f64() / 1.5) => {
                Some(format!("the backlog grew by {growth:.0} events"))
            }
            () if drained > longest_drain(lasts) => Some(format!("it took {drained:.1?} to drain")),
            () => None,
        }
    }

    /// Submits commands when they are due, however long others take, and waits for all.
    async fn place(
        &self,
        engine: &Running,
        seconds: u32,
        committed: Arc<Mutex<Committed>>,
    ) -> anyhow::Result<()> {
        let total = u64::from(self.rate) * u64::from(seconds);
        let begun = Instant::now();
        let mut ticks = interval(Duration::from_millis(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let (mut sent, mut under_way) = (0, JoinSet::new());
        while sent < total {
            ticks.tick().await;
            // The first one at once.
            let due = (begun.elapsed().as_secs_f64() * f64::from(self.rate)) as u64 + 1;
            for number in sent..due.min(total) {
                let at = begun + Duration::from_secs_f64(number as f64 / f64::from(self.rate));
                under_way.spawn(submit(engine.commands.clone(), number % KEYS, at, committed.clone()));
            }
            sent = sent.max(due.min(total));
            while under_way.try_join_next().transpose()?.is_some() {}
        }
        while under_way.join_next().await.transpose()?.is_some() {}
        Ok(())
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
async fn first(engine: &Running, reader: &mut bus::Consumer) -> anyhow::Result<()> {
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

/// The latencies of the events that were due from a moment on, and that from due to reader once more, as a whole.
fn told(committed: &Committed, seen: &HashMap<Event, Seen>, from: Instant) -> (Figures, Latencies) {
    let [mut all, mut at_most, mut at_least, mut answered] = std::array::from_fn(|_| Latencies::default());
    for (event, (due, answer)) in committed.at.iter().filter(|it| it.1.0 >= from) {
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
    (figures, all)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An event is due, decided 2 ms later, read 5 ms after that, and its caller goes on 1 ms before or after that.
    #[test]
    fn the_way_from_commit_to_reader_lies_between_two_that_are_known() {
        let (due, ms) = (Instant::now(), Duration::from_millis);
        for (answered, least) in [(6, 1.0), (8, 0.0)] {
            // Of an event of the warm-up nothing is told.
            let early = (due - ms(1), due + ms(100));
            let at = [((1, 1), (due, due + ms(answered))), ((2, 1), early)].into();
            let seen = [(1, 7), (2, 200)].map(|it| ((it.0, 1), Seen { at: due + ms(it.1), decided: ms(5) }));
            let (figures, _) = told(&Committed { at, refused: 0 }, &seen.into(), due);
            let max = |name: &str| (figures.get(&format!("{name} max")).expect(name) * 10.0).round() / 10.0;
            assert_eq!((max("due to reader"), max("decided to reader")), (7.0, 5.0));
            assert_eq!((max("answered to reader"), max("due to answered")), (least, answered as f64));
        }
    }

    #[test]
    fn a_rate_is_sustained_if_nothing_is_refused_or_piles_up_and_the_last_come_soon() {
        let steady = Steady { rate: 100, seconds: 20 };
        let overload = |refused, growth, millis| {
            steady.overload(refused, &Course { growth, drained: Duration::from_millis(millis) })
        };
        assert_eq!(overload(0, 20.0, 3_000), None);
        assert_eq!(overload(0, 30.0, 0).as_deref(), Some("the backlog grew by 30 events"));
        assert_eq!(overload(0, 0.0, 3_100).as_deref(), Some("it took 3.1s to drain"));
        assert_eq!(overload(2, 0.0, 0).as_deref(), Some("2 commands were refused"));
    }

    /// A hundred a second for 3 s, each later by 10 ms than the one before it, beyond 5 ms.
    #[test]
    fn what_is_later_and_later_piles_up() {
        let (from, ms) = (Instant::now(), Duration::from_millis);
        let due = |it: u64| from + ms(it * 10);
        let at = (0..300).map(|it| ((it, 1), (due(it), due(it)))).collect();
        let seen = |slower: u64| {
            let at = move |it| due(it) + ms(5 + it * slower);
            (0..300).map(move |it| ((it, 1), Seen { at: at(it), decided: ms(1) })).collect()
        };
        let (steady, committed) = (Steady { rate: 100, seconds: 3 }, Committed { at, refused: 0 });
        let course = steady.course(&committed, &seen(10), from);
        assert!((course.growth - 100.0).abs() < 1e-6, "{course:?}");
        assert_eq!(course.drained, ms(2_985));
        let course = steady.course(&committed, &seen(0), from);
        assert!(course.growth.abs() < 1e-6 && course.drained == ms(0), "{course:?}");
        // Of those that nobody reads the first third leaves 100 behind, and the others 100 each.
        let course = steady.course(&committed, &HashMap::new(), from);
        assert!((course.growth - 200.0).abs() < 1e-6 && course.drained == ms(0), "{course:?}");
    }
}
