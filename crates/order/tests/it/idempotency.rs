//! `Idempotency-Key`: asked again, a request is answered as the first time and places nothing new.

use std::collections::HashSet;

use reqwest::Method;
use serde_json::Value;

use crate::{answer::Answer, rig::Rig, words::mugs};

async fn post(rig: &Rig, key: &str, order: &Value) -> Answer {
    let request = rig.request(Method::POST, "/orders").header("idempotency-key", key).json(order);
    Answer::of(request).await
}

#[tokio::test]
async fn fifty_requests_at_once_with_one_key_place_one_order() {
    let rig = Rig::new().await;
    let order = mugs();

    let answers = futures::future::join_all((0..50).map(|_| post(&rig, "once", &order))).await;

    assert_eq!((answers[0].status, answers[0].etag.as_deref()), (201, Some("\"1\"")));
    assert_eq!(answers[0].location, Some(format!("/orders/{}", answers[0].order_id())));
    assert!(answers.iter().all(|it| *it == answers[0]), "{answers:#?}");
    assert_eq!(rig.count("order_view").await, 1);
    rig.finish().await;
}

#[tokio::test]
async fn a_key_is_known_after_a_restart_and_answers_as_the_first_time() {
    let mut rig = Rig::new().await;
    let first = post(&rig, "k-1", &mugs()).await;
    rig.confirm(first.order_id()).await;
    rig.stop().await;
    rig.start(&[]).await;
    rig.settled().await;

    // The order has gone on; the answer is still that of the placing.
    assert_eq!(post(&rig, "k-1", &mugs()).await, first);
    // The same order, written down in another way.
    let reordered: Value = serde_json::from_str(&format!("  {}", mugs())).unwrap();
    assert_eq!(post(&rig, "k-1", &reordered).await, first);
    assert_eq!(rig.count("order_view").await, 1);
    rig.finish().await;
}

#[tokio::test]
async fn keys_and_no_keys_place_orders_of_their_own() {
    let rig = Rig::new().await;
    let mut ids = HashSet::new();
    for key in ["a", "b", &"x".repeat(200), "!~"] {
        ids.insert(post(&rig, key, &mugs()).await.order_id());
    }
    for _ in 0..2 {
        ids.insert(rig.place(&mugs()).await);
    }
    assert_eq!(ids.len(), 6);
    rig.finish().await;
}

#[tokio::test]
async fn a_key_with_another_body_is_refused() {
    let rig = Rig::new().await;
    let placed = post(&rig, "k-1", &mugs()).await;
    rig.drained().await;
    let written = rig.written().await;

    let mut other = mugs();
    other["lines"][0]["quantity"] = 3.into();
    let refused = post(&rig, "k-1", &other).await;

    assert_eq!((refused.status, refused.content_type.as_str()), (422, "application/problem+json"));
    assert_eq!(refused.body["detail"], "this Idempotency-Key was used for a request with another body");
    assert_eq!(rig.written().await, written);
    assert_eq!(post(&rig, "k-1", &mugs()).await, placed);
    rig.finish().await;
}

#[tokio::test]
async fn a_failed_attempt_does_not_burn_its_key() {
    let rig = Rig::new().await;
    let mut wrong = mugs();
    // One that the decider refuses, in the transaction, and one that never gets there.
    wrong["lines"][0]["sku"] = "NONE".into();
    assert_eq!(post(&rig, "k-1", &wrong).await.status, 422);
    wrong["lines"][0]["quantity"] = 0.into();
    assert_eq!(post(&rig, "k-1", &wrong).await.status, 422);

    assert_eq!(post(&rig, "k-1", &mugs()).await.status, 201);
    rig.finish().await;
}

#[tokio::test]
async fn a_refused_request_fails_alone() {
    let rig = Rig::new().await;
    let mut wrong = mugs();
    wrong["lines"][0]["sku"] = "NONE".into();
    let good = mugs();

    let requests = (0..40).map(|index| rig.post(if index % 4 == 0 { &wrong } else { &good }));
    let answers = futures::future::join_all(requests).await;

    for (index, answer) in answers.iter().enumerate() {
        assert_eq!(answer.status, if index % 4 == 0 { 422 } else { 201 }, "{}", answer.body);
    }
    assert_eq!(rig.count("order_view").await, 30);
    rig.finish().await;
}
