//! Poison: found among its neighbours, parked with all that comes behind it, and told to the dead topic.

use std::collections::BTreeSet;

use bus::{Record, topics};
use expect_test::expect;
use uuid::Uuid;

use crate::{
    account::{ORDERED_TYPE, Order, Twist},
    laws,
    rig::{Letter, Rig, book, event, twisted},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_kind_of_poison_is_found_among_its_neighbours() {
    let rig = Rig::new().await;
    let poison = [
        twisted("overdraw", -1, Twist::Overdraw),
        twisted("impossible", 1, Twist::Impossible),
        twisted("panic-in-decide", 1, Twist::PanicInDecide),
        twisted("panic-in-evolve", 1, Twist::PanicInEvolve),
        twisted("oversized", 1, Twist::Oversized),
    ];
    let mut orders: Vec<Order> = (0..250).map(|it| book(format!("a-{}", it % 10), 1)).collect();
    for (index, poison) in poison.iter().enumerate() {
        orders.insert(index * 50 + 7, poison.clone());
    }
    // On the topic before the engine is there: it meets them in one batch.
    let sent = rig.send(&orders).await;
    let engine = rig.start();

    rig.journal_of(250).await;
    rig.drained().await;

    let letters = rig.letters().await;
    // Postgres adds where in its source it was.
    let said = |it: &Letter| it.error.split(" at line").next().unwrap().replace('\n', "");
    let mut found: Vec<String> =
        letters.iter().map(|it| format!("{}: {}, {}: {}\n", it.key, it.status, it.cause, said(it))).collect();
    found.sort();
    expect![[r#"
        impossible: poison, impossible: this can never be
        overdraw: poison, refused-by-database: error returned from database: new row for relation "account" violates check constraint "account_covered"
        oversized: poison, oversized: waybill.account.changed.v1 of 1000000 B is over 900000 B
        panic-in-decide: poison, panic: cannot be decided
        panic-in-evolve: poison, panic: assertion `left != right` failed: cannot be applied  left: Broken right: Broken
    "#]].assert_eq(&found.concat());
    let healthy: Vec<Uuid> =
        sent.into_iter().zip(&orders).filter(|(_, it)| it.account.starts_with("a-")).map(|it| it.0).collect();
    laws::hold(&rig, &healthy).await.unwrap();
    engine.stop().await;
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn later_messages_of_the_key_wait_in_order_and_other_keys_flow() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let bad = rig.send(&[book("ill", 1), twisted("ill", 1, Twist::Impossible)]).await;
    rig.letters_of(1).await;
    let behind = rig.send(&(0..20).map(|it| book("ill", it)).collect::<Vec<_>>()).await;
    // All partitions are filled, the one of the parked key among them.
    let others = rig.send(&(0..60).map(|it| book(format!("well-{it}"), 1)).collect::<Vec<_>>()).await;

    rig.journal_of(61).await;
    let letters = rig.letters_of(21).await;

    let ids: Vec<Uuid> = letters.iter().map(|it| it.event_id).collect();
    assert_eq!(ids, [&bad[1..], &behind].concat());
    let states: Vec<&str> = letters.iter().map(|it| it.status.as_str()).collect();
    assert_eq!(states, [&["poison"][..], &["waiting"; 20]].concat());
    assert!(letters.windows(2).all(|it| it[0].offset < it[1].offset));
    // A replay of what is parked parks nothing twice.
    rig.send_as(&behind.iter().map(|it| (*it, book("ill", 1))).collect::<Vec<_>>()).await;
    rig.at_rest().await;
    assert_eq!(rig.letters().await.len(), 21);
    rig.drained().await;
    laws::hold(&rig, &[&bad[..1], &others].concat()).await.unwrap();
    engine.stop().await;
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_letter_is_mirrored_as_it_came_with_what_became_of_it() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let (id, order) = (Uuid::now_v7(), twisted("ill", 1, Twist::Impossible));
    let topic = rig.reads();
    let mut record = event(id, &order).into_record(topic.as_str().into(), "ill".into());
    record.headers.push((
        "traceparent".into(),
        Some(b"00-11111111111111111111111111111111-2222222222222222-01".into()),
    ));
    record.headers.push(("binary".into(), Some(vec![0xff, 0, 0xfe].into())));
    record.headers.push(("empty".into(), None));
    let original = record.clone();
    rig.produce([record]).await;
    rig.letters_of(1).await;
    rig.drained().await;

    let dead = rig.read_all(&topics::name(&rig.prefix, "account.dead")).await;

    assert_eq!(dead.len(), 1);
    let (dead, [letter]) = (&dead[0], &rig.letters().await[..]) else { panic!("one letter") };
    assert_eq!(dead.key.as_deref(), original.key.as_deref());
    assert_eq!(dead.payload.as_deref(), original.payload.as_deref());
    let count = original.headers.len();
    assert_eq!(dead.headers[..count], original.headers);
    let told: Vec<String> = dead.headers[count..]
        .iter()
        .filter(|(name, _)| !["waybill-dead-topic", "waybill-dead-partition"].contains(&name.as_ref()))
        .map(|(name, value)| format!("{name}: {}\n", String::from_utf8_lossy(value.as_deref().unwrap())))
        .collect();
    expect![[r#"
        waybill-dead-consumer: account
        waybill-dead-status: poison
        waybill-dead-cause: impossible
        waybill-dead-error: this can never be
        waybill-dead-offset: 0
        waybill-dead-attempt: 1
    "#]]
    .assert_eq(&told.concat());
    assert_eq!(dead.header("waybill-dead-topic"), Some(topic.as_bytes()));
    assert_eq!(dead.header("waybill-dead-partition"), Some(letter.partition.to_string().as_bytes()));
    assert_eq!(letter.topic, topic);
    engine.stop().await;
    rig.close().await;
}

/// Records that are no events, or not events that can be read; each is wrong in one way.
fn malformed(topic: &str) -> Vec<(&'static str, Record<'static>)> {
    let good = |key: &'static str| {
        event(Uuid::now_v7(), &book(key, 1)).into_record(topic.to_owned().into(), key.into())
    };
    let without = |key, name: &str| {
        let mut record = good(key);
        record.headers.retain(|(it, _)| it != name);
        record
    };
    let with = |key, name: &'static str, value: &'static [u8]| {
        let mut record = without(key, name);
        record.headers.push((name.into(), Some(value.into())));
        record
    };
    let saying =
        |key, payload: Option<&'static [u8]>| Record { payload: payload.map(Into::into), ..good(key) };
    let structured = |key, payload: &'static [u8]| Record {
        headers: vec![("content-type".into(), Some(b"application/cloudevents+json".into()))],
        ..saying(key, Some(payload))
    };
    vec![
        ("bytes that are no text", saying("bytes", Some(&[0xff, 0xfe, 0]))),
        ("no JSON", saying("no-json", Some(b"{"))),
        ("JSON of another shape", saying("shape", Some(b"{\"account\": 7}"))),
        ("an unknown variant", saying("variant", Some(br#"{"account":"variant","amount":1,"twist":"Dance"}"#))),
        ("no value", saying("null", None)),
        ("an empty value", saying("empty", Some(b""))),
        ("no id", without("no-id", "ce_id")),
        ("an id that is none", with("odd-id", "ce_id", b"one")),
        ("no type", without("no-type", "ce_type")),
        ("a type that is no text", with("odd-type", "ce_type", &[0xff])),
        ("no version of CloudEvents", without("no-spec", "ce_specversion")),
        ("another version of CloudEvents", with("odd-spec", "ce_specversion", b"2.0")),
        ("no source", without("no-source", "ce_source")),
        ("an unknown version", with("version", "ce_type", b"waybill.account.ordered.v9")),
        ("no version", with("versionless", "ce_type", b"waybill.account.ordered")),
        ("structured, cut off", structured("cut-off", b"{\"specversion\":")),
        ("structured, without data", structured("dataless", br#"{"specversion":"1.0","id":"0198c0de-0000-7000-8000-000000000001","source":"/x","type":"waybill.account.ordered.v1"}"#)),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_cannot_be_read_is_a_dead_letter_and_the_partition_goes_on() {
    let rig = Rig::new().await;
    let topic = rig.reads();
    let engine = rig.start();
    let cases = malformed(&topic);
    let count = cases.len();
    // Twice: what is read again must not park again, whether or not it has an id of its own.
    rig.produce(cases.iter().map(|it| it.1.clone())).await;
    let sent = rig.send(&(0..30).map(|it| book(format!("well-{it}"), 1)).collect::<Vec<_>>()).await;
    rig.journal_of(30).await;
    rig.letters_of(count).await;
    engine.stop().await;
    rig.bus.rewind(&rig.group()).await.unwrap();
    let engine = rig.start();
    rig.at_rest().await;

    let mut letters = rig.letters().await;
    letters.sort_by(|a, b| a.key.cmp(&b.key));
    let lines = letters.iter().map(|it| format!("{}: {}: {}\n", it.key, it.cause, it.error));
    expect![[r#"
        bytes: undecodable: unreadable data: expected value at line 1 column 1
        cut-off: malformed: not a CloudEvent in structured mode: EOF while parsing a value at line 1 column 15
        dataless: malformed: the record has no value
        empty: undecodable: unreadable data: EOF while parsing a value at line 1 column 0
        no-id: malformed: the header ce_id is missing
        no-json: undecodable: unreadable data: EOF while parsing an object at line 1 column 1
        no-source: malformed: the header ce_source is missing
        no-spec: malformed: the header ce_specversion is missing
        no-type: malformed: the header ce_type is missing
        null: malformed: the record has no value
        odd-id: malformed: the header ce_id is not what it should be: invalid character: found `o` at 0
        odd-spec: malformed: the header ce_specversion is not what it should be: "2.0" is not "1.0"
        odd-type: malformed: the header ce_type is not what it should be: invalid utf-8 sequence of 1 bytes from index 0
        shape: undecodable: unreadable data: invalid type: integer `7`, expected a string at line 1 column 13
        variant: undecodable: unreadable data: unknown variant `Dance`, expected one of `Plain`, `Overdraw`, `Impossible`, `PanicInDecide`, `PanicInEvolve`, `Oversized`, `Ask`, `Arm`, `Disarm` at line 1 column 47
        version: unknown-version: account.ordered has no version 9 that can be read here
        versionless: unknown-version: account.ordered has no version 0 that can be read here
    "#]].assert_eq(&lines.collect::<String>());
    let keys: BTreeSet<&str> = letters.iter().map(|it| it.key.as_str()).collect();
    assert_eq!(keys.len(), count, "one letter each");
    rig.drained().await;
    laws::hold(&rig, &sent).await.unwrap();
    engine.stop().await;
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_without_a_key_parks_alone() {
    let rig = Rig::new().await;
    let topic = rig.reads();
    let engine = rig.start();
    let order = |twist| {
        let record =
            event(Uuid::now_v7(), &twisted("a", 1, twist)).into_record(topic.as_str().into(), "".into());
        Record { key: None, ..record }
    };

    rig.produce([order(Twist::Impossible), order(Twist::Plain), order(Twist::Plain)]).await;

    rig.journal_of(2).await;
    let letters: Vec<Letter> = rig.letters_of(1).await;
    assert_eq!(letters[0].key, format!("{topic}/{}/{}", letters[0].partition, letters[0].offset));
    engine.stop().await;
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn types_that_nobody_here_knows_are_skipped_before_anything_is_read() {
    let rig = Rig::new().await;
    let topic = rig.reads();
    let engine = rig.start();
    let foreign = ["waybill.account.renamed.v1", "waybill.order.placed", "com.example.thing", "x"];
    let records = foreign.iter().flat_map(|it| {
        let mut record = event(Uuid::now_v7(), &book("a", 1)).into_record(topic.as_str().into(), "a".into());
        record.headers.retain(|(name, _)| name != "ce_type" && name != "ce_id");
        record.headers.push(("ce_type".into(), Some(it.as_bytes().to_vec().into())));
        [Record { payload: None, ..record.clone() }, record]
    });
    let skipped = crate::metrics::skipped();
    rig.produce(records.collect::<Vec<_>>()).await;
    let sent = rig.send(&[book("a", 1)]).await;

    rig.journal_of(1).await;
    rig.at_rest().await;

    assert_eq!(rig.count("select count(*) from engine.inbox").await, 1);
    assert_eq!(rig.letters().await.len(), 0);
    assert_eq!(crate::metrics::skipped() - skipped, 8.0);
    assert_eq!(ORDERED_TYPE, "waybill.account.ordered.v1");
    rig.drained().await;
    laws::hold(&rig, &sent).await.unwrap();
    engine.stop().await;
    rig.close().await;
}
