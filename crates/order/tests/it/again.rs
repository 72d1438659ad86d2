//! What comes twice, late, or to no purpose.

use events::{CancellationRefused, Item, ShipmentCancelled, StockDeducted, StockKept};
use expect_test::expect;
use uuid::Uuid;

use crate::{
    rig::Rig,
    words::{
        authorized, capture_failed, captured, declined, delivered, dispatched, expired, mugs, product,
        refunded, rejected, released, stock_reserved, voided,
    },
};

#[tokio::test]
async fn duplicates_and_late_events_change_nothing() {
    let rig = Rig::new().await;
    let (happy, unhappy) = (rig.place(&mugs()).await, rig.place(&mugs()).await);
    let everything = async |order_id| {
        rig.tell(&stock_reserved(order_id)).await;
        rig.tell(&authorized(order_id)).await;
        rig.tell(&captured(order_id)).await;
        rig.tell(&dispatched(order_id)).await;
        rig.tell(&delivered(order_id)).await;
        rig.tell(&rejected(order_id)).await;
        rig.tell(&declined(order_id)).await;
        rig.tell(&capture_failed(order_id)).await;
        rig.tell(&expired(order_id)).await;
        rig.tell(&released(order_id)).await;
        rig.tell(&voided(order_id)).await;
        rig.tell(&refunded(order_id)).await;
        rig.tell(&CancellationRefused { order_id }).await;
        rig.told(&ShipmentCancelled { order_id }).await;
    };
    rig.confirm(happy).await;
    rig.told(&captured(happy)).await;
    rig.told(&dispatched(happy)).await;
    rig.told(&delivered(happy)).await;
    rig.told(&stock_reserved(unhappy)).await;
    rig.told(&authorized(unhappy)).await;
    rig.told(&capture_failed(unhappy)).await;
    rig.told(&released(unhappy)).await;
    rig.told(&voided(unhappy)).await;
    let ends = [rig.order(happy).await, rig.order(unhappy).await];
    rig.drained().await;
    let written = rig.written().await;

    // The same facts under new ids, and facts that contradict the end; topics have no order among them.
    for _ in 0..2 {
        everything(happy).await;
        everything(unhappy).await;
    }

    assert_eq!([rig.order(happy).await, rig.order(unhappy).await], ends);
    assert_eq!(rig.written().await, written);
    expect![[r#"
        1 placed.v2 -> order.placed.v2 #1
        2 stock-noted.v1
        3 payment-noted.v1
        4 confirmed.v1 -> order.confirmed.v1 #2
        5 paid.v1 -> order.paid.v1 #3
        6 shipped.v1 -> order.shipped.v1 #4
        7 delivered.v1 -> order.delivered.v1 #5
    "#]]
    .assert_eq(&rig.trace(happy).await);
    expect![[r#"
        1 placed.v2 -> order.placed.v2 #1
        2 stock-noted.v1
        3 payment-noted.v1
        4 confirmed.v1 -> order.confirmed.v1 #2
        5 cancelled.v1 -> order.cancelled.v1 #3
        6 stock-returned.v1
        7 money-returned.v1
    "#]]
    .assert_eq(&rig.trace(unhappy).await);
    rig.finish().await;
}

#[tokio::test]
async fn the_same_event_twice_is_one() {
    let rig = Rig::new().await;
    let order_id = rig.place(&mugs()).await;
    let event_id = Uuid::now_v7();
    for _ in 0..3 {
        rig.tell_as(event_id, &stock_reserved(order_id)).await;
    }
    rig.settled().await;
    rig.tell_as(event_id, &stock_reserved(order_id)).await;
    rig.told(&authorized(order_id)).await;
    expect![[r#"
        1 placed.v2 -> order.placed.v2 #1
        2 stock-noted.v1
        3 payment-noted.v1
        4 confirmed.v1 -> order.confirmed.v1 #2
    "#]]
    .assert_eq(&rig.trace(order_id).await);
    rig.finish().await;
}

#[tokio::test]
async fn a_replay_of_all_topics_has_no_effect() {
    let mut rig = Rig::new().await;
    let order_id = rig.place(&mugs()).await;
    rig.confirm(order_id).await;
    rig.told(&product("MUG-01", 2100, "USD")).await;
    rig.drained().await;
    let written = rig.written().await;

    rig.stop().await;
    rig.bus.rewind(&format!("{}.order", rig.prefix)).await.unwrap();
    rig.start(&[]).await;
    rig.settled().await;

    rig.drained().await;
    assert_eq!(rig.written().await, written);
    let order = rig.post(&mugs()).await;
    assert_eq!(
        order.body["total"]["amount"], 4200,
        "the last price holds, not the first one that was read again"
    );
    rig.finish().await;
}

#[tokio::test]
async fn many_orders_at_once_keep_to_themselves() {
    let rig = Rig::new().await;
    let mut orders = Vec::new();
    for _ in 0..20 {
        orders.push(rig.place(&mugs()).await);
    }
    for order_id in &orders {
        rig.tell(&stock_reserved(*order_id)).await;
        rig.tell(&authorized(*order_id)).await;
    }
    rig.settled().await;
    for (index, order_id) in orders.iter().enumerate() {
        if index % 2 == 0 {
            rig.tell(&capture_failed(*order_id)).await;
        } else {
            rig.tell(&captured(*order_id)).await;
        }
    }
    rig.settled().await;
    for (index, order_id) in orders.iter().enumerate() {
        let order = rig.order(*order_id).await;
        let expected = if index % 2 == 0 { ("cancelled", false) } else { ("confirmed", true) };
        assert_eq!((&order["status"], &order["paid"]), (&expected.0.into(), &expected.1.into()));
    }
    rig.finish().await;
}

#[tokio::test]
async fn what_does_not_concern_an_order_is_skipped() {
    let rig = Rig::new().await;
    let order_id = rig.place(&mugs()).await;
    let written = rig.written().await;
    let known = rig.count("engine.inbox").await;
    let items = vec![Item { sku: "MUG-01".parse().unwrap(), quantity: 2 }];
    rig.tell(&StockKept { order_id, items: items.clone() }).await;
    rig.tell(&StockDeducted { order_id, items }).await;
    rig.settled().await;
    assert_eq!(rig.count("engine.inbox").await, known);
    assert_eq!(rig.written().await, written);
    rig.finish().await;
}
