//! `waybill topics`: the log's topics, and how far their readers have come.

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use bus::{Bus, Error, Progress};
use clap::{Args, Subcommand};
use serde::Serialize;
use tokio::time::{Instant, sleep, timeout_at};

use crate::{
    exit::Unreachable,
    output::{say, say_json, table},
    suite::SERVICES,
};

/// Create, list, and see how far behind their readers are.
#[derive(Subcommand)]
pub(crate) enum Topics {
    /// Create the suite's topics. Those that are there stay as they are.
    Create(Broker),
    /// List them, with partitions and offsets.
    List(Asked),
    /// Show how far each service has read: per partition what it has committed, the end, and what is between.
    Lag(Asked),
}

#[derive(Args)]
pub(crate) struct Asked {
    #[command(flatten)]
    broker: Broker,
    /// One line of JSON per topic or partition.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(crate) struct Broker {
    /// Kafka brokers to begin with, separated by commas.
    #[arg(long, env = "KAFKA_BOOTSTRAP_SERVERS", default_value = "127.0.0.1:9092")]
    bootstrap_servers: String,
    /// First part of every topic's and consumer group's name.
    #[arg(long, env, default_value = "waybill")]
    topic_prefix: String,
    /// How long to wait for the broker, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    timeout: u64,
}

const PAUSE: Duration = Duration::from_millis(200);
/// Of a single request.
const ANSWER: Duration = Duration::from_secs(5);

pub(crate) async fn run(topics: Topics) -> anyhow::Result<()> {
    match topics {
        Topics::Create(broker) => create(&broker).await,
        Topics::List(asked) => list(&asked).await,
        Topics::Lag(asked) => lag(&asked).await,
    }
}

async fn create(broker: &Broker) -> anyhow::Result<()> {
    let (bus, plan) = (broker.bus()?, bus::topics::plan(&broker.topic_prefix, &SERVICES));
    let created = broker.ask(async || bus.create_topics(&plan).await).await?;
    for topic in plan {
        let did = if created.contains(&topic.name) { "created" } else { "was there" };
        say!("{did:<9}  {}", topic.name);
    }
    Ok(())
}

async fn list(asked: &Asked) -> anyhow::Result<()> {
    #[derive(Serialize)]
    struct Topic {
        topic: String,
        /// Of each partition the first offset that it holds, and the next.
        partitions: BTreeMap<i32, (i64, i64)>,
    }
    let (bus, prefix) = (asked.broker.bus()?, format!("{}.", asked.broker.topic_prefix));
    let mut rows = vec![["TOPIC", "PARTITIONS", "RECORDS", "OFFSETS"].map(String::from).to_vec()];
    for topic in asked.broker.ask(async || bus.topics(&prefix).await).await? {
        let partitions: BTreeMap<_, _> =
            topic.partitions.iter().map(|it| (it.id, (it.low, it.high))).collect();
        if asked.json {
            say_json(&Topic { topic: topic.name, partitions })?;
            continue;
        }
        let records: i64 = partitions.values().map(|(low, high)| high - low).sum();
        let offsets = partitions.values().map(|(low, high)| format!("{low}..{high}")).collect::<Vec<_>>();
        rows.push(vec![topic.name, partitions.len().to_string(), records.to_string(), offsets.join(" ")]);
    }
    if !asked.json {
        table(&rows);
    }
    Ok(())
}

/// A row of `lag`.
#[derive(Serialize)]
struct Behind {
    group: String,
    topic: String,
    partition: i32,
    committed: Option<i64>,
    end: i64,
    lag: i64,
}

async fn lag(asked: &Asked) -> anyhow::Result<()> {
    let (bus, prefix) = (asked.broker.bus()?, &asked.broker.topic_prefix);
    let names: Vec<String> = bus::topics::plan(prefix, &SERVICES).into_iter().map(|it| it.name).collect();
    let missing = asked.broker.ask(async || bus.missing_topics(&names, ANSWER).await).await?;
    let names: Vec<String> = names.into_iter().filter(|it| !missing.contains(it)).collect();
    let mut rows =
        vec![["GROUP", "TOPIC", "PARTITION", "COMMITTED", "END", "LAG"].map(String::from).to_vec()];
    for service in SERVICES {
        let group = format!("{prefix}.{service}");
        let progress = asked.broker.ask(async || bus.progress(&group, &names).await).await?;
        let mut behind: Vec<Behind> = behind(&group, progress).collect();
        for topic in behind.chunk_by_mut(|a, b| a.topic == b.topic) {
            pass_gaps(&asked.broker, &bus, topic).await?;
        }
        for it in behind {
            if asked.json {
                say_json(&it)?;
                continue;
            }
            let committed = it.committed.map_or("-".to_owned(), |it| it.to_string());
            let numbers = [it.partition.to_string(), committed, it.end.to_string(), it.lag.to_string()];
            rows.push([it.group, it.topic].into_iter().chain(numbers).collect());
        }
    }
    if !asked.json {
        table(&rows);
    }
    Ok(())
}

/// All partitions of the topics that `group` has committed an offset in: those are the ones that it reads.
fn behind(group: &str, progress: Vec<Progress>) -> impl Iterator<Item = Behind> {
    let reads = |it: &Progress| it.committed.map(|_| it.topic.clone());
    let topics: HashSet<String> = progress.iter().filter_map(reads).collect();
    progress.into_iter().filter(move |it| topics.contains(&it.topic)).map(move |it| Behind {
        group: group.to_owned(),
        topic: it.topic,
        partition: it.partition,
        committed: it.committed,
        end: it.end,
        lag: (it.end - it.committed.unwrap_or(0).max(it.low)).max(0),
    })
}

/// What no reader is given, such as the markers of transactions, is nothing to be behind with.
async fn pass_gaps(broker: &Broker, bus: &Bus, topic: &mut [Behind]) -> anyhow::Result<()> {
    let late = topic.iter().filter(|it| it.lag > 0);
    let from: BTreeMap<i32, i64> = late.map(|it| (it.partition, it.end - it.lag)).collect();
    let Some(name) = topic.first().map(|it| it.topic.clone()).filter(|_| !from.is_empty()) else {
        return Ok(());
    };
    let past = broker.ask(async || bus.past_gaps(&name, from.clone()).await).await?;
    for it in topic {
        it.lag = past.get(&it.partition).map_or(it.lag, |past| (it.end - past).max(0));
    }
    Ok(())
}

impl Broker {
    fn bus(&self) -> anyhow::Result<Bus> {
        Ok(Bus::kafka(&self.bootstrap_servers)?)
    }

    /// Asks until there is an answer: a broker that starts, or a topic that is new, has none for a while.
    async fn ask<T>(&self, ask: impl AsyncFn() -> Result<T, Error>) -> anyhow::Result<T> {
        let deadline = Instant::now() + Duration::from_secs(self.timeout);
        let mut said = false;
        loop {
            match timeout_at(deadline, ask()).await {
                Ok(Err(Error::Unavailable(_))) if Instant::now() < deadline => {
                    if !std::mem::replace(&mut said, true) {
                        eprintln!("waiting for Kafka at {}", self.bootstrap_servers);
                    }
                    sleep(PAUSE).await;
                }
                Ok(Err(Error::Unavailable(_))) | Err(_) => {
                    let (at, limit) = (&self.bootstrap_servers, self.timeout);
                    let text = format!("no broker answers at {at} within {limit} s");
                    return Err(Unreachable { text, perhaps_done: true }.into());
                }
                Ok(answer) => return Ok(answer?),
            }
        }
    }
}
