//! Given what has happened to a payment, when an input comes, then what follows.

mod walk;

use std::fmt::Write as _;

use events::Currency;
use expect_test::{Expect, expect};

use super::*;

fn order_id() -> OrderId {
    "0198c0de-7a10-7c3e-9d52-5b1f0e8a4c21".parse().unwrap()
}

fn charge() -> Charge {
    let amount = Money { amount: 1_999, currency: Currency::USD };
    Charge { amount, payment_method: "pm_card_visa".to_owned() }
}

#[derive(Debug, Clone)]
enum When {
    Placed,
    Reserved,
    Confirmed,
    Cancelled,
    Answered(Answer),
}

fn authorized() -> When {
    When::Answered(Answer::Authorized { reference: "pi_1".to_owned() })
}

fn capture_refused() -> When {
    When::Answered(Answer::CaptureRefused { code: "expired_card".to_owned() })
}

const CAPTURED: When = When::Answered(Answer::Captured);
const VOIDED: When = When::Answered(Answer::Voided);
const REFUNDED: When = When::Answered(Answer::Refunded);

impl Payment {
    fn decide(&self, when: &When) -> Follows {
        match when {
            When::Placed => self.place(&charge()),
            When::Reserved => self.reserve(),
            When::Confirmed => self.confirm(),
            When::Cancelled => self.cancel(),
            When::Answered(answer) => self.answer(answer),
        }
    }

    /// The payment after what follows from `when`, and that.
    fn after(mut self, when: &When) -> (Self, Vec<PaymentEvent>) {
        let events = self.decide(when).unwrap();
        events.iter().for_each(|it| self.evolve(it));
        (self, events)
    }
}

#[track_caller]
fn check(inputs: &[When], expected: Expect) {
    let mut payment = Payment::new(order_id());
    let mut trace = String::new();
    for when in inputs {
        let (after, events) = payment.after(when);
        payment = after;
        for event in events {
            writeln!(trace, "{event:?}").unwrap();
        }
    }
    writeln!(trace, "{} published", payment.sequence).unwrap();
    expected.assert_eq(&trace);
}

#[test]
fn a_payment_that_is_captured_and_given_back() {
    use When::*;
    check(
        &[Reserved, Placed, authorized(), Confirmed, CAPTURED, Cancelled, REFUNDED],
        expect![[r#"
        Reserved
        Placed(Charge { amount: Money { amount: 1999, currency: Currency(USD) }, payment_method: "pm_card_visa" })
        Asked(Authorize { order_id: OrderId(0198c0de-7a10-7c3e-9d52-5b1f0e8a4c21), amount: Money { amount: 1999, currency: Currency(USD) }, payment_method: "pm_card_visa" })
        Authorized { reference: "pi_1" }
        Asked(Capture { order_id: OrderId(0198c0de-7a10-7c3e-9d52-5b1f0e8a4c21), reference: "pi_1", amount: Money { amount: 1999, currency: Currency(USD) } })
        Captured
        Asked(Refund { order_id: OrderId(0198c0de-7a10-7c3e-9d52-5b1f0e8a4c21), reference: "pi_1", amount: Money { amount: 1999, currency: Currency(USD) } })
        Refunded
        3 published
    "#]],
    );
}

#[test]
fn a_capture_that_is_refused_lets_the_amount_go_at_once() {
    use When::*;
    check(
        &[Placed, Reserved, authorized(), Confirmed, capture_refused(), Cancelled, VOIDED],
        expect![[r#"
            Placed(Charge { amount: Money { amount: 1999, currency: Currency(USD) }, payment_method: "pm_card_visa" })
            Reserved
            Asked(Authorize { order_id: OrderId(0198c0de-7a10-7c3e-9d52-5b1f0e8a4c21), amount: Money { amount: 1999, currency: Currency(USD) }, payment_method: "pm_card_visa" })
            Authorized { reference: "pi_1" }
            Asked(Capture { order_id: OrderId(0198c0de-7a10-7c3e-9d52-5b1f0e8a4c21), reference: "pi_1", amount: Money { amount: 1999, currency: Currency(USD) } })
            CaptureFailed { code: "expired_card" }
            Asked(Void { order_id: OrderId(0198c0de-7a10-7c3e-9d52-5b1f0e8a4c21), reference: "pi_1", amount: Money { amount: 1999, currency: Currency(USD) } })
            Voided
            3 published
        "#]],
    );
}

#[test]
fn a_total_below_nothing_is_impossible() {
    let amount = Money { amount: -1, currency: Currency::USD };
    let placed = Payment::new(order_id()).place(&Charge { amount, ..charge() });
    assert_eq!(placed, Err(Impossible("an order's total is not negative")));
}

#[test]
fn a_call_is_stored_as_json_that_stays_readable() {
    let hold = Hold { amount: charge().amount, reference: "pi_1".to_owned() };
    let calls = [
        Call::authorize(order_id(), &charge()),
        Call::capture(order_id(), &hold),
        Call::void(order_id(), &hold),
        Call::refund(order_id(), &hold),
    ];
    let stored: Vec<String> = calls.iter().map(|it| serde_json::to_string(it).unwrap()).collect();
    for (stored, call) in stored.iter().zip(&calls) {
        assert_eq!(serde_json::from_str::<Call>(stored).as_ref().ok(), Some(call));
    }
    expect![[r#"
        {"call":"authorize","order_id":"0198c0de-7a10-7c3e-9d52-5b1f0e8a4c21","amount":{"amount":1999,"currency":"USD"},"payment_method":"pm_card_visa"}
        {"call":"capture","order_id":"0198c0de-7a10-7c3e-9d52-5b1f0e8a4c21","reference":"pi_1","amount":{"amount":1999,"currency":"USD"}}
        {"call":"void","order_id":"0198c0de-7a10-7c3e-9d52-5b1f0e8a4c21","reference":"pi_1","amount":{"amount":1999,"currency":"USD"}}
        {"call":"refund","order_id":"0198c0de-7a10-7c3e-9d52-5b1f0e8a4c21","reference":"pi_1","amount":{"amount":1999,"currency":"USD"}}"#]].assert_eq(&stored.join("\n"));
}
