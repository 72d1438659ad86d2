//! Offsets that no consumer is given a record at: a foreign producer writes in transactions.

use std::collections::BTreeMap;

use rdkafka::{
    ClientConfig,
    producer::{BaseProducer, BaseRecord, Producer as _},
};
use testkit::eventually;

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

/// From these offsets on, these are where the next records are: as soon as the marks are written and the answer is known.
async fn gaps(log: &Log, from: &[(i32, i64)], expected: &[(i32, i64)]) {
    let (from, expected): (BTreeMap<i32, i64>, BTreeMap<i32, i64>) =
        (from.iter().copied().collect(), expected.iter().copied().collect());
    eventually(SOON, "the gaps are known", async || {
        let past = log.bus.past_gaps(&log.topic, from.clone()).await.unwrap();
        if past == expected { Ok(()) } else { Err(format!("{past:?}")) }
    })
    .await;
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
    gaps(&log, &[(0, 1)], &[(0, 2)]).await;
    foreigner.begin();
    foreigner.abort();
    gaps(&log, &[(0, 1)], &[(0, 4)]).await;
    foreigner.begin();
    foreigner.commit();
    let next = read(&mut member, 1).await;

    assert_eq!(next[0].offset, 4, "where the gap ends");
    gaps(&log, &[(0, 1)], &[(0, 4)]).await;
    gaps(&log, &[(0, 5)], &[(0, 6)]).await;
    assert_eq!(log.progress().await, (1, 6));
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
    gaps(&log, &[(0, 0), (1, 0)], &[(0, 2)]).await;
    let topics = log.bus.topics(&log.topic).await.unwrap();
    assert_eq!((topics[0].partitions[0].high, log.progress().await), (3, (0, 3)), "it is there");
    gaps(&log, &[(0, 2)], &[]).await;
    foreigner.commit();
    gaps(&log, &[(0, 3)], &[(0, 4)]).await;
    gaps(&log, &[(0, 0), (1, 0)], &[(0, 2)]).await;
    log.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_records_follow_each_other_is_no_gap() {
    let log = Log::kafka().await;
    log.fill(2_000, 40).await;

    let from: Vec<_> = (0..PARTITIONS).map(|it| (it, 0)).collect();
    gaps(&log, &from, &[]).await;
    log.close().await;
}
