#[cfg(test)]
mod tests;

use std::{
    borrow::Cow,
    collections::HashMap,
    convert::Infallible,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use futures::{Stream, StreamExt};
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{Consumer as _, StreamConsumer},
    error::KafkaError,
    message::{BorrowedMessage, Headers as _},
};
use tokio::time::{Instant, sleep_until};

use super::{generations::Generations, statistics};
use crate::{
    Error,
    cloud_event::UNREADABLE_HEADERS,
    consumer::{BATCH_BYTES, bytes_of, last_of_each_partition},
    record::{Header, Received},
};

/// A member of a classic consumer group. (With the bundled librdkafka a member under the KIP-848 protocol
/// hangs when it is closed.)
pub struct KafkaConsumer {
    inner: StreamConsumer<Generations>,
    topics: HashMap<String, Arc<str>>,
    /// What was taken from the client and not handed out yet: a cancelled poll loses nothing.
    gathered: Vec<Received>,
    /// Nothing is fetched while the caller is at work for long.
    paused: bool,
    /// [`STUCK`]; the tests have less time.
    stuck: Duration,
}

/// For how long a closing member waits for its last commit of offsets and its leave.
const LEAVE: Duration = Duration::from_secs(3);
/// A client that is no settled member of its group for so long has got stuck, whatever the reason: longer than a
/// rebalance takes, in which the broker waits for members that are gone.
const STUCK: Duration = Duration::from_secs(45);

impl KafkaConsumer {
    pub(super) fn new(
        mut config: ClientConfig,
        group: &str,
        topics: &[String],
        instance: Option<&str>,
    ) -> Result<Self, Error> {
        fetching(&mut config, group)
            .set("enable.auto.commit", "true")
            .set("auto.commit.interval.ms", "1000")
            // The caller stores an offset after its transaction; the client only commits what is stored.
            .set("enable.auto.offset.store", "false")
            // Eager, and the same partitions of all topics to one member: what concerns an order meets in
            // one batch. All partitions are given back in a rebalance, so that none keeps a position past
            // records whose offsets were not stored.
            .set("partition.assignment.strategy", "range")
            // How long a killed member's partitions stand still. The library's default is 45 s.
            .set("session.timeout.ms", "8000")
            .set("heartbeat.interval.ms", "1500")
            .set("max.poll.interval.ms", "120000");
        if let Some(instance) = instance {
            config.set("group.instance.id", instance);
        }
        let inner: StreamConsumer<_> = config.create_with_context(Generations::default())?;
        let names: Vec<&str> = topics.iter().map(String::as_str).collect();
        inner.subscribe(&names)?;
        Ok(Self { inner, topics: HashMap::new(), gathered: Vec::new(), paused: false, stuck: STUCK })
    }

    /// One that is given its partitions: it joins no group and commits nothing.
    pub(super) fn reader(mut config: ClientConfig, from: &[(&str, i32, i64)]) -> Result<Self, Error> {
        // The client assigns nothing without the name of a group, also where there is none to join.
        fetching(&mut config, "waybill-reader").set("enable.auto.commit", "false");
        let inner: StreamConsumer<_> = config.create_with_context(Generations::default())?;
        let mut partitions = TopicPartitionList::new();
        for (topic, partition, offset) in from {
            partitions.add_partition_offset(topic, *partition, Offset::Offset(*offset))?;
        }
        inner.assign(&partitions)?;
        inner.context().assigned.store(true, Ordering::Relaxed);
        // It is no member of any group, and need not become one.
        let stuck = Duration::MAX;
        Ok(Self { inner, topics: HashMap::new(), gathered: Vec::new(), paused: false, stuck })
    }

    pub(crate) async fn poll(&mut self, max: usize, gather: Duration) -> Result<Vec<Received>, Error> {
        let ripe = Instant::now() + gather;
        self.check()?;
        self.resume();
        let Self { inner, topics, gathered, .. } = self;
        // What was gathered before a rebalance is somebody's to read again, maybe ours.
        let current = inner.context().current();
        gathered.retain(|it| it.generation == current);
        let mut stream = inner.stream();
        let mut bytes: usize = gathered.iter().map(bytes_of).sum();
        let woken = Arc::new(Woken::default());
        while gathered.len() < max && bytes <= BATCH_BYTES {
            let next = match look(&mut stream, &woken) {
                Some(next) => next,
                None if gathered.is_empty() => stream.next().await,
                // Slept through: to be woken for each record that comes would cost more than is saved.
                None if Instant::now() < ripe => {
                    sleep_until(ripe).await;
                    continue;
                }
                None => break,
            };
            match next {
                Some(Ok(message)) => {
                    let record = receive(&message, topics, inner.context().current());
                    bytes += bytes_of(&record);
                    gathered.push(record);
                }
                Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => return Err(error.into()),
                Some(Err(_)) if !gathered.is_empty() => break,
                Some(Err(error)) => reported(&error).await,
                None => return Err(Error::Fatal("the consumer's stream has ended".into())),
            }
        }
        Ok(std::mem::take(gathered))
    }

    /// Whether the client is still of use.
    fn check(&self) -> Result<(), Error> {
        let context = self.inner.context();
        if context.brokers.are_lost() {
            return Err(Error::Fatal(statistics::LOST.into()));
        }
        match context.unsettled_for(self.stuck) {
            Some(state) => {
                Err(Error::Fatal(format!("the client is no settled member of its group: {state}")))
            }
            None => Ok(()),
        }
    }

