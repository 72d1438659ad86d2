//! What was held for an order that is cancelled comes back, and is seen to.

use events::{OrderId, ShipmentCancelled, StockReserved};
use expect_test::expect;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use crate::{
    laws,
    rig::Rig,
    words::{
        authorized, capture_failed, captured, declined, expired, mugs, payment_cancelled, refunded, rejected,
        released, stock_reserved, voided,
    },
};

impl Rig {
    async fn compensation(&self, order_id: OrderId) -> Value {
        let order = self.order(order_id).await;
        assert_eq!(order["status"], "cancelled", "{order}");
        // Absent, not null.
        assert!(order.get("compensation") != Some(&Value::Null), "{order}");
        order["compensation"].clone()
    }
}

#[tokio::test]
async fn what_was_held_comes_back() {
    let rig = Rig::new().await;
    let order_id = rig.place(&mugs()).await;
    rig.confirm(order_id).await;
    rig.told(&captured(order_id)).await;
    assert_eq!(rig.cancel(order_id).await.body.get("compensation"), None);
    rig.told(&ShipmentCancelled { order_id }).await;

    assert_eq!(rig.compensation(order_id).await, json!({"stock": "pending", "payment": "pending"}));
    rig.told(&released(order_id)).await;
    assert_eq!(rig.compensation(order_id).await, json!({"stock": "done", "payment": "pending"}));
    rig.told(&refunded(order_id)).await;
    assert_eq!(rig.compensation(order_id).await, json!({"stock": "done", "payment": "done"}));
    let page = rig.get("/orders?status=cancelled").await.body;
    assert_eq!(page["orders"], json!([rig.order(order_id).await]));

    // Old news, once more: what is back stays back.
    rig.tell(&stock_reserved(order_id)).await;
    rig.tell(&captured(order_id)).await;
    rig.told(&authorized(order_id)).await;
    expect![[r#"
        1 placed.v2 -> order.placed.v2 #1
        2 stock-noted.v1
        3 payment-noted.v1
        4 confirmed.v1 -> order.confirmed.v1 #2
        5 paid.v1 -> order.paid.v1 #3
        6 cancellation-requested.v1 -> order.cancellation-requested.v1 #4
        7 cancelled.v1 -> order.cancelled.v1 #5
        8 stock-returned.v1
        9 money-returned.v1
    "#]]
    .assert_eq(&rig.trace(order_id).await);
    rig.finish().await;
}

#[tokio::test]
async fn what_is_held_after_the_cancellation_comes_back_too() {
    let rig = Rig::new().await;

    // Before the stock, without which nothing is asked of the provider.
    let order_id = rig.place(&mugs()).await;
    assert_eq!(rig.cancel(order_id).await.status, 200);
    assert_eq!(rig.compensation(order_id).await, json!({"payment": "pending"}));
    rig.told(&stock_reserved(order_id)).await;
    assert_eq!(rig.compensation(order_id).await, json!({"stock": "pending", "payment": "pending"}));
    rig.told(&payment_cancelled(order_id)).await;
    assert_eq!(rig.compensation(order_id).await, json!({"stock": "pending"}));
    rig.told(&released(order_id)).await;
    assert_eq!(rig.compensation(order_id).await, json!({"stock": "done"}));

    // Between stock and payment: the provider's answer was on its way.
    let order_id = rig.place(&mugs()).await;
    rig.told(&stock_reserved(order_id)).await;
    let pending = json!({"stock": "pending", "payment": "pending"});
    assert_eq!(rig.cancel(order_id).await.body["compensation"], pending);
    rig.told(&released(order_id)).await;
    rig.told(&authorized(order_id)).await;
    assert_eq!(rig.compensation(order_id).await, json!({"stock": "done", "payment": "pending"}));
    rig.told(&voided(order_id)).await;
    assert_eq!(rig.compensation(order_id).await, json!({"stock": "done", "payment": "done"}));
    expect![[r#"
        1 placed.v2 -> order.placed.v2 #1
        2 stock-noted.v1
        3 cancelled.v1 -> order.cancelled.v1 #2
        4 stock-returned.v1
        5 money-returned.v1
    "#]]
    .assert_eq(&rig.trace(order_id).await);

    // Back before it was known to be held: the services' topics have no order among them.
    let order_id = rig.place(&mugs()).await;
    assert_eq!(rig.cancel(order_id).await.status, 200);
    rig.told(&voided(order_id)).await;
    rig.told(&authorized(order_id)).await;
    assert_eq!(rig.compensation(order_id).await, json!({"payment": "done"}));
    rig.finish().await;
}

#[tokio::test]
async fn what_was_refused_is_not_held() {
    let rig = Rig::new().await;
    let sold_out = rig.place(&mugs()).await;
    rig.told(&rejected(sold_out)).await;
    assert_eq!(rig.compensation(sold_out).await, json!({"payment": "pending"}));
    rig.told(&payment_cancelled(sold_out)).await;
    assert_eq!(rig.compensation(sold_out).await, Value::Null);

    let declined_ = rig.place(&mugs()).await;
    rig.told(&stock_reserved(declined_)).await;
    rig.told(&declined(declined_)).await;
    assert_eq!(rig.compensation(declined_).await, json!({"stock": "pending"}));
    rig.told(&released(declined_)).await;
    assert_eq!(rig.compensation(declined_).await, json!({"stock": "done"}));

    // A card that refuses the capture still holds the amount.
    let failed = rig.place(&mugs()).await;
    rig.confirm(failed).await;
    rig.told(&capture_failed(failed)).await;
    assert_eq!(rig.compensation(failed).await, json!({"stock": "pending", "payment": "pending"}));
    rig.told(&voided(failed)).await;
    assert_eq!(rig.compensation(failed).await, json!({"stock": "pending", "payment": "done"}));
    rig.finish().await;
}

/// The provider is away: nobody knows whether it has done what it was asked, and the order does not pretend to.
#[tokio::test]
async fn money_that_payment_has_not_spoken_of_is_not_called_back() {
    let rig = Rig::new().await;
    let [held, refused] = [rig.place(&mugs()).await, rig.place(&mugs()).await];
    for order_id in [held, refused] {
        rig.told(&stock_reserved(order_id)).await;
        assert_eq!(rig.cancel(order_id).await.status, 200);
        rig.told(&released(order_id)).await;
        assert_eq!(rig.compensation(order_id).await, json!({"stock": "done", "payment": "pending"}));
    }

    // It is there again, and had held the amount.
    rig.told(&authorized(held)).await;
    assert_eq!(rig.compensation(held).await, json!({"stock": "done", "payment": "pending"}));
    rig.told(&voided(held)).await;
    assert_eq!(rig.compensation(held).await, json!({"stock": "done", "payment": "done"}));

    // It is there again, and had not.
    rig.told(&declined(refused)).await;
    assert_eq!(rig.compensation(refused).await, json!({"stock": "done"}));

    // A last word stays the last one.
    for order_id in [held, refused] {
        rig.tell(&authorized(order_id)).await;
        rig.tell(&declined(order_id)).await;
        rig.told(&payment_cancelled(order_id)).await;
    }
    rig.told(&voided(refused)).await;
    assert_eq!(rig.compensation(held).await, json!({"stock": "done", "payment": "done"}));
    assert_eq!(rig.compensation(refused).await, json!({"stock": "done"}));
    expect![[r#"
        1 placed.v2 -> order.placed.v2 #1
        2 stock-noted.v1
        3 cancelled.v1 -> order.cancelled.v1 #2
        4 stock-returned.v1
        5 nothing-held.v1
    "#]]
    .assert_eq(&rig.trace(refused).await);
    rig.finish().await;
}

#[tokio::test]
async fn a_reservation_that_runs_out_is_back_by_that() {
    let rig = Rig::new().await;

    let waiting = rig.place(&mugs()).await;
    rig.told(&stock_reserved(waiting)).await;
    rig.told(&expired(waiting)).await;
    assert_eq!(rig.compensation(waiting).await, json!({"stock": "done", "payment": "pending"}));

    let confirmed = rig.place(&mugs()).await;
    rig.confirm(confirmed).await;
    rig.told(&expired(confirmed)).await;
    let order = rig.order(confirmed).await;
    assert_eq!((&order["status"], &order["cancelling"]), (&"confirmed".into(), &true.into()));
    rig.told(&ShipmentCancelled { order_id: confirmed }).await;
    assert_eq!(rig.compensation(confirmed).await, json!({"stock": "done", "payment": "pending"}));

    // The customer was first, and the reservation ran out while shipping was asked.
    let asked = rig.place(&mugs()).await;
    rig.confirm(asked).await;
    assert_eq!(rig.cancel(asked).await.status, 202);
    rig.told(&expired(asked)).await;
    rig.told(&ShipmentCancelled { order_id: asked }).await;
    assert_eq!(rig.order(asked).await["cancel_reason"], "customer");
    assert_eq!(rig.compensation(asked).await, json!({"stock": "done", "payment": "pending"}));
    rig.finish().await;
}

/// Whoever ships has to know that the stock may be gone.
#[tokio::test]
async fn a_confirmation_says_until_when_the_stock_is_reserved() {
    let rig = Rig::new().await;
    let expires_at = OffsetDateTime::now_utc() + Duration::HOUR;
    let reserved = |order_id, expires_at| StockReserved { order_id, items: vec![], expires_at };
    let stock_first = rig.place(&mugs()).await;
    rig.told(&reserved(stock_first, Some(expires_at))).await;
    rig.told(&authorized(stock_first)).await;
    let payment_first = rig.place(&mugs()).await;
    rig.told(&authorized(payment_first)).await;
    rig.told(&reserved(payment_first, Some(expires_at))).await;
    let kept = rig.place(&mugs()).await;
    rig.confirm(kept).await;
    rig.drained().await;

    let published = laws::published(&rig.bus, &rig.prefix).await;
    let until = |order_id: OrderId| {
        let mut confirmed = published.iter().filter(|it| it.key == order_id.to_string());
        let confirmed = confirmed.find(|it| it.r#type == "waybill.order.confirmed.v1").unwrap();
        confirmed.data.get("stock_expires_at").cloned()
    };
    let said = serde_json::to_value(reserved(kept, Some(expires_at))).unwrap()["expires_at"].clone();
    assert_eq!(until(stock_first), Some(said.clone()));
    assert_eq!(until(payment_first), Some(said));
    assert_eq!(until(kept), None);
    rig.finish().await;
}
