use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication},
    client::DefaultClientContext,
    config::FromClientConfig,
    consumer::{BaseConsumer, Consumer as _},
    error::KafkaError,
    metadata::MetadataTopic,
    types::RDKafkaErrorCode,
};

use super::{KafkaBus, config};
use crate::{Error, Progress, TopicInfo, TopicSpec, topics::PartitionInfo};

const TIMEOUT: Duration = Duration::from_secs(10);
/// Brokers follow the controller within milliseconds, unless the machine is busy.
const AGAIN: Duration = Duration::from_millis(10);
/// A client that has not answered for so long is replaced.
const SILENT: Duration = Duration::from_secs(10);
/// For how long it is looked whether a record comes: where that is not known by then, one may.
const LOOK: Duration = Duration::from_secs(2);

type Client = AdminClient<DefaultClientContext>;

/// The client of admin and metadata requests. What it says of itself is not heard, so that whether it has lost its
/// brokers (see [`Brokers`](super::statistics::Brokers)) is not told from an outage: a new one is of use in both.
pub(super) struct Admin {
    config: ClientConfig,
    current: Mutex<Current>,
}

struct Current {
    client: Arc<Client>,
    silent_since: Option<Instant>,
}

impl Admin {
    pub(super) fn new(config: ClientConfig) -> Result<Self, KafkaError> {
        let client = Arc::new(Client::from_config(&config)?);
        Ok(Self { config, current: Mutex::new(Current { client, silent_since: None }) })
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn client(&self) -> Arc<Client> {
        self.current().client.clone()
    }

    /// Blocks its thread, and so does dropping a client.
    fn ask<T>(&self, ask: impl FnOnce(&Client) -> Result<T, KafkaError>) -> Result<T, KafkaError> {
        let client = self.client();
        let asked = ask(&client);
        if self.is_silent(asked.is_ok()) {
            let next = Current { client: Arc::new(Client::from_config(&self.config)?), silent_since: None };
            // Dropped when the lock is free again.
            let _last = std::mem::replace(&mut *self.current(), next);
        }
        asked
    }

    fn is_silent(&self, answers: bool) -> bool {
        let mut current = self.current();
        if answers {
            current.silent_since = None;
            return false;
        }
        current.silent_since.get_or_insert_with(Instant::now).elapsed() > SILENT
    }
}

impl KafkaBus {
    pub(crate) async fn create_topics(&self, topics: &[TopicSpec]) -> Result<Vec<String>, Error> {
        let new: Vec<NewTopic<'_>> = topics.iter().map(new_topic).collect();
        let mut created = Vec::new();
        for result in self.admin.client().create_topics(&new, &options()).await? {
            match result {
                Ok(name) => created.push(name),
                Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((name, code)) => return Err(Error::Refused(format!("topic {name}: {code}"))),
            }
        }
        self.known(topics.iter().map(|it| it.name.clone()).collect()).await?;
        Ok(created)
    }

    /// Waits until the brokers know the topics: the controller answers before they have heard of them, and what is
    /// sent to a topic that they do not know may be refused.
    async fn known(&self, mut names: Vec<String>) -> Result<(), Error> {
        let begun = Instant::now();
        loop {
            names = self.missing_topics(&names, TIMEOUT).await?;
            match names.first() {
                None => return Ok(()),
                Some(name) if begun.elapsed() > TIMEOUT => {
                    return Err(Error::Unavailable(format!(
                        "topic {name} is created, and unknown to the brokers"
                    )));
                }
                Some(_) => tokio::time::sleep(AGAIN).await,
            }
        }
    }

    pub(crate) async fn delete_topics(&self, names: &[&str]) -> Result<(), Error> {
        for result in self.admin.client().delete_topics(names, &options()).await? {
            match result {
                Ok(_) | Err((_, RDKafkaErrorCode::UnknownTopicOrPartition)) => {}
                Err((name, code)) => return Err(Error::Refused(format!("topic {name}: {code}"))),
            }
        }
        Ok(())
    }

