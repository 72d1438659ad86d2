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
        expect![[r#"
            unknown
                met: placed
                follows from what is still to come: confirmed, dispatched, cancelled, due
                concerns another aggregate: describe!, describe, in yen!, more!, less!
            reserved
                taken before, if ever: placed
                met: confirmed, dispatched, cancelled
                its deadline is not set: due
                concerns another aggregate: describe!, describe, in yen!, more!, less!
            reserved until
                taken before, if ever: placed
                met: confirmed, cancelled, due
                follows from what never comes: dispatched
                concerns another aggregate: describe!, describe, in yen!, more!, less!
            kept
                taken before, if ever: placed, confirmed
                met: dispatched, cancelled
                its deadline is not set: due
                concerns another aggregate: describe!, describe, in yen!, more!, less!
            rejected
                taken before, if ever: placed
                follows from what never comes: confirmed, dispatched
                met: cancelled
                its deadline is not set: due
                concerns another aggregate: describe!, describe, in yen!, more!, less!
            released
                taken before, if ever: placed, confirmed, cancelled
                follows from what never comes: dispatched
                its deadline is not set: due
                concerns another aggregate: describe!, describe, in yen!, more!, less!
            expired
                taken before, if ever: placed
                met: confirmed, cancelled
                follows from what never comes: dispatched
                its deadline is not set: due
                concerns another aggregate: describe!, describe, in yen!, more!, less!
            deducted
                taken before, if ever: placed, dispatched
                met: confirmed
                follows from what never comes: cancelled
                its deadline is not set: due
                concerns another aggregate: describe!, describe, in yen!, more!, less!
            cancelled
                no input leads here: placed, confirmed, dispatched, cancelled, due
                concerns another aggregate: describe!, describe, in yen!, more!, less!
            product, unknown
                concerns another aggregate: placed, confirmed, dispatched, cancelled, due
                met: describe!, more!, less!
                follows from what never comes: describe, in yen!
            product, none on hand
            product, all reserved
            product, some available
                concerns another aggregate: placed, confirmed, dispatched, cancelled, due
                met: describe!, describe, in yen!, more!, less!
        "#]],
    );
}
