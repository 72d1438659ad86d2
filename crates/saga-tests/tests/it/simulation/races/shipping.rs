use expect_test::expect;

use super::{check, names};

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

fn never(_: &str, _: &str) -> Option<&'static str> {
    None
}

#[test]
fn of_a_shipment() {
    check("shipping", &states(), &INPUTS, never, expect![[""]]);
}
