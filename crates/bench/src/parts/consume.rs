//! The consumer alone: inbox, state and outbox, from a topic that is full when it begins.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use bus::{CloudEvent, Producer, Trace};
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    counter::{Edges, HEAD, RAISE_TYPE, READS, Raise, TAIL},
    machine::{Machine, Service},
};
use crate::{
    figures::Figures,
    ground::Ground,
    output::{Files, Report},
    progress::Progress,
    turns::Turns,
    usage::Usage,
};

/// How fast a consumer works off a topic, with inbox, state and outbox.
///
/// The topic is full when it begins. By how many keys there are and by how much of it was applied before.
#[derive(clap::Args, Debug)]
pub struct Consume {
    /// Messages of a run whose batches are the largest; fewer where they are smaller.
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u32).range(1_000..))]
    messages: u32,
    /// Percent of the messages that were applied before.
    #[arg(long, value_delimiter = ',', default_value = "0,10,100", value_parser = clap::value_parser!(u32).range(..=100))]
    duplicates: Vec<u32>,
    /// Over how many keys the messages are spread.
    #[arg(long, value_delimiter = ',', default_value = "1,100,10000", value_parser = clap::value_parser!(u32).range(1..))]
    keys: Vec<u32>,
    /// Instead: batches of 500, 100 and one in turns, without duplicates, over the largest number of keys.
    #[arg(long)]
    compare: bool,
    /// How many turns each of them has.
    #[arg(long, default_value_t = 3, requires = "compare", value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    #[command(flatten)]
    pub(crate) files: Files,
}

/// One run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    pub(crate) messages: u32,
    pub(crate) duplicates: u32,
    pub(crate) keys: u32,
    pub(crate) batch: usize,
}

/// The largest batches, which are the usual ones.
pub(crate) const BATCH: usize = 500;

/// What cases are compared by.
const FIGURES: [&str; 2] = ["rate", "cpu total"];

pub(crate) async fn run(
    asked: &Consume,
    ground: Arc<Ground>,
    progress: &Progress<'_>,
) -> anyhow::Result<Report> {
    let machine = Machine::on(ground);
    let told = |all: &[u32]| all.iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
    let mut report = Report::new("consume").asked("messages", asked.messages);
    let cases = asked.cases();
    let mut turns = Turns::of(cases.iter().map(|it| asked.name(*it)));
    // A broker that has just begun compiles what it does, and whoever is first would pay for that.
    if let Some(case) = cases.first() {
        progress.tell("warming up");
        report.failures.extend(case.run(&machine, "warmed_up").await?.1);
    }
    let rounds = if asked.compare { asked.rounds as usize } else { 1 };
    progress.begin_counting((rounds * cases.len()) as u64, "turns");
    for round in 0..rounds {
        for index in turns.order(round) {
            let (case, name) = (cases[index], turns.name(index).to_owned());
            progress.tell(&format!("{} messages: {name}, round {}", case.messages, round + 1));
            let (figures, failures) = case.run(&machine, &format!("consumed_{index}_{round}")).await?;
            report.failures.extend(failures.into_iter().map(|it| format!("{name}: {it}")));
            turns.put(index, figures);
            progress.one_more();
        }
    }
    progress.end();
    if asked.compare {
        report = report.asked("keys", asked.most_keys()).asked("rounds", asked.rounds);
        report.ratios = turns.to_first(&FIGURES);
    } else {
        report = report.asked("keys", told(&asked.keys)).asked("percent duplicates", told(&asked.duplicates));
    }
    report.runs = turns.medians();
    report.picture_rates();
    report.picture_cpu("1,000");
    Ok(report)
}

impl Consume {
    fn name(&self, case: Case) -> String {
        match self.compare {
            true => format!("batch={}", case.batch),
            false => format!("keys {}, dup {} %", case.keys, case.duplicates),
        }
    }

    fn most_keys(&self) -> u32 {
        self.keys.iter().copied().max().unwrap_or(1)
    }

    fn cases(&self) -> Vec<Case> {
        let usual = |keys, duplicates| Case { messages: self.messages, duplicates, keys, batch: BATCH };
        if self.compare {
            let keys = self.most_keys();
            let messages = |batch: usize| {
                (self.messages as usize * batch / BATCH).max(self.messages.min(2_000) as usize) as u32
            };
            return [BATCH, 100, 1]
                .map(|batch| Case { batch, messages: messages(batch), ..usual(keys, 0) })
                .into();
        }
        let of = |keys: &u32| self.duplicates.iter().map(|it| usual(*keys, *it)).collect::<Vec<_>>();
        self.keys.iter().flat_map(of).collect()
    }
}

