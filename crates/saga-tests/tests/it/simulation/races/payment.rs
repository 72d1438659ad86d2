use expect_test::expect;

use super::{check, names};

const INPUTS: [&str; 10] = [
    "placed",
    "reserved",
    "confirmed",
    "cancelled",
    "authorized!",
    "declined!",
    "captured!",
    "capture-refused!",
    "voided!",
    "refunded!",
];

fn states() -> Vec<String> {
    [
        names(&[&["awaiting"], &["no amount", ""], &["", "reserved"], &["", "then capture"]]),
        names(&[&["authorizing"], &["", "then capture", "then give back"]]),
        names(&[&["authorized"]]),
        names(&[&["capturing"], &["", "then give back"]]),
        names(&[&["captured"]]),
        names(&[&["voiding"], &["", "refused"]]),
        names(&[&["refunding", "declined"]]),
        names(&[&["voided"], &["", "refused"]]),
        names(&[&["refunded"]]),
        names(&[&["cancelled"], &["no amount", ""]]),
    ]
    .concat()
}

fn never(_: &str, _: &str) -> Option<&'static str> {
    None
}

#[test]
fn of_a_payment() {
    check("payment", &states(), &INPUTS, never, expect![[""]]);
}
