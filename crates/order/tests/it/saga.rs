//! An order's ways to its end, with the test as inventory, payment and shipping.

use events::{
    CancellationRefused, CaptureFailed, Item, OrderId, PaymentDeclined, PaymentVoided, ReservationExpired,
    ShipmentCancelled, StockRejected, StockReleased,
};
use expect_test::{Expect, expect};
use uuid::Uuid;

use crate::{
    laws,
    rig::{Rig, authorized, captured, delivered, dispatched, mugs, product, stock_reserved, usd},
};

fn capture_failed(order_id: OrderId) -> CaptureFailed {
    CaptureFailed {
        order_id,
        amount: usd(3998),
        provider_reference: "pi_1".into(),
        code: "card_declined".into(),
    }
}

fn declined(order_id: OrderId) -> PaymentDeclined {
    PaymentDeclined { order_id, amount: usd(3998), code: "card_declined".into() }
}

fn rejected(order_id: OrderId) -> StockRejected {
    StockRejected { order_id, shortages: vec![] }
}

fn expired(order_id: OrderId) -> ReservationExpired {
    ReservationExpired { order_id, items: vec![] }
}

async fn check_trace(rig: &Rig, order_id: OrderId, expected: Expect) {
    expected.assert_eq(&rig.trace(order_id).await);
}

