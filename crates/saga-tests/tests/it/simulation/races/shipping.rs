use expect_test::expect;

use super::{BEFORE, CLEARED, LATER, RULED_OUT, check, is, names};

const INPUTS: [&str; 10] = [
    "order confirmed",
    "order confirmed until",
    "payment captured",
    "stock kept",
    "cancellation requested",
    "order cancelled",
    "dispatch!",
    "deliver!",
    "dispatch due",
    "delivery due",
];

fn states() -> Vec<String> {
    [
        names(&[&["early"], &["", "paid"], &["", "kept"]]),
        names(&[&["scheduled"], &["no payment", ""], &["no stock", ""]]),
        names(&[&["dispatched", "delivered"], &["", "refused"]]),
        names(&[&["cancelled"], &["", "paid"]]),
        names(&[&["barred"]]),
    ]
    .concat()
}

fn never(state: &str, input: &str) -> Option<&'static str> {
    let is = |word| is(state, word);
    match input {
        // Only stock that has a time is said to be kept.
        "order confirmed" if is("kept") => Some(RULED_OUT),
        "order confirmed" | "order confirmed until" if is("barred") => Some(RULED_OUT),
        "order confirmed" | "order confirmed until" => (!is("early")).then_some(BEFORE),
        "payment captured" if is("scheduled") => (!is("no payment")).then_some(BEFORE),
        "payment captured" => (is("paid") || is("dispatched") || is("delivered")).then_some(BEFORE),
        "stock kept" if is("barred") => Some(RULED_OUT),
        "stock kept" if is("scheduled") => (!is("no stock")).then_some(BEFORE),
        "stock kept" => (is("kept") || is("dispatched") || is("delivered")).then_some(BEFORE),
        // The confirmation is before it on its key.
        "cancellation requested" if is("early") => Some(LATER),
        "cancellation requested" if is("barred") => Some(RULED_OUT),
        "cancellation requested" => (is("refused") || is("cancelled")).then_some(BEFORE),
        "order cancelled" if is("barred") => Some(BEFORE),
        // Stock is kept for a confirmed order.
        "order cancelled" if is("early") => is("kept").then_some(LATER),
        // Of an order that is paid shipping is asked first.
        "order cancelled" => (!is("no payment") && !is("cancelled")).then_some(RULED_OUT),
        "dispatch due" => (state != "scheduled").then_some(CLEARED),
        "delivery due" => (!is("dispatched")).then_some(CLEARED),
        _ => None,
    }
}

#[test]
fn of_a_shipment() {
    check(
        "shipping",
        &states(),
        &INPUTS,
        never,
        expect![[r#"
        early
            met: order confirmed, order confirmed until, payment captured, stock kept, order cancelled, dispatch!, deliver!
            follows from what is still to come: cancellation requested
            its deadline is not set: dispatch due, delivery due
        early, kept
            follows from what never comes: order confirmed
            met: order confirmed until, payment captured, dispatch!, deliver!
            taken before, if ever: stock kept
            follows from what is still to come: cancellation requested, order cancelled
            its deadline is not set: dispatch due, delivery due
        early, paid
            met: order confirmed, order confirmed until, stock kept, order cancelled, dispatch!, deliver!
            taken before, if ever: payment captured
            follows from what is still to come: cancellation requested
            its deadline is not set: dispatch due, delivery due
        early, paid, kept
            follows from what never comes: order confirmed
            met: order confirmed until, dispatch!, deliver!
            taken before, if ever: payment captured, stock kept
            follows from what is still to come: cancellation requested, order cancelled
            its deadline is not set: dispatch due, delivery due
        scheduled, no payment, no stock
            taken before, if ever: order confirmed, order confirmed until
            met: payment captured, stock kept, cancellation requested, order cancelled, dispatch!, deliver!
            its deadline is not set: dispatch due, delivery due
        scheduled, no payment
            taken before, if ever: order confirmed, order confirmed until, stock kept
            met: payment captured, cancellation requested, order cancelled, dispatch!, deliver!
            its deadline is not set: dispatch due, delivery due
        scheduled, no stock
            taken before, if ever: order confirmed, order confirmed until, payment captured
            met: stock kept, cancellation requested, dispatch!, deliver!
            follows from what never comes: order cancelled
            its deadline is not set: dispatch due, delivery due
        scheduled
            taken before, if ever: order confirmed, order confirmed until, payment captured, stock kept
            met: cancellation requested, dispatch!, deliver!, dispatch due
            follows from what never comes: order cancelled
            its deadline is not set: delivery due
        dispatched
            taken before, if ever: order confirmed, order confirmed until, payment captured, stock kept
            met: cancellation requested, dispatch!, deliver!, delivery due
            follows from what never comes: order cancelled
            its deadline is not set: dispatch due
        dispatched, refused
            taken before, if ever: order confirmed, order confirmed until, payment captured, stock kept, cancellation requested
            follows from what never comes: order cancelled
            met: dispatch!, deliver!, delivery due
            its deadline is not set: dispatch due
        delivered
            taken before, if ever: order confirmed, order confirmed until, payment captured, stock kept
            met: cancellation requested, dispatch!, deliver!
            follows from what never comes: order cancelled
            its deadline is not set: dispatch due, delivery due
        delivered, refused
            taken before, if ever: order confirmed, order confirmed until, payment captured, stock kept, cancellation requested
            follows from what never comes: order cancelled
            met: dispatch!, deliver!
            its deadline is not set: dispatch due, delivery due
        cancelled
            taken before, if ever: order confirmed, order confirmed until, cancellation requested
            met: payment captured, stock kept, order cancelled, dispatch!, deliver!
            its deadline is not set: dispatch due, delivery due
        cancelled, paid
            taken before, if ever: order confirmed, order confirmed until, payment captured, cancellation requested
            met: stock kept, order cancelled, dispatch!, deliver!
            its deadline is not set: dispatch due, delivery due
        barred
            follows from what never comes: order confirmed, order confirmed until, stock kept, cancellation requested
            met: payment captured, dispatch!, deliver!
            taken before, if ever: order cancelled
            its deadline is not set: dispatch due, delivery due
    "#]],
    );
}
