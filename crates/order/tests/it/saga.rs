//! An order's ways to its end, with the test as inventory, payment and shipping.

use expect_test::expect;

use crate::{
    laws,
    rig::Rig,
    words::{
        authorized, capture_failed, captured, declined, delivered, dispatched, expired, mugs, rejected,
        stock_reserved,
    },
};

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
    expect![[r#"
        1 placed.v2 -> order.placed.v2 #1
        2 stock-noted.v1
        3 payment-noted.v1
        4 confirmed.v1 -> order.confirmed.v1 #2
        5 paid.v1 -> order.paid.v1 #3
        6 shipped.v1 -> order.shipped.v1 #4
        7 delivered.v1 -> order.delivered.v1 #5
    "#]]
    .assert_eq(&rig.trace(order_id).await);

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
    expect![[r#"
        1 placed.v2 -> order.placed.v2 #1
        2 payment-noted.v1
        3 stock-noted.v1
        4 confirmed.v1 -> order.confirmed.v1 #2
        5 shipped.v1 -> order.shipped.v1 #3
        6 delivered.v1 -> order.delivered.v1 #4
        7 paid.v1 -> order.paid.v1 #5
    "#]]
    .assert_eq(&rig.trace(order_id).await);

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
    expect![[r#"
        1 placed.v2 -> order.placed.v2 #1
        2 cancelled.v1 -> order.cancelled.v1 #2
    "#]]
    .assert_eq(&rig.trace(order_id).await);

    let order_id = rig.place(&mugs()).await;
    rig.told(&stock_reserved(order_id)).await;
    rig.told(&declined(order_id)).await;
    assert_eq!(rig.order(order_id).await["cancel_reason"], "payment-declined");
    expect![[r#"
        1 placed.v2 -> order.placed.v2 #1
        2 stock-noted.v1
        3 cancelled.v1 -> order.cancelled.v1 #2
    "#]]
    .assert_eq(&rig.trace(order_id).await);

    let order_id = rig.place(&mugs()).await;
    rig.confirm(order_id).await;
    rig.told(&capture_failed(order_id)).await;
    assert_eq!(rig.order(order_id).await["cancel_reason"], "capture-failed");
    expect![[r#"
        1 placed.v2 -> order.placed.v2 #1
        2 stock-noted.v1
        3 payment-noted.v1
        4 confirmed.v1 -> order.confirmed.v1 #2
        5 cancelled.v1 -> order.cancelled.v1 #3
    "#]]
    .assert_eq(&rig.trace(order_id).await);

    let order_id = rig.place(&mugs()).await;
    rig.told(&stock_reserved(order_id)).await;
    rig.told(&expired(order_id)).await;
    assert_eq!(rig.order(order_id).await["cancel_reason"], "reservation-expired");
    expect![[r#"
        1 placed.v2 -> order.placed.v2 #1
        2 stock-noted.v1
        3 cancelled.v1 -> order.cancelled.v1 #2
    "#]]
    .assert_eq(&rig.trace(order_id).await);

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

    expect![[r#"
        1 placed.v2 -> order.placed.v2 #1
        2 cancelled.v1 -> order.cancelled.v1 #2
        3 stock-noted.v1
    "#]]
    .assert_eq(&rig.trace(late).await);
    rig.finish().await;
}
