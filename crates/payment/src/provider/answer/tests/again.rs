//! What is made of an answer that is kept under its key, and of a look at how the payment stands.

use super::*;

fn kept(status: u16, body: &Value) -> String {
    said(&Said { replayed: true, ..answer(status, body) })
}

#[test]
fn an_old_failure_is_looked_behind_wherever_there_is_a_payment() {
    let answers = [
        (402, error("api_error", "bank_away", None)),
        (500, error("api_error", "", None)),
        (200, json!("<html>secret</html>")),
    ];
    let said: String = answers.iter().map(|(status, body)| kept(*status, body)).collect();
    expect![[r#"
        authorize: Unclear("402 api_error bank_away")
        capture: Look { reference: "pi_1", why: "402 api_error bank_away" }
        void: Look { reference: "pi_1", why: "402 api_error bank_away" }
        refund: Look { reference: "pi_1", why: "402 api_error bank_away" }
        authorize: Unclear("500 api_error unspecified")
        capture: Look { reference: "pi_1", why: "500 api_error unspecified" }
        void: Look { reference: "pi_1", why: "500 api_error unspecified" }
        refund: Look { reference: "pi_1", why: "500 api_error unspecified" }
        authorize: Unclear("200 without a payment intent")
        capture: Look { reference: "pi_1", why: "200 without a payment intent" }
        void: Look { reference: "pi_1", why: "200 without a payment intent" }
        refund: Look { reference: "pi_1", why: "200 without a refund" }
    "#]]
    .assert_eq(&said);
}

#[test]
fn an_old_answer_that_is_definite_is_still_one() {
    for (status, body) in [
        (200, intent("succeeded")),
        (200, refund("succeeded")),
        (402, error("card_error", "expired_card", None)),
    ] {
        for name in CALLS {
            let first = read(&call(name), &answer(status, &body));
            if let Verdict::Is(_) = first {
                let again = Said { replayed: true, ..answer(status, &body) };
                assert_eq!(read(&call(name), &again), first);
            }
        }
    }
}

/// What each call makes of a look at the payment.
#[track_caller]
fn stands(status: u16, body: &Value, expected: Expect) {
    let said = answer(status, body);
    let found = |name: &&str| format!("{name}: {:?}\n", found(&call(name), said.status, &said.body));
    let found: String = CALLS[..3].iter().map(found).collect();
    assert!(!found.contains("secret"), "{found}");
    expected.assert_eq(&found);
}

#[test]
fn how_a_payment_may_stand() {
    stands(
        200,
        &intent("requires_capture"),
        expect![[r#"
        authorize: Is(Authorized { reference: "pi_1" })
        capture: Undone(None)
        void: Undone(None)
    "#]],
    );
    stands(
        200,
        &intent("succeeded"),
        expect![[r#"
        authorize: Unclear("succeeded and not as asked for")
        capture: Is(Captured)
        void: Is(Captured)
    "#]],
    );
    stands(
        200,
        &intent("canceled"),
        expect![[r#"
        authorize: Is(Declined { code: "canceled" })
        capture: Is(CaptureRefused { code: "canceled" })
        void: Is(Voided)
    "#]],
    );
    stands(
        200,
        &intent("processing"),
        expect![[r#"
        authorize: Unclear("processing and not as asked for")
        capture: Unclear("processing and not as asked for")
        void: Unclear("processing and not as asked for")
    "#]],
    );
    stands(
        200,
        &with(intent("requires_capture"), "id", "pi_2"),
        expect![[r#"
        authorize: Is(Authorized { reference: "pi_2" })
        capture: Unclear("requires_capture and not as asked for")
        void: Unclear("requires_capture and not as asked for")
    "#]],
    );
    stands(
        200,
        &json!("<html>secret</html>"),
        expect![[r#"
        authorize: Unclear("asked how the payment stands: 200 without a payment intent")
        capture: Unclear("asked how the payment stands: 200 without a payment intent")
        void: Unclear("asked how the payment stands: 200 without a payment intent")
    "#]],
    );
    stands(
        500,
        &error("api_error", "", None),
        expect![[r#"
        authorize: Unclear("asked how the payment stands: 500 api_error unspecified")
        capture: Unclear("asked how the payment stands: 500 api_error unspecified")
        void: Unclear("asked how the payment stands: 500 api_error unspecified")
    "#]],
    );
}

/// `r1 failed` is a refund of all, `r1 succeeded 500` of a part; the newest first.
fn refunds(told: &[&str]) -> Value {
    let refund = |told: &&str| {
        let mut words = told.split(' ');
        let [id, status] = [(); 2].map(|()| words.next().unwrap().to_owned());
        let amount = words.next().map_or(1_999, |it| it.parse().unwrap());
        with(with(refund(&status), "id", id), "amount", amount)
    };
    json!({"object": "list", "has_more": false, "data": told.iter().map(refund).collect::<Vec<_>>()})
}

fn refunded(status: u16, body: &Value) -> Found {
    let said = answer(status, body);
    found(&call("refund"), said.status, &said.body)
}

#[test]
fn what_refunds_may_say() {
    let mut table = String::new();
    for told in [
        &[][..],
        &["r1 succeeded"],
        &["r1 pending"],
        &["r1 requires_action"],
        &["r1 failed"],
        &["r1 canceled"],
        &["r2 failed", "r1 failed"],
        &["r2 pending", "r1 failed"],
        &["r2 failed", "r1 pending"],
        &["r2 succeeded", "r1 failed"],
        &["r2 failed", "r1 succeeded"],
        &["r2 of_a_kind_yet_to_come", "r1 failed"],
        &["r1 succeeded 500"],
        &["r2 failed", "r1 succeeded 500"],
        &["r2 pending 1499", "r1 succeeded 500"],
        &["r2 succeeded 1499", "r1 succeeded 500"],
        &["r/1 failed"],
    ] {
        writeln!(table, "{}: {:?}", told.join(", "), refunded(200, &refunds(told))).unwrap();
    }
    expect![[r#"
        : Undone(Some("none"))
        r1 succeeded: Is(Refunded)
        r1 pending: Unclear("pending")
        r1 requires_action: Unclear("requires_action")
        r1 failed: Undone(Some("r1"))
        r1 canceled: Undone(Some("r1"))
        r2 failed, r1 failed: Undone(Some("r2"))
        r2 pending, r1 failed: Unclear("pending")
        r2 failed, r1 pending: Unclear("pending")
        r2 succeeded, r1 failed: Is(Refunded)
        r2 failed, r1 succeeded: Is(Refunded)
        r2 of_a_kind_yet_to_come, r1 failed: Unclear("of_a_kind_yet_to_come")
        r1 succeeded 500: Unclear("refunded in part")
        r2 failed, r1 succeeded 500: Unclear("refunded in part")
        r2 pending 1499, r1 succeeded 500: Unclear("pending")
        r2 succeeded 1499, r1 succeeded 500: Is(Refunded)
        r/1 failed: Unclear("the refund's id is not one")
    "#]]
    .assert_eq(&table);
}

#[test]
fn a_look_that_shows_something_else_says_nothing() {
    let mut strange = refunds(&["r1 failed", "r2 succeeded"]);
    strange["data"][1]["payment_intent"] = "pi_2".into();
    let mut table = String::new();
    for (status, body) in [
        (200, strange),
        (200, intent("succeeded")),
        (200, json!("<html>secret</html>")),
        (404, error("invalid_request_error", "resource_missing", Some("intent"))),
        (500, Value::Null),
    ] {
        writeln!(table, "{:?}", refunded(status, &body)).unwrap();
    }
    assert!(!table.contains("secret"), "{table}");
    expect![[r#"
        Unclear("asked for the refunds: another payment's")
        Unclear("asked for the refunds: 200 without a list of them")
        Unclear("asked for the refunds: 200 without a list of them")
        Unclear("asked how the payment stands: 404 invalid_request_error resource_missing")
        Unclear("asked how the payment stands: 500 without an error that can be read")
    "#]]
    .assert_eq(&table);
}