    /// Rebalances are carried out by the member's own polling, and the whole group waits for it. So while a
    /// batch takes long the client is polled on, with its partitions paused: hardly a record is taken.
    pub(crate) async fn tend(&mut self) -> Result<Infallible, Error> {
        loop {
            self.pause();
            let current = self.inner.context().current();
            self.gathered.retain(|it| it.generation == current);
            match self.inner.stream().next().await {
                Some(Ok(message)) => {
                    let current = self.inner.context().current();
                    self.gathered.push(receive(&message, &mut self.topics, current));
                }
                Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => return Err(error.into()),
                Some(Err(error)) => reported(&error).await,
                None => return Err(Error::Fatal("the consumer's stream has ended".into())),
            }
        }
    }

    /// Partitions that are assigned meanwhile are not paused, until a record of theirs arrives.
    fn pause(&mut self) {
        self.paused = true;
        let paused = self.inner.assignment().and_then(|it| self.inner.pause(&it));
        if let Err(error) = paused {
            tracing::debug!(%error, "the partitions were not paused");
        }
    }

    /// Partitions that are on their way to this member are resumed when they arrive.
    fn resume(&mut self) {
        if !std::mem::take(&mut self.paused) {
            return;
        }
        let resumed = self.inner.assignment().and_then(|it| self.inner.resume(&it));
        if let Err(error) = resumed {
            tracing::warn!(%error, "the partitions were not resumed");
        }
    }

    pub(crate) fn store(&self, records: &[Received]) {
        let current = self.inner.context().current();
        for record in last_of_each_partition(records) {
            if record.generation != current {
                continue;
            }
            // Refused when the partition was just taken away: its new owner reads the records again.
            if let Err(error) = self.inner.store_offset(&record.topic, record.partition, record.offset) {
                tracing::debug!(%error, topic = %record.topic, record.partition, "the offset was not stored");
            }
        }
    }

    pub(crate) fn is_assigned(&self) -> bool {
        self.inner.context().assigned.load(Ordering::Relaxed)
    }

    pub(crate) async fn close(self) {
        // Leaving the group waits for the broker, which may be away for long (for ever, if the client has lost its
        // brokers before its last commit): then the group finds out itself.
        let leaving = tokio::task::spawn_blocking(move || drop(self.inner));
        let _ = tokio::time::timeout(LEAVE, leaving).await;
    }
}

/// What is there. The client's statistics overtake its records, and its stream is pending after each with its waker
/// woken: that is not the end of what is there.
fn look<S: Stream + Unpin>(stream: &mut S, woken: &Arc<Woken>) -> Option<Option<S::Item>> {
    let waker = Waker::from(woken.clone());
    woken.0.store(true, Ordering::Release);
    while woken.0.swap(false, Ordering::AcqRel) {
        if let Poll::Ready(next) = Pin::new(&mut *stream).poll_next(&mut Context::from_waker(&waker)) {
            return Some(next);
        }
    }
    None
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

fn fetching<'c>(config: &'c mut ClientConfig, group: &str) -> &'c mut ClientConfig {
    config
        .set("group.id", group)
        .set("auto.offset.reset", "earliest")
        // Bounds of what is fetched ahead, and a short pause instead of a second when they are met.
        .set("queued.max.messages.kbytes", "16384")
        .set("queued.min.messages", "5000")
        // One answer of the broker may go over that, by its own size.
        .set("fetch.max.bytes", "8388608")
        .set("fetch.queue.backoff.ms", "5")
        .set("fetch.error.backoff.ms", "100")
        .set("fetch.wait.max.ms", "500")
        .set("statistics.interval.ms", statistics::EVERY)
}

/// An error that the client reports over and over while a broker is away, more than ten times a second, at a pace of
/// its own. All are taken at once: they queue up before the next assignment, which would wait for each of them.
async fn reported(error: &KafkaError) {
    tracing::debug!(%error, "the consumer waits");
    tokio::task::yield_now().await;
}

fn receive(
    message: &BorrowedMessage<'_>,
    topics: &mut HashMap<String, Arc<str>>,
    generation: u64,
) -> Received {
    let topic = match topics.get(message.topic()) {
        Some(topic) => topic.clone(),
        None => topics.entry(message.topic().to_owned()).or_insert_with(|| message.topic().into()).clone(),
    };
    Received {
        topic,
        partition: message.partition(),
        offset: message.offset(),
        key: message.key().map(<[u8]>::to_vec),
        headers: headers(message),
        payload: message.payload().map(<[u8]>::to_vec),
        generation,
    }
}

/// The client library panics on a header whose name is not UTF-8. Such a record is for the dead letters,
/// not for the end of the process.
fn headers(message: &BorrowedMessage<'_>) -> Vec<Header<'static>> {
    let Some(headers) = message.headers() else { return Vec::new() };
    let take = || {
        let own = |it: rdkafka::message::Header<'_, &[u8]>| {
            (known(it.key), it.value.map(|value| Cow::Owned(value.to_vec())))
        };
        headers.iter().map(own).collect()
    };
    catch_unwind(AssertUnwindSafe(take)).unwrap_or_else(|_| vec![(UNREADABLE_HEADERS.into(), None)])
}

/// The names that nearly all headers have are not allocated anew for each record.
fn known(name: &str) -> Cow<'static, str> {
    const KNOWN: [&str; 14] = [
        "ce_specversion",
        "ce_id",
        "ce_source",
        "ce_type",
        "ce_subject",
        "ce_time",
        "ce_dataschema",
        "ce_sequence",
        "ce_correlationid",
        "ce_causationid",
        "ce_actor",
        "content-type",
        "traceparent",
        "tracestate",
    ];
    match KNOWN.iter().find(|it| **it == name) {
        Some(it) => Cow::Borrowed(it),
        None => Cow::Owned(name.to_owned()),
    }
}
