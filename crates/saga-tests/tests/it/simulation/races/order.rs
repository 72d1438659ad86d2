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
    check(
        "order",
        &states(),
        &INPUTS,
        never,
        expect![[r#"
        product
        product, known
            concerns another aggregate: Place, Cancel, StockReserved, StockRejected, StockReleased, ReservationExpired, PaymentAuthorized, PaymentDeclined, PaymentCaptured, CaptureFailed, PaymentVoided, PaymentRefunded, PaymentCancelled, Dispatched, Delivered, ShipmentCancelled, CancellationRefused, ConfirmationDue
            met: ProductChanged
        unknown
            met: Place, Cancel
            follows from what is still to come: StockReserved, StockRejected, StockReleased, ReservationExpired, PaymentAuthorized, PaymentDeclined, PaymentCaptured, CaptureFailed, PaymentVoided, PaymentRefunded, PaymentCancelled, Dispatched, Delivered, ShipmentCancelled, CancellationRefused, ConfirmationDue
            concerns another aggregate: ProductChanged
        placed
            taken before, if ever: Place
            met: Cancel, StockReserved, StockRejected, PaymentAuthorized, PaymentDeclined, ConfirmationDue
            follows from what is still to come: StockReleased, ReservationExpired, PaymentCaptured, CaptureFailed, PaymentVoided, PaymentRefunded, PaymentCancelled, Dispatched, Delivered, ShipmentCancelled, CancellationRefused
            concerns another aggregate: ProductChanged
        placed, payment
            taken before, if ever: Place, PaymentAuthorized
            met: Cancel, StockReserved, ConfirmationDue
            follows from what never comes: StockRejected, PaymentDeclined
            follows from what is still to come: StockReleased, ReservationExpired, PaymentCaptured, CaptureFailed, PaymentVoided, PaymentRefunded, PaymentCancelled, Dispatched, Delivered, ShipmentCancelled, CancellationRefused
            concerns another aggregate: ProductChanged
        placed, stock
            taken before, if ever: Place, StockReserved
            met: Cancel, ReservationExpired, PaymentAuthorized, PaymentDeclined, ConfirmationDue
            follows from what never comes: StockRejected
            follows from what is still to come: StockReleased, PaymentCaptured, CaptureFailed, PaymentVoided, PaymentRefunded, PaymentCancelled, Dispatched, Delivered, ShipmentCancelled, CancellationRefused
            concerns another aggregate: ProductChanged
        placed, stock, payment
            no input leads here: Place, Cancel, StockReserved, StockRejected, StockReleased, ReservationExpired, PaymentAuthorized, PaymentDeclined, PaymentCaptured, CaptureFailed, PaymentVoided, PaymentRefunded, PaymentCancelled, Dispatched, Delivered, ShipmentCancelled, CancellationRefused, ConfirmationDue
            concerns another aggregate: ProductChanged
        confirmed
            taken before, if ever: Place, StockReserved, PaymentAuthorized
            met: Cancel, ReservationExpired, PaymentCaptured, CaptureFailed, Dispatched
            follows from what never comes: StockRejected, PaymentDeclined, PaymentCancelled
            follows from what is still to come: StockReleased, PaymentVoided, PaymentRefunded, Delivered, ShipmentCancelled, CancellationRefused
            its deadline is not set: ConfirmationDue
            concerns another aggregate: ProductChanged
        confirmed, cancelling
            taken before, if ever: Place, StockReserved, PaymentAuthorized
            met: Cancel, ReservationExpired, PaymentCaptured, CaptureFailed, Dispatched, ShipmentCancelled
            follows from what never comes: StockRejected, PaymentDeclined, PaymentCancelled
            follows from what is still to come: StockReleased, PaymentVoided, PaymentRefunded, Delivered, CancellationRefused
            its deadline is not set: ConfirmationDue
            concerns another aggregate: ProductChanged
        confirmed, cancelling, stock back
            taken before, if ever: Place, StockReserved, ReservationExpired, PaymentAuthorized
            met: Cancel, PaymentCaptured, CaptureFailed, ShipmentCancelled
            follows from what never comes: StockRejected, PaymentDeclined, PaymentCancelled, Dispatched
            follows from what is still to come: StockReleased, PaymentVoided, PaymentRefunded, Delivered, CancellationRefused
            its deadline is not set: ConfirmationDue
            concerns another aggregate: ProductChanged
        confirmed, paid
            taken before, if ever: Place, StockReserved, PaymentAuthorized, PaymentCaptured
            met: Cancel, ReservationExpired, Dispatched
            follows from what never comes: StockRejected, PaymentDeclined, CaptureFailed, PaymentCancelled
            follows from what is still to come: StockReleased, PaymentVoided, PaymentRefunded, Delivered, ShipmentCancelled, CancellationRefused
            its deadline is not set: ConfirmationDue
            concerns another aggregate: ProductChanged
        confirmed, paid, cancelling
            taken before, if ever: Place, StockReserved, PaymentAuthorized, PaymentCaptured
            met: Cancel, ReservationExpired, Dispatched, ShipmentCancelled
            follows from what never comes: StockRejected, PaymentDeclined, CaptureFailed, PaymentCancelled
            follows from what is still to come: StockReleased, PaymentVoided, PaymentRefunded, Delivered, CancellationRefused
            its deadline is not set: ConfirmationDue
            concerns another aggregate: ProductChanged
        confirmed, paid, cancelling, stock back
            taken before, if ever: Place, StockReserved, ReservationExpired, PaymentAuthorized, PaymentCaptured
            met: Cancel, ShipmentCancelled
            follows from what never comes: StockRejected, PaymentDeclined, CaptureFailed, PaymentCancelled, Dispatched
            follows from what is still to come: StockReleased, PaymentVoided, PaymentRefunded, Delivered, CancellationRefused
            its deadline is not set: ConfirmationDue
            concerns another aggregate: ProductChanged
        shipped
            taken before, if ever: Place, StockReserved, PaymentAuthorized, Dispatched
            met: Cancel, PaymentCaptured, Delivered, CancellationRefused
            follows from what never comes: StockRejected, StockReleased, ReservationExpired, PaymentDeclined, CaptureFailed, PaymentVoided, PaymentRefunded, PaymentCancelled, ShipmentCancelled
            its deadline is not set: ConfirmationDue
            concerns another aggregate: ProductChanged
        shipped, paid
            taken before, if ever: Place, StockReserved, PaymentAuthorized, PaymentCaptured, Dispatched
            met: Cancel, Delivered, CancellationRefused
            follows from what never comes: StockRejected, StockReleased, ReservationExpired, PaymentDeclined, CaptureFailed, PaymentVoided, PaymentRefunded, PaymentCancelled, ShipmentCancelled
            its deadline is not set: ConfirmationDue
            concerns another aggregate: ProductChanged
        delivered
            taken before, if ever: Place, StockReserved, PaymentAuthorized, Dispatched, Delivered
            met: Cancel, PaymentCaptured, CancellationRefused
            follows from what never comes: StockRejected, StockReleased, ReservationExpired, PaymentDeclined, CaptureFailed, PaymentVoided, PaymentRefunded, PaymentCancelled, ShipmentCancelled
            its deadline is not set: ConfirmationDue
            concerns another aggregate: ProductChanged
        delivered, paid
            taken before, if ever: Place, StockReserved, PaymentAuthorized, PaymentCaptured, Dispatched, Delivered
            met: Cancel, CancellationRefused
            follows from what never comes: StockRejected, StockReleased, ReservationExpired, PaymentDeclined, CaptureFailed, PaymentVoided, PaymentRefunded, PaymentCancelled, ShipmentCancelled
            its deadline is not set: ConfirmationDue
            concerns another aggregate: ProductChanged
        cancelled
            taken before, if ever: Place, PaymentAuthorized, PaymentDeclined, PaymentCaptured, CaptureFailed, PaymentVoided, PaymentRefunded, PaymentCancelled
            met: Cancel, StockReserved, StockRejected
            follows from what is still to come: StockReleased, ReservationExpired
            follows from what never comes: Dispatched, Delivered, ShipmentCancelled, CancellationRefused
            its deadline is not set: ConfirmationDue
            concerns another aggregate: ProductChanged
        cancelled, money unheard of
            no input leads here: Place, Cancel, StockReserved, StockRejected, StockReleased, ReservationExpired, PaymentAuthorized, PaymentDeclined, PaymentCaptured, CaptureFailed, PaymentVoided, PaymentRefunded, PaymentCancelled, Dispatched, Delivered, ShipmentCancelled, CancellationRefused, ConfirmationDue
            concerns another aggregate: ProductChanged
        cancelled, money pending
            taken before, if ever: Place
            met: Cancel, StockReserved, StockRejected, PaymentAuthorized, PaymentDeclined, PaymentCaptured, PaymentVoided, PaymentRefunded, PaymentCancelled
            follows from what is still to come: StockReleased, ReservationExpired
            follows from what never comes: CaptureFailed, Dispatched, Delivered, ShipmentCancelled, CancellationRefused
            its deadline is not set: ConfirmationDue
            concerns another aggregate: ProductChanged
        cancelled, money done
            taken before, if ever: Place, PaymentAuthorized, PaymentDeclined, PaymentCaptured, CaptureFailed, PaymentVoided, PaymentRefunded, PaymentCancelled
            met: Cancel, StockReserved
            follows from what never comes: StockRejected, Dispatched, Delivered, ShipmentCancelled, CancellationRefused
            follows from what is still to come: StockReleased, ReservationExpired
            its deadline is not set: ConfirmationDue
            concerns another aggregate: ProductChanged
        cancelled, stock pending
            taken before, if ever: Place, StockReserved, PaymentAuthorized, PaymentDeclined, PaymentCaptured, CaptureFailed, PaymentVoided, PaymentRefunded, PaymentCancelled
            met: Cancel, StockReleased, ReservationExpired
            follows from what never comes: StockRejected, Dispatched, Delivered, ShipmentCancelled, CancellationRefused
            its deadline is not set: ConfirmationDue
            concerns another aggregate: ProductChanged
        cancelled, stock pending, money unheard of
            no input leads here: Place, Cancel, StockReserved, StockRejected, StockReleased, ReservationExpired, PaymentAuthorized, PaymentDeclined, PaymentCaptured, CaptureFailed, PaymentVoided, PaymentRefunded, PaymentCancelled, Dispatched, Delivered, ShipmentCancelled, CancellationRefused, ConfirmationDue
            concerns another aggregate: ProductChanged
        cancelled, stock pending, money pending
            taken before, if ever: Place, StockReserved
            met: Cancel, StockReleased, ReservationExpired, PaymentAuthorized, PaymentDeclined, PaymentCaptured, CaptureFailed, PaymentVoided, PaymentRefunded, PaymentCancelled, ShipmentCancelled
            follows from what never comes: StockRejected, Dispatched, Delivered, CancellationRefused
            its deadline is not set: ConfirmationDue
            concerns another aggregate: ProductChanged
        cancelled, stock pending, money done
            taken before, if ever: Place, StockReserved, PaymentAuthorized, PaymentDeclined, PaymentCaptured, CaptureFailed, PaymentVoided, PaymentRefunded, PaymentCancelled
            met: Cancel, StockReleased, ReservationExpired, ShipmentCancelled
            follows from what never comes: StockRejected, Dispatched, Delivered, CancellationRefused
            its deadline is not set: ConfirmationDue
            concerns another aggregate: ProductChanged
        cancelled, stock done
            taken before, if ever: Place, StockReserved, StockReleased, ReservationExpired, PaymentAuthorized, PaymentDeclined, PaymentCaptured, CaptureFailed, PaymentVoided, PaymentRefunded, PaymentCancelled
            met: Cancel
            follows from what never comes: StockRejected, Dispatched, Delivered, ShipmentCancelled, CancellationRefused
            its deadline is not set: ConfirmationDue
            concerns another aggregate: ProductChanged
        cancelled, stock done, money unheard of
            no input leads here: Place, Cancel, StockReserved, StockRejected, StockReleased, ReservationExpired, PaymentAuthorized, PaymentDeclined, PaymentCaptured, CaptureFailed, PaymentVoided, PaymentRefunded, PaymentCancelled, Dispatched, Delivered, ShipmentCancelled, CancellationRefused, ConfirmationDue
            concerns another aggregate: ProductChanged
        cancelled, stock done, money pending
            taken before, if ever: Place, StockReserved, StockReleased, ReservationExpired
            met: Cancel, PaymentAuthorized, PaymentDeclined, PaymentCaptured, CaptureFailed, PaymentVoided, PaymentRefunded, PaymentCancelled, ShipmentCancelled
            follows from what never comes: StockRejected, Dispatched, Delivered, CancellationRefused
            its deadline is not set: ConfirmationDue
            concerns another aggregate: ProductChanged
        cancelled, stock done, money done
            taken before, if ever: Place, StockReserved, StockReleased, ReservationExpired, PaymentAuthorized, PaymentDeclined, PaymentCaptured, CaptureFailed, PaymentVoided, PaymentRefunded, PaymentCancelled
            met: Cancel, ShipmentCancelled
            follows from what never comes: StockRejected, Dispatched, Delivered, CancellationRefused
            its deadline is not set: ConfirmationDue
            concerns another aggregate: ProductChanged
        cancelled, paid
        cancelled, paid, money unheard of
        cancelled, paid, money pending
        cancelled, paid, money done
        cancelled, paid, stock pending
        cancelled, paid, stock pending, money unheard of
            no input leads here: Place, Cancel, StockReserved, StockRejected, StockReleased, ReservationExpired, PaymentAuthorized, PaymentDeclined, PaymentCaptured, CaptureFailed, PaymentVoided, PaymentRefunded, PaymentCancelled, Dispatched, Delivered, ShipmentCancelled, CancellationRefused, ConfirmationDue
            concerns another aggregate: ProductChanged
        cancelled, paid, stock pending, money pending
            taken before, if ever: Place, StockReserved, PaymentAuthorized, PaymentCaptured, ShipmentCancelled
            met: Cancel, StockReleased, ReservationExpired, PaymentRefunded
            follows from what never comes: StockRejected, PaymentDeclined, CaptureFailed, PaymentVoided, PaymentCancelled, Dispatched, Delivered, CancellationRefused
            its deadline is not set: ConfirmationDue
            concerns another aggregate: ProductChanged
        cancelled, paid, stock pending, money done
            taken before, if ever: Place, StockReserved, PaymentAuthorized, PaymentDeclined, PaymentCaptured, CaptureFailed, PaymentVoided, PaymentRefunded, PaymentCancelled, ShipmentCancelled
            met: Cancel, StockReleased, ReservationExpired
            follows from what never comes: StockRejected, Dispatched, Delivered, CancellationRefused
            its deadline is not set: ConfirmationDue
            concerns another aggregate: ProductChanged
        cancelled, paid, stock done
        cancelled, paid, stock done, money unheard of
            no input leads here: Place, Cancel, StockReserved, StockRejected, StockReleased, ReservationExpired, PaymentAuthorized, PaymentDeclined, PaymentCaptured, CaptureFailed, PaymentVoided, PaymentRefunded, PaymentCancelled, Dispatched, Delivered, ShipmentCancelled, CancellationRefused, ConfirmationDue
            concerns another aggregate: ProductChanged
        cancelled, paid, stock done, money pending
            taken before, if ever: Place, StockReserved, StockReleased, ReservationExpired, PaymentAuthorized, PaymentCaptured, ShipmentCancelled
            met: Cancel, PaymentRefunded
            follows from what never comes: StockRejected, PaymentDeclined, CaptureFailed, PaymentVoided, PaymentCancelled, Dispatched, Delivered, CancellationRefused
            its deadline is not set: ConfirmationDue
            concerns another aggregate: ProductChanged
        cancelled, paid, stock done, money done
            taken before, if ever: Place, StockReserved, StockReleased, ReservationExpired, PaymentAuthorized, PaymentDeclined, PaymentCaptured, CaptureFailed, PaymentVoided, PaymentRefunded, PaymentCancelled, ShipmentCancelled
            met: Cancel
            follows from what never comes: StockRejected, Dispatched, Delivered, CancellationRefused
            its deadline is not set: ConfirmationDue
            concerns another aggregate: ProductChanged
    "#]],
    );
}
