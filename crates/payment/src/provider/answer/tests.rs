mod again;
mod sent;

use std::fmt::Write as _;

use events::{Currency, Money, OrderId};
use expect_test::{Expect, expect};
use serde_json::{Value, json};

use super::*;

fn call(name: &str) -> Call {
    let order_id: OrderId = "0198c0de-7a10-7c3e-9d52-5b1f0e8a4c21".parse().unwrap();
    let amount = Money { amount: 1_999, currency: Currency::USD };
    let reference = "pi_1".to_owned();
    match name {
        "authorize" => Call::Authorize { order_id, amount, payment_method: "pm_card_visa".to_owned() },
        "capture" => Call::Capture { order_id, reference, amount },
        "void" => Call::Void { order_id, reference, amount },
        "refund" => Call::Refund { order_id, reference, amount },
        other => panic!("no call is named {other}"),
    }
}

const CALLS: [&str; 4] = ["authorize", "capture", "void", "refund"];

fn intent(status: &str) -> Value {
    let received = if status == "succeeded" { 1_999 } else { 0 };
    json!({"id": "pi_1", "object": "payment_intent", "amount": 1_999, "amount_received": received,
        "currency": "usd", "status": status})
}

fn with(mut object: Value, name: &str, value: impl Into<Value>) -> Value {
    object[name] = value.into();
    object
}

fn refund(status: &str) -> Value {
    json!({"id": "re_1", "object": "refund", "payment_intent": "pi_1", "amount": 1_999, "status": status})
}

fn error(kind: &str, code: &str, param: Option<&str>) -> Value {
    json!({"error": {"type": kind, "code": code, "param": param, "message": "secret words of the provider"}})
}

fn answer(status: u16, body: &Value) -> Said {
    let status = StatusCode::from_u16(status).unwrap();
    Said { status, replayed: false, body: body.to_string().into_bytes() }
}

/// What each call makes of an answer.
fn said(said: &Said) -> String {
    let verdicts = CALLS.map(|name| read(&call(name), said));
    let mut table = String::new();
    if verdicts.iter().all(|it| *it == verdicts[0]) {
        writeln!(table, "any call: {:?}", verdicts[0]).unwrap();
    } else {
        for (name, verdict) in CALLS.iter().zip(&verdicts) {
            writeln!(table, "{name}: {verdict:?}").unwrap();
        }
    }
    assert!(!table.contains("secret"), "{table}");
    table
}

#[track_caller]
fn check(status: u16, body: &Value, expected: Expect) {
    expected.assert_eq(&said(&answer(status, body)));
}

