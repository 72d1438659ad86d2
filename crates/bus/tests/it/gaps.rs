//! Offsets that no consumer is given a record at: a foreign producer writes in transactions.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig,
    producer::{BaseProducer, BaseRecord, Producer as _},
};

use crate::log::{Log, PARTITIONS, SOON, read};

/// Writes to partition 0 of a log, one transaction after the other.
struct Foreigner<'l> {
    log: &'l Log,
    producer: BaseProducer,
}

impl<'l> Foreigner<'l> {
    fn of(log: &'l Log) -> Self {
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", testkit::bootstrap_servers())
            .set("transactional.id", &log.group)
            .create()
            .unwrap();
        producer.init_transactions(SOON).unwrap();
        Self { log, producer }
    }

    fn begin(&self) {
        self.producer.begin_transaction().unwrap();
        let record = BaseRecord::to(&self.log.topic).partition(0).key("key").payload("7");
        self.producer.send::<str, str>(record).map_err(|(error, _)| error).unwrap();
        self.producer.flush(SOON).unwrap();
    }

    fn commit(&self) {
        self.producer.commit_transaction(SOON).unwrap();
    }

    fn abort(&self) {
        self.producer.abort_transaction(SOON).unwrap();
    }
}

async fn past_gaps(log: &Log, from: &[(i32, i64)]) -> BTreeMap<i32, i64> {
    log.bus.past_gaps(&log.topic, from.iter().copied().collect()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_that_has_been_given_all_that_there_is_has_nothing_but_a_gap_before_it() {
    let log = Log::kafka().await;
    let foreigner = Foreigner::of(&log);
    // A record and a marker each.
    foreigner.begin();
    foreigner.commit();
    let mut member = log.member();
    let records = read(&mut member, 1).await;
    member.store(&records);
    log.committed(1).await;
    let marker = (log.progress().await, past_gaps(&log, &[(0, 1)]).await);
    foreigner.begin();
    foreigner.abort();
    let aborted = (log.progress().await, past_gaps(&log, &[(0, 1)]).await);
    foreigner.begin();
    foreigner.commit();
    let committed = (log.progress().await, past_gaps(&log, &[(0, 1)]).await);
    let next = read(&mut member, 1).await;

    assert_eq!(marker, ((1, 2), [(0, 2)].into()));
    assert_eq!(aborted, ((1, 4), [(0, 4)].into()));
    assert_eq!(committed, ((1, 6), [(0, 4)].into()));
    assert_eq!(next[0].offset, 4, "where the gap ends");
    member.close().await;
    log.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_open_transaction_keeps_back_is_no_gap() {
    let log = Log::kafka().await;
    let foreigner = Foreigner::of(&log);
    foreigner.begin();
    foreigner.abort();
    foreigner.begin();
    let open = past_gaps(&log, &[(0, 0), (1, 0)]).await;
    let end = log.bus.topics(&log.topic).await.unwrap()[0].partitions[0].high;
    let progress = log.progress().await;
    foreigner.commit();
    let committed = past_gaps(&log, &[(0, 0), (1, 0)]).await;
    let behind_it = past_gaps(&log, &[(0, 3)]).await;

    assert_eq!((open, end, progress), ([(0, 2)].into(), 3, (0, 3)));
    assert_eq!(committed, [(0, 2)].into());
    assert_eq!(behind_it, [(0, 4)].into());
    log.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_records_follow_each_other_is_no_gap() {
    let log = Log::kafka().await;
    log.fill(2_000, 40).await;

    let from: Vec<_> = (0..PARTITIONS).map(|it| (it, 0)).collect();
    let begun = Instant::now();
    let past = past_gaps(&log, &from).await;

    assert_eq!(past, BTreeMap::new());
    assert!(begun.elapsed() < Duration::from_secs(2), "each has told its first record");
    log.close().await;
}
