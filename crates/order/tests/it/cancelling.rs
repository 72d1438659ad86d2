//! A customer, or a reservation that has run out, wants an order back.

use events::{CancellationRefused, OrderId, ShipmentCancelled};
use expect_test::expect;
use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    answer::Answer,
    refusals::refused,
    rig::Rig,
    words::{captured, delivered, dispatched, expired, mugs, stock_reserved},
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
    assert_eq!(asked.body["cancelling"], true);
    assert_eq!(rig.cancel(order_id).await, asked);
    assert_eq!(rig.order(order_id).await, asked.body);
    rig.told(&ShipmentCancelled { order_id }).await;
    let order = rig.order(order_id).await;
    assert_eq!((&order["status"], &order["cancel_reason"]), (&"cancelled".into(), &"customer".into()));
    assert_eq!(order["cancelling"], Value::Null);
    let again = rig.cancel(order_id).await;
    assert_eq!((again.status, again.body), (200, order));
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
    // The parcel's own news is on its way.
    let refused = rig.order(order_id).await;
    assert_eq!((&refused["status"], &refused["cancelling"]), (&"confirmed".into(), &true.into()));
    assert_eq!(rig.cancel(order_id).await.status, 202);
    rig.told(&dispatched(order_id)).await;
    let shipped = rig.order(order_id).await;
    assert_eq!((&shipped["status"], &shipped["cancelling"]), (&"shipped".into(), &Value::Null));
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

impl Rig {
    fn cancel_for(&self, order_id: OrderId, body: &Value) -> reqwest::RequestBuilder {
        self.request(Method::POST, &format!("/orders/{order_id}/cancel")).json(body)
    }
}

/// What an order's history says of its cancellation: what, by whom, and with which data.
async fn cancellation(rig: &Rig, order_id: OrderId) -> Vec<String> {
    let history = rig.get(&format!("/orders/{order_id}/history")).await.body;
    let events = history["events"].as_array().unwrap().iter();
    let of_it = events.filter(|it| it["type"].as_str().unwrap().starts_with("cancel"));
    of_it
        .map(|it| {
            format!("{} by {}: {}", it["type"].as_str().unwrap(), it["actor"].as_str().unwrap(), it["data"])
        })
        .collect()
}

#[tokio::test]
async fn the_reason_and_who_gave_it_are_in_the_history() {
    let rig = Rig::new().await;

    let unsaid = rig.place(&mugs()).await;
    assert_eq!(rig.cancel(unsaid).await.status, 200);
    assert_eq!(
        cancellation(&rig, unsaid).await,
        [r#"cancelled.v1 by customer: {"awaits_payment":true,"reason":"customer"}"#]
    );

    let at_once = rig.place(&mugs()).await;
    let request = rig.cancel_for(at_once, &json!({"reason": "ordered twice — sorry"}));
    assert_eq!(Answer::of(request.header("x-actor", "operator:jane")).await.status, 200);
    // What is said the second time is not what has cancelled the order.
    assert_eq!(Answer::of(rig.cancel_for(at_once, &json!({"reason": "no, really"}))).await.status, 200);
    assert_eq!(
        cancellation(&rig, at_once).await,
        [
            r#"cancelled.v1 by operator:jane: {"awaits_payment":true,"note":"ordered twice — sorry","reason":"customer"}"#
        ]
    );

    let later = rig.place(&mugs()).await;
    rig.confirm(later).await;
    let longest = "x".repeat(500);
    assert_eq!(Answer::of(rig.cancel_for(later, &json!({"reason": longest}))).await.status, 202);
    rig.told(&ShipmentCancelled { order_id: later }).await;
    assert_eq!(
        cancellation(&rig, later).await,
        [
            format!(r#"cancellation-requested.v1 by customer: {{"note":"{longest}","reason":"customer"}}"#),
            r#"cancelled.v1 by service:order: {"awaits_payment":true,"reason":"customer"}"#.to_owned(),
        ]
    );

    // An object that says nothing is as good as none.
    for nothing in [json!({}), json!({"reason": null})] {
        let order_id = rig.place(&mugs()).await;
        assert_eq!(Answer::of(rig.cancel_for(order_id, &nothing)).await.status, 200);
    }
    rig.finish().await;
}

#[tokio::test]
async fn reasons_that_are_none() {
    let rig = Rig::new().await;
    let order_id = rig.place(&mugs()).await;
    let path = format!("/orders/{order_id}/cancel");
    let with = |body: Value| rig.cancel_for(order_id, &body);
    let text = |body: &str| rig.request(Method::POST, &path).body(body.to_owned());
    let requests = vec![
        ("empty", with(json!({"reason": ""}))),
        ("blank", with(json!({"reason": " \t"}))),
        ("too long", with(json!({"reason": "ä".repeat(501)}))),
        ("with a NUL", with(json!({"reason": "a\u{0}b"}))),
        ("with an escape", with(json!({"reason": "\u{1b}[31m"}))),
        ("a number", with(json!({"reason": 1}))),
        ("unknown field", with(json!({"reason": "x", "refund": false}))),
        ("the order's own reason", with(json!({"cancel_reason": "out-of-stock"}))),
        ("a list", with(json!(["x"]))),
        ("malformed JSON", text("{").header("content-type", "application/json")),
        ("wrong content type", text("changed my mind")),
        ("65 KiB", with(json!({"reason": "x".repeat(65 * 1024)}))),
    ];
    expect![[r#"
        empty -> 422 the request body is not valid
            /reason: must not be empty
        blank -> 422 the request body is not valid
            /reason: must not be empty
        too long -> 422 the request body is not valid
            /reason: must not be longer than 500 characters
        with a NUL -> 422 the request body is not valid
            /reason: must not contain control characters
        with an escape -> 422 the request body is not valid
            /reason: must not contain control characters
        a number -> 422 the request body is not valid
            /reason: expected a string
        unknown field -> 422 the request body is not valid
            /refund: is not a known field
        the order's own reason -> 422 the request body is not valid
            /cancel_reason: is not a known field
        a list -> 422 the request body is not valid
            : must be an object
        malformed JSON -> 400 the request body is not JSON: EOF while parsing an object at line 1 column 1
        wrong content type -> 415 the request body must be JSON: set Content-Type to application/json
        65 KiB -> 413 the request body may have 65536 bytes
    "#]]
    .assert_eq(&refused(&rig, requests).await);
    assert_eq!(rig.order(order_id).await["status"], "placed");
    rig.finish().await;
}

#[tokio::test]
async fn cancelled_many_times_at_once_is_cancelled_once() {
    let rig = Rig::new().await;
    let (placed, confirmed) = (rig.place(&mugs()).await, rig.place(&mugs()).await);
    rig.confirm(confirmed).await;
    for (order_id, status) in [(placed, 200), (confirmed, 202)] {
        let answers = join_all((0..20).map(|_| rig.cancel(order_id))).await;
        assert_eq!(answers[0].status, status);
        assert!(answers.iter().all(|it| *it == answers[0]), "{answers:?}");
        assert_eq!(cancellation(&rig, order_id).await.len(), 1);
    }
    rig.finish().await;
}
