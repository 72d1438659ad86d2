//! Deciders that forget, or that say or do too early what has to wait.

use engine::{Deadline, Decider, Decision};
use saga_tests::simulation::{Deciders, Real};

use super::{Wrong, check_caught};

#[test]
fn payment_without_a_tombstone_is_caught() {
    use payment::{Input, Payments, State, World};
    let decide = |real: &Payments, world: &World, input: &Input, at| match input {
        Input::OrderCancelled(id)
            if matches!(world.payments.get(id).map(|it| &it.state), Some(State::Awaiting { .. })) =>
        {
            Ok(Decision::nothing())
        }
        _ => real.decide(world, input, at),
    };
    let cast = |it: Real| Deciders {
        order: it.order,
        inventory: it.inventory,
        payment: Wrong { real: it.payment, decide },
        shipping: it.shipping,
    };
    check_caught(cast, &["an end that is none"], 45);
}

#[test]
fn payment_that_says_refunded_when_it_asks_is_caught() {
    use payment::{Fact, Input, PaymentEvent, Payments, State, World};
    let decide = |real: &Payments, world: &World, input: &Input, at| {
        let mut decision = real.decide(world, input, at)?;
        if let Input::OrderCancelled(order_id) = *input
            && matches!(world.payments.get(&order_id).map(|it| &it.state), Some(State::Captured(_)))
        {
            decision.events.push(Fact { order_id, event: PaymentEvent::Refunded });
        }
        Ok(decision)
    };
    let cast = |it: Real| Deciders {
        order: it.order,
        inventory: it.inventory,
        payment: Wrong { real: it.payment, decide },
        shipping: it.shipping,
    };
    check_caught(cast, &["money is not called pending that is held"], 35);
}

#[test]
fn shipping_that_does_not_wait_for_the_capture_is_caught() {
    use shipping::{Fact, Input, ShipmentEvent, Shipments, World};
    let decide = |real: &Shipments, world: &World, input: &Input, at| {
        let mut decision = real.decide(world, input, at)?;
        if let Input::OrderConfirmed { order_id, stock_expires: false, .. } = *input
            && decision.events.len() == 1
        {
            decision.events.push(Fact { order_id, event: ShipmentEvent::Captured });
            let (key, after) = (order_id.to_string(), std::time::Duration::ZERO);
            decision.deadlines.push(Deadline::Set { key, kind: "dispatch", after });
        }
        Ok(decision)
    };
    let cast = |it: Real| Deciders {
        order: it.order,
        inventory: it.inventory,
        payment: it.payment,
        shipping: Wrong { real: it.shipping, decide },
    };
    check_caught(cast, &["a parcel has left that is not paid for"], 15);
}

#[test]
fn inventory_that_promises_what_it_has_not_is_caught() {
    use inventory::{Fact, Input, Inventory, ReservationEvent, World};
    let decide = |real: &Inventory, world: &World, input: &Input, at| {
        let decision = real.decide(world, input, at)?;
        let is_short = |it: &Fact| matches!(it, Fact::Reservation(_, ReservationEvent::Rejected { .. }));
        match input {
            Input::OrderPlaced(id, items) if decision.events.iter().any(is_short) => {
                let promised = ReservationEvent::Reserved { items: items.clone(), expires_at: None };
                Ok(Decision::events([Fact::Reservation(*id, promised)]))
            }
            _ => Ok(decision),
        }
    };
    let cast = |it: Real| Deciders {
        order: it.order,
        inventory: Wrong { real: it.inventory, decide },
        payment: it.payment,
        shipping: it.shipping,
    };
    check_caught(cast, &["stock is not what came in"], 10);
}

#[test]
fn an_order_that_times_out_after_its_confirmation_is_caught() {
    use order::{Input, Orders, State, World};
    let decide = |real: &Orders, world: &World, input: &Input, at| match input {
        Input::ConfirmationDue(id)
            if matches!(world.orders.get(id).map(|it| &it.state), Some(State::Confirmed { .. })) =>
        {
            Ok(Decision::events([order::Fact::Order(*id, super::off(None, true))]))
        }
        Input::Place(_) => real.decide(world, input, at),
        _ => Ok(Decision { deadlines: vec![], ..real.decide(world, input, at)? }),
    };
    let cast = |it: Real| Deciders {
        order: Wrong { real: it.order, decide },
        inventory: it.inventory,
        payment: it.payment,
        shipping: it.shipping,
    };
    check_caught(cast, &["a parcel has left"], 30);
}
