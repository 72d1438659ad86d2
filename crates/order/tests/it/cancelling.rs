//! A customer, or a reservation that has run out, wants an order back.

use events::{CancellationRefused, ShipmentCancelled};
use expect_test::expect;

use crate::{
    rig::Rig,
    words::{authorized, captured, delivered, dispatched, expired, mugs, stock_reserved},
};

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

    expect![[r#"
        1 placed.v2 -> order.placed.v2 #1
        2 stock-noted.v1
        3 cancelled.v1 -> order.cancelled.v1 #2
    "#]]
    .assert_eq(&rig.trace(order_id).await);
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
    expect![[r#"
        1 placed.v2 -> order.placed.v2 #1
        2 stock-noted.v1
        3 payment-noted.v1
        4 confirmed.v1 -> order.confirmed.v1 #2
        5 paid.v1 -> order.paid.v1 #3
        6 cancellation-requested.v1 -> order.cancellation-requested.v1 #4
        7 cancelled.v1 -> order.cancelled.v1 #5
    "#]]
    .assert_eq(&rig.trace(order_id).await);

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
    expect![[r#"
        1 placed.v2 -> order.placed.v2 #1
        2 stock-noted.v1
        3 payment-noted.v1
        4 confirmed.v1 -> order.confirmed.v1 #2
        5 cancellation-requested.v1 -> order.cancellation-requested.v1 #3
        6 shipped.v1 -> order.shipped.v1 #4
        7 delivered.v1 -> order.delivered.v1 #5
    "#]]
    .assert_eq(&rig.trace(order_id).await);

    // The reservation runs out while the order is being confirmed.
    let order_id = rig.place(&mugs()).await;
    rig.confirm(order_id).await;
    rig.told(&expired(order_id)).await;
    rig.told(&ShipmentCancelled { order_id }).await;
    assert_eq!(rig.order(order_id).await["cancel_reason"], "reservation-expired");
    expect![[r#"
        1 placed.v2 -> order.placed.v2 #1
        2 stock-noted.v1
        3 payment-noted.v1
        4 confirmed.v1 -> order.confirmed.v1 #2
        5 cancellation-requested.v1 -> order.cancellation-requested.v1 #3
        6 cancelled.v1 -> order.cancelled.v1 #4
    "#]]
    .assert_eq(&rig.trace(order_id).await);

    rig.finish().await;
}
