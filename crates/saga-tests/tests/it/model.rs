//! One order in every way that it can go, and every end that it can come to.

mod wrong;

use std::time::Duration;

use expect_test::{Expect, expect};
use saga_tests::model::{Minds, Scenario, explore};
use shipping::Carrier;

/// More by `BEHIND=1` or `BEHIND=2`: with so many consumers behind at once there are more ways, and the same ends.
#[track_caller]
fn check(scenario: Scenario, expected: Expect) {
    let explored = explore(scenario, Minds::default()).unwrap_or_else(|story| panic!("{story}"));
    expected.assert_eq(&explored.to_string());
    let behind = crate::setting("BEHIND", scenario.behind);
    if behind != scenario.behind {
        let more = explore(Scenario { behind, ..scenario }, Minds::default());
        let more = more.unwrap_or_else(|story| panic!("{story}"));
        eprintln!("{scenario:?}: {} states with {behind} behind", more.states);
        assert_eq!(more.ends, explored.ends);
    }
}

/// Consumers that are put back multiply the ways of every scenario: only some have them by default.
fn steady() -> Scenario {
    Scenario { behind: 0, ..Scenario::default() }
}

#[test]
fn an_order_comes_to_one_of_these_ends() {
    check(
        Scenario::default(),
        expect![[r#"
        111850 states
        1 cancelled, Customer: inventory.reservation-expired, payment.cancelled
        6 cancelled, Customer: inventory.reservation-expired, payment.refunded, shipping.cancelled
        2 cancelled, Customer: inventory.reservation-expired, payment.voided
        1 cancelled, Customer: inventory.stock-released, payment.cancelled
        6 cancelled, Customer: inventory.stock-released, payment.refunded, shipping.cancelled
        2 cancelled, Customer: inventory.stock-released, payment.voided
        1 cancelled, ReservationExpired: inventory.reservation-expired, payment.cancelled
        6 cancelled, ReservationExpired: inventory.reservation-expired, payment.refunded, shipping.cancelled
        1 cancelled, ReservationExpired: inventory.reservation-expired, payment.voided
        1 cancelled, TimedOut: inventory.reservation-expired, payment.cancelled
        2 cancelled, TimedOut: inventory.reservation-expired, payment.voided
        1 cancelled, TimedOut: inventory.stock-released, payment.cancelled
        2 cancelled, TimedOut: inventory.stock-released, payment.voided
        4 delivered: inventory.stock-deducted, payment.captured, shipping.cancellation-refused
        7 delivered: inventory.stock-deducted, payment.captured, shipping.delivered
    "#]],
    );
}

#[test]
fn an_order_that_has_all_the_time_is_delivered() {
    check(
        Scenario { late: false, cancel: false, ..Scenario::default() },
        expect![[r#"
        3278 states
        3 delivered: inventory.stock-deducted, payment.captured, shipping.delivered
    "#]],
    );
}

#[test]
fn an_order_that_nobody_cancels() {
    check(
        Scenario { cancel: false, ..Scenario::default() },
        expect![[r#"
        24420 states
        1 cancelled, ReservationExpired: inventory.reservation-expired, payment.cancelled
        6 cancelled, ReservationExpired: inventory.reservation-expired, payment.refunded, shipping.cancelled
        1 cancelled, ReservationExpired: inventory.reservation-expired, payment.voided
        1 cancelled, TimedOut: inventory.reservation-expired, payment.cancelled
        2 cancelled, TimedOut: inventory.reservation-expired, payment.voided
        1 cancelled, TimedOut: inventory.stock-released, payment.cancelled
        2 cancelled, TimedOut: inventory.stock-released, payment.voided
        3 delivered: inventory.stock-deducted, payment.captured, shipping.delivered
    "#]],
    );
}

#[test]
fn stock_that_is_reserved_for_good() {
    check(
        Scenario { reservation_ends: false, ..steady() },
        expect![[r#"
        4465 states
        1 cancelled, Customer: inventory.stock-released, payment.cancelled
        6 cancelled, Customer: inventory.stock-released, payment.refunded, shipping.cancelled
        2 cancelled, Customer: inventory.stock-released, payment.voided
        1 cancelled, TimedOut: inventory.stock-released, payment.cancelled
        2 cancelled, TimedOut: inventory.stock-released, payment.voided
        4 delivered: inventory.stock-deducted, payment.captured, shipping.cancellation-refused
        7 delivered: inventory.stock-deducted, payment.captured, shipping.delivered
    "#]],
    );
}

#[test]
fn an_order_that_is_out_of_stock() {
    check(
        Scenario { in_stock: false, ..Scenario::default() },
        expect![[r#"
        830 states
        1 cancelled, Customer: inventory.stock-rejected, payment.cancelled
        1 cancelled, OutOfStock: inventory.stock-rejected, payment.cancelled
        1 cancelled, TimedOut: inventory.stock-rejected, payment.cancelled
    "#]],
    );
}

#[test]
fn a_card_that_is_declined() {
    check(
        Scenario { card: "pm_card_chargeDeclined", ..Scenario::default() },
        expect![[r#"
        10379 states
        1 cancelled, Customer: inventory.reservation-expired, payment.cancelled
        1 cancelled, Customer: inventory.reservation-expired, payment.declined
        1 cancelled, Customer: inventory.stock-released, payment.cancelled
        1 cancelled, Customer: inventory.stock-released, payment.declined
        1 cancelled, PaymentDeclined: inventory.reservation-expired, payment.declined
        1 cancelled, PaymentDeclined: inventory.stock-released, payment.declined
        1 cancelled, ReservationExpired: inventory.reservation-expired, payment.cancelled
        1 cancelled, ReservationExpired: inventory.reservation-expired, payment.declined
        1 cancelled, TimedOut: inventory.reservation-expired, payment.cancelled
        1 cancelled, TimedOut: inventory.reservation-expired, payment.declined
        1 cancelled, TimedOut: inventory.stock-released, payment.cancelled
        1 cancelled, TimedOut: inventory.stock-released, payment.declined
    "#]],
    );
}

#[test]
fn a_capture_that_is_refused() {
    check(
        Scenario { card: "pm_card_captureFails", ..steady() },
        expect![[r#"
        10247 states
        3 cancelled, CaptureFailed: inventory.reservation-expired, payment.voided, shipping.cancelled
        2 cancelled, CaptureFailed: inventory.stock-released, payment.voided, shipping.cancelled
        1 cancelled, Customer: inventory.reservation-expired, payment.cancelled
        2 cancelled, Customer: inventory.reservation-expired, payment.voided
        1 cancelled, Customer: inventory.reservation-expired, payment.voided, shipping.cancelled
        1 cancelled, Customer: inventory.stock-released, payment.cancelled
        2 cancelled, Customer: inventory.stock-released, payment.voided
        1 cancelled, Customer: inventory.stock-released, payment.voided, shipping.cancelled
        1 cancelled, ReservationExpired: inventory.reservation-expired, payment.cancelled
        1 cancelled, ReservationExpired: inventory.reservation-expired, payment.voided
        1 cancelled, ReservationExpired: inventory.reservation-expired, payment.voided, shipping.cancelled
        1 cancelled, TimedOut: inventory.reservation-expired, payment.cancelled
        2 cancelled, TimedOut: inventory.reservation-expired, payment.voided
        1 cancelled, TimedOut: inventory.stock-released, payment.cancelled
        2 cancelled, TimedOut: inventory.stock-released, payment.voided
    "#]],
    );
}

#[test]
fn money_that_is_moved_at_the_providers_own_desk() {
    check(
        Scenario { by_hand: true, ..steady() },
        expect![[r#"
        30287 states
        3 cancelled, CaptureFailed: inventory.reservation-expired, payment.voided, shipping.cancelled
        2 cancelled, CaptureFailed: inventory.stock-released, payment.voided, shipping.cancelled
        1 cancelled, Customer: inventory.reservation-expired, payment.cancelled
        2 cancelled, Customer: inventory.reservation-expired, payment.refunded
        12 cancelled, Customer: inventory.reservation-expired, payment.refunded, shipping.cancelled
        4 cancelled, Customer: inventory.reservation-expired, payment.voided
        1 cancelled, Customer: inventory.reservation-expired, payment.voided, shipping.cancelled
        1 cancelled, Customer: inventory.stock-released, payment.cancelled
        2 cancelled, Customer: inventory.stock-released, payment.refunded
        12 cancelled, Customer: inventory.stock-released, payment.refunded, shipping.cancelled
        4 cancelled, Customer: inventory.stock-released, payment.voided
        1 cancelled, Customer: inventory.stock-released, payment.voided, shipping.cancelled
        1 cancelled, ReservationExpired: inventory.reservation-expired, payment.cancelled
        1 cancelled, ReservationExpired: inventory.reservation-expired, payment.refunded
        12 cancelled, ReservationExpired: inventory.reservation-expired, payment.refunded, shipping.cancelled
        2 cancelled, ReservationExpired: inventory.reservation-expired, payment.voided
        1 cancelled, ReservationExpired: inventory.reservation-expired, payment.voided, shipping.cancelled
        1 cancelled, TimedOut: inventory.reservation-expired, payment.cancelled
        2 cancelled, TimedOut: inventory.reservation-expired, payment.refunded
        4 cancelled, TimedOut: inventory.reservation-expired, payment.voided
        1 cancelled, TimedOut: inventory.stock-released, payment.cancelled
        2 cancelled, TimedOut: inventory.stock-released, payment.refunded
        4 cancelled, TimedOut: inventory.stock-released, payment.voided
        8 delivered: inventory.stock-deducted, payment.captured, shipping.cancellation-refused
        14 delivered: inventory.stock-deducted, payment.captured, shipping.delivered
    "#]],
    );
}

#[test]
fn a_carrier_that_speaks_for_itself() {
    check(
        Scenario { carrier: Carrier::Manual, ..steady() },
        expect![[r#"
        9362 states
        1 cancelled, Customer: inventory.reservation-expired, payment.cancelled
        6 cancelled, Customer: inventory.reservation-expired, payment.refunded, shipping.cancelled
        2 cancelled, Customer: inventory.reservation-expired, payment.voided
        1 cancelled, Customer: inventory.stock-released, payment.cancelled
        6 cancelled, Customer: inventory.stock-released, payment.refunded, shipping.cancelled
        2 cancelled, Customer: inventory.stock-released, payment.voided
        1 cancelled, ReservationExpired: inventory.reservation-expired, payment.cancelled
        6 cancelled, ReservationExpired: inventory.reservation-expired, payment.refunded, shipping.cancelled
        1 cancelled, ReservationExpired: inventory.reservation-expired, payment.voided
        1 cancelled, TimedOut: inventory.reservation-expired, payment.cancelled
        2 cancelled, TimedOut: inventory.reservation-expired, payment.voided
        1 cancelled, TimedOut: inventory.stock-released, payment.cancelled
        2 cancelled, TimedOut: inventory.stock-released, payment.voided
        4 delivered: inventory.stock-deducted, payment.captured, shipping.cancellation-refused
        7 delivered: inventory.stock-deducted, payment.captured, shipping.delivered
    "#]],
    );
}

#[test]
fn a_carrier_that_takes_no_time() {
    check(
        Scenario { carrier: Carrier::Simulated { delay: Duration::ZERO }, ..steady() },
        expect![[r#"
        8846 states
        1 cancelled, Customer: inventory.reservation-expired, payment.cancelled
        6 cancelled, Customer: inventory.reservation-expired, payment.refunded, shipping.cancelled
        2 cancelled, Customer: inventory.reservation-expired, payment.voided
        1 cancelled, Customer: inventory.stock-released, payment.cancelled
        6 cancelled, Customer: inventory.stock-released, payment.refunded, shipping.cancelled
        2 cancelled, Customer: inventory.stock-released, payment.voided
        1 cancelled, ReservationExpired: inventory.reservation-expired, payment.cancelled
        6 cancelled, ReservationExpired: inventory.reservation-expired, payment.refunded, shipping.cancelled
        1 cancelled, ReservationExpired: inventory.reservation-expired, payment.voided
        1 cancelled, TimedOut: inventory.reservation-expired, payment.cancelled
        2 cancelled, TimedOut: inventory.reservation-expired, payment.voided
        1 cancelled, TimedOut: inventory.stock-released, payment.cancelled
        2 cancelled, TimedOut: inventory.stock-released, payment.voided
        4 delivered: inventory.stock-deducted, payment.captured, shipping.cancellation-refused
        3 delivered: inventory.stock-deducted, payment.captured, shipping.delivered
    "#]],
    );
}

/// The inbox is what is promised; that the deciders do without it is the second line.
#[test]
fn deciders_that_take_everything_again() {
    check(
        Scenario { inbox: false, cancel: false, ..Scenario::default() },
        expect![[r#"
        24420 states
        1 cancelled, ReservationExpired: inventory.reservation-expired, payment.cancelled
        6 cancelled, ReservationExpired: inventory.reservation-expired, payment.refunded, shipping.cancelled
        1 cancelled, ReservationExpired: inventory.reservation-expired, payment.voided
        1 cancelled, TimedOut: inventory.reservation-expired, payment.cancelled
        2 cancelled, TimedOut: inventory.reservation-expired, payment.voided
        1 cancelled, TimedOut: inventory.stock-released, payment.cancelled
        2 cancelled, TimedOut: inventory.stock-released, payment.voided
        3 delivered: inventory.stock-deducted, payment.captured, shipping.delivered
    "#]],
    );
}
