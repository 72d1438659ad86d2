//! CloudEvents: what is written, what is read, and what is refused.

use bus::{CloudEvent, Envelope, Header, Malformed, Received, Record, Trace};
use expect_test::{Expect, expect};
use time::macros::datetime;
use uuid::{Uuid, uuid};

const ID: Uuid = uuid!("0198c0de-0000-7000-8000-000000000001");

fn event() -> CloudEvent<'static> {
    CloudEvent {
        id: ID,
        source: "/waybill/order".into(),
        r#type: "waybill.order.placed.v2".into(),
        subject: Some("o-1".into()),
        time: Some(datetime!(2026-01-02 03:04:05.678901 UTC)),
        sequence: Some(1),
        correlation_id: Some(uuid!("0198c0de-0000-7000-8000-000000000002")),
        causation_id: Some(uuid!("0198c0de-0000-7000-8000-000000000003")),
        actor: Some("customer:c-1".into()),
        trace: Trace {
            parent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
            state: Some("vendor=1".into()),
            baggage: Some("tenant=7".into()),
        },
        data: br#"{"order_id":"o-1"}"#.into(),
    }
}

fn record() -> Record<'static> {
    event().into_record("waybill.order".into(), "o-1".into())
}

fn received(record: Record<'_>) -> Received {
    let own = |(name, value): Header<'_>| -> Header<'static> {
        (name.into_owned().into(), value.map(|it| it.into_owned().into()))
    };
    let (key, payload) = (record.key.map(Into::into), record.payload.map(Into::into));
    Received::replayed((&record.topic, 0, 0), key, record.headers.into_iter().map(own).collect(), payload)
}

fn read(record: &Received) -> Result<CloudEvent<'_>, Malformed> {
    Envelope::open(record)?.read()
}

/// A good record with one header replaced, or taken out.
fn with(name: &'static str, value: Option<&'static [u8]>) -> Received {
    let mut record = record();
    record.headers.retain(|it| it.0 != name);
    if let Some(value) = value {
        record.headers.push((name.into(), Some(value.into())));
    }
    received(record)
}

fn structured(json: &str) -> Received {
    let content_type = ("content-type".into(), Some(b"application/cloudevents+json; charset=utf-8".into()));
    Received::replayed(("waybill.order", 0, 0), None, vec![content_type], Some(json.as_bytes().to_vec()))
}

#[track_caller]
fn refused(record: &Received, because: Expect) {
    because.assert_eq(&read(record).unwrap_err().to_string());
}

