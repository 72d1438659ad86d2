//! What both logs promise: the same test bodies for each.

use std::{collections::HashMap, time::Duration};

use bus::{Consumer, Received, Record};
use tokio::time::{Instant, timeout};

use crate::log::{Log, PARTITIONS, SOON, read, sorted, value};

macro_rules! contract {
    ($($(#[$doc:meta])* $promise:ident)*) => {
        mod on_kafka {
            $($(#[$doc])* #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                super::$promise(crate::log::Log::kafka().await).await;
            })*
        }
        mod in_memory {
            $($(#[$doc])* #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                super::$promise(crate::log::Log::memory().await).await;
            })*
        }
    };
}

contract! {
    records_of_a_key_keep_their_order
    a_batch_is_what_is_there_and_at_most_the_maximum
    a_batch_of_large_records_is_bounded_by_their_size
    gathering_waits_for_more_and_not_longer_than_it_may
    only_what_was_stored_is_not_read_again
    a_rewound_group_begins_at_the_first_record
    groups_do_not_share_their_offsets
    members_share_the_partitions_and_one_that_leaves_hands_over
    what_was_read_before_a_rebalance_is_not_stored_after_it
    a_member_at_work_does_not_hold_up_the_group
    a_poll_that_is_given_up_loses_nothing
    a_missing_topic_is_refused
    at_idle_the_committed_offsets_are_the_ends_of_the_log
    bytes_come_out_as_they_went_in
    topics_tell_what_they_hold
    a_reader_reads_from_where_it_is_told_and_is_in_no_group
}

async fn records_of_a_key_keep_their_order(log: Log) {
    log.fill(1_000, 17).await;
    let mut member = log.member();

    let records = read(&mut member, 1_000).await;

    let mut last: HashMap<Vec<u8>, (i32, usize)> = HashMap::new();
    for record in &records {
        let now = (record.partition, value(record));
        if let Some((partition, before)) = last.insert(record.key.clone().unwrap(), now) {
            assert_eq!(partition, now.0, "one key, one partition");
            assert!(before < now.1);
        }
    }
    assert_eq!(last.len(), 17);
    let partitions: std::collections::BTreeSet<i32> = last.values().map(|it| it.0).collect();
    assert!(partitions.len() > 1, "all keys in one partition");
    member.close().await;
    log.close().await;
}

async fn a_batch_is_what_is_there_and_at_most_the_maximum(log: Log) {
    let mut member = log.member();
    log.fill(100, 10).await;

    let first = timeout(SOON, member.poll(30, SOON)).await.unwrap().unwrap();
    assert_eq!(first.len(), 30);
    let rest = read(&mut member, 70).await;
    assert_eq!(sorted(&[first, rest].concat()), (0..100).collect::<Vec<_>>());
    let nothing = timeout(Duration::from_millis(300), member.poll(30, Duration::ZERO)).await;
    assert!(nothing.is_err(), "{nothing:?}");

    member.close().await;
    log.close().await;
}

async fn a_batch_of_large_records_is_bounded_by_their_size(log: Log) {
    const SIZE: usize = 900_000;
    let large =
        |it: usize| Record { payload: Some(vec![b'x'; SIZE].into()), ..log.record(&format!("key-{it}"), it) };
    log.write((0..40).map(large)).await;
    let mut member = log.member();

    let (mut count, mut full) = (0, false);
    while count < 40 {
        // Would wait for more, were it not full. What is no record (a statistic, a rebalance) may end it early.
        let gather = if full { Duration::ZERO } else { SOON / 10 };
        let batch = timeout(SOON, member.poll(1_000, gather)).await.unwrap().unwrap();
        let bytes: usize = batch.iter().map(|it| it.payload.as_ref().unwrap().len()).sum();
        // The record with which 8 MiB are passed is the last.
        assert!(bytes <= (8 << 20) + SIZE, "{bytes} B");
        full |= bytes > 8 << 20;
        count += batch.len();
    }
    assert!(full, "no batch was filled");
    assert_eq!(count, 40);
    member.close().await;
    log.close().await;
}

async fn gathering_waits_for_more_and_not_longer_than_it_may(log: Log) {
    let mut member = log.member();
    log.fill(1, 1).await;
    read(&mut member, 1).await;
    log.fill(1, 1).await;
    let (begun, gather) = (Instant::now(), Duration::from_secs(3));
    // The second one is written while the first is held back for it.
    let (batch, ()) = tokio::join!(member.poll(100, gather), async {
        tokio::task::yield_now().await;
        log.fill(1, 1).await;
    });

    assert_eq!(batch.unwrap().len(), 2);
    assert!(begun.elapsed() >= gather);
    assert!(begun.elapsed() < SOON);

    // Where nothing has come for that long, what comes then is held back no more.
    let begun = Instant::now();
    let (batch, ()) = tokio::join!(member.poll(100, gather), async {
        tokio::time::sleep(gather).await;
        log.fill(1, 1).await;
    });
    assert_eq!(batch.unwrap().len(), 1);
    assert!(begun.elapsed() < 2 * gather);
    member.close().await;
    log.close().await;
}

async fn only_what_was_stored_is_not_read_again(log: Log) {
    log.fill(40, 1).await;
    let mut forgetful = log.member();
    assert_eq!(read(&mut forgetful, 40).await.len(), 40);
    forgetful.close().await;
    assert_eq!(log.progress().await, (0, 40));

    let mut careful = log.member();
    let records = read(&mut careful, 40).await;
    assert_eq!(sorted(&records), (0..40).collect::<Vec<_>>());
    careful.store(&records[..25]);
    careful.close().await;

    let mut last = log.member();
    assert_eq!(sorted(&read(&mut last, 15).await), (25..40).collect::<Vec<_>>());
    last.close().await;
    log.close().await;
}

async fn a_rewound_group_begins_at_the_first_record(log: Log) {
    log.fill(40, 5).await;
    let mut member = log.member();
    let records = read(&mut member, 40).await;
    member.store(&records);
    member.close().await;
    log.committed(40).await;

    log.bus.rewind(&log.group).await.unwrap();

    assert_eq!(log.progress().await, (0, 40));
    let mut member = log.member();
    assert_eq!(sorted(&read(&mut member, 40).await), (0..40).collect::<Vec<_>>());
    member.close().await;
    log.bus.rewind("a-group-that-never-was").await.unwrap();
    log.close().await;
}

async fn groups_do_not_share_their_offsets(log: Log) {
    log.fill(40, 5).await;
    let mut mine = log.member();
    let mut other = log.bus.consumer("others", std::slice::from_ref(&log.topic), None).unwrap();

    let records = read(&mut mine, 40).await;
    mine.store(&records);
    log.committed(40).await;

    assert_eq!(read(&mut other, 40).await.len(), 40);
    mine.close().await;
    other.close().await;
    log.close().await;
}

/// Polls both until each has read something that was written since, and stores all.
async fn both_read(log: &Log, members: [&mut Consumer; 2]) {
    let [a, b] = members;
    let (mut of_a, mut of_b) = (0, 0);
    let begun = Instant::now();
    while of_a == 0 || of_b == 0 {
        assert!(begun.elapsed() < SOON, "{of_a} and {of_b} records");
        log.fill(40, 40).await;
        let short = Duration::from_millis(200);
        let (polled_a, polled_b) =
            tokio::join!(timeout(short, a.poll(100, short / 2)), timeout(short, b.poll(100, short / 2)));
        if let Ok(records) = polled_a {
            let records = records.unwrap();
            of_a += records.len();
            a.store(&records);
        }
        if let Ok(records) = polled_b {
            let records = records.unwrap();
            of_b += records.len();
            b.store(&records);
        }
    }
}

async fn members_share_the_partitions_and_one_that_leaves_hands_over(log: Log) {
    let (mut stays, mut leaves) = (log.member(), log.member());
    both_read(&log, [&mut stays, &mut leaves]).await;
    leaves.close().await;

    // Whatever the other one had not stored is read as well, so that all is committed in the end.
    let end = log.progress().await.1;
    let begun = Instant::now();
    while log.progress().await.0 < end {
        assert!(begun.elapsed() < SOON, "{:?}", log.progress().await);
        if let Ok(records) = timeout(Duration::from_millis(200), stays.poll(100, Duration::ZERO)).await {
            stays.store(&records.unwrap());
        }
    }
    stays.close().await;
    log.close().await;
}

async fn what_was_read_before_a_rebalance_is_not_stored_after_it(log: Log) {
    log.fill(40, 40).await;
    let mut zombie = log.member();
    let old = read(&mut zombie, 40).await;
    let mut heir = log.member();
    let mut again: Vec<Received> = Vec::new();
    let begun = Instant::now();
    // All that was not stored is read again, by whoever has its partition now.
    while again.len() < 40 {
        assert!(begun.elapsed() < SOON, "{} of 40 are read again", again.len());
        let short = Duration::from_millis(200);
        let (a, b) = tokio::join!(
            timeout(short, zombie.poll(100, Duration::ZERO)),
            timeout(short, heir.poll(100, Duration::ZERO)),
        );
        again.extend([a, b].into_iter().flatten().flat_map(Result::unwrap));
    }

    zombie.store(&old);
    zombie.close().await;

    assert_eq!(sorted(&again), (0..40).collect::<Vec<_>>());
    assert_eq!(log.progress().await, (0, 40), "unfinished work was stored");
    heir.close().await;
    log.close().await;
}

async fn a_member_at_work_does_not_hold_up_the_group(log: Log) {
    log.fill(40, 40).await;
    let mut busy = log.member();
    let old = read(&mut busy, 40).await;
    let mut fresh = log.member();

    // It has a share of the partitions while the first is still at work, and long before it is given up.
    let records = tokio::select! {
        never = busy.tend() => panic!("{never:?}"),
        records = read(&mut fresh, 1) => records,
    };

    assert!(old.iter().any(|it| value(it) == value(&records[0])));
    busy.store(&old);
    assert_eq!(log.progress().await.0, 0);
    // And goes on with its own share afterwards, without a gap.
    both_read(&log, [&mut busy, &mut fresh]).await;
    busy.close().await;
    fresh.close().await;
    log.close().await;
}

async fn a_poll_that_is_given_up_loses_nothing(log: Log) {
    let mut member = log.member();
    let mut seen = Vec::new();
    for _ in 0..10 {
        log.fill(20, 20).await;
        // Given up while it gathers.
        let polled = timeout(Duration::from_millis(20), member.poll(10_000, SOON)).await;
        assert!(polled.is_err());
        // Given up while it works: what arrives meanwhile comes later.
        assert!(timeout(Duration::from_millis(5), member.tend()).await.is_err());
    }
    seen.extend(read(&mut member, 200).await);

    let mut positions: Vec<(i32, i64)> = seen.iter().map(|it| (it.partition, it.offset)).collect();
    let in_order = positions.clone();
    positions.sort_unstable();
    positions.dedup();
    assert_eq!(positions.len(), 200);
    for partition in 0..PARTITIONS {
        let offsets = in_order.iter().filter(|it| it.0 == partition).map(|it| it.1);
        assert!(offsets.is_sorted());
    }
    member.close().await;
    log.close().await;
}

async fn a_missing_topic_is_refused(log: Log) {
    let producer = log.bus.producer().unwrap();
    let lost = Record { topic: format!("{}.gone", log.topic).into(), ..log.record("key", 1) };

    let mut delivery = producer.enqueue([lost]);

    let error = timeout(2 * SOON, delivery.acknowledged()).await.unwrap().unwrap_err();
    assert!(error.refused, "{error}");
    let names = [log.topic.clone(), format!("{}.gone", log.topic)];
    assert_eq!(log.bus.missing_topics(&names, SOON).await.unwrap(), names[1..]);
    log.close().await;
}

async fn at_idle_the_committed_offsets_are_the_ends_of_the_log(log: Log) {
    let mut member = log.member();
    for round in 1..=3 {
        log.fill(40, 40).await;
        let records = read(&mut member, 40).await;
        member.store(&records);
        log.committed(40 * round).await;
        assert_eq!(log.progress().await, (40 * round, 40 * round));
    }
    member.close().await;
    assert_eq!(log.progress().await, (120, 120));
    log.close().await;
}

async fn bytes_come_out_as_they_went_in(log: Log) {
    let whole = |key: Option<&'static [u8]>, value: Option<&'static [u8]>| Record {
        topic: log.topic.clone().into(),
        key: key.map(Into::into),
        headers: vec![
            ("text".into(), Some(b"plain".into())),
            ("bytes".into(), Some([0xff, 0x00, 0xfe].as_slice().into())),
            ("empty".into(), Some(b"".into())),
            ("none".into(), None),
            ("text".into(), Some(b"a second one".into())),
            ("n\u{e4}me".into(), Some(b"a name that is no ASCII".into())),
        ],
        payload: value.map(Into::into),
    };
    let cases = [
        whole(Some(b"key"), Some(b"value")),
        whole(Some(b"tombstone"), None),
        whole(Some(b"empty"), Some(b"")),
        whole(None, Some(b"no key")),
        whole(Some(&[0xff, 0x00]), Some(&[0x00, 0xff])),
    ];
    log.write(cases.clone()).await;
    let mut member = log.member();

    let records = read(&mut member, cases.len()).await;

    for case in &cases {
        let same = |it: &&Received| it.key.as_deref() == case.key.as_deref();
        let found = records.iter().find(same).unwrap();
        assert_eq!(found.payload.as_deref(), case.payload.as_deref());
        assert_eq!(found.headers, case.headers);
        assert_eq!(*found.topic, log.topic);
        assert_eq!(found.header("text"), Some(b"plain".as_slice()), "the first of its name");
        assert_eq!((found.header("none"), found.header("absent")), (None, None));
    }
    member.close().await;
    log.close().await;
}

async fn topics_tell_what_they_hold(log: Log) {
    log.fill(40, 40).await;

    let topics = log.bus.topics(&log.topic).await.unwrap();

    assert_eq!(topics.len(), 1);
    assert_eq!(topics[0].name, log.topic);
    assert_eq!(topics[0].partitions.iter().map(|it| it.id).collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert_eq!(topics[0].partitions.iter().map(|it| it.high - it.low).sum::<i64>(), 40);
    log.close().await;
}

async fn a_reader_reads_from_where_it_is_told_and_is_in_no_group(log: Log) {
    log.fill(40, 40).await;
    let info = log.bus.topics(&log.topic).await.unwrap().remove(0);
    let skipped: i64 = info.partitions.iter().map(|it| it.high.min(2)).sum();
    let from: Vec<_> = info.partitions.iter().map(|it| (log.topic.as_str(), it.id, it.high.min(2))).collect();
    let mut member = log.member();
    assert_eq!(read(&mut member, 40).await.len(), 40);

    let mut reader = log.bus.reader(&from).unwrap();
    let records = read(&mut reader, 40 - skipped as usize).await;
    reader.store(&records);
    reader.close().await;

    assert!(skipped > 0 && records.iter().all(|it| it.offset >= 2), "{skipped}");
    assert_eq!(log.progress().await.0, 0, "nobody has stored anything");
    log.fill(1, 1).await;
    assert_eq!(read(&mut member, 1).await.len(), 1, "the member has kept its partitions");
    member.close().await;
    log.close().await;
}