#[test]
fn an_amount_that_is_held() {
    check(
        200,
        &intent("requires_capture"),
        expect![[r#"
            authorize: Is(Authorized { reference: "pi_1" })
            capture: Look { reference: "pi_1", why: "requires_capture and not as asked for" }
            void: Look { reference: "pi_1", why: "requires_capture and not as asked for" }
            refund: Unclear("200 without a refund")
        "#]],
    );
}

#[test]
fn an_amount_that_was_taken() {
    check(
        200,
        &intent("succeeded"),
        expect![[r#"
            authorize: Look { reference: "pi_1", why: "succeeded and not as asked for" }
            capture: Is(Captured)
            void: Is(Captured)
            refund: Unclear("200 without a refund")
        "#]],
    );
}

#[test]
fn an_amount_that_was_let_go() {
    check(
        200,
        &intent("canceled"),
        expect![[r#"
        authorize: Is(Declined { code: "canceled" })
        capture: Is(CaptureRefused { code: "canceled" })
        void: Is(Voided)
        refund: Unclear("200 without a refund")
    "#]],
    );
}

#[test]
fn a_state_in_between_is_looked_at_again() {
    check(
        200,
        &intent("processing"),
        expect![[r#"
            authorize: Look { reference: "pi_1", why: "processing and not as asked for" }
            capture: Look { reference: "pi_1", why: "processing and not as asked for" }
            void: Look { reference: "pi_1", why: "processing and not as asked for" }
            refund: Unclear("200 without a refund")
        "#]],
    );
}

#[test]
fn an_amount_that_was_given_back() {
    check(
        200,
        &refund("succeeded"),
        expect![[r#"
        authorize: Unclear("200 without a payment intent")
        capture: Unclear("200 without a payment intent")
        void: Unclear("200 without a payment intent")
        refund: Is(Refunded)
    "#]],
    );
}

#[test]
fn a_refund_that_is_not_done_as_asked_is_not_reported_as_done() {
    for (not_it, why) in [
        (refund("failed"), "failed"),
        (refund("canceled"), "canceled"),
        (with(refund("succeeded"), "amount", 1_000), "succeeded"),
        (with(refund("succeeded"), "payment_intent", "pi_2"), "succeeded"),
    ] {
        let verdict = read(&call("refund"), &answer(200, &not_it));
        assert_eq!(verdict, Verdict::Look { reference: "pi_1".to_owned(), why: why.to_owned() });
    }
    for (open, why) in
        [("pending", "pending"), ("requires_action", "requires_action"), ("secret words", "unspecified")]
    {
        let now = answer(200, &refund(open));
        assert_eq!(read(&call("refund"), &now), Verdict::Unclear(why.to_owned()), "said just now");
        let before = Said { replayed: true, ..now };
        let look = Verdict::Look { reference: "pi_1".to_owned(), why: why.to_owned() };
        assert_eq!(read(&call("refund"), &before), look);
    }
}

#[test]
fn another_amount_currency_or_payment_is_no_answer() {
    for wrong in [
        with(intent("requires_capture"), "amount", 2_000),
        with(intent("requires_capture"), "currency", "eur"),
        with(intent("requires_capture"), "id", "pi_1/../x"),
    ] {
        assert_eq!(
            told(&call("authorize"), &serde_json::from_value(wrong.clone()).unwrap()),
            None,
            "{wrong}"
        );
    }
    for wrong in [
        with(intent("succeeded"), "amount_received", 1_000),
        with(intent("succeeded"), "id", "pi_2"),
        with(intent("canceled"), "id", "pi_2"),
    ] {
        for name in ["capture", "void"] {
            assert_eq!(told(&call(name), &serde_json::from_value(wrong.clone()).unwrap()), None, "{wrong}");
        }
    }
}

#[test]
fn the_bank_says_no() {
    let declined = json!({"error": {"type": "card_error", "code": "card_declined",
        "decline_code": "insufficient_funds", "message": "secret words of the provider"}});
    check(
        402,
        &declined,
        expect![[r#"
        authorize: Is(Declined { code: "insufficient_funds" })
        capture: Is(CaptureRefused { code: "insufficient_funds" })
        void: Unclear("402 card_error insufficient_funds")
        refund: Unclear("402 card_error insufficient_funds")
    "#]],
    );
}

#[test]
fn the_order_names_a_card_that_there_is_not() {
    let unknown = error("invalid_request_error", "resource_missing", Some("payment_method"));
    check(
        400,
        &unknown,
        expect![[r#"
        authorize: Is(Declined { code: "resource_missing" })
        capture: Unclear("400 invalid_request_error resource_missing")
        void: Unclear("400 invalid_request_error resource_missing")
        refund: Unclear("400 invalid_request_error resource_missing")
    "#]],
    );
}

#[test]
fn the_payment_does_not_stand_as_expected() {
    check(
        400,
        &error("invalid_request_error", "payment_intent_unexpected_state", None),
        expect![[r#"
            authorize: Unclear("400 invalid_request_error payment_intent_unexpected_state")
            capture: Look { reference: "pi_1", why: "400 invalid_request_error payment_intent_unexpected_state" }
            void: Look { reference: "pi_1", why: "400 invalid_request_error payment_intent_unexpected_state" }
            refund: Unclear("400 invalid_request_error payment_intent_unexpected_state")
        "#]],
    );
}

#[test]
fn the_amount_was_given_back_before() {
    check(
        400,
        &error("invalid_request_error", "charge_already_refunded", None),
        expect![[r#"
            authorize: Unclear("400 invalid_request_error charge_already_refunded")
            capture: Unclear("400 invalid_request_error charge_already_refunded")
            void: Unclear("400 invalid_request_error charge_already_refunded")
            refund: Look { reference: "pi_1", why: "400 invalid_request_error charge_already_refunded" }
        "#]],
    );
}

#[test]
fn what_is_not_a_definite_answer_is_none() {
    let invalid = "invalid_request_error";
    let answers = [
        (302, Value::Null),
        (400, error("idempotency_error", "", None)),
        (401, error(invalid, "", None)),
        (402, error("api_error", "secret words, not a code", None)),
        (404, error(invalid, "resource_missing", Some("intent"))),
        (409, error("idempotency_error", "lock_timeout", None)),
        (429, error(invalid, "rate_limit", None)),
        (500, error("api_error", "", None)),
        (502, json!("<html>secret</html>")),
    ];
    let said: String = answers.iter().map(|(status, body)| said(&answer(*status, body))).collect();
    expect![[r#"
        any call: Unclear("302 without an error that can be read")
        any call: Unclear("400 idempotency_error unspecified")
        any call: Unclear("401 invalid_request_error unspecified")
        any call: Unclear("402 api_error unspecified")
        any call: Unclear("404 invalid_request_error resource_missing")
        any call: Unclear("409 idempotency_error lock_timeout")
        any call: Unclear("429 invalid_request_error rate_limit")
        any call: Unclear("500 api_error unspecified")
        any call: Unclear("502 without an error that can be read")
    "#]]
    .assert_eq(&said);
    check(
        200,
        &json!("<html>secret</html>"),
        expect![[r#"
        authorize: Unclear("200 without a payment intent")
        capture: Unclear("200 without a payment intent")
        void: Unclear("200 without a payment intent")
        refund: Unclear("200 without a refund")
    "#]],
    );
}
