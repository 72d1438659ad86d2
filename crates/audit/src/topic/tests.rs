use bus::{CloudEvent, Received, TopicInfo, Trace, topics::PartitionInfo};
use uuid::{NoContext, Timestamp};

use super::*;

const DAY: u64 = 86_400;
const CLOCKS: Duration = Duration::from_secs(600);

fn made(ago: u64) -> Uuid {
    let now = 1_800_000_000;
    Uuid::new_v7(Timestamp::from_unix(NoContext, now - ago, 0))
}

/// An event of an order that was made so long ago, as it is read.
fn record(order: Uuid, sequence: i64, ago: u64) -> Received {
    let event = CloudEvent {
        id: made(ago),
        source: "/waybill/order".into(),
        r#type: "order.placed.v1".into(),
        subject: None,
        time: None,
        sequence: Some(sequence),
        correlation_id: None,
        causation_id: None,
        actor: None,
        trace: Trace::default(),
        data: b"{}".as_slice().into(),
    };
    let written = event.into_record("waybill.order".into(), order.to_string().into());
    let owned = |it: std::borrow::Cow<'_, [u8]>| it.into_owned();
    let headers = written.headers.into_iter();
    let headers = headers.map(|(name, value)| (name.into_owned().into(), value.map(|it| owned(it).into())));
    let place = ("waybill.order", 0, 7);
    Received::replayed(place, written.key.map(owned), headers.collect(), written.payload.map(owned))
}

/// What is said of an order placed so long ago that has published two events, on a partition that has lost its
/// beginning and holds these of them behind another's of a week ago.
#[track_caller]
fn check(ago: u64, events: &[i64], expected: &[&str], forgotten: u64) {
    let order = made(ago);
    let info = TopicInfo {
        name: "waybill.order".into(),
        partitions: vec![PartitionInfo { id: 0, low: 5, high: 9 }],
    };
    let counters = Counters::from([(Key::Order(order), 2)]);
    let (mut read, mut verdicts) =
        (OnTopic::nothing(Cuts::of(&info, Aggregate::Order, CLOCKS)), Verdicts::default());
    read.take(&record(made(8 * DAY), 3, 7 * DAY), Aggregate::Order, &counters, &mut verdicts);
    for sequence in events {
        read.take(&record(order, *sequence, 30), Aggregate::Order, &counters, &mut verdicts);
    }
    published(Aggregate::Order, &info.name, &counters, &read, &Look::default(), &mut verdicts);
    assert_eq!((verdicts.ignored_records, verdicts.forgotten), (0, forgotten));
    let said: Vec<String> =
        verdicts.violations.iter().map(|it| it.text.replace(&order.to_string(), "it")).collect();
    assert_eq!(said, expected);
}

fn missing(what: &str) -> String {
    format!("order it has counted 2 events, and {what} neither on waybill.order nor in the outbox")
}

#[test]
fn an_order_younger_than_what_retention_has_left_has_all_its_events() {
    check(60, &[1, 2], &[], 0);
    check(60, &[2], &["order: 2 comes after 0", &missing("number 1 is")], 0);
    check(60, &[1], &[&missing("number 2 is")], 0);
    check(60, &[], &[&missing("numbers 1 to 2 are")], 0);
}

#[test]
fn an_order_older_than_that_is_judged_by_what_is_left() {
    check(8 * DAY, &[1, 2], &[], 0);
    check(8 * DAY, &[2], &[], 0);
    check(8 * DAY, &[1], &[&missing("number 2 is")], 0);
    check(8 * DAY, &[], &[], 1);
}
