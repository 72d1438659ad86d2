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
    check("shipping", &states(), &INPUTS, never, expect![[""]]);
}
