//! What comes from outside, as inputs.

use engine::{Arrival, Decider as _};
use expect_test::{Expect, expect};

use super::SLOW;
use crate::{Input, Leg, Shipments, shipment::tests::order_id};

#[track_caller]
fn check_read(name: &str, version: u32, data: &str, expected: Expect) {
    let arrival = Arrival { name, version, data: data.as_bytes() };
    let read = (Shipments { carrier: SLOW }).read(&arrival);
    expected.assert_eq(&match read {
        Ok(input) => format!("{input:?}"),
        Err(error) => error.to_string(),
    });
}

#[test]
fn what_others_publish_is_read() {
    let example = |name: &str| {
        let found = events::catalogue().into_iter().find(|it| it.name == name);
        let example = found.expect("a published event").example;
        let order = example["order_id"].as_str().expect("an order id").to_owned();
        (example.to_string(), order)
    };
    for name in [
        "order.confirmed",
        "payment.captured",
        "inventory.stock-kept",
        "order.cancellation-requested",
        "order.cancelled",
    ] {
        let (data, order) = example(name);
        let arrival = Arrival { name, version: 1, data: data.as_bytes() };
        let input = (Shipments { carrier: SLOW }).read(&arrival).unwrap().unwrap();
        assert_eq!(input.order_id().to_string(), order, "{name}");
    }
}

#[test]
fn a_confirmation_says_whether_the_stock_expires() {
    let example = events::catalogue().into_iter().find(|it| it.name == "order.confirmed");
    let mut example = example.expect("a published event").example;
    for (until, expected) in [(None, false), (Some("2025-08-19T10:00:00Z"), true)] {
        example["stock_expires_at"] = until.into();
        let data = example.to_string();
        let arrival = Arrival { name: "order.confirmed", version: 1, data: data.as_bytes() };
        let input = (Shipments { carrier: SLOW }).read(&arrival).unwrap();
        assert!(
            matches!(input, Some(Input::OrderConfirmed { stock_expires, .. }) if stock_expires == expected),
            "{input:?}"
        );
    }
}

#[test]
fn what_is_not_for_shipping_is_skipped_unread() {
    check_read("order.placed", 2, "not JSON", expect!["None"]);
    check_read("shipping.dispatched", 1, "not JSON", expect!["None"]);
    check_read("inventory.stock-reserved", 1, "not JSON", expect!["None"]);
    check_read("inventory.reservation-expired", 1, "not JSON", expect!["None"]);
    check_read("order.unheard-of", 7, "", expect!["None"]);
}

#[test]
fn what_cannot_be_read_is_told() {
    check_read("order.confirmed", 9, "{}", expect!["order.confirmed has no version 9 that can be read here"]);
    check_read(
        "payment.captured",
        1,
        "{}",
        expect!["unreadable data: missing field `order_id` at line 1 column 2"],
    );
}

#[test]
fn a_deadline_is_read_as_its_input() {
    let (shipments, key) = (Shipments { carrier: SLOW }, order_id().to_string());
    assert_eq!(shipments.due("dispatch", &key), Some(Input::Due(order_id(), Leg::Dispatch)));
    assert_eq!(shipments.due("deliver", &key), Some(Input::Due(order_id(), Leg::Deliver)));
    assert_eq!(shipments.due("reservation", &key), None);
    assert_eq!(shipments.due("deliver", "MUG-01"), None);
}
