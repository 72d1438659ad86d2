//! What is stored, and what is read of it.

use super::*;

#[test]
fn stored_forms_are_read_as_they_were_written() {
    let mut table = String::new();
    for event in events() {
        let (stored_type, data) = (event.stored_type(), event.stored_data());
        assert_eq!(OrderEvent::from_stored(stored_type, &data), Ok(event));
        if stored_type != "placed.v2" {
            table.push_str(&format!("{stored_type} {data}\n"));
        }
    }
    expect![[r#"
        stock-noted.v1 {}
        stock-noted.v1 {"expires_at":"2025-08-19T10:30:00Z"}
        payment-noted.v1 {}
        confirmed.v1 {"at":"2025-08-19T09:30:00.123456Z"}
        paid.v1 {}
        shipped.v1 {"tracking_number":"WB1"}
        delivered.v1 {}
        cancellation-requested.v1 {"reason":"customer","note":"ordered twice"}
        cancellation-requested.v1 {"reason":"reservation-expired"}
        cancelled.v1 {"reason":"customer","note":"ordered twice","awaits_payment":true}
        cancelled.v1 {"reason":"reservation-expired","awaits_payment":true}
        cancelled.v1 {"reason":"payment-declined"}
        cancelled.v1 {"reason":"customer","note":"ordered twice"}
        stock-returned.v1 {}
        money-returned.v1 {}
        nothing-held.v1 {}
    "#]]
    .assert_eq(&table);
}

#[test]
fn an_order_from_before_currencies_was_in_dollars() {
    let (placed, data) = example(1);
    assert_eq!(placed.currency.code(), "USD");
    assert_eq!(OrderEvent::from_stored("placed.v1", &data), Ok(E::Placed(placed.into())));
}

#[test]
fn what_was_never_stored_is_an_error() {
    for (stored_type, data) in [
        ("placed.v3", "{}"),
        ("paid", "{}"),
        ("", "{}"),
        ("placed.v2", "{}"),
        ("confirmed.v1", "{}"),
        ("shipped.v1", r#"{"tracking_number": 1}"#),
        ("cancelled.v1", r#"{"reason": "boredom"}"#),
        ("cancelled.v1", "not JSON"),
        ("stock-noted.v1", r#"{"expires_at": "soon"}"#),
        ("cancelled.v1", r#"{"reason": "customer", "note": 1}"#),
    ] {
        assert!(OrderEvent::from_stored(stored_type, data).is_err(), "{stored_type} {data}");
    }
}
