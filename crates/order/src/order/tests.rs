use events::{CancelReason, Event as _, catalogue};
use expect_test::expect;
use time::macros::datetime;

use super::*;

/// The order that the published examples tell of, as the version that is read from `placed.v1` or `.v2`.
fn example(version: u32) -> (OrderPlaced, String) {
    let published =
        catalogue().into_iter().find(|it| it.name == OrderPlaced::NAME && it.version == version).unwrap();
    let data = published.example.to_string();
    (OrderPlaced::decode(version, data.as_bytes()).unwrap(), data)
}

/// One of each event; the match makes sure that a new one is added here.
fn events() -> Vec<(&'static str, OrderEvent)> {
    let events = [
        E::Placed(example(2).0.into()),
        E::StockNoted,
        E::PaymentNoted,
        E::Confirmed { at: datetime!(2025-08-19 09:30:00.123456 UTC) },
        E::Paid,
        E::Shipped { tracking_number: "WB1".into() },
        E::Delivered,
        E::CancellationRequested { reason: CancelReason::ReservationExpired },
        E::Cancelled { reason: CancelReason::Customer },
    ];
    let name = |event: &OrderEvent| match event {
        E::Placed(_) => "placed",
        E::StockNoted => "stock",
        E::PaymentNoted => "payment",
        E::Confirmed { .. } => "confirmed",
        E::Paid => "paid",
        E::Shipped { .. } => "shipped",
        E::Delivered => "delivered",
        E::CancellationRequested { .. } => "cancellation-requested",
        E::Cancelled { .. } => "cancelled",
    };
    events.into_iter().map(|event| (name(&event), event)).collect()
}

fn states() -> Vec<State> {
    let either = [false, true];
    let tracking_number = || "WB0".to_owned();
    let placed = [(false, false), (false, true), (true, false), (true, true)];
    let mut states: Vec<State> = placed.map(|(stock, payment)| S::Placed { stock, payment }).into();
    for cancelling in [None, Some(CancelReason::Customer)] {
        states.extend(either.map(|paid| S::Confirmed { paid, cancelling }));
    }
    states.extend(either.map(|paid| S::Shipped { paid, tracking_number: tracking_number() }));
    states.extend(either.map(|paid| S::Delivered { paid, tracking_number: tracking_number() }));
    states.extend(either.map(|paid| S::Cancelled { paid, reason: CancelReason::OutOfStock }));
    states
}

fn order(state: State) -> Order {
    Order { version: 7, sequence: 4, placed: example(2).0, state }
}

#[test]
fn every_event_counts_and_moves_the_state_as_listed() {
    let mut table = String::new();
    for state in states() {
        table.push_str(&format!("{state:?}\n"));
        for (name, event) in events() {
            let mut order = order(state.clone());
            order.evolve(&event);
            assert_eq!(order.version, 8, "{name} in {state:?}");
            assert_eq!(order.sequence, 4 + i64::from(event.is_published()), "{name} in {state:?}");
            assert_eq!(order.published(&event).is_some(), event.is_published(), "{name} in {state:?}");
            if order.state != state {
                table.push_str(&format!("    {name} -> {:?}\n", order.state));
            }
        }
    }
    expect![[r#"
        Placed { stock: false, payment: false }
            stock -> Placed { stock: true, payment: false }
            payment -> Placed { stock: false, payment: true }
            confirmed -> Confirmed { paid: false, cancelling: None }
            cancelled -> Cancelled { paid: false, reason: Customer }
        Placed { stock: false, payment: true }
            stock -> Placed { stock: true, payment: true }
            confirmed -> Confirmed { paid: false, cancelling: None }
            cancelled -> Cancelled { paid: false, reason: Customer }
        Placed { stock: true, payment: false }
            payment -> Placed { stock: true, payment: true }
            confirmed -> Confirmed { paid: false, cancelling: None }
            cancelled -> Cancelled { paid: false, reason: Customer }
        Placed { stock: true, payment: true }
            confirmed -> Confirmed { paid: false, cancelling: None }
            cancelled -> Cancelled { paid: false, reason: Customer }
        Confirmed { paid: false, cancelling: None }
            paid -> Confirmed { paid: true, cancelling: None }
            shipped -> Shipped { paid: false, tracking_number: "WB1" }
            cancellation-requested -> Confirmed { paid: false, cancelling: Some(ReservationExpired) }
            cancelled -> Cancelled { paid: false, reason: Customer }
        Confirmed { paid: true, cancelling: None }
            shipped -> Shipped { paid: true, tracking_number: "WB1" }
            cancellation-requested -> Confirmed { paid: true, cancelling: Some(ReservationExpired) }
            cancelled -> Cancelled { paid: true, reason: Customer }
        Confirmed { paid: false, cancelling: Some(Customer) }
            paid -> Confirmed { paid: true, cancelling: Some(Customer) }
            shipped -> Shipped { paid: false, tracking_number: "WB1" }
            cancellation-requested -> Confirmed { paid: false, cancelling: Some(ReservationExpired) }
            cancelled -> Cancelled { paid: false, reason: Customer }
        Confirmed { paid: true, cancelling: Some(Customer) }
            shipped -> Shipped { paid: true, tracking_number: "WB1" }
            cancellation-requested -> Confirmed { paid: true, cancelling: Some(ReservationExpired) }
            cancelled -> Cancelled { paid: true, reason: Customer }
        Shipped { paid: false, tracking_number: "WB0" }
            paid -> Shipped { paid: true, tracking_number: "WB0" }
            delivered -> Delivered { paid: false, tracking_number: "WB0" }
        Shipped { paid: true, tracking_number: "WB0" }
            delivered -> Delivered { paid: true, tracking_number: "WB0" }
        Delivered { paid: false, tracking_number: "WB0" }
            paid -> Delivered { paid: true, tracking_number: "WB0" }
        Delivered { paid: true, tracking_number: "WB0" }
        Cancelled { paid: false, reason: OutOfStock }
        Cancelled { paid: true, reason: OutOfStock }
    "#]]
    .assert_eq(&table);
}

#[test]
fn an_order_begins_with_one_published_event() {
    let order = Order::begin(example(2).0);
    assert_eq!((order.version, order.sequence, order.is_paid()), (1, 1, false));
}

#[test]
fn stored_forms_are_read_as_they_were_written() {
    let mut table = String::new();
    for (_, event) in events() {
        let (stored_type, data) = (event.stored_type(), event.stored_data());
        assert_eq!(OrderEvent::from_stored(stored_type, &data), Ok(event));
        if stored_type != "placed.v2" {
            table.push_str(&format!("{stored_type} {data}\n"));
        }
    }
    expect![[r#"
        stock-noted.v1 {}
        payment-noted.v1 {}
        confirmed.v1 {"at":"2025-08-19T09:30:00.123456Z"}
        paid.v1 {}
        shipped.v1 {"tracking_number":"WB1"}
        delivered.v1 {}
        cancellation-requested.v1 {"reason":"reservation-expired"}
        cancelled.v1 {"reason":"customer"}
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
    ] {
        assert!(OrderEvent::from_stored(stored_type, data).is_err(), "{stored_type} {data}");
    }
}
