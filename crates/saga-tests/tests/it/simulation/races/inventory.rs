use expect_test::expect;

use super::{BEFORE, CLEARED, LATER, NO_WAY, OTHER, RULED_OUT, check, is, names};

const INPUTS: [&str; 9] = [
    "placed",
    "confirmed",
    "dispatched",
    "cancelled",
    "due",
    "describe!",
    "describe, in yen!",
    "more!",
    "less!",
];
const STATES: [&str; 9] = [
    "unknown",
    "reserved",
    "reserved until",
    "kept",
    "rejected",
    "released",
    "expired",
    "deducted",
    "cancelled",
];

const SHELVES: [&str; 4] = ["unknown", "none on hand", "all reserved", "some available"];

fn never(state: &str, input: &str) -> Option<&'static str> {
    let is = |word| is(state, word);
    let by_hand = input.ends_with('!');
    match input {
        _ if by_hand != is("product") => Some(OTHER),
        "describe, in yen!" => is("unknown").then_some(RULED_OUT),
        _ if by_hand => None,
        // An order is placed before it is cancelled, on one key: the tombstone is for those who read it otherwise.
        _ if is("cancelled") => Some(NO_WAY),
        "placed" => (!is("unknown")).then_some(BEFORE),
        _ if is("unknown") => Some(LATER),
        "due" => (!is("reserved until")).then_some(CLEARED),
        "confirmed" if is("rejected") => Some(RULED_OUT),
        "confirmed" => (is("kept") || is("released")).then_some(BEFORE),
        "dispatched" if is("deducted") => Some(BEFORE),
        // What has a time waits for the confirmation here.
        "dispatched" => (!is("reserved") && !is("kept")).then_some(RULED_OUT),
        "cancelled" if is("released") => Some(BEFORE),
        "cancelled" => is("deducted").then_some(RULED_OUT),
        _ => None,
    }
}

#[test]
fn of_a_reservation() {
    check(
        "inventory",
        &[names(&[&STATES]), names(&[&["product"], &SHELVES])].concat(),
        &INPUTS,
        never,
        expect![[""]],
    );
}