    pub(crate) async fn topics(&self, prefix: &str) -> Result<Vec<TopicInfo>, Error> {
        let (prefix, config) = (prefix.to_owned(), uncommitted(&self.bootstrap_servers));
        blocking(move || {
            let client: BaseConsumer = config.create()?;
            let metadata = client.fetch_metadata(None, TIMEOUT)?;
            let named = metadata.topics().iter().filter(|it| it.name().starts_with(&prefix));
            let mut topics = named.map(|it| info(&client, it)).collect::<Result<Vec<_>, _>>()?;
            topics.sort_by(|a, b| a.name.cmp(&b.name));
            Ok(topics)
        })
        .await
    }

    pub(crate) async fn progress(&self, group: &str, topics: &[String]) -> Result<Vec<Progress>, Error> {
        let mut topics = topics.to_vec();
        topics.sort();
        let mut config = uncommitted(&self.bootstrap_servers);
        config.set("group.id", group);
        blocking(move || {
            // Asks as a member would, and never becomes one.
            let client: BaseConsumer = config.create()?;
            let mut infos = Vec::new();
            for topic in &topics {
                infos.extend(
                    client.fetch_metadata(Some(topic), TIMEOUT)?.topics().iter().map(|it| info(&client, it)),
                );
            }
            let infos = infos.into_iter().collect::<Result<Vec<_>, Error>>()?;
            let mut asked = TopicPartitionList::new();
            for (topic, partition) in partitions(&infos) {
                asked.add_partition(&topic.name, partition.id);
            }
            let committed = client.committed_offsets(asked, TIMEOUT)?;
            let progress = |(topic, partition): (&TopicInfo, &PartitionInfo)| Progress {
                topic: topic.name.clone(),
                partition: partition.id,
                committed: match committed.find_partition(&topic.name, partition.id).map(|it| it.offset()) {
                    Some(Offset::Offset(offset)) => Some(offset),
                    _ => None,
                },
                low: partition.low,
                end: partition.high,
            };
            Ok(partitions(&infos).map(progress).collect())
        })
        .await
    }

    pub(crate) async fn past_gaps(
        &self,
        topic: &str,
        from: BTreeMap<i32, i64>,
    ) -> Result<BTreeMap<i32, i64>, Error> {
        let (topic, config) = (topic.to_owned(), config(&self.bootstrap_servers));
        blocking(move || past_gaps(&config, &topic, from)).await
    }

    pub(crate) async fn configure_topic(&self, name: &str, config: &[(&str, &str)]) -> Result<(), Error> {
        let all = AlterConfig {
            specifier: ResourceSpecifier::Topic(name),
            entries: config.iter().copied().collect(),
        };
        for result in self.admin.client().alter_configs([&all], &options()).await? {
            result.map_err(|(_, code)| Error::Refused(format!("topic {name}: {code}")))?;
        }
        Ok(())
    }

    pub(crate) async fn expire(&self, topic: &TopicInfo) -> Result<(), Error> {
        let mut ends = TopicPartitionList::new();
        for it in &topic.partitions {
            ends.add_partition_offset(&topic.name, it.id, Offset::Offset(it.high))?;
        }
        let done = self.admin.client().delete_records(&ends, &options()).await?;
        done.elements().iter().try_for_each(|it| Ok(it.error()?))
    }

    pub(crate) async fn members(&self, group: &str) -> Result<usize, Error> {
        let (group, admin) = (group.to_owned(), self.admin.clone());
        blocking(move || {
            let list = admin.ask(|it| it.inner().fetch_group_list(Some(&group), TIMEOUT))?;
            Ok(list.groups().iter().map(|it| it.members().len()).sum())
        })
        .await
    }

    pub(crate) async fn rewind(&self, group: &str) -> Result<(), Error> {
        for result in self.admin.client().delete_groups(&[group], &options()).await? {
            match result {
                Ok(_) | Err((_, RDKafkaErrorCode::GroupIdNotFound)) => {}
                Err((name, code)) => return Err(Error::Refused(format!("group {name}: {code}"))),
            }
        }
        Ok(())
    }

