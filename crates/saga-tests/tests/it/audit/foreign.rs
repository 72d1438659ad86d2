//! What others write to a topic does not blind the auditor.

use std::time::Duration;

use audit::Options;
use bus::topics;
use rdkafka::{
    ClientConfig,
    message::{Header, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, Producer as _},
};
use uuid::Uuid;

use super::{Processes, at_least, consumed::place};
use ::load::PLAIN;

const SOON: Duration = Duration::from_secs(10);

/// The last that a partition has is a mark that no consumer is given, nor commits an offset behind it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_transaction_is_read_past() {
    let suite = Processes::start().await;
    PLAIN.stock(&suite.target(), 0).await.expect("stock");
    place(&suite).await;
    at_least(&suite, 1, "order", "order_view where status = 'delivered' and paid").await;
    write_in_transactions(&topics::name(&suite.prefix, "payment"));
    // Shorter than anybody waits for a record.
    let options = Options { patience: Duration::from_secs(10), ..Options::default() };
    let report = audit::audit(&suite.sources(), &options).await.expect("everything can be looked at");
    suite.clear().await;

    assert!(report.is_clean(), "{report:#?}");
    assert_eq!(report.ignored_records, 2, "what was committed: {report:#?}");
}

/// Of an event that nobody here handles.
fn headers() -> OwnedHeaders {
    let id = Uuid::now_v7().to_string();
    [
        ("ce_specversion", "1.0"),
        ("ce_id", &id),
        ("ce_source", "/elsewhere"),
        ("ce_type", "elsewhere.happened.v1"),
    ]
    .into_iter()
    .fold(OwnedHeaders::new(), |all, (key, value)| all.insert(Header { key, value: Some(value) }))
}

/// To each of two partitions a record that is committed, and one that is not.
fn write_in_transactions(topic: &str) {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", testkit::bootstrap_servers())
        .set("transactional.id", topic)
        .create()
        .expect("a producer");
    producer.init_transactions(SOON).expect("a foreign producer");
    for is_kept in [true, false] {
        producer.begin_transaction().expect("a transaction");
        for partition in [0, 1] {
            let record = BaseRecord::to(topic).partition(partition).key("foreign").payload("{}");
            let record = record.headers(headers());
            producer.send::<str, str>(record).map_err(|(error, _)| error).expect("a record");
        }
        producer.flush(SOON).expect("it is written");
        let ended =
            if is_kept { producer.commit_transaction(SOON) } else { producer.abort_transaction(SOON) };
        ended.expect("an end");
    }
}
