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
    check(
        "payment",
        &states(),
        &INPUTS,
        never,
        expect![[r#"
        awaiting, no amount
            met: placed, reserved
            follows from what is still to come: confirmed, cancelled
            the provider was not asked, or has answered: authorized!, declined!, captured!, capture-refused!, voided!, refunded!
        awaiting, no amount, then capture
            no input leads here: placed, reserved, confirmed, cancelled, authorized!, declined!, captured!, capture-refused!, voided!, refunded!
        awaiting, no amount, reserved
            met: placed
            taken before, if ever: reserved
            follows from what is still to come: confirmed, cancelled
            the provider was not asked, or has answered: authorized!, declined!, captured!, capture-refused!, voided!, refunded!
        awaiting, no amount, reserved, then capture
            no input leads here: placed, reserved, confirmed, cancelled, authorized!, declined!, captured!, capture-refused!, voided!, refunded!
        awaiting
            taken before, if ever: placed
            met: reserved, cancelled
            follows from what is still to come: confirmed
            the provider was not asked, or has answered: authorized!, declined!, captured!, capture-refused!, voided!, refunded!
        awaiting, then capture
        awaiting, reserved
        awaiting, reserved, then capture
            no input leads here: placed, reserved, confirmed, cancelled, authorized!, declined!, captured!, capture-refused!, voided!, refunded!
        authorizing
            taken before, if ever: placed, reserved
            follows from what is still to come: confirmed
            met: cancelled, authorized!, declined!
            the provider was not asked, or has answered: captured!, capture-refused!, voided!, refunded!
        authorizing, then capture
            no input leads here: placed, reserved, confirmed, cancelled, authorized!, declined!, captured!, capture-refused!, voided!, refunded!
        authorizing, then give back
            taken before, if ever: placed, reserved, cancelled
            follows from what is still to come: confirmed
            met: authorized!, declined!
            the provider was not asked, or has answered: captured!, capture-refused!, voided!, refunded!
        authorized
            taken before, if ever: placed, reserved
            met: confirmed, cancelled
            the provider was not asked, or has answered: authorized!, declined!, captured!, capture-refused!, voided!, refunded!
        capturing
            taken before, if ever: placed, reserved, confirmed
            met: cancelled, captured!, capture-refused!
            the provider was not asked, or has answered: authorized!, declined!, voided!, refunded!
        capturing, then give back
            taken before, if ever: placed, reserved, confirmed, cancelled
            the provider was not asked, or has answered: authorized!, declined!, voided!, refunded!
            met: captured!, capture-refused!
        captured
            taken before, if ever: placed, reserved, confirmed
            met: cancelled
            the provider was not asked, or has answered: authorized!, declined!, captured!, capture-refused!, voided!, refunded!
        voiding
            taken before, if ever: placed, reserved, confirmed, cancelled
            the provider was not asked, or has answered: authorized!, declined!, capture-refused!, refunded!
            met: captured!, voided!
        voiding, refused
            taken before, if ever: placed, reserved, confirmed
            met: cancelled, voided!
            the provider was not asked, or has answered: authorized!, declined!, capture-refused!, refunded!
            follows from what never comes: captured!
        refunding
            taken before, if ever: placed, reserved, confirmed, cancelled
            the provider was not asked, or has answered: authorized!, declined!, captured!, capture-refused!, voided!
            met: refunded!
        declined
            taken before, if ever: placed, reserved
            follows from what never comes: confirmed
            met: cancelled
            the provider was not asked, or has answered: authorized!, declined!, captured!, capture-refused!, voided!, refunded!
        voided
            taken before, if ever: placed, reserved, confirmed, cancelled
            the provider was not asked, or has answered: authorized!, declined!, captured!, capture-refused!, voided!, refunded!
        voided, refused
            taken before, if ever: placed, reserved, confirmed
            met: cancelled
            the provider was not asked, or has answered: authorized!, declined!, captured!, capture-refused!, voided!, refunded!
        refunded
            taken before, if ever: placed, reserved, confirmed, cancelled
            the provider was not asked, or has answered: authorized!, declined!, captured!, capture-refused!, voided!, refunded!
        cancelled, no amount
            no input leads here: placed, reserved, confirmed, cancelled, authorized!, declined!, captured!, capture-refused!, voided!, refunded!
        cancelled
            taken before, if ever: placed, cancelled
            met: reserved
            follows from what never comes: confirmed
            the provider was not asked, or has answered: authorized!, declined!, captured!, capture-refused!, voided!, refunded!
    "#]],
    );
}
