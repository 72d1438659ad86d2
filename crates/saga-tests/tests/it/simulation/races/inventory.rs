use expect_test::expect;

use super::{check, names};

const INPUTS: [&str; 5] = ["placed", "confirmed", "dispatched", "cancelled", "due"];
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

fn never(_: &str, _: &str) -> Option<&'static str> {
    None
}

#[test]
fn of_a_reservation() {
    check("inventory", &names(&[&STATES]), &INPUTS, never, expect![[""]]);
}
