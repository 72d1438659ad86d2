use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use rdkafka::{
    ClientConfig, ClientContext, Message as _,
    error::KafkaError,
    message::{DeliveryResult, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, NoCustomPartitioner, Producer as _, ProducerContext, PurgeConfig},
    types::RDKafkaErrorCode,
};
use tokio::sync::oneshot;

use super::{
    log_connection_trouble,
    statistics::{self, Brokers, Statistics},
};
use crate::{
    Error,
    producer::{Delivery, DeliveryError},
    record::Record,
};

/// An idempotent producer: acknowledged by all replicas, in order, each record written once per instance.
pub struct KafkaProducer {
    inner: Arc<BaseProducer<Acknowledgements>>,
}

/// How long the thread that takes acknowledgements waits for one before it looks whether the producer is still there.
///
/// The library spends the last millisecond of each such wait in a busy loop. Its own `ThreadedProducer` waits for a tenth
/// of a second, and so takes a hundredth of a core for doing nothing.
const LOOK: Duration = Duration::from_secs(1);

impl KafkaProducer {
    pub(super) fn new(mut config: ClientConfig) -> Result<Self, Error> {
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            // Without a limit: a record that timed out while its successors did not would break the order.
            .set("message.timeout.ms", "0")
            // Longer than a broker takes, much shorter than the library's default.
            .set("request.timeout.ms", "10000")
            // How long a record waits for a topic that is not there, and others behind it.
            .set("topic.metadata.propagation.max.ms", "5000")
            // The relay hands over whole batches; waiting for more would only add to their latency.
            .set("linger.ms", "0")
            .set("statistics.interval.ms", statistics::EVERY)
            .set("queue.buffering.max.messages", "20000")
            .set("queue.buffering.max.kbytes", "65536")
            .set("compression.type", "lz4")
            // The partitioner of Java's producers, so that both agree on where a key lives.
            .set("partitioner", "murmur2_random");
        let inner: Arc<BaseProducer<_>> = Arc::new(config.create_with_context(Acknowledgements::default())?);
        let polled = inner.clone();
        let poll = move || {
            while Arc::strong_count(&polled) > 1 {
                polled.poll(LOOK);
            }
        };
        let thread = thread::Builder::new().name("acknowledgements".into()).spawn(poll);
        thread.map_err(|error| Error::Unavailable(format!("no thread for acknowledgements: {error}")))?;
        Ok(Self { inner })
    }

    pub(crate) fn enqueue<'r>(&self, records: impl IntoIterator<Item = Record<'r>>) -> Delivery {
        let (done, outcome) = oneshot::channel();
        // Begins at one, so that acknowledgements cannot complete a batch that is still being handed over.
        let batch = Arc::new(Batch { open: AtomicUsize::new(1), done: Mutex::new(Some(done)) });
        self.inner.context().expect(&batch);
        let mut taken = 0;
        for record in records {
            batch.open.fetch_add(1, Ordering::Relaxed);
            let Err((error, _)) = self.inner.send(native(&record, &batch)) else {
                taken += 1;
                continue;
            };
            batch.open.fetch_sub(1, Ordering::Relaxed);
            if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                batch.fail(&error);
            }
            break;
        }
        batch.one_done();
        Delivery { taken, outcome }
    }
}

impl Drop for KafkaProducer {
    /// What is in flight is abandoned: its rows are still in the outbox. Without the purge the client would
    /// go on trying to deliver until its thread has seen that it is not wanted any more, and ends it.
    fn drop(&mut self) {
        self.inner.purge(PurgeConfig::default().queue().inflight());
    }
}

fn native<'r>(record: &'r Record<'_>, batch: &Arc<Batch>) -> BaseRecord<'r, [u8], [u8], Arc<Batch>> {
    let headers = OwnedHeaders::new_with_capacity(record.headers.len());
    let headers = record.headers.iter().fold(headers, |headers, (name, value)| {
        headers.insert(rdkafka::message::Header { key: name, value: value.as_deref() })
    });
    let mut native = BaseRecord::with_opaque_to(&record.topic, batch.clone()).headers(headers);
    native.key = record.key.as_deref();
    native.payload = record.payload.as_deref();
    native
}

/// One counter for a batch, in place of one future and its allocations for a record.
struct Batch {
    open: AtomicUsize,
    done: Mutex<Option<oneshot::Sender<Result<(), DeliveryError>>>>,
}

