use expect_test::expect;

use super::{BEFORE, LATER, NO_WAY, RULED_OUT, UNASKED, check, is, names};

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

fn never(state: &str, input: &str) -> Option<&'static str> {
    let is = |word| is(state, word);
    // Amount and stock together are asked for at once, what is confirmed was asked for before, and an order is placed
    // before it is confirmed or cancelled, on one key.
    let confirmed = (is("awaiting") || is("authorizing")) && is("then capture");
    let both = is("awaiting") && is("reserved") && !is("no amount");
    if confirmed || both || (is("cancelled") && is("no amount")) {
        return Some(NO_WAY);
    }
    let over = ["declined", "voided", "refunded", "cancelled", "voiding", "refunding"].into_iter().any(is);
    match input {
        "placed" => (!is("no amount")).then_some(BEFORE),
        "reserved" => (!is("awaiting") && !is("cancelled") || is("reserved")).then_some(BEFORE),
        "confirmed" if is("awaiting") || is("authorizing") => Some(LATER),
        "confirmed" if is("authorized") => None,
        "confirmed" if is("declined") || is("cancelled") => Some(RULED_OUT),
        "confirmed" => Some(BEFORE),
        "cancelled" if is("no amount") => Some(LATER),
        // The order is cancelled because of the refusal; of the others it is the other way round.
        "cancelled" if is("refused") || is("declined") => None,
        "cancelled" => (over || is("then give back")).then_some(BEFORE),
        "authorized!" | "declined!" => (!is("authorizing")).then_some(UNASKED),
        // A card that is not to be captured is not to be captured at the provider's desk either.
        "captured!" if is("voiding") => is("refused").then_some(RULED_OUT),
        "captured!" | "capture-refused!" => (!is("capturing")).then_some(UNASKED),
        "voided!" => (!is("voiding")).then_some(UNASKED),
        _ => (!is("refunding")).then_some(UNASKED),
    }
}

#[test]
fn of_a_payment() {
    check("payment", &states(), &INPUTS, never, expect![[""]]);
}