    pub(crate) async fn missing_topics(
        &self,
        names: &[String],
        timeout: Duration,
    ) -> Result<Vec<String>, Error> {
        let (mut names, admin) = (names.to_vec(), self.admin.clone());
        blocking(move || {
            let metadata = admin.ask(|it| it.inner().fetch_metadata(None, timeout))?;
            names
                .retain(|name| !metadata.topics().iter().any(|it| it.name() == name && it.error().is_none()));
            Ok(names)
        })
        .await
    }
}

/// Of those who ask for the ends of partitions: what an open transaction keeps back is there too, and is still to be
/// read.
fn uncommitted(bootstrap_servers: &str) -> ClientConfig {
    let mut config = config(bootstrap_servers);
    config.set("isolation.level", "read_uncommitted");
    config
}

/// Reads until each partition has given a record, or has come to its end.
fn past_gaps(
    config: &ClientConfig,
    topic: &str,
    from: BTreeMap<i32, i64>,
) -> Result<BTreeMap<i32, i64>, Error> {
    let client: BaseConsumer = config
        .clone()
        // The client assigns nothing without the name of a group; nothing is committed for it.
        .set("group.id", "waybill-reader")
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .set("enable.partition.eof", "true")
        // A record of each is enough, and an end is to be told at once.
        .set("max.partition.fetch.bytes", "65536")
        .set("fetch.wait.max.ms", "10")
        .create()?;
    let (mut open, mut partitions) = (BTreeMap::new(), TopicPartitionList::new());
    for (partition, offset) in &from {
        // Up to where a consumer is given records now. It is asked for first: the end that is come to lies there, or
        // later.
        let (_, stable) = client.fetch_watermarks(topic, *partition, TIMEOUT)?;
        open.insert(*partition, stable);
        partitions.add_partition_offset(topic, *partition, Offset::Offset(*offset))?;
    }
    client.assign(&partitions)?;
    let (begun, mut past) = (Instant::now(), BTreeMap::new());
    while !open.is_empty() && begun.elapsed() < LOOK {
        match client.poll(LOOK.saturating_sub(begun.elapsed())) {
            Some(Ok(record)) => {
                if open.remove(&record.partition()).is_some() {
                    past.insert(record.partition(), record.offset());
                }
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                past.extend(open.remove(&partition).map(|stable| (partition, stable)));
            }
            // Passes by itself, or the time does.
            Some(Err(_)) | None => {}
        }
    }
    past.retain(|partition, offset| from.get(partition).is_some_and(|from| from < offset));
    Ok(past)
}

/// What the partitions of a topic hold; one that is not there has none.
fn info(client: &BaseConsumer, topic: &MetadataTopic) -> Result<TopicInfo, Error> {
    let mut partitions = Vec::new();
    for partition in topic.partitions() {
        let (low, high) = client.fetch_watermarks(topic.name(), partition.id(), TIMEOUT)?;
        partitions.push(PartitionInfo { id: partition.id(), low, high });
    }
    partitions.sort_by_key(|it| it.id);
    Ok(TopicInfo { name: topic.name().to_owned(), partitions })
}

fn partitions(topics: &[TopicInfo]) -> impl Iterator<Item = (&TopicInfo, &PartitionInfo)> {
    topics.iter().flat_map(|topic| topic.partitions.iter().map(move |it| (topic, it)))
}

fn new_topic(spec: &TopicSpec) -> NewTopic<'_> {
    let topic = NewTopic::new(&spec.name, spec.partitions, TopicReplication::Fixed(spec.replication));
    spec.config.iter().fold(topic, |topic, (key, value)| topic.set(key, value))
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(TIMEOUT)).operation_timeout(Some(TIMEOUT))
}

/// Metadata and watermark requests of librdkafka block their thread.
async fn blocking<T: Send + 'static>(
    ask: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(ask).await.map_err(|error| Error::Unavailable(error.to_string()))?
}