impl Batch {
    fn one_done(&self) {
        if self.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.resolve(Ok(()));
        }
    }

    fn fail(&self, error: &KafkaError) {
        use RDKafkaErrorCode as Code;
        let refused = matches!(
            error.rdkafka_error_code(),
            Some(
                Code::MessageSizeTooLarge
                    | Code::InvalidMessageSize
                    | Code::InvalidMessage
                    | Code::InvalidRecord
                    | Code::UnknownTopic
                    | Code::UnknownTopicOrPartition
                    | Code::UnknownPartition
                    | Code::InvalidTopic
                    | Code::PolicyViolation
            )
        );
        self.resolve(Err(DeliveryError { reason: error.to_string(), refused }));
    }

    fn resolve(&self, outcome: Result<(), DeliveryError>) {
        let done = self.done.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(done) = done {
            let _ = done.send(outcome);
        }
    }
}

fn guessed() -> DeliveryError {
    let reason = "the broker has acknowledged a later record, but not this one".into();
    DeliveryError { reason, refused: false }
}

#[derive(Default)]
struct Acknowledgements {
    /// Batches that may not be acknowledged yet.
    open: Mutex<Vec<Weak<Batch>>>,
    brokers: Brokers,
}

impl Acknowledgements {
    fn open(&self) -> MutexGuard<'_, Vec<Weak<Batch>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn expect(&self, batch: &Arc<Batch>) {
        let mut open = self.open();
        open.retain(|it| it.strong_count() > 0);
        open.push(Arc::downgrade(batch));
    }
}

impl ClientContext for Acknowledgements {
    fn error(&self, error: KafkaError, reason: &str) {
        log_connection_trouble(&error, reason);
    }

    /// A client that has lost its brokers delivers nothing any more, and as its records have no time limit, it would
    /// never say so.
    fn stats_raw(&self, statistics: &[u8]) {
        let Some(read) = Statistics::read(statistics) else { return };
        self.brokers.note(&read);
        if self.brokers.are_lost() {
            let lost = || DeliveryError { reason: statistics::LOST.into(), refused: false };
            let open: Vec<_> = self.open().iter().filter_map(Weak::upgrade).collect();
            open.iter().for_each(|it| it.resolve(Err(lost())));
        }
    }
}

impl ProducerContext<NoCustomPartitioner> for Acknowledgements {
    type DeliveryOpaque = Arc<Batch>;

    /// A record without an offset is one that the library infers to be delivered, as a later request of its partition has
    /// succeeded (`rd_kafka_dr_implicit_ack`): no broker takes a sequence number before it has the one that precedes it. But
    /// one that has nothing of a producer in a partition yet takes any (Kafka's `ProducerAppendInfo.checkSequence`). A broker
    /// that is not quite the leader of a new partition may refuse a first request and take the second: the first is lost.
    fn delivery(&self, result: &DeliveryResult<'_>, batch: Arc<Batch>) {
        match result {
            Ok(record) if record.offset() < 0 => batch.resolve(Err(guessed())),
            Ok(_) => batch.one_done(),
            Err((error, _)) => batch.fail(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::{
        mocking::MockCluster,
        types::{RDKafkaApiKey, RDKafkaRespErr},
    };
    use testkit::eventually;

    use super::*;

    #[tokio::test]
    async fn one_that_is_not_wanted_any_more_ends() {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", "127.0.0.1:1");
        let producer = KafkaProducer::new(config).unwrap();
        let client = Arc::downgrade(&producer.inner);

        drop(producer);

        eventually(10 * LOOK, "the client has ended", async || match client.strong_count() {
            0 => Ok(()),
            _ => Err("it is still there".to_owned()),
        })
        .await;
    }

    /// Of two requests that are under way together the broker refuses the first, with an error that passes, and takes the
    /// second. So do real ones, as long as they have nothing of this producer in the partition; a cluster that is not real
    /// can be made to do so every time.
    #[tokio::test]
    async fn a_record_that_was_passed_over_is_not_acknowledged() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("events", 1, 1).unwrap();
        cluster.broker_round_trip_time(1, Duration::from_millis(300)).unwrap();
        let not_leader = RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION;
        cluster.request_errors(RDKafkaApiKey::Produce, &[not_leader]);
        let mut config = super::super::config(&cluster.bootstrap_servers());
        // A request for each record.
        config.set("batch.num.messages", "1");
        let producer = KafkaProducer::new(config).unwrap();
        let record = |key: &'static str| Record {
            topic: "events".into(),
            key: Some(key.as_bytes().into()),
            payload: None,
            headers: Vec::new(),
        };

        let [mut first, mut second] = ["first", "second"].map(|it| producer.enqueue([record(it)]));

        second.acknowledged().await.unwrap();
        assert_eq!(first.acknowledged().await.unwrap_err().reason, guessed().reason);
    }
}