#[tokio::test]
async fn an_order_is_delivered_whichever_answer_comes_first() {
    let rig = Rig::new().await;

    let order_id = rig.place(&mugs()).await;
    rig.told(&stock_reserved(order_id)).await;
    assert_eq!(rig.order(order_id).await["status"], "placed");
    rig.told(&authorized(order_id)).await;
    assert_eq!(rig.order(order_id).await["status"], "confirmed");
    rig.told(&captured(order_id)).await;
    assert_eq!(rig.order(order_id).await["paid"], true);
    rig.told(&dispatched(order_id)).await;
    let shipped = rig.order(order_id).await;
    assert_eq!((&shipped["status"], &shipped["tracking_number"]), (&"shipped".into(), &"WB1".into()));
    rig.told(&delivered(order_id)).await;
    assert_eq!(rig.order(order_id).await["status"], "delivered");
    check_trace(
        &rig,
        order_id,
        expect![[r#"
        1 placed.v2 -> order.placed.v2 #1
        2 stock-noted.v1
        3 payment-noted.v1
        4 confirmed.v1 -> order.confirmed.v1 #2
        5 paid.v1 -> order.paid.v1 #3
        6 shipped.v1 -> order.shipped.v1 #4
        7 delivered.v1 -> order.delivered.v1 #5
    "#]],
    )
    .await;

    let order_id = rig.place(&mugs()).await;
    rig.told(&authorized(order_id)).await;
    assert_eq!(rig.order(order_id).await["status"], "placed");
    rig.told(&stock_reserved(order_id)).await;
    // The parcel's news is faster than the money's.
    rig.told(&dispatched(order_id)).await;
    rig.told(&delivered(order_id)).await;
    rig.told(&captured(order_id)).await;
    let order = rig.order(order_id).await;
    assert_eq!((&order["status"], &order["paid"]), (&"delivered".into(), &true.into()));
    check_trace(
        &rig,
        order_id,
        expect![[r#"
        1 placed.v2 -> order.placed.v2 #1
        2 payment-noted.v1
        3 stock-noted.v1
        4 confirmed.v1 -> order.confirmed.v1 #2
        5 shipped.v1 -> order.shipped.v1 #3
        6 delivered.v1 -> order.delivered.v1 #4
        7 paid.v1 -> order.paid.v1 #5
    "#]],
    )
    .await;

    rig.finish().await;
}

#[tokio::test]
async fn what_is_published_says_what_its_readers_need() {
    let rig = Rig::new().await;
    let order_id = rig.place(&mugs()).await;
    rig.confirm(order_id).await;
    rig.drained().await;

    let published = laws::published(&rig.bus, &rig.prefix).await;
    let [placed, confirmed] = &published[..] else { panic!("{published:?}") };
    for event in [placed, confirmed] {
        assert_eq!(event.data["total"], serde_json::json!({"amount": 3998, "currency": "USD"}));
        assert_eq!(event.data["lines"][0]["unit_price"]["amount"], 1999);
        assert_eq!(event.data["lines"][0]["name"], "Product MUG-01");
        assert_eq!(event.data["ship_to"]["city"], "London");
        assert_eq!(event.data["customer"]["email"], "ada@example.com");
    }
    assert_eq!(placed.data["payment_method"], "pm_card_visa");
    assert_eq!(confirmed.data.get("payment_method"), None);

    rig.finish().await;
}

#[tokio::test]
async fn an_order_that_cannot_be_met_is_cancelled() {
    let rig = Rig::new().await;

    let order_id = rig.place(&mugs()).await;
    rig.told(&rejected(order_id)).await;
    let order = rig.order(order_id).await;
    assert_eq!((&order["status"], &order["cancel_reason"]), (&"cancelled".into(), &"out-of-stock".into()));
    check_trace(
        &rig,
        order_id,
        expect![[r#"
        1 placed.v2 -> order.placed.v2 #1
        2 cancelled.v1 -> order.cancelled.v1 #2
    "#]],
    )
    .await;

    let order_id = rig.place(&mugs()).await;
    rig.told(&stock_reserved(order_id)).await;
    rig.told(&declined(order_id)).await;
    assert_eq!(rig.order(order_id).await["cancel_reason"], "payment-declined");
    check_trace(
        &rig,
        order_id,
        expect![[r#"
        1 placed.v2 -> order.placed.v2 #1
        2 stock-noted.v1
        3 cancelled.v1 -> order.cancelled.v1 #2
    "#]],
    )
    .await;

    let order_id = rig.place(&mugs()).await;
    rig.confirm(order_id).await;
    rig.told(&capture_failed(order_id)).await;
    assert_eq!(rig.order(order_id).await["cancel_reason"], "capture-failed");
    check_trace(
        &rig,
        order_id,
        expect![[r#"
        1 placed.v2 -> order.placed.v2 #1
        2 stock-noted.v1
        3 payment-noted.v1
        4 confirmed.v1 -> order.confirmed.v1 #2
        5 cancelled.v1 -> order.cancelled.v1 #3
    "#]],
    )
    .await;

    let order_id = rig.place(&mugs()).await;
    rig.told(&stock_reserved(order_id)).await;
    rig.told(&expired(order_id)).await;
    assert_eq!(rig.order(order_id).await["cancel_reason"], "reservation-expired");
    check_trace(
        &rig,
        order_id,
        expect![[r#"
        1 placed.v2 -> order.placed.v2 #1
        2 stock-noted.v1
        3 cancelled.v1 -> order.cancelled.v1 #2
    "#]],
    )
    .await;

    rig.finish().await;
}

#[tokio::test]
async fn a_customer_cancels_at_once_before_confirmation() {
    let rig = Rig::new().await;
    let order_id = rig.place(&mugs()).await;
    rig.told(&stock_reserved(order_id)).await;

    let answer = rig.cancel(order_id).await;
    assert_eq!((answer.status, &answer.body["status"]), (200, &"cancelled".into()));
    assert_eq!((&answer.body["cancel_reason"], answer.etag.as_deref()), (&"customer".into(), Some("\"3\"")));
    // Again: the same answer, nothing new.
    assert_eq!(rig.cancel(order_id).await, answer);
    // The answer of the provider was on its way.
    rig.told(&authorized(order_id)).await;

    check_trace(
        &rig,
        order_id,
        expect![[r#"
        1 placed.v2 -> order.placed.v2 #1
        2 stock-noted.v1
        3 cancelled.v1 -> order.cancelled.v1 #2
    "#]],
    )
    .await;
    rig.finish().await;
}

#[tokio::test]
async fn after_confirmation_shipping_is_asked() {
    let rig = Rig::new().await;

    // The parcel is stopped.
    let order_id = rig.place(&mugs()).await;
    rig.confirm(order_id).await;
    rig.told(&captured(order_id)).await;
    let asked = rig.cancel(order_id).await;
    assert_eq!((asked.status, &asked.body["status"]), (202, &"confirmed".into()));
    assert_eq!(rig.cancel(order_id).await, asked);
    rig.told(&ShipmentCancelled { order_id }).await;
    let order = rig.order(order_id).await;
    assert_eq!((&order["status"], &order["cancel_reason"]), (&"cancelled".into(), &"customer".into()));
    check_trace(
        &rig,
        order_id,
        expect![[r#"
        1 placed.v2 -> order.placed.v2 #1
        2 stock-noted.v1
        3 payment-noted.v1
        4 confirmed.v1 -> order.confirmed.v1 #2
        5 paid.v1 -> order.paid.v1 #3
        6 cancellation-requested.v1 -> order.cancellation-requested.v1 #4
        7 cancelled.v1 -> order.cancelled.v1 #5
    "#]],
    )
    .await;

    // The parcel has left.
    let order_id = rig.place(&mugs()).await;
    rig.confirm(order_id).await;
    assert_eq!(rig.cancel(order_id).await.status, 202);
    rig.told(&CancellationRefused { order_id }).await;
    assert_eq!(rig.order(order_id).await["status"], "confirmed");
    rig.told(&dispatched(order_id)).await;
    let refused = rig.cancel(order_id).await;
    assert_eq!((refused.status, refused.content_type.as_str()), (409, "application/problem+json"));
    assert_eq!(refused.body["detail"], "the order has been shipped and cannot be cancelled");
    rig.told(&delivered(order_id)).await;
    assert_eq!(rig.cancel(order_id).await.status, 409);
    check_trace(
        &rig,
        order_id,
        expect![[r#"
        1 placed.v2 -> order.placed.v2 #1
        2 stock-noted.v1
        3 payment-noted.v1
        4 confirmed.v1 -> order.confirmed.v1 #2
        5 cancellation-requested.v1 -> order.cancellation-requested.v1 #3
        6 shipped.v1 -> order.shipped.v1 #4
        7 delivered.v1 -> order.delivered.v1 #5
    "#]],
    )
    .await;

    // The reservation runs out while the order is being confirmed.
    let order_id = rig.place(&mugs()).await;
    rig.confirm(order_id).await;
    rig.told(&expired(order_id)).await;
    rig.told(&ShipmentCancelled { order_id }).await;
    assert_eq!(rig.order(order_id).await["cancel_reason"], "reservation-expired");
    check_trace(
        &rig,
        order_id,
        expect![[r#"
        1 placed.v2 -> order.placed.v2 #1
        2 stock-noted.v1
        3 payment-noted.v1
        4 confirmed.v1 -> order.confirmed.v1 #2
        5 cancellation-requested.v1 -> order.cancellation-requested.v1 #3
        6 cancelled.v1 -> order.cancelled.v1 #4
    "#]],
    )
    .await;

    rig.finish().await;
}

#[tokio::test]
async fn an_order_that_is_not_confirmed_in_time_is_cancelled() {
    let rig = Rig::with(&["--confirm-within-secs", "1"]).await;
    let late = rig.place(&mugs()).await;
    let in_time = rig.place(&mugs()).await;
    rig.confirm(in_time).await;

    let order = rig.reaches(late, "cancelled").await;
    assert_eq!(order["cancel_reason"], "timed-out");
    rig.told(&stock_reserved(late)).await;
    rig.told(&authorized(late)).await;
    assert_eq!(rig.order(in_time).await["status"], "confirmed");

    check_trace(
        &rig,
        late,
        expect![[r#"
        1 placed.v2 -> order.placed.v2 #1
        2 cancelled.v1 -> order.cancelled.v1 #2
    "#]],
    )
    .await;
    rig.finish().await;
}

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
        rig.tell(&CancellationRefused { order_id }).await;
        rig.told(&ShipmentCancelled { order_id }).await;
    };
    rig.confirm(happy).await;
    rig.told(&captured(happy)).await;
    rig.told(&dispatched(happy)).await;
    rig.told(&delivered(happy)).await;
    rig.told(&declined(unhappy)).await;
    let ends = [rig.order(happy).await, rig.order(unhappy).await];
    rig.drained().await;
    let written = rig.written().await;

    // The same facts under new ids, in any order, and facts that contradict the end.
    for _ in 0..2 {
        everything(happy).await;
        everything(unhappy).await;
    }

    assert_eq!([rig.order(happy).await, rig.order(unhappy).await], ends);
    assert_eq!(rig.written().await, written);
    check_trace(
        &rig,
        happy,
        expect![[r#"
        1 placed.v2 -> order.placed.v2 #1
        2 stock-noted.v1
        3 payment-noted.v1
        4 confirmed.v1 -> order.confirmed.v1 #2
        5 paid.v1 -> order.paid.v1 #3
        6 shipped.v1 -> order.shipped.v1 #4
        7 delivered.v1 -> order.delivered.v1 #5
    "#]],
    )
    .await;
    check_trace(
        &rig,
        unhappy,
        expect![[r#"
        1 placed.v2 -> order.placed.v2 #1
        2 cancelled.v1 -> order.cancelled.v1 #2
    "#]],
    )
    .await;
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
    check_trace(
        &rig,
        order_id,
        expect![[r#"
        1 placed.v2 -> order.placed.v2 #1
        2 stock-noted.v1
        3 payment-noted.v1
        4 confirmed.v1 -> order.confirmed.v1 #2
    "#]],
    )
    .await;
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
async fn many_orders_in_one_batch_keep_to_themselves() {
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
    rig.tell(&StockReleased { order_id, items }).await;
    rig.tell(&PaymentVoided { order_id, amount: usd(3998), provider_reference: "pi_1".into() }).await;
    rig.settled().await;
    assert_eq!(rig.count("engine.inbox").await, known);
    assert_eq!(rig.written().await, written);
    rig.finish().await;
}
