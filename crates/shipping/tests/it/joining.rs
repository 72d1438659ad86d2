//! `order.confirmed` and `payment.captured`: in either order, twice, again from the beginning, and at once.

use serde_json::json;
use sqlx::Connection as _;
use testkit::eventually;
use uuid::Uuid;

use crate::rig::{AT_ONCE, NO_CARRIER, Rig, SOON, captured, confirmed};
use events::OrderId;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_is_confirmed_and_then_paid() {
    let rig = Rig::start(NO_CARRIER).await;
    let order = OrderId::new();

    rig.deliver(&confirmed(order)).await;
    let (status, scheduled) = rig.shipment(order).await;
    rig.deliver(&captured(order)).await;
    let (_, paid) = rig.shipment(order).await;

    assert_eq!(status, 200);
    let mut expected = json!({
        "order_id": order, "status": "scheduled", "tracking_number": null, "captured": false, "awaits_stock": false,
        "ship_to": {"name": "Ada Lovelace", "line1": "12 Analytical St", "line2": "2nd floor",
            "city": "London", "postal_code": "N1", "country": "GB"},
        "dispatched_at": null, "delivered_at": null, "cancellation_refused": false,
    });
    assert_eq!(scheduled, expected);
    expected["captured"] = true.into();
    assert_eq!(paid, expected);
    let published = rig.published().await;
    assert_eq!(published.len(), 1);
    assert_eq!(published[0].data, json!({"order_id": order, "ship_to": expected["ship_to"]}));
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_is_paid_and_then_confirmed() {
    let rig = Rig::start(NO_CARRIER).await;
    let order = OrderId::new();

    rig.deliver(&captured(order)).await;
    let (before, _) = rig.shipment(order).await;
    let too_early = rig.dispatch(order).await.0;
    rig.deliver(&confirmed(order)).await;
    let (_, shipment) = rig.shipment(order).await;

    assert_eq!((before, too_early), (404, 404), "there is nothing to be sent yet");
    assert_eq!((&shipment["status"], &shipment["captured"]), (&json!("scheduled"), &json!(true)));
    assert_eq!(rig.trace(order).await, "shipment-scheduled.v1");
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_twice_has_one_effect() {
    let rig = Rig::start(AT_ONCE).await;
    let order = OrderId::new();
    let id = rig.deliver(&confirmed(order)).await;
    rig.deliver(&captured(order)).await;
    let (_, shipment) = rig.shipment(order).await;

    // Under the same id, and as another event that says the same.
    rig.send_as(id, &confirmed(order)).await;
    rig.deliver(&confirmed(order)).await;
    rig.deliver(&captured(order)).await;

    assert_eq!(rig.shipment(order).await.1, shipment);
    assert_eq!(rig.trace(order).await, "shipment-scheduled.v1, dispatched.v1, delivered.v1");
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reading_everything_again_changes_nothing() {
    let mut rig = Rig::start(AT_ONCE).await;
    let orders: Vec<OrderId> = (0..20).map(|_| OrderId::new()).collect();
    for order in &orders {
        rig.deliver(&confirmed(*order)).await;
        rig.deliver(&captured(*order)).await;
    }
    let before: Vec<Uuid> = rig.published().await.into_iter().map(|it| it.id).collect();

    rig.replay(AT_ONCE).await;

    let after: Vec<Uuid> = rig.published().await.into_iter().map(|it| it.id).collect();
    assert_eq!(before.len(), 60);
    assert_eq!(after, before);
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_orders_in_one_batch_each_find_their_own_row() {
    let rig = Rig::start(NO_CARRIER).await;
    let orders: Vec<OrderId> = (0..200).map(|_| OrderId::new()).collect();
    let mut ids = Vec::new();
    for order in &orders {
        ids.push(rig.send(&captured(*order)).await);
        ids.push(rig.send(&confirmed(*order)).await);
    }

    rig.taken_in(&ids).await;

    let ready = "select count(*) from shipment where status = 'scheduled' and captured and sequence = 1";
    assert_eq!(rig.count(ready).await, 200);
    assert_eq!(rig.published().await.len(), 200);
    rig.finish().await;
}

/// A row that is not there cannot be locked: of two that create the same one, the later decides anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shipment_that_two_create_at_once_knows_both() {
    let rig = Rig::start(AT_ONCE).await;
    let order = OrderId::new();
    let mut other = rig.pool.acquire().await.unwrap();
    let mut tx = other.begin().await.unwrap();
    let insert = "insert into shipment (order_id, sequence, status, captured, cancellation_refused)
        values ($1, 0, 'captured', true, false)";
    sqlx::query(insert).bind(order.0).execute(&mut *tx).await.unwrap();

    let id = rig.send(&confirmed(order)).await;
    eventually(SOON, "the service waits for the other transaction", async || {
        let waiting = "select count(*) from pg_stat_activity
            where datname = current_database() and wait_event_type = 'Lock' and query like '%insert into shipment%'";
        if rig.count(waiting).await == 1 { Ok(()) } else { Err("it does not") }
    })
    .await;
    tx.commit().await.unwrap();
    drop(other);

    rig.taken_in(&[id]).await;
    assert_eq!(rig.trace(order).await, "shipment-scheduled.v1, dispatched.v1, delivered.v1");
    rig.finish().await;
}
