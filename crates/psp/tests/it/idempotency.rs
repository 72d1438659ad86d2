//! One key, one piece of work.

use std::{collections::HashSet, time::Duration};

use crate::{capture_of, config, intent_form, start};

#[tokio::test]
async fn a_repeated_request_gets_the_answer_of_the_first_even_when_the_intent_has_moved_on() {
    let (_running, api) = start().await;
    let first = api.authorize("pm_card_visa", "o1", "k1").await;
    assert!(!first.replayed);
    let id = crate::id_of(&first);
    api.post(&capture_of(&id), "k2", &[]).await;

    let again = api.authorize("pm_card_visa", "o1", "k1").await;
    assert!(again.replayed);
    assert_eq!((again.status, again.text), (first.status, first.text));
    let refund = api.post("/v1/refunds", "k3", &[("payment_intent", &id)]).await;
    assert_eq!(api.post("/v1/refunds", "k3", &[("payment_intent", &id)]).await.text, refund.text);
    assert_eq!(api.movements("o1").await.len(), 3);
}

#[tokio::test]
async fn a_key_is_for_one_request_only() {
    let (_running, api) = start().await;
    let id = api.authorized("pm_card_visa", "o1").await;
    let mut other = intent_form("pm_card_visa", "o1");
    other[0].1 = "999";
    for refused in [
        api.post("/v1/payment_intents", "o1-authorize", &other).await,
        api.post(&capture_of(&id), "o1-authorize", &[]).await,
        api.post("/v1/refunds", "o1-authorize", &[("payment_intent", &id)]).await,
    ] {
        assert_eq!(refused.brief(), "400 idempotency_error");
    }
    assert_eq!(api.movements("o1").await, ["authorize 1000 usd by o1-authorize"]);

    let mut reordered = intent_form("pm_card_visa", "o1");
    reordered.reverse();
    assert!(api.post("/v1/payment_intents", "o1-authorize", &reordered).await.replayed);
}

#[tokio::test]
async fn a_refusal_is_kept_under_its_key() {
    let (_running, api) = start().await;
    let id = api.authorized("pm_card_visa", "o1").await;
    let refused = api.post("/v1/refunds", "k1", &[("payment_intent", &id)]).await;
    assert_eq!(refused.brief(), "400 invalid_request_error payment_intent_unexpected_state");
    api.post(&capture_of(&id), "k2", &[]).await;
    let again = api.post("/v1/refunds", "k1", &[("payment_intent", &id)]).await;
    assert_eq!((again.replayed, again.text), (true, refused.text));
    assert_eq!(api.post("/v1/refunds", "k3", &[("payment_intent", &id)]).await.brief(), "200 succeeded");
}

#[tokio::test]
async fn without_a_key_every_request_is_another() {
    let (_running, api) = start().await;
    for _ in 0..2 {
        let request = api.request(reqwest::Method::POST, "/v1/payment_intents");
        let answer = api.send(request.form(&intent_form("pm_card_visa", "o1"))).await.expect("an answer");
        assert_eq!(answer.brief(), "200 requires_capture");
    }
    assert_eq!(api.movements("o1").await, ["authorize 1000 usd by -", "authorize 1000 usd by -"]);
}

#[tokio::test]
async fn keys_have_one_to_255_characters() {
    let (_running, api) = start().await;
    let long = "k".repeat(256);
    for (key, brief) in [
        ("", "400 invalid_request_error"),
        (&long, "400 invalid_request_error"),
        (&long[1..], "200 requires_capture"),
    ] {
        assert_eq!(api.authorize("pm_card_visa", "o1", key).await.brief(), brief);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_requests_with_one_key_do_the_work_once() {
    // The latency makes all of them arrive before the first is carried out.
    let running = psp::start(psp::Config { psp_latency_ms: 100, ..config(None) }).await.expect("a provider");
    let api = crate::Api::new(running.base_url());
    let id = api.authorized("pm_card_visa", "o1").await;
    let calls = tokio::task::JoinSet::from_iter((0..64).map(|_| {
        let (api, path) = (api.clone(), capture_of(&id));
        async move { api.post(&path, "capture", &[]).await }
    }));
    let answers =
        tokio::time::timeout(Duration::from_secs(30), calls.join_all()).await.expect("answers in time");

    let texts: HashSet<_> = answers.iter().map(|answer| (answer.status.as_u16(), &answer.text)).collect();
    assert_eq!(texts.len(), 1);
    assert_eq!(answers.iter().filter(|answer| !answer.replayed).count(), 1);
    assert_eq!(
        api.movements("o1").await,
        ["authorize 1000 usd by o1-authorize", "capture 1000 usd by capture"]
    );
}