#[test]
fn in_binary_mode_attributes_are_headers_and_the_value_is_the_data() {
    let record = record();
    let headers = record.headers.iter().map(|(name, value)| {
        format!("{name}: {}\n", std::str::from_utf8(value.as_deref().unwrap()).unwrap())
    });
    expect![[r#"
        ce_specversion: 1.0
        ce_id: 0198c0de-0000-7000-8000-000000000001
        ce_source: /waybill/order
        ce_type: waybill.order.placed.v2
        ce_subject: o-1
        ce_time: 2026-01-02T03:04:05.678901Z
        ce_dataschema: /schemas/order.placed.v2.json
        ce_sequence: 1
        ce_correlationid: 0198c0de-0000-7000-8000-000000000002
        ce_causationid: 0198c0de-0000-7000-8000-000000000003
        ce_actor: customer:c-1
        content-type: application/json
        traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
        tracestate: vendor=1
        baggage: tenant=7
    "#]]
    .assert_eq(&headers.collect::<String>());
    assert_eq!(record.payload.as_deref(), Some(br#"{"order_id":"o-1"}"#.as_slice()));
    assert_eq!(record.key.as_deref(), Some(b"o-1".as_slice()));
}

#[test]
fn what_was_written_is_read() {
    assert_eq!(read(&received(record())), Ok(event()));
}

#[test]
fn an_event_without_its_optional_attributes_is_read() {
    let bare = CloudEvent {
        subject: None,
        time: None,
        sequence: None,
        correlation_id: None,
        causation_id: None,
        actor: None,
        trace: Trace::default(),
        ..event()
    };
    let record = received(bare.clone().into_record("waybill.order".into(), "o-1".into()));
    assert_eq!(read(&record), Ok(bare));
}

#[test]
fn headers_of_others_disturb_nobody() {
    let mut foreign = record();
    foreign.headers.insert(0, ("ce_unknown".into(), Some(b"1".into())));
    foreign.headers.push(("x".into(), None));
    foreign.headers.push(("y".into(), Some([0xff, 0xfe].as_slice().into())));
    assert_eq!(read(&received(foreign)), Ok(event()));
}

#[test]
fn structured_mode_is_read() {
    let record = structured(
        r#"{"specversion":"1.0","id":"0198c0de-0000-7000-8000-000000000001","source":"/waybill/order",
            "type":"waybill.order.placed.v2","subject":"o-1","time":"2026-01-02T03:04:05.678901Z","sequence":"1",
            "correlationid":"0198c0de-0000-7000-8000-000000000002",
            "causationid":"0198c0de-0000-7000-8000-000000000003","actor":"customer:c-1",
            "traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","tracestate":"vendor=1",
            "baggage":"tenant=7","datacontenttype":"application/json","data":{"order_id":"o-1"}}"#,
    );
    assert_eq!(Envelope::open(&record).unwrap().event_type(), Ok("waybill.order.placed.v2"));
    assert_eq!(Envelope::open(&record).unwrap().data(), Some(br#"{"order_id":"o-1"}"#.as_slice()));
    assert_eq!(read(&record), Ok(event()));
}

#[test]
fn a_sequence_in_structured_mode_may_be_a_number() {
    let json = r#"{"specversion":"1.0","id":"0198c0de-0000-7000-8000-000000000001","source":"/s","type":"t",
        "sequence":7,"data":1}"#;
    assert_eq!(read(&structured(json)).unwrap().sequence, Some(7));
}

#[test]
fn the_type_is_told_without_the_rest() {
    let only_type = Received::replayed(
        ("t", 0, 0),
        None,
        vec![("ce_type".into(), Some(b"waybill.order.placed.v2".into()))],
        None,
    );
    let envelope = Envelope::open(&only_type).unwrap();
    assert_eq!(envelope.event_type(), Ok("waybill.order.placed.v2"));
    assert_eq!(envelope.data(), None);
}

#[test]
fn what_is_missing_is_named() {
    refused(&with("ce_id", None), expect!["the header ce_id is missing"]);
    refused(&with("ce_type", None), expect!["the header ce_type is missing"]);
    refused(&with("ce_source", None), expect!["the header ce_source is missing"]);
    refused(&with("ce_specversion", None), expect!["the header ce_specversion is missing"]);
    refused(&received(Record { payload: None, ..record() }), expect!["the record has no value"]);
}

#[test]
fn what_is_wrong_is_named() {
    refused(
        &with("ce_id", Some(b"one")),
        expect!["the header ce_id is not what it should be: invalid character: found `o` at 0"],
    );
    refused(
        &with("ce_id", Some(&[0xff])),
        expect!["the header ce_id is not what it should be: invalid utf-8 sequence of 1 bytes from index 0"],
    );
    refused(
        &with("ce_type", Some(&[0xff])),
        expect![
            "the header ce_type is not what it should be: invalid utf-8 sequence of 1 bytes from index 0"
        ],
    );
    refused(
        &with("ce_specversion", Some(b"0.3")),
        expect![[r#"the header ce_specversion is not what it should be: "0.3" is not "1.0""#]],
    );
    refused(
        &structured("{"),
        expect!["not a CloudEvent in structured mode: EOF while parsing an object at line 1 column 1"],
    );
    refused(
        &structured(r#"{"specversion":"1.0"}"#),
        expect!["not a CloudEvent in structured mode: missing field `id` at line 1 column 21"],
    );
    refused(
        &structured(r#"{"specversion":"2.0","id":"x","source":"/s","type":"t","data":1}"#),
        expect![[r#"the header ce_specversion is not what it should be: "2.0" is not "1.0""#]],
    );
    refused(
        &structured(r#"{"specversion":"1.0","id":"x","source":"/s","type":"t","data":1}"#),
        expect!["the header ce_id is not what it should be: invalid character: found `x` at 0"],
    );
    refused(
        &structured(
            r#"{"specversion":"1.0","id":"0198c0de-0000-7000-8000-000000000001","source":"/s","type":"t"}"#,
        ),
        expect!["the record has no value"],
    );
}

#[test]
fn an_optional_attribute_that_cannot_be_used_is_as_good_as_none() {
    let long: &'static [u8] = "x".repeat(1_025).leak().as_bytes();
    let fits: &'static [u8] = "x".repeat(1_024).leak().as_bytes();
    assert_eq!(read(&with("ce_actor", Some(b"a\0b"))).unwrap().actor, None);
    assert_eq!(read(&with("ce_actor", Some(long))).unwrap().actor, None);
    assert_eq!(read(&with("ce_actor", Some(fits))).unwrap().actor.unwrap().len(), 1_024);
    assert_eq!(read(&with("ce_actor", Some(&[0xff]))).unwrap().actor, None);
    assert_eq!(read(&with("traceparent", Some(b"\0"))).unwrap().trace.parent, None);
    assert_eq!(read(&with("ce_sequence", Some(b"first"))).unwrap().sequence, None);
    assert_eq!(read(&with("ce_time", Some(b"yesterday"))).unwrap().time, None);
    assert_eq!(read(&with("ce_correlationid", Some(b"none"))).unwrap().correlation_id, None);
    let nul = structured(
        r#"{"specversion":"1.0","id":"0198c0de-0000-7000-8000-000000000001","source":"/s","type":"t",
            "actor":"a\u0000b","data":1}"#,
    );
    assert_eq!(read(&nul).unwrap().actor, None);
}
