//! The simulated carrier: by deadlines, at once, switched off, and over a restart.

use std::time::Duration;

use events::OrderId;
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::rig::{AT_ONCE, NO_CARRIER, Rig, SLOW, captured, confirmed};

fn time(value: &Value) -> OffsetDateTime {
    OffsetDateTime::parse(value.as_str().expect("a time"), &Rfc3339).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_carrier_takes_its_time_for_both_legs() {
    let rig = Rig::start(&["--carrier-simulated", "true", "--carrier-delay-ms", "200"]).await;
    let order = OrderId::new();
    rig.deliver(&confirmed(order)).await;
    assert_eq!(rig.deadlines(order).await, [""; 0], "nothing is due before the payment");
    let begun = OffsetDateTime::now_utc();

    rig.deliver(&captured(order)).await;
    let delivered = rig.becomes(order, "delivered").await;

    let (left, arrived) = (time(&delivered["dispatched_at"]), time(&delivered["delivered_at"]));
    assert!(left - begun >= Duration::from_millis(200), "{delivered}");
    assert!(arrived - left >= Duration::from_millis(200), "{delivered}");
    let published = rig.published().await;
    let number = delivered["tracking_number"].as_str().expect("a tracking number");
    assert!(number.len() == 15 && number.starts_with("WB"), "{number}");
    assert_eq!(published[1].data["tracking_number"], number);
    assert_eq!(published[2].data["tracking_number"], number);
    assert_eq!(time(&published[1].data["dispatched_at"]), left);
    assert_eq!(time(&published[2].data["delivered_at"]), arrived);
    assert_eq!(rig.trace(order).await, "shipment-scheduled.v1, dispatched.v1, delivered.v1");
    assert_eq!(rig.deadlines(order).await, [""; 0]);
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parcel_that_a_deadline_moves_keeps_its_correlation() {
    let rig = Rig::start(&["--carrier-simulated", "true", "--carrier-delay-ms", "1"]).await;
    let order = OrderId::new();
    rig.deliver(&confirmed(order)).await;
    let capture = rig.deliver(&captured(order)).await;
    rig.becomes(order, "delivered").await;

    let published = rig.published().await;

    let [_, dispatched, delivered] = &published[..] else { panic!("{published:?}") };
    assert_eq!(dispatched.correlation_id, delivered.correlation_id);
    assert_ne!(dispatched.causation_id, capture, "the deadline is the cause");
    assert_eq!(
        (dispatched.actor.as_str(), delivered.actor.as_str()),
        ("service:shipping", "service:shipping")
    );
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_delay_it_is_all_one_transaction() {
    let rig = Rig::start(AT_ONCE).await;
    let (first, second) = (OrderId::new(), OrderId::new());

    rig.deliver(&confirmed(first)).await;
    let capture = rig.deliver(&captured(first)).await;
    rig.deliver(&captured(second)).await;
    let confirmation = rig.deliver(&confirmed(second)).await;

    // No waiting: what the event led to is there with the event.
    assert_eq!(rig.shipment(first).await.1["status"], "delivered");
    assert_eq!(rig.shipment(second).await.1["status"], "delivered");
    let published = rig.published().await;
    let follow = |id| published.iter().filter(|it| it.causation_id == id).count();
    assert_eq!((follow(capture), follow(confirmation)), (2, 3));
    assert_eq!(rig.count("select n_tup_ins from pg_stat_user_tables where relname = 'deadline'").await, 0);
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_carrier_a_parcel_waits_for_somebody() {
    let rig = Rig::start(NO_CARRIER).await;
    let order = OrderId::new();
    rig.deliver(&confirmed(order)).await;
    rig.deliver(&captured(order)).await;

    assert_eq!(rig.deadlines(order).await, [""; 0]);
    assert_eq!(rig.shipment(order).await.1["status"], "scheduled");
    assert_eq!(rig.dispatch(order).await.1["status"], "dispatched");
    assert_eq!(rig.deadlines(order).await, [""; 0]);
    assert_eq!(rig.deliver_parcel(order).await.1["status"], "delivered");
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_becomes_due_while_the_service_is_stopped_is_done_when_it_is_back() {
    let mut rig = Rig::start(SLOW).await;
    let order = OrderId::new();
    rig.deliver(&confirmed(order)).await;
    rig.deliver(&captured(order)).await;
    assert_eq!(rig.deadlines(order).await, ["dispatch"]);

    rig.stop_service().await;
    rig.an_hour_passes().await;
    assert_eq!(rig.count("select count(*) from shipment where status = 'scheduled'").await, 1);
    rig.start_service(SLOW).await;
    rig.becomes(order, "dispatched").await;
    assert_eq!(rig.deadlines(order).await, ["deliver"]);

    rig.stop_service().await;
    rig.an_hour_passes().await;
    rig.start_service(SLOW).await;
    rig.becomes(order, "delivered").await;

    assert_eq!(rig.trace(order).await, "shipment-scheduled.v1, dispatched.v1, delivered.v1");
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_carrier_that_was_switched_off_moves_nothing_any_more() {
    let mut rig = Rig::start(SLOW).await;
    let order = OrderId::new();
    rig.deliver(&captured(order)).await;
    rig.deliver(&confirmed(order)).await;
    assert_eq!(rig.deadlines(order).await, ["dispatch"]);

    rig.stop_service().await;
    rig.an_hour_passes().await;
    rig.start_service(NO_CARRIER).await;

    testkit::eventually(crate::rig::SOON, "the deadline is taken", async || {
        match rig.deadlines(order).await {
            left if left.is_empty() => Ok(()),
            left => Err(format!("{left:?}")),
        }
    })
    .await;
    assert_eq!(rig.shipment(order).await.1["status"], "scheduled");
    assert_eq!(rig.dispatch(order).await.0, 200);
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_may_be_faster_than_the_carrier() {
    let rig = Rig::start(SLOW).await;
    let order = OrderId::new();
    rig.deliver(&confirmed(order)).await;
    rig.deliver(&captured(order)).await;

    let dispatched = rig.dispatch(order).await;
    assert_eq!((dispatched.0, &dispatched.1["status"]), (200, &json!("dispatched")));
    assert_eq!(rig.deadlines(order).await, ["deliver"]);
    let delivered = rig.deliver_parcel(order).await;
    assert_eq!((delivered.0, &delivered.1["status"]), (200, &json!("delivered")));
    assert_eq!(rig.deadlines(order).await, [""; 0]);

    assert_eq!(rig.trace(order).await, "shipment-scheduled.v1, dispatched.v1, delivered.v1");
    rig.finish().await;
}
