//! `waybill topics`: the log's topics, and how far their readers have come.

use std::{collections::BTreeMap, time::Duration};

use bus::{Bus, Error};
use clap::{Args, Subcommand};
use serde::Serialize;
use tokio::time::{Instant, sleep};

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

pub(crate) async fn run(topics: Topics) -> anyhow::Result<()> {
    match topics {
        Topics::Create(broker) => create(&broker).await,
        Topics::List(asked) => list(&asked).await,
        Topics::Lag(asked) => lag(&asked).await,
    }
}

async fn create(broker: &Broker) -> anyhow::Result<()> {
    let bus = broker.connect().await?;
    let plan = bus::topics::plan(&broker.topic_prefix, &SERVICES);
    let created = bus.create_topics(&plan).await.map_err(unanswered)?;
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
    let bus = asked.broker.connect().await?;
    let mut rows = vec![["TOPIC", "PARTITIONS", "RECORDS", "OFFSETS"].map(String::from).to_vec()];
    for topic in bus.topics(&format!("{}.", asked.broker.topic_prefix)).await.map_err(unanswered)? {
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
    let (bus, prefix) = (asked.broker.connect().await?, &asked.broker.topic_prefix);
    let names: Vec<String> = bus::topics::plan(prefix, &SERVICES).into_iter().map(|it| it.name).collect();
    let missing = bus.missing_topics(&names, Duration::from_secs(10)).await.map_err(unanswered)?;
    let names: Vec<String> = names.into_iter().filter(|it| !missing.contains(it)).collect();
    let mut rows =
        vec![["GROUP", "TOPIC", "PARTITION", "COMMITTED", "END", "LAG"].map(String::from).to_vec()];
    for service in SERVICES {
        for it in behind(&bus, &format!("{prefix}.{service}"), &names).await? {
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
async fn behind(bus: &Bus, group: &str, topics: &[String]) -> anyhow::Result<Vec<Behind>> {
    let progress = bus.progress(group, topics).await.map_err(unanswered)?;
    let read = |topic: &str| progress.iter().any(|it| it.topic == topic && it.committed.is_some());
    let behind = progress.iter().filter(|it| read(&it.topic)).map(|it| Behind {
        group: group.to_owned(),
        topic: it.topic.clone(),
        partition: it.partition,
        committed: it.committed,
        end: it.end,
        lag: it.end - it.committed.unwrap_or(0),
    });
    Ok(behind.collect())
}

impl Broker {
    /// Waits until a broker answers.
    async fn connect(&self) -> anyhow::Result<Bus> {
        let bus = Bus::kafka(&self.bootstrap_servers)?;
        let deadline = Instant::now() + Duration::from_secs(self.timeout);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let patience = left.clamp(Duration::from_millis(500), Duration::from_secs(5));
            let Err(error) = bus.missing_topics(&[], patience).await else { return Ok(bus) };
            if Instant::now() >= deadline {
                let (at, limit) = (&self.bootstrap_servers, self.timeout);
                let text = format!("no broker answers at {at} within {limit} s: {error}");
                return Err(Unreachable { text, perhaps_done: false }.into());
            }
            sleep(Duration::from_millis(200)).await;
        }
    }
}

fn unanswered(error: Error) -> anyhow::Error {
    match error {
        Error::Unavailable(_) => Unreachable { text: error.to_string(), perhaps_done: true }.into(),
        other => other.into(),
    }
}
