//! Shapes, validation, authorisation.

use expect_test::{Expect, expect};
use reqwest::{Method, StatusCode};

use crate::{Answer, KEY, cancel_of, capture_of, id_of, intent_form, start};

/// The JSON of an answer, with what differs from run to run replaced.
#[track_caller]
fn shape(answer: &Answer, expected: Expect) {
    let mut json = answer.json();
    let intent = match json.pointer("/error/payment_intent").is_some() {
        true => &mut json["error"]["payment_intent"],
        false => &mut json,
    };
    for name in ["id", "latest_charge", "charge", "payment_intent"] {
        if let Some(id) = intent.get(name).and_then(|id| id.as_str()) {
            let prefix = id.split('_').next().unwrap_or_default().to_owned();
            intent[name] = format!("{prefix}_..").into();
        }
    }
    for name in ["created", "canceled_at"] {
        if intent.get(name).is_some_and(|at| at.as_i64() > Some(1_700_000_000)) {
            intent[name] = "some time".into();
        }
    }
    expected.assert_eq(&format!("{} {json:#}\n", answer.status));
}

#[tokio::test]
async fn an_intent_is_authorised_captured_and_refunded_in_stripes_shapes() {
    let (_running, api) = start().await;
    let authorized = api.authorize("pm_card_visa", "o1", "k1").await;
    shape(
        &authorized,
        expect![[r#"
        200 OK {
          "amount": 1000,
          "amount_capturable": 1000,
          "amount_received": 0,
          "canceled_at": null,
          "cancellation_reason": null,
          "capture_method": "manual",
          "confirmation_method": "automatic",
          "created": "some time",
          "currency": "usd",
          "id": "pi_..",
          "last_payment_error": null,
          "latest_charge": "ch_..",
          "livemode": false,
          "metadata": {
            "order_id": "o1"
          },
          "object": "payment_intent",
          "payment_method": "pm_card_visa",
          "payment_method_types": [
            "card"
          ],
          "status": "requires_capture"
        }
    "#]],
    );
    let id = id_of(&authorized);

    let captured = api.post(&capture_of(&id), "k2", &[]).await.json();
    assert_eq!(captured["status"], "succeeded");
    assert_eq!(captured["amount_capturable"], 0);
    assert_eq!(captured["amount_received"], 1000);
    assert_eq!(api.get(&format!("/v1/payment_intents/{id}")).await.json(), captured);

    let refunded = api.post("/v1/refunds", "k3", &[("payment_intent", &id), ("amount", "300")]).await;
    shape(
        &refunded,
        expect![[r#"
        200 OK {
          "amount": 300,
          "charge": "ch_..",
          "created": "some time",
          "currency": "usd",
          "id": "re_..",
          "object": "refund",
          "payment_intent": "pi_..",
          "status": "succeeded"
        }
    "#]],
    );
    let rest =
        api.post("/v1/refunds", "k4", &[("payment_intent", &id), ("reason", "duplicate")]).await.json();
    assert_eq!(rest["amount"], 700);
    assert_eq!(
        api.post("/v1/refunds", "k5", &[("payment_intent", &id)]).await.brief(),
        "400 invalid_request_error charge_already_refunded"
    );
    assert_eq!(
        api.movements("o1").await,
        [
            "authorize 1000 usd by k1",
            "capture 1000 usd by k2",
            "refund 300 usd by k3",
            "refund 700 usd by k4"
        ]
    );
}

#[tokio::test]
async fn a_held_amount_is_captured_in_part_or_released() {
    let (_running, api) = start().await;
    let part = api.authorized("pm_card_visa", "part").await;
    let captured = api.post(&capture_of(&part), "p1", &[("amount_to_capture", "400")]).await.json();
    assert_eq!(captured["amount_received"], 400);
    assert_eq!(
        api.post(&cancel_of(&part), "p2", &[]).await.brief(),
        "400 invalid_request_error payment_intent_unexpected_state"
    );

    let whole = api.authorized("pm_card_visa", "whole").await;
    assert_eq!(
        api.post(&capture_of(&whole), "w1", &[("amount_to_capture", "1001")]).await.brief(),
        "400 invalid_request_error amount_too_large amount_to_capture"
    );
    let canceled = api.post(&cancel_of(&whole), "w2", &[("cancellation_reason", "abandoned")]).await.json();
    assert_eq!(canceled["status"], "canceled");
    assert_eq!(canceled["cancellation_reason"], "abandoned");
    assert_eq!(canceled["amount_capturable"], 0);
    assert_eq!(
        api.post(&capture_of(&whole), "w3", &[]).await.brief(),
        "400 invalid_request_error payment_intent_unexpected_state"
    );

    assert_eq!(
        api.movements("part").await,
        ["authorize 1000 usd by part-authorize", "capture 400 usd by p1"]
    );
    assert_eq!(
        api.movements("whole").await,
        ["authorize 1000 usd by whole-authorize", "cancel 1000 usd by w2"]
    );
}

#[tokio::test]
async fn a_transition_that_is_not_allowed_is_refused_with_the_intent() {
    let (_running, api) = start().await;
    let id = api.authorized("pm_card_visa", "o1").await;
    let refused = api.post("/v1/refunds", "k1", &[("payment_intent", &id)]).await;
    shape(
        &refused,
        expect![[r#"
        400 Bad Request {
          "error": {
            "code": "payment_intent_unexpected_state",
            "message": "This PaymentIntent has a status of requires_capture and no successful charge to refund. Only a PaymentIntent with the following status may be refunded: succeeded.",
            "payment_intent": {
              "amount": 1000,
              "amount_capturable": 1000,
              "amount_received": 0,
              "canceled_at": null,
              "cancellation_reason": null,
              "capture_method": "manual",
              "confirmation_method": "automatic",
              "created": "some time",
              "currency": "usd",
              "id": "pi_..",
              "last_payment_error": null,
              "latest_charge": "ch_..",
              "livemode": false,
              "metadata": {
                "order_id": "o1"
              },
              "object": "payment_intent",
              "payment_method": "pm_card_visa",
              "payment_method_types": [
                "card"
              ],
              "status": "requires_capture"
            },
            "type": "invalid_request_error"
          }
        }
    "#]],
    );
}

#[tokio::test]
async fn parameters_are_checked_as_stripe_checks_them() {
    let (_running, api) = start().await;
    let mut seen = String::new();
    let cases = [
        ("amount", None),
        ("amount", Some("0")),
        ("amount", Some("-5")),
        ("amount", Some("10.5")),
        ("currency", Some("USD")),
        ("currency", Some("dollars")),
        ("payment_method", None),
        ("payment_method", Some("pm_card_unheardOf")),
        ("capture_method", Some("automatic")),
        ("confirm", Some("false")),
        ("amuont", Some("1000")),
        ("metadata[a_name_that_is_longer_than_forty_characters]", Some("x")),
    ];
    for (name, value) in cases {
        let form: Vec<_> = intent_form("pm_card_visa", "o1")
            .into_iter()
            .filter(|(param, _)| *param != name)
            .chain(value.map(|value| (name, value)))
            .collect();
        let answer = api.post("/v1/payment_intents", "always the same key", &form).await;
        seen.push_str(&format!("{name} {value:?}: {}\n", answer.brief()));
    }
    expect![[r#"
        amount None: 400 invalid_request_error parameter_missing amount
        amount Some("0"): 400 invalid_request_error parameter_invalid_integer amount
        amount Some("-5"): 400 invalid_request_error parameter_invalid_integer amount
        amount Some("10.5"): 400 invalid_request_error parameter_invalid_integer amount
        currency Some("USD"): 400 invalid_request_error currency
        currency Some("dollars"): 400 invalid_request_error currency
        payment_method None: 400 invalid_request_error parameter_missing payment_method
        payment_method Some("pm_card_unheardOf"): 400 invalid_request_error resource_missing payment_method
        capture_method Some("automatic"): 400 invalid_request_error capture_method
        confirm Some("false"): 400 invalid_request_error confirm
        amuont Some("1000"): 400 invalid_request_error parameter_unknown amuont
        metadata[a_name_that_is_longer_than_forty_characters] Some("x"): 400 invalid_request_error metadata
    "#]]
    .assert_eq(&seen);
    assert_eq!(api.get("/ledger").await.json()["entries"].as_array().map(Vec::len), Some(0));

    let accepted = api.authorize("pm_card_visa", "o1", "always the same key").await;
    assert_eq!(
        accepted.brief(),
        "200 requires_capture",
        "a request that was not in order leaves its key free"
    );
}

#[tokio::test]
async fn what_does_not_exist_is_not_found() {
    let (_running, api) = start().await;
    for answer in [
        api.get("/v1/payment_intents/pi_none").await,
        api.post("/v1/payment_intents/pi_none/capture", "k1", &[]).await,
        api.post("/v1/payment_intents/pi_none/cancel", "k2", &[]).await,
        api.post("/v1/refunds", "k3", &[("payment_intent", "pi_none")]).await,
    ] {
        assert_eq!(answer.brief(), "404 invalid_request_error resource_missing intent");
    }
    assert_eq!(api.get("/v1/charges").await.brief(), "404 invalid_request_error");
    assert_eq!(api.get("/v1/payment_intents").await.brief(), "404 invalid_request_error");
}

#[tokio::test]
async fn only_the_key_opens_the_api() {
    let (_running, api) = start().await;
    let url = format!("{}/v1/payment_intents", api.base);
    let form = intent_form("pm_card_visa", "o1");
    let request = || api.client.post(&url).form(&form);

    for refused in [
        request(),
        request().bearer_auth("sk_test_other"),
        request().bearer_auth(format!("{KEY}x")),
        request().basic_auth("sk_test_other", Some("")),
        request().header("authorization", KEY),
    ] {
        let answer = api.send(refused).await.expect("an answer");
        assert_eq!(answer.brief(), "401 invalid_request_error");
    }
    let reading = api.client.get(format!("{url}/pi_none"));
    assert_eq!(api.send(reading).await.expect("an answer").status, StatusCode::UNAUTHORIZED);
    assert!(api.movements("o1").await.is_empty());

    for accepted in [request().basic_auth(KEY, Some("")), request().bearer_auth(KEY)] {
        assert_eq!(api.send(accepted).await.expect("an answer").brief(), "200 requires_capture");
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused() {
    let (_running, api) = start().await;
    let large = api.request(Method::POST, "/v1/payment_intents").body("a=".to_owned() + &"x".repeat(70_000));
    assert_eq!(api.send(large).await.expect("an answer").status, StatusCode::PAYLOAD_TOO_LARGE);
}
