//! What concerns Kafka alone.

use std::time::Duration;

use tokio::time::timeout;

use crate::log::{Log, PARTITIONS, read, value};

/// Kafka's own test vectors for murmur2 (org.apache.kafka.common.utils.UtilsTest).
const MURMUR2: [(&str, i32); 5] = [
    ("21", -973_932_308),
    ("foobar", -790_332_482),
    ("a-little-bit-long-string", -985_981_536),
    ("a-little-bit-longer-string", -1_486_304_829),
    ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_lives_where_a_java_producer_would_put_it() {
    let log = Log::kafka().await;
    log.write(MURMUR2.map(|(key, _)| log.record(key, 1))).await;
    let mut member = log.member();

    for record in read(&mut member, MURMUR2.len()).await {
        let key = String::from_utf8(record.key.clone().unwrap()).unwrap();
        let hash = MURMUR2.iter().find(|it| it.0 == key).unwrap().1;
        assert_eq!(record.partition, (hash & 0x7fff_ffff) % PARTITIONS, "{key}");
    }
    member.close().await;
    log.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_static_member_that_restarts_moves_no_partition() {
    let log = Log::kafka().await;
    let (mut stays, mut restarts) = (log.named_member(Some("a")), log.named_member(Some("b")));
    // Both have their share once each has read something.
    let (mut of_a, mut of_b) = (Vec::new(), Vec::new());
    let begun = std::time::Instant::now();
    while of_a.is_empty() || of_b.is_empty() {
        assert!(begun.elapsed() < crate::log::SOON, "{} and {} records", of_a.len(), of_b.len());
        log.fill(40, 40).await;
        let short = Duration::from_millis(300);
        let (a, b) = tokio::join!(
            timeout(short, stays.poll(100, short / 2)),
            timeout(short, restarts.poll(100, short / 2)),
        );
        if let (Ok(a), Ok(b)) = (a, b) {
            (of_a, of_b) = (a.unwrap(), b.unwrap());
        }
    }
    restarts.close().await;
    let mut restarts = log.named_member(Some("b"));
    let again = read(&mut restarts, of_b.len()).await;

    // It reads on where it had stored, in its own partitions; and the other one's assignment still stands, as
    // what it read under it can be stored.
    let partition = |it: &bus::Received| it.partition;
    assert!(again.iter().all(|it| of_b.iter().map(partition).any(|of_b| of_b == it.partition)));
    assert!(of_a.iter().all(|it| !again.iter().map(partition).any(|of_b| of_b == it.partition)));
    assert!(
        of_a.iter()
            .all(|it| !again.iter().any(|of_b| value(it) == value(of_b) && it.partition == of_b.partition))
    );
    stays.store(&of_a);
    stays.close().await;
    assert!(log.progress().await.0 > 0);
    restarts.close().await;
    log.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_has_its_share_once_the_group_says_so_even_if_it_is_none() {
    let log = Log::kafka().await;
    let mut members: Vec<_> = (0..=PARTITIONS).map(|_| log.member()).collect();
    assert!(members.iter().all(|it| !it.is_assigned()));

    let begun = std::time::Instant::now();
    while !members.iter().all(bus::Consumer::is_assigned) {
        assert!(begun.elapsed() < crate::log::SOON, "not all have their share");
        for member in &mut members {
            let _ = timeout(Duration::from_millis(100), member.poll(1, Duration::ZERO)).await;
        }
    }
    for member in members {
        member.close().await;
    }
    log.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_that_are_taken_away_while_they_are_paused_are_read_when_they_come_back() {
    let log = Log::kafka().await;
    let (mut works, mut freezes) = (log.member(), log.member());
    let begun = std::time::Instant::now();
    let shared =
        |works: &bus::Consumer, freezes: &bus::Consumer| works.is_assigned() && freezes.is_assigned();
    while !shared(&works, &freezes) {
        assert!(begun.elapsed() < crate::log::SOON, "they do not share");
        let _ = timeout(Duration::from_millis(50), works.poll(1, Duration::ZERO)).await;
        let _ = timeout(Duration::from_millis(50), freezes.poll(1, Duration::ZERO)).await;
    }
    // At work for long while another joins: its partitions are taken away, and for none to come back the group has
    // to wait for a member that does not answer.
    let joins = log.member();
    while works.is_assigned() {
        assert!(begun.elapsed() < crate::log::SOON, "no rebalance");
        let _ = timeout(Duration::from_millis(10), works.tend()).await;
    }
    let _ = timeout(Duration::from_millis(10), works.poll(1, Duration::ZERO)).await;
    assert!(!works.is_assigned(), "the work was over before any came back");
    freezes.close().await;
    joins.close().await;

    log.fill(40, 40).await;
    let records = read(&mut works, 40).await;

    assert_eq!(records.len(), 40);
    works.close().await;
    log.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_is_too_large_is_refused_at_once() {
    let log = Log::kafka().await;
    let producer = log.bus.producer().unwrap();
    let large = log.record("key", "x".repeat(2_000_000));

    let mut delivery = producer.enqueue([log.record("key", 1), large, log.record("key", 2)]);

    assert_eq!(delivery.taken, 1, "what comes behind is not sent before it");
    let error = delivery.acknowledged().await.unwrap_err();
    assert!(error.refused, "{error}");
    drop(producer);
    log.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_not_there_is_unavailable_and_not_an_end() {
    let nowhere = bus::Bus::kafka("127.0.0.1:1").unwrap();

    let asked = nowhere.missing_topics(&["any".to_owned()], Duration::from_millis(300)).await;

    assert!(matches!(asked, Err(bus::Error::Unavailable(_))), "{asked:?}");
    let mut member = nowhere.consumer("any", &["any".to_owned()], None).unwrap();
    let polled = timeout(Duration::from_millis(500), member.poll(1, Duration::ZERO)).await;
    assert!(polled.is_err(), "an outage is waited out: {polled:?}");
    member.close().await;
}
