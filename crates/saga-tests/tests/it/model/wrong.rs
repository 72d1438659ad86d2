//! Deciders with one mistake each, and a short way to what comes of it.

use engine::{Deadline, Decided, Decider, Decision, Effect, Timestamp};
use expect_test::{Expect, expect};
use inventory::Inventory;
use payment::Payments;
use saga_tests::model::{Minds, Scenario, explore};
use shipping::Shipments;

use super::steady;

#[track_caller]
fn check_caught(scenario: Scenario, minds: Minds, expected: Expect) {
    match explore(scenario, minds) {
        Ok(explored) => panic!("not caught in {explored}"),
        Err(story) => expected.assert_eq(&story),
    }
}

#[test]
fn shipping_that_does_not_wait_for_the_stock() {
    fn decide(
        real: &Shipments,
        world: &shipping::World,
        input: &shipping::Input,
        at: Timestamp,
    ) -> Decided<Shipments> {
        use shipping::Input::OrderConfirmed;
        match input.clone() {
            OrderConfirmed { order_id, ship_to, .. } => {
                real.decide(world, &OrderConfirmed { order_id, ship_to, stock_expires: false }, at)
            }
            input => real.decide(world, &input, at),
        }
    }
    check_caught(
        steady(),
        Minds { shipping: decide, ..Minds::default() },
        expect![[r#"
        at every moment: a parcel has left without stock: Some(Reserved { items: [Item { sku: Sku("MUG-01"), quantity: 2 }, Item { sku: Sku("TEA-02"), quantity: 1 }], expires_at: Some(1970-01-01 1:00:00.0 +00:00:00) })
          the customer orders -> order.placed
          order.placed is relayed
          inventory takes order.placed -> inventory.stock-reserved
          inventory.stock-reserved is relayed
          order takes inventory.stock-reserved
          payment takes order.placed
          payment takes inventory.stock-reserved
          the provider answers "authorize" -> payment.authorized
          payment.authorized is relayed
          order takes payment.authorized -> order.confirmed
          order.confirmed is relayed
          payment takes order.confirmed
          shipping takes order.confirmed -> shipping.shipment-scheduled
          the provider answers "capture" -> payment.captured
          payment.captured is relayed
          shipping takes payment.captured
          shipping: dispatch is due -> shipping.dispatched
    "#]],
    );
}

#[test]
fn payment_that_forgets_a_cancellation_while_it_asks() {
    fn decide(
        real: &Payments,
        world: &payment::World,
        input: &payment::Input,
        at: Timestamp,
    ) -> Decided<Payments> {
        match input {
            payment::Input::OrderCancelled(id)
                if matches!(
                    world.payments.get(id).map(|it| &it.state),
                    Some(payment::State::Authorizing { .. })
                ) =>
            {
                Ok(Decision::nothing())
            }
            _ => real.decide(world, input, at),
        }
    }
    check_caught(
        steady(),
        Minds { payment: decide, ..Minds::default() },
        expect![[r#"
        at rest: an end that is none: Some(Cancelled { paid: false, reason: ReservationExpired, back: Back { stock: Some(Done), money: Pending } }), Some(Expired { items: [Item { sku: Sku("MUG-01"), quantity: 2 }, Item { sku: Sku("TEA-02"), quantity: 1 }] }), Some(Authorized(Hold { amount: Money { amount: 4948, currency: Currency(USD) }, reference: "pi_1" })), Some(Barred), books ["authorize"]
          the customer orders -> order.placed
          order.placed is relayed
          inventory takes order.placed -> inventory.stock-reserved
          inventory.stock-reserved is relayed
          inventory: reservation is due -> inventory.reservation-expired
          inventory.reservation-expired is relayed
          order takes inventory.stock-reserved
          order takes inventory.reservation-expired -> order.cancelled
          order.cancelled is relayed
          inventory takes order.cancelled
          payment takes order.placed
          payment takes inventory.stock-reserved
          payment takes order.cancelled
          shipping takes order.cancelled
          the provider answers "authorize" -> payment.authorized
          payment.authorized is relayed
          order takes payment.authorized
    "#]],
    );
}

#[test]
fn inventory_that_takes_no_notice_of_the_confirmation() {
    fn decide(
        real: &Inventory,
        world: &inventory::World,
        input: &inventory::Input,
        at: Timestamp,
    ) -> Decided<Inventory> {
        match input {
            inventory::Input::OrderConfirmed(_) => Ok(Decision::nothing()),
            _ => real.decide(world, input, at),
        }
    }
    let scenario = Scenario { late: false, cancel: false, ..steady() };
    check_caught(
        scenario,
        Minds { inventory: decide, ..Minds::default() },
        expect![[r#"
        at rest: an end that is none: Some(Confirmed { paid: true, cancelling: None }), Some(Reserved { items: [Item { sku: Sku("MUG-01"), quantity: 2 }, Item { sku: Sku("TEA-02"), quantity: 1 }], expires_at: Some(1970-01-01 1:00:00.0 +00:00:00) }), Some(Captured(Hold { amount: Money { amount: 4948, currency: Currency(USD) }, reference: "pi_1" })), Some(Scheduled { ship_to: Address { name: "Ada", line1: "12 Analytical St", line2: None, city: "London", postal_code: "N1", country: "GB" }, waits_for: Awaited { capture: false, stock: true } }), books ["authorize", "capture"]
          the customer orders -> order.placed
          order.placed is relayed
          inventory takes order.placed -> inventory.stock-reserved
          inventory.stock-reserved is relayed
          order takes inventory.stock-reserved
          payment takes order.placed
          payment takes inventory.stock-reserved
          the provider answers "authorize" -> payment.authorized
          payment.authorized is relayed
          order takes payment.authorized -> order.confirmed
          order.confirmed is relayed
          inventory takes order.confirmed
          payment takes order.confirmed
          shipping takes order.confirmed -> shipping.shipment-scheduled
          shipping.shipment-scheduled is relayed
          the provider answers "capture" -> payment.captured
          payment.captured is relayed
          order takes payment.captured -> order.paid
          order.paid is relayed
          shipping takes payment.captured
    "#]],
    );
}

/// Nothing that is wrong is ever done, and nothing is left undone for good: only the end never comes.
#[test]
fn a_carrier_that_puts_off_for_ever() {
    fn decide(
        real: &Shipments,
        world: &shipping::World,
        input: &shipping::Input,
        at: Timestamp,
    ) -> Decided<Shipments> {
        match input {
            shipping::Input::Due(id, shipping::Leg::Deliver) => {
                let after = std::time::Duration::from_secs(1);
                let again = Deadline::Set { key: id.to_string(), kind: "deliver", after };
                Ok(Decision::nothing().with_deadline(again))
            }
            _ => real.decide(world, input, at),
        }
    }
    let scenario = Scenario { late: false, cancel: false, ..steady() };
    check_caught(
        scenario,
        Minds { shipping: decide, ..Minds::default() },
        expect![[r#"
        no end is certain from here
          the customer orders -> order.placed
          order.placed is relayed
          inventory takes order.placed -> inventory.stock-reserved
          inventory.stock-reserved is relayed
          order takes inventory.stock-reserved
          payment takes order.placed
          payment takes inventory.stock-reserved
          the provider answers "authorize" -> payment.authorized
          payment.authorized is relayed
          order takes payment.authorized -> order.confirmed
          order.confirmed is relayed
          inventory takes order.confirmed -> inventory.stock-kept
          inventory.stock-kept is relayed
          payment takes order.confirmed
          shipping takes order.confirmed -> shipping.shipment-scheduled
          shipping.shipment-scheduled is relayed
          shipping takes inventory.stock-kept
          the provider answers "capture" -> payment.captured
          payment.captured is relayed
          order takes payment.captured -> order.paid
          order.paid is relayed
          shipping takes payment.captured
          shipping: dispatch is due -> shipping.dispatched
          shipping.dispatched is relayed
          order takes shipping.dispatched -> order.shipped
          order.shipped is relayed
          inventory takes shipping.dispatched -> inventory.stock-deducted
          inventory.stock-deducted is relayed
    "#]],
    );
}

/// It is well as long as nothing comes twice.
#[test]
fn payment_that_needs_its_inbox() {
    fn decide(
        real: &Payments,
        world: &payment::World,
        input: &payment::Input,
        at: Timestamp,
    ) -> Decided<Payments> {
        use payment::{Call, Input, State};
        let state = |id| world.payments.get(id).map(|it| &it.state);
        match input {
            Input::StockReserved(id) => match state(id) {
                Some(State::Authorizing { charge, .. }) => {
                    let (amount, payment_method) = (charge.amount, charge.payment_method.clone());
                    let call = Call::Authorize { order_id: *id, amount, payment_method };
                    let request = serde_json::to_string(&call).expect("a call");
                    Ok(Decision::nothing().with_effect(Effect { key: id.to_string(), request }))
                }
                _ => real.decide(world, input, at),
            },
            _ => real.decide(world, input, at),
        }
    }
    let minds = Minds { payment: decide, ..Minds::default() };
    let scenario = Scenario { late: false, cancel: false, ..Scenario::default() };
    explore(scenario, minds).unwrap_or_else(|story| panic!("{story}"));
    check_caught(
        Scenario { inbox: false, ..scenario },
        minds,
        expect![[r#"
        at every moment: the provider is asked to authorize after ["authorize"]
          the customer orders -> order.placed
          order.placed is relayed
          inventory takes order.placed -> inventory.stock-reserved
          inventory.stock-reserved is relayed
          payment takes order.placed
          payment takes inventory.stock-reserved
          payment is put back to inventory.stock-reserved
          payment takes inventory.stock-reserved
          payment is put back to inventory.stock-reserved
          payment takes inventory.stock-reserved
          payment is put back to inventory.stock-reserved
          payment takes inventory.stock-reserved
          the provider does "authorize", its answer is lost
          payment is put back to inventory.stock-reserved
          the provider does "authorize", its answer is lost
    "#]],
    );
}
