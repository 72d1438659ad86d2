use expect_test::expect;

use super::{BEFORE, CLEARED, LATER, NO_WAY, OTHER, RULED_OUT, check, is, names};

const INPUTS: [&str; 19] = [
    "Place",
    "Cancel",
    "StockReserved",
    "StockRejected",
    "StockReleased",
    "ReservationExpired",
    "PaymentAuthorized",
    "PaymentDeclined",
    "PaymentCaptured",
    "CaptureFailed",
    "PaymentVoided",
    "PaymentRefunded",
    "PaymentCancelled",
    "Dispatched",
    "Delivered",
    "ShipmentCancelled",
    "CancellationRefused",
    "ConfirmationDue",
    "ProductChanged",
];

fn states() -> Vec<String> {
    let either = |word| ["", word];
    [
        names(&[&["product"], &either("known")]),
        names(&[&["unknown"]]),
        names(&[&["placed"], &either("stock"), &either("payment")]),
        names(&[&["confirmed"], &either("paid"), &["", "cancelling", "cancelling, stock back"]]),
        names(&[&["shipped", "delivered"], &either("paid")]),
        names(&[
            &["cancelled"],
            &either("paid"),
            &["", "stock pending", "stock done"],
            &["", "money unheard of", "money pending", "money done"],
        ]),
    ]
    .concat()
}

fn never(state: &str, input: &str) -> Option<&'static str> {
    let is = |word| is(state, word);
    if is("product") != (input == "ProductChanged") {
        return Some(OTHER);
    }
    // Who is paid for a cancelled order was paid for a confirmed one; stock and payment together confirm it; and
    // no order is from before payment had a last word.
    let (stock, money) = (is("stock pending") || is("stock done"), is("money pending") || is("money done"));
    let paid_for_nothing = is("cancelled") && is("paid") && !(stock && money);
    if paid_for_nothing || (is("stock") && is("payment")) || is("money unheard of") {
        return Some(NO_WAY);
    }
    match state.split(", ").next() {
        Some("unknown") if !matches!(input, "Place" | "Cancel") => Some(LATER),
        Some("placed") => while_placed(is("stock"), is("payment"), input),
        Some("confirmed") => while_confirmed(&is, input),
        Some("shipped" | "delivered") => while_sent(&is, input),
        Some("cancelled") => while_cancelled(&is, stock, input),
        _ => None,
    }
}

fn while_placed(stock: bool, payment: bool, input: &str) -> Option<&'static str> {
    match input {
        "Place" => Some(BEFORE),
        "StockReserved" => stock.then_some(BEFORE),
        "PaymentAuthorized" => payment.then_some(BEFORE),
        // The provider is asked for what is reserved.
        "StockRejected" => (stock || payment).then_some(RULED_OUT),
        "PaymentDeclined" => payment.then_some(RULED_OUT),
        "ReservationExpired" => (!stock).then_some(LATER),
        "Cancel" | "ConfirmationDue" => None,
        _ => Some(LATER),
    }
}

fn while_confirmed(is: &impl Fn(&'static str) -> bool, input: &str) -> Option<&'static str> {
    match input {
        "Place" | "StockReserved" | "PaymentAuthorized" => Some(BEFORE),
        "StockRejected" | "PaymentDeclined" | "PaymentCancelled" => Some(RULED_OUT),
        "ConfirmationDue" => Some(CLEARED),
        "PaymentCaptured" => is("paid").then_some(BEFORE),
        "CaptureFailed" => is("paid").then_some(RULED_OUT),
        "ReservationExpired" => is("stock back").then_some(BEFORE),
        // Shipping waits for stock that is kept.
        "Dispatched" => is("stock back").then_some(RULED_OUT),
        "ShipmentCancelled" => (!is("cancelling")).then_some(LATER),
        "Cancel" => None,
        _ => Some(LATER),
    }
}

fn while_sent(is: &impl Fn(&'static str) -> bool, input: &str) -> Option<&'static str> {
    match input {
        "Place" | "StockReserved" | "PaymentAuthorized" | "Dispatched" => Some(BEFORE),
        "ConfirmationDue" => Some(CLEARED),
        "PaymentCaptured" => is("paid").then_some(BEFORE),
        "Delivered" => is("delivered").then_some(BEFORE),
        "Cancel" | "CancellationRefused" => None,
        _ => Some(RULED_OUT),
    }
}

fn while_cancelled(is: &impl Fn(&'static str) -> bool, stock: bool, input: &str) -> Option<&'static str> {
    let said = !is("money pending");
    match input {
        "Cancel" => None,
        "Place" => Some(BEFORE),
        "ConfirmationDue" => Some(CLEARED),
        "Dispatched" | "Delivered" | "CancellationRefused" => Some(RULED_OUT),
        "StockReserved" => stock.then_some(BEFORE),
        "StockRejected" => (stock || is("money done")).then_some(RULED_OUT),
        "StockReleased" | "ReservationExpired" if is("stock done") => Some(BEFORE),
        "StockReleased" | "ReservationExpired" => (!stock).then_some(LATER),
        // Of an order that was confirmed, and cancelled for another reason than this.
        "ShipmentCancelled" if is("paid") => Some(BEFORE),
        "ShipmentCancelled" => (!stock || !(is("money pending") || is("money done"))).then_some(RULED_OUT),
        // One last word of payment's, and before it what led to it.
        _ if said => Some(BEFORE),
        "PaymentAuthorized" | "PaymentCaptured" => is("paid").then_some(BEFORE),
        "CaptureFailed" => (is("paid") || !stock).then_some(RULED_OUT),
        "PaymentRefunded" => None,
        _ => is("paid").then_some(RULED_OUT),
    }
}

#[test]
fn of_an_order() {
    check("order", &states(), &INPUTS, never, expect![[""]]);
}
