use expect_test::expect;

use super::{check, names};

const INPUTS: [&str; 18] = [
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
];

fn states() -> Vec<String> {
    let either = |word| ["", word];
    [
        vec!["unknown".to_owned()],
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

fn never(_: &str, _: &str) -> Option<&'static str> {
    None
}

#[test]
fn of_an_order() {
    check("order", &states(), &INPUTS, never, expect![[""]]);
}
