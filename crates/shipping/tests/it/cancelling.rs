//! Cancelling: in time, too late, and before there is anything to cancel.

use events::OrderId;
use serde_json::json;

use crate::rig::{NO_CARRIER, Rig, SLOW, cancelled, captured, confirmed, requested};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parcel_that_has_not_left_is_held_back() {
    let rig = Rig::start(SLOW).await;
    let order = OrderId::new();
    rig.deliver(&confirmed(order)).await;
    rig.deliver(&captured(order)).await;
    assert_eq!(rig.deadlines(order).await, ["dispatch"]);

    rig.deliver(&requested(order)).await;

    assert_eq!(rig.shipment(order).await.1["status"], "cancelled");
    assert_eq!(rig.deadlines(order).await, [""; 0]);
    // The order has its answer; what follows from it is no news here.
    rig.deliver(&cancelled(order)).await;
    rig.deliver(&requested(order)).await;
    assert_eq!(rig.dispatch(order).await.0, 409);
    assert_eq!(rig.trace(order).await, "shipment-scheduled.v1, cancelled.v1");
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_that_comes_after_the_cancellation_sends_nothing() {
    let rig = Rig::start(SLOW).await;
    let order = OrderId::new();
    rig.deliver(&confirmed(order)).await;
    rig.deliver(&cancelled(order)).await;

    rig.deliver(&captured(order)).await;

    let (_, shipment) = rig.shipment(order).await;
    assert_eq!((&shipment["status"], &shipment["captured"]), (&json!("cancelled"), &json!(false)));
    assert_eq!(rig.deadlines(order).await, [""; 0]);
    assert_eq!(rig.trace(order).await, "shipment-scheduled.v1, cancelled.v1");
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parcel_that_has_left_is_not_held_back_and_the_order_is_told_once() {
    let rig = Rig::start(NO_CARRIER).await;
    let (on_its_way, arrived) = (OrderId::new(), OrderId::new());
    for order in [on_its_way, arrived] {
        rig.deliver(&confirmed(order)).await;
        rig.deliver(&captured(order)).await;
        rig.dispatch(order).await;
    }
    rig.deliver_parcel(arrived).await;

    for order in [on_its_way, arrived] {
        rig.deliver(&requested(order)).await;
        rig.deliver(&requested(order)).await;
    }

    let (_, shipment) = rig.shipment(on_its_way).await;
    assert_eq!(
        (&shipment["status"], &shipment["cancellation_refused"]),
        (&json!("dispatched"), &json!(true))
    );
    assert_eq!(rig.trace(on_its_way).await, "shipment-scheduled.v1, dispatched.v1, cancellation-refused.v1");
    assert_eq!(
        rig.trace(arrived).await,
        "shipment-scheduled.v1, dispatched.v1, delivered.v1, cancellation-refused.v1"
    );
    assert_eq!(rig.deliver_parcel(on_its_way).await.1["status"], "delivered");
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_nothing_was_heard_of_is_answered_and_barred() {
    let rig = Rig::start(SLOW).await;
    let (unknown, paid) = (OrderId::new(), OrderId::new());
    rig.deliver(&captured(paid)).await;

    for order in [unknown, paid] {
        rig.deliver(&requested(order)).await;
        rig.deliver(&confirmed(order)).await;
        rig.deliver(&captured(order)).await;

        assert_eq!(rig.shipment(order).await.0, 404);
        assert_eq!(rig.dispatch(order).await.0, 404);
        assert_eq!(rig.trace(order).await, "cancelled.v1");
    }
    assert_eq!(rig.count("select count(*) from shipment where status = 'barred'").await, 2);
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_is_off_before_it_was_confirmed_leaves_a_tombstone() {
    let rig = Rig::start(SLOW).await;
    let (unknown, paid) = (OrderId::new(), OrderId::new());
    rig.deliver(&captured(paid)).await;

    for order in [unknown, paid] {
        rig.deliver(&cancelled(order)).await;
        rig.deliver(&captured(order)).await;
        rig.deliver(&confirmed(order)).await;
        rig.deliver(&requested(order)).await;
    }

    assert_eq!(rig.published().await.len(), 0, "nothing was scheduled that could be called off");
    assert_eq!(rig.count("select count(*) from shipment where status = 'barred'").await, 2);
    rig.finish().await;
}

/// It cannot be while the order's part is sound, so somebody has to look at it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_is_off_after_its_parcel_has_left_is_a_dead_letter() {
    let rig = Rig::start(NO_CARRIER).await;
    let order = OrderId::new();
    rig.deliver(&confirmed(order)).await;
    rig.deliver(&captured(order)).await;
    let dispatched = rig.dispatch(order).await;

    rig.deliver(&cancelled(order)).await;

    let said = (
        "waybill.order.cancelled.v1".to_owned(),
        "the order is cancelled, but its parcel has left".to_owned(),
    );
    assert_eq!(rig.dead_letters().await, [said]);
    assert_eq!(rig.shipment(order).await, dispatched);
    assert_eq!(rig.deliver_parcel(order).await.1["status"], "delivered");
    assert_eq!(rig.trace(order).await, "shipment-scheduled.v1, dispatched.v1, delivered.v1");
    rig.finish_with_dead_letters().await;
}
