//! What each test card does, on each call of an intent, and that the work is done once whatever the client saw.

use std::time::{Duration, Instant};

use crate::{Api, capture_of, id_of, intent_form, start};

/// How the first request of a key looks to a client that waits for half a second.
#[derive(Debug, Clone, Copy, PartialEq)]
enum First {
    NoAnswer,
    ServerError,
    ConnectionLost,
    NotJson,
}

/// A card whose first answers go wrong: every call fails once as `first` says, was carried out by then or not, and
/// succeeds when asked again with the same key.
async fn check(token: &str, first: First, done_at_first: bool) {
    let (_running, api) = start().await;
    let create = intent_form(token, "o1").to_vec();
    let id = ask_twice(&api, "/v1/payment_intents", "k1", &create, first, done_at_first, 1).await;
    ask_twice(&api, &capture_of(&id), "k2", &[], first, done_at_first, 2).await;
    ask_twice(&api, "/v1/refunds", "k3", &[("payment_intent", &id)], first, done_at_first, 3).await;
    assert_eq!(
        api.movements("o1").await,
        ["authorize 1000 usd by k1", "capture 1000 usd by k2", "refund 1000 usd by k3"]
    );

    let other = intent_form(token, "o2").to_vec();
    let id = ask_twice(&api, "/v1/payment_intents", "k4", &other, first, done_at_first, 1).await;
    let path = crate::cancel_of(&id);
    ask_twice(&api, &path, "k5", &[], first, done_at_first, 2).await;
    assert_eq!(api.movements("o2").await, ["authorize 1000 usd by k4", "cancel 1000 usd by k5"]);
}

/// The id in the second answer. `nth` is how many movements the call brings its order to.
async fn ask_twice(
    api: &Api,
    path: &str,
    key: &str,
    form: &[(&str, &str)],
    first: First,
    done_at_first: bool,
    nth: usize,
) -> String {
    let order = if ["k1", "k2", "k3"].contains(&key) { "o1" } else { "o2" };
    let seen = match api.try_post(path, key, form, 500).await {
        Err(error) if error.is_timeout() => First::NoAnswer,
        Err(_) => First::ConnectionLost,
        Ok(answer) if answer.status.as_u16() == 500 => First::ServerError,
        Ok(answer) => {
            assert!(serde_json::from_str::<serde_json::Value>(&answer.text).is_err(), "{answer:?}");
            First::NotJson
        }
    };
    assert_eq!(seen, first, "{path}");
    assert_eq!(api.movements(order).await.len(), if done_at_first { nth } else { nth - 1 }, "{path}");

    let asked = Instant::now();
    let second = api.post(path, key, form).await;
    assert_eq!(second.status.as_u16(), 200, "{second:?}");
    assert!(asked.elapsed() < Duration::from_secs(1), "the second request of a key is answered at once");
    assert_eq!(second.replayed, done_at_first);
    assert_eq!(api.movements(order).await.len(), nth);
    id_of(&second)
}

#[tokio::test]
async fn timeout_after_work() {
    check("pm_card_timeoutAfterWork", First::NoAnswer, true).await;
}

#[tokio::test]
async fn timeout_before_work() {
    check("pm_card_timeoutBeforeWork", First::NoAnswer, false).await;
}

#[tokio::test]
async fn server_error_first() {
    check("pm_card_serverErrorFirst", First::ServerError, false).await;
}

#[tokio::test]
async fn server_error_after_work() {
    check("pm_card_serverErrorAfterWork", First::ServerError, true).await;
}

#[tokio::test]
async fn cut_connection() {
    check("pm_card_cutConnection", First::ConnectionLost, true).await;
}

#[tokio::test]
async fn wrong_json() {
    check("pm_card_wrongJson", First::NotJson, true).await;
}

#[tokio::test]
async fn slow_answers_after_two_seconds_and_a_replay_at_once() {
    let (_running, api) = start().await;
    let asked = Instant::now();
    let first = api.authorize("pm_card_slow", "o1", "k1").await;
    assert_eq!(first.brief(), "200 requires_capture");
    assert!(asked.elapsed() >= Duration::from_secs(2), "{:?}", asked.elapsed());

    let asked = Instant::now();
    let again = api.authorize("pm_card_slow", "o1", "k1").await;
    assert_eq!((again.replayed, &again.text), (true, &first.text));
    assert!(asked.elapsed() < Duration::from_secs(1));
    assert_eq!(api.movements("o1").await, ["authorize 1000 usd by k1"]);
}

#[tokio::test]
async fn declined_cards_move_no_money_and_their_intents_can_only_be_cancelled() {
    let (_running, api) = start().await;
    for (token, decline_code) in [
        ("pm_card_chargeDeclined", "generic_decline"),
        ("pm_card_chargeDeclinedInsufficientFunds", "insufficient_funds"),
    ] {
        let declined = api.authorize(token, token, token).await;
        assert_eq!(declined.brief(), format!("402 card_declined {decline_code}"));
        let error = declined.json()["error"].clone();
        assert_eq!(error["type"], "card_error");
        assert_eq!(error["payment_intent"]["status"], "requires_payment_method");
        assert_eq!(error["payment_intent"]["last_payment_error"]["decline_code"], decline_code);

        let again = api.authorize(token, token, token).await;
        assert_eq!((again.replayed, again.text), (true, declined.text), "a decline is kept under its key");
        let id = error["payment_intent"]["id"].as_str().expect("an id").to_owned();
        let captured = api.post(&capture_of(&id), &format!("{token}-capture"), &[]).await;
        assert_eq!(captured.brief(), "400 invalid_request_error payment_intent_unexpected_state");
        let canceled = api.post(&crate::cancel_of(&id), &format!("{token}-cancel"), &[]).await;
        assert_eq!(canceled.brief(), "200 canceled");
        assert!(api.movements(token).await.is_empty());
    }
}

#[tokio::test]
async fn a_card_whose_capture_fails_stays_authorised_until_it_is_cancelled() {
    let (_running, api) = start().await;
    let id = api.authorized("pm_card_captureFails", "o1").await;
    let refused = api.post(&capture_of(&id), "k2", &[]).await;
    assert_eq!(refused.brief(), "402 capture_failed expired_card");
    assert_eq!(refused.json()["error"]["type"], "card_error");
    assert_eq!(refused.json()["error"]["payment_intent"]["status"], "requires_capture");
    let again = api.post(&capture_of(&id), "k2", &[]).await;
    assert_eq!((again.replayed, again.text), (true, refused.text));
    assert_eq!(api.post(&crate::cancel_of(&id), "k3", &[]).await.brief(), "200 canceled");
    assert_eq!(api.movements("o1").await, ["authorize 1000 usd by o1-authorize", "cancel 1000 usd by k3"]);
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_request_that_is_left_without_an_answer() {
    let (running, api) = start().await;
    let form = intent_form("pm_card_timeoutAfterWork", "o1");
    let waiting = tokio::spawn({
        let api = api.clone();
        async move { api.try_post("/v1/payment_intents", "k1", &form, 10_000).await }
    });
    while api.movements("o1").await.is_empty() {
        tokio::task::yield_now().await;
    }
    let asked = Instant::now();
    running.stop().await.expect("a clean stop");
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
    drop(waiting);
}
