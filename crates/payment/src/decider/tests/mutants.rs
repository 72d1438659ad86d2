//! The decider with a defence taken out: each in a process that was started with the defect.

use engine::Mutant;
use testkit::run_again;

use super::{every::charge, *};

/// The calls that an order leads to which is cancelled before its stock is reserved.
fn calls_for_a_late_reservation() -> Vec<&'static str> {
    let placed = State::Awaiting { placed: Some(charge()), reserved: false, confirmed: false };
    let (.., cancelled) = follow(&placed, &Input::OrderCancelled(order_id())).unwrap();
    let (decision, ..) = follow(&cancelled, &Input::StockReserved(order_id())).unwrap();
    let call = |fact: &Fact| match &fact.event {
        PaymentEvent::Asked(call) => Some(call.name()),
        _ => None,
    };
    decision.events.iter().filter_map(call).collect()
}

#[test]
fn without_a_tombstone_a_cancelled_order_is_charged() {
    let calls = calls_for_a_late_reservation();
    if Mutant::NoTombstone.is_on() {
        return assert_eq!(calls, ["authorize"]);
    }
    assert_eq!(calls, [""; 0]);
    let this = "decider::tests::mutants::without_a_tombstone_a_cancelled_order_is_charged";
    run_again(this, "WAYBILL_MUTANT", "no-tombstone");
}

/// What is published when the cancellation of an order that was paid is known, and the state then.
fn said_on_request() -> (Vec<&'static str>, State) {
    let (_, published, after) = follow(&State::Captured(hold()), &Input::OrderCancelled(order_id())).unwrap();
    (published.iter().map(|it| it.r#type).collect(), after)
}

#[test]
fn a_refund_that_was_asked_for_is_taken_for_done() {
    let said = said_on_request();
    if Mutant::RefundOnRequest.is_on() {
        return assert_eq!(said, (vec!["waybill.payment.refunded.v1"], State::Refunded(hold())));
    }
    assert_eq!(said, (vec![], State::Refunding(hold())));
    let this = "decider::tests::mutants::a_refund_that_was_asked_for_is_taken_for_done";
    run_again(this, "WAYBILL_MUTANT", "refund-on-request");
}