/// Messages of keys of their own before and behind the others, so many that every partition has some: when the first
/// and the last of them are applied tells when the others are.
const EDGE: u32 = 64;

impl Case {
    /// Fills a topic and lets a consumer work it off; the relay, which has a bench of its own, does not run.
    pub(crate) async fn run(self, machine: &Machine, name: &str) -> anyhow::Result<(Figures, Vec<String>)> {
        let mut service = machine.service(name).await?;
        service.settings.batch_size = self.batch;
        let producer = machine.bus.producer()?;
        let repeated = (u64::from(self.messages) * u64::from(self.duplicates) / 100) as u32;
        let before = self.messages_of("counter", repeated.max(100));
        send(&service, &producer, &before).await?;
        let engine = service.run(|it| it == "consumer");
        service.until("select count(*) from engine.outbox", before.len() as i64).await?;
        engine.stop().await?;

        let fresh = self.messages - repeated;
        let mut messages = self.messages_of("counter", fresh);
        messages.extend_from_slice(&before[..repeated as usize]);
        fastrand::shuffle(&mut messages);
        for edge in [edge(HEAD), messages, edge(TAIL)] {
            send(&service, &producer, &edge).await?;
        }
        sqlx::raw_sql("checkpoint").execute(&service.pool).await?;
        let engine = service.run(|it| it == "consumer");
        engine.until("the first message is applied", Edges::is_begun).await?;
        let (at, usage) = (Instant::now(), machine.components.usage()?);
        engine.until("the last message is applied", |it| it.tails() == EDGE as usize).await?;
        let took = at.elapsed();
        let figures = self.told(took, &usage, machine)?;
        engine.stop().await?;
        let distinct = before.len() as i64 + i64::from(fresh) + 2 * i64::from(EDGE);
        Ok((figures, check(&service, distinct).await?))
    }

    fn told(self, took: Duration, before: &Usage, machine: &Machine) -> anyhow::Result<Figures> {
        let mut figures = Figures::default();
        figures.put("rate", f64::from(self.messages) / took.as_secs_f64(), "/s");
        let spent = machine.components.usage()?.since(before);
        figures.put_cpu(&spent, f64::from(self.messages) / 1e3, "1,000");
        Ok(figures)
    }

    /// New messages over the keys.
    fn messages_of(self, name: &str, count: u32) -> Vec<Message> {
        (0..count).map(|it| Message::new(format!("{name}-{}", it % self.keys))).collect()
    }
}

fn edge(name: &str) -> Vec<Message> {
    (0..EDGE).map(|it| Message::new(format!("{name}{it}"))).collect()
}

/// What raises a counter, once however often it is sent.
#[derive(Debug, Clone)]
struct Message {
    id: Uuid,
    counter: String,
}

impl Message {
    fn new(counter: String) -> Self {
        Self { id: Uuid::now_v7(), counter }
    }

    fn record(&self, topic: &str) -> anyhow::Result<bus::Record<'static>> {
        let event = CloudEvent {
            id: self.id,
            source: "/waybill/bench".into(),
            r#type: RAISE_TYPE.into(),
            subject: Some(self.counter.clone().into()),
            time: None,
            sequence: None,
            correlation_id: Some(self.id),
            causation_id: None,
            actor: None,
            trace: Trace::default(),
            data: serde_json::to_vec(&Raise::of(self.counter.clone()))?.into(),
        };
        Ok(event.into_record(topic.to_owned().into(), self.counter.clone().into()))
    }
}

async fn send(service: &Service, producer: &Producer, messages: &[Message]) -> anyhow::Result<()> {
    let topic = service.topic(READS[0]);
    for chunk in messages.chunks(5_000) {
        let records = chunk.iter().map(|it| it.record(&topic)).collect::<anyhow::Result<Vec<_>>>()?;
        let mut delivery = producer.enqueue(records);
        ensure!(delivery.taken == chunk.len(), "the producer is full");
        delivery.acknowledged().await.context("filling the topic")?;
    }
    Ok(())
}

/// Whether each of `distinct` messages has had its effect once: in the state, in the inbox, and in what is told.
async fn check(service: &Service, distinct: i64) -> anyhow::Result<Vec<String>> {
    let mut failures = Vec::new();
    for (what, sql) in [
        ("raised the counters", "select coalesce(sum(value), 0)::bigint from counter"),
        ("are in the inbox", "select count(*) from engine.inbox"),
        (
            "are told of",
            "select count(*) from (select distinct aggregate_id, sequence from engine.outbox) it",
        ),
        ("rows are in the outbox", "select count(*) from engine.outbox"),
    ] {
        let found = service.count(sql).await?;
        if found != distinct {
            failures.push(format!("{distinct} messages were sent, {found} {what}"));
        }
    }
    Ok(failures)
}
