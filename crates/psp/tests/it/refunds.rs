//! Refunds that take their time, that fail, and how they are listed; and a cancellation that fails first.

use std::time::{Duration, Instant};

use expect_test::expect;
use reqwest::Method;

use crate::{Api, KEY, cancel_of, capture_of, config, journal_file, start};

const REFUNDS: &str = "/v1/refunds";

/// The id of a new intent that is captured.
async fn captured(api: &Api, token: &str) -> String {
    let id = api.authorized(token, "o1").await;
    assert_eq!(api.post(&capture_of(&id), "capture", &[]).await.brief(), "200 succeeded");
    id
}

const AUTHORIZED: &str = "authorize 1000 usd by o1-authorize";
const CAPTURED: &str = "capture 1000 usd by capture";

#[tokio::test]
async fn a_pending_refund_is_in_the_ledger_when_it_has_succeeded() {
    let (_running, api) = start().await;
    let id = captured(&api, "pm_card_pendingRefund").await;

    let asked = Instant::now();
    let pending = api.post(REFUNDS, "k1", &[("payment_intent", &id)]).await;
    assert_eq!(pending.brief(), "200 pending");
    let second = api.post(REFUNDS, "k2", &[("payment_intent", &id)]).await;
    assert_eq!(
        second.brief(),
        "400 invalid_request_error charge_already_refunded",
        "the amount is set aside"
    );

    while api.movements("o1").await.len() < 3 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(asked.elapsed().as_millis() >= 1_000, "{:?}", asked.elapsed());
    assert_eq!(api.movements("o1").await, [AUTHORIZED, CAPTURED, "refund 1000 usd by k1"]);
    assert_eq!(api.refunds(&id).await, ["1000 succeeded"]);
    let again = api.post(REFUNDS, "k1", &[("payment_intent", &id)]).await;
    assert_eq!((again.replayed, again.text), (true, pending.text), "the first answer is kept under its key");
}

#[tokio::test]
async fn a_pending_refund_succeeds_though_the_provider_was_stopped_meanwhile() {
    let journal = journal_file("pending");
    let running = psp::start(config(Some(journal.clone()))).await.expect("a provider");
    let api = Api::new(running.base_url());
    let id = captured(&api, "pm_card_pendingRefund").await;
    api.post(REFUNDS, "k1", &[("payment_intent", &id)]).await;
    running.stop().await.expect("a clean stop");

    let running = psp::start(config(Some(journal.clone()))).await.expect("a provider");
    let api = Api::new(running.base_url());
    api.refunds_become(&id, &["1000 succeeded"]).await;
    let ledger = api.get("/ledger").await;
    running.stop().await.expect("a clean stop");

    let running = psp::start(config(Some(journal))).await.expect("a provider");
    assert_eq!(Api::new(running.base_url()).get("/ledger").await, ledger, "once, and at the same time");
}

#[tokio::test]
async fn the_first_refund_fails_and_the_next_under_another_key_succeeds() {
    let (_running, api) = start().await;
    let id = captured(&api, "pm_card_refundFail").await;

    let failed = api.post(REFUNDS, "k1", &[("payment_intent", &id)]).await;
    assert_eq!(failed.brief(), "200 failed");
    assert_eq!(failed.json()["failure_reason"], "expired_or_canceled_card");
    let again = api.post(REFUNDS, "k1", &[("payment_intent", &id)]).await;
    assert_eq!((again.replayed, again.text), (true, failed.text));
    assert_eq!(api.movements("o1").await, [AUTHORIZED, CAPTURED]);

    assert_eq!(api.post(REFUNDS, "k2", &[("payment_intent", &id)]).await.brief(), "200 succeeded");
    assert_eq!(api.refunds(&id).await, ["1000 succeeded", "1000 failed"]);
    assert_eq!(api.movements("o1").await, [AUTHORIZED, CAPTURED, "refund 1000 usd by k2"]);
}

#[tokio::test]
async fn a_cancellation_fails_twice_and_each_failure_is_kept_under_its_key() {
    let journal = journal_file("cancel");
    let running = psp::start(config(Some(journal.clone()))).await.expect("a provider");
    let api = Api::new(running.base_url());
    let id = api.authorized("pm_card_voidFailsFirst", "o1").await;
    assert_eq!(api.post(&cancel_of(&id), "k1", &[]).await.brief(), "500 api_error");
    running.stop().await.expect("a clean stop");

    let running = psp::start(config(Some(journal))).await.expect("a provider");
    let api = Api::new(running.base_url());
    let kept = api.post(&cancel_of(&id), "k1", &[]).await;
    assert_eq!((kept.replayed, kept.brief().as_str()), (true, "500 api_error"));
    assert_eq!(api.post(&cancel_of(&id), "k2", &[]).await.brief(), "500 api_error");
    assert_eq!(api.post(&cancel_of(&id), "k3", &[]).await.brief(), "200 canceled");
    assert_eq!(api.movements("o1").await, [AUTHORIZED, "cancel 1000 usd by k3"]);
}

#[tokio::test]
async fn refunds_are_listed_the_newest_first_and_so_many_at_most() {
    let (_running, api) = start().await;
    let id = captured(&api, "pm_card_visa").await;
    assert!(api.refunds(&id).await.is_empty());
    for (key, amount) in [("k1", "100"), ("k2", "200"), ("k3", "300")] {
        api.post(REFUNDS, key, &[("payment_intent", &id), ("amount", amount)]).await;
    }

    assert_eq!(api.refunds(&id).await, ["300 succeeded", "200 succeeded", "100 succeeded"]);
    let two = api.get(&format!("{REFUNDS}?payment_intent={id}&limit=2")).await.json();
    assert_eq!((two["data"].as_array().map(Vec::len), &two["has_more"]), (Some(2), &true.into()));
    assert_eq!((&two["object"], &two["url"]), (&"list".into(), &"/v1/refunds".into()));
    let three = api.get(&format!("{REFUNDS}?limit=3&payment_intent={id}")).await.json();
    assert_eq!(three["has_more"], false);
}

#[tokio::test]
async fn a_list_that_is_asked_for_wrongly_is_refused() {
    let (_running, api) = start().await;
    let id = captured(&api, "pm_card_visa").await;
    let mut said = String::new();
    for query in [
        String::new(),
        "?payment_intent=pi_none".to_owned(),
        format!("?payment_intent={id}&limit=0"),
        format!("?payment_intent={id}&limit=101"),
        format!("?payment_intent={id}&page=2"),
    ] {
        said.push_str(&api.get(&format!("{REFUNDS}{query}")).await.brief());
        said.push('\n');
    }
    expect![[r#"
        400 invalid_request_error parameter_missing payment_intent
        404 invalid_request_error resource_missing intent
        400 invalid_request_error parameter_invalid_integer limit
        400 invalid_request_error limit
        400 invalid_request_error parameter_unknown page
    "#]]
    .assert_eq(&said);
    let stranger = api.client.request(Method::GET, format!("{}{REFUNDS}?payment_intent={id}", api.base));
    let refused = api.send(stranger.bearer_auth(format!("{KEY}-not"))).await.expect("an answer");
    assert_eq!(refused.status, 401);
}
