//! Orders whose stock runs out: their parcels wait for `inventory.stock-kept` as well, whenever that comes.

use events::{Item, OrderId, ReservationExpired, StockReserved};
use serde_json::json;

use crate::rig::{
    AT_ONCE, NO_CARRIER, Rig, SLOW, cancelled, captured, confirmed, confirmed_until, kept, requested,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parcel_waits_until_its_stock_is_kept() {
    let rig = Rig::start(SLOW).await;
    let order = OrderId::new();
    rig.deliver(&confirmed_until(order)).await;
    rig.deliver(&captured(order)).await;
    let (_, waiting) = rig.shipment(order).await;
    assert_eq!((&waiting["captured"], &waiting["awaits_stock"]), (&json!(true), &json!(true)));
    assert_eq!(rig.deadlines(order).await, [""; 0], "the carrier is not called yet");

    rig.deliver(&kept(order)).await;

    assert_eq!(rig.shipment(order).await.1["awaits_stock"], false);
    assert_eq!(rig.deadlines(order).await, ["dispatch"]);
    rig.deliver(&kept(order)).await;
    assert_eq!(rig.deadlines(order).await, ["dispatch"]);
    assert_eq!(rig.trace(order).await, "shipment-scheduled.v1");
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn confirmation_capture_and_stock_come_in_any_order() {
    let mut rig = Rig::start(AT_ONCE).await;
    let orders: Vec<OrderId> = (0..6).map(|_| OrderId::new()).collect();
    for (index, order) in orders.iter().enumerate() {
        for (told, what) in ["ctk", "ckt", "tck", "tkc", "kct", "ktc"][index].chars().enumerate() {
            match what {
                'c' => rig.deliver(&confirmed_until(*order)).await,
                't' => rig.deliver(&captured(*order)).await,
                _ => rig.deliver(&kept(*order)).await,
            };
            let status = rig.shipment(*order).await.1["status"].clone();
            assert_eq!(status == "delivered", told == 2, "{order} after {what}");
        }
        assert_eq!(rig.trace(*order).await, "shipment-scheduled.v1, dispatched.v1, delivered.v1");
    }

    rig.replay(AT_ONCE).await;

    assert_eq!(rig.published().await.len(), 18, "all of it once");
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_without_such_stock_waits_for_none() {
    let rig = Rig::start(AT_ONCE).await;
    let (plain, told_all_the_same) = (OrderId::new(), OrderId::new());
    rig.deliver(&kept(told_all_the_same)).await;
    for order in [plain, told_all_the_same] {
        rig.deliver(&confirmed(order)).await;
        rig.deliver(&captured(order)).await;
        assert_eq!(rig.shipment(order).await.1["status"], "delivered");
    }
    rig.finish().await;
}

/// The expiry crossed the confirmation: nothing leaves, and the order has its answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stock_that_ran_out_sends_nothing() {
    let rig = Rig::start(AT_ONCE).await;
    let order = OrderId::new();
    rig.deliver(&confirmed_until(order)).await;
    rig.deliver(&captured(order)).await;

    rig.deliver(&requested(order)).await;
    rig.deliver(&cancelled(order)).await;

    assert_eq!(rig.shipment(order).await.1["status"], "cancelled");
    assert_eq!(rig.trace(order).await, "shipment-scheduled.v1, cancelled.v1");
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stock_that_is_kept_after_the_cancellation_sends_nothing() {
    let rig = Rig::start(AT_ONCE).await;
    let (held_back, barred, early) = (OrderId::new(), OrderId::new(), OrderId::new());
    rig.deliver(&confirmed_until(held_back)).await;
    rig.deliver(&captured(held_back)).await;
    rig.deliver(&requested(held_back)).await;
    rig.deliver(&cancelled(barred)).await;
    rig.deliver(&kept(early)).await;
    rig.deliver(&cancelled(early)).await;

    for order in [held_back, barred, early] {
        rig.deliver(&kept(order)).await;
        rig.deliver(&captured(order)).await;
        rig.deliver(&confirmed_until(order)).await;
    }

    assert_eq!(rig.trace(held_back).await, "shipment-scheduled.v1, cancelled.v1");
    assert_eq!((rig.trace(barred).await.as_str(), rig.trace(early).await.as_str()), ("", ""));
    assert_eq!(rig.count("select count(*) from shipment where status = 'barred'").await, 2);
    rig.finish().await;
}

/// They cost no row: neither a shipment nor a mark that they were read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_else_inventory_says_is_skipped() {
    let rig = Rig::start(NO_CARRIER).await;
    let order_id = OrderId::new();
    let items = vec![Item { sku: "MUG-01".parse().unwrap(), quantity: 1 }];
    rig.send(&StockReserved { order_id, items: items.clone(), expires_at: None }).await;
    rig.send(&ReservationExpired { order_id, items }).await;

    // Of the same key and topic, so it is read after them.
    rig.deliver(&kept(order_id)).await;

    assert_eq!(rig.count("select count(*) from engine.inbox").await, 1);
    assert_eq!(rig.count("select count(*) from shipment where status = 'kept'").await, 1);
    rig.finish().await;
}
