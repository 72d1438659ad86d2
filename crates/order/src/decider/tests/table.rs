//! What every input does in every state: nothing is left to chance.

use engine::Deadline;
use expect_test::expect;

use super::*;
use crate::order::State;

/// Every state an order can be in, by the inputs that lead there; `-`: it was never placed.
fn states() -> Vec<(&'static str, World)> {
    use Input as I;
    let placed = I::Place(wants(id(1), "USD", &[("MUG-01", 2)]).into());
    let from = |inputs: &[I]| {
        world(&[&[I::ProductChanged(product("MUG-01", 1999, "USD")), placed.clone()], inputs].concat())
    };
    let (stock, payment) = (I::StockReserved(id(1)), I::PaymentAuthorized(id(1)));
    let (paid, cancel) = (I::PaymentCaptured(id(1)), I::Cancel(id(1)));
    let (shipped, delivered) = (I::Dispatched(id(1), "WB1".into()), I::Delivered(id(1)));
    let stopped = I::ShipmentCancelled(id(1));
    let confirmed = [stock.clone(), payment.clone()];
    let after = |inputs: &[&I]| {
        from(&[&confirmed[..], &inputs.iter().map(|it| (*it).clone()).collect::<Vec<_>>()].concat())
    };
    vec![
        ("-", world(&[I::ProductChanged(product("MUG-01", 1999, "USD"))])),
        ("placed", from(&[])),
        ("placed, stock", from(std::slice::from_ref(&stock))),
        ("placed, payment", from(std::slice::from_ref(&payment))),
        ("confirmed", after(&[])),
        ("confirmed, paid", after(&[&paid])),
        ("confirmed, cancelling", after(&[&cancel])),
        ("confirmed, paid, cancelling", after(&[&paid, &cancel])),
        ("shipped", after(&[&shipped])),
        ("shipped, paid", after(&[&paid, &shipped])),
        ("delivered", after(&[&shipped, &delivered])),
        ("delivered, paid", after(&[&paid, &shipped, &delivered])),
        ("cancelled", from(std::slice::from_ref(&cancel))),
        ("cancelled, paid", after(&[&paid, &cancel, &stopped])),
    ]
}

/// One of each input; the match makes sure that a new one is added here.
fn inputs() -> Vec<(&'static str, Input)> {
    use Input as I;
    let it = id(1);
    let inputs = [
        I::Place(wants(it, "USD", &[("MUG-01", 2)]).into()),
        I::StockReserved(it),
        I::PaymentAuthorized(it),
        I::PaymentCaptured(it),
        I::Dispatched(it, "WB2".into()),
        I::Delivered(it),
        I::StockRejected(it),
        I::PaymentDeclined(it),
        I::CaptureFailed(it),
        I::ReservationExpired(it),
        I::ShipmentCancelled(it),
        I::CancellationRefused(it),
        I::Cancel(it),
        I::ConfirmationDue(it),
        I::ProductChanged(product("MUG-01", 2500, "USD")),
    ];
    let name = |input: &I| match input {
        I::Place(_) => "place",
        I::Cancel(_) => "cancel",
        I::StockReserved(_) => "stock-reserved",
        I::StockRejected(_) => "stock-rejected",
        I::ReservationExpired(_) => "reservation-expired",
        I::PaymentAuthorized(_) => "payment-authorized",
        I::PaymentDeclined(_) => "payment-declined",
        I::PaymentCaptured(_) => "payment-captured",
        I::CaptureFailed(_) => "capture-failed",
        I::Dispatched(..) => "dispatched",
        I::Delivered(_) => "delivered",
        I::ShipmentCancelled(_) => "shipment-cancelled",
        I::CancellationRefused(_) => "cancellation-refused",
        I::ConfirmationDue(_) => "confirmation-due",
        I::ProductChanged(_) => "product-changed",
    };
    inputs.into_iter().map(|input| (name(&input), input)).collect()
}

/// What is decided, in one line; empty when nothing is.
fn shown(decided: &Result<Decision<Fact>, Declined<Refusal>>) -> String {
    let decision = match decided {
        Ok(decision) => decision,
        Err(Declined::Refused(refusal)) => return format!("refused: {refusal:?}"),
        Err(Declined::Impossible(reason)) => return format!("impossible: {reason}"),
    };
    assert_eq!(decision.effects, [], "an order calls nobody");
    let facts = decision.events.iter().map(|fact| match fact {
        Fact::Priced(product) => format!("priced {}", product.price),
        Fact::Order(_, OrderEvent::Placed(it)) => format!("placed {}", it.total),
        Fact::Order(_, OrderEvent::Shipped { tracking_number }) => format!("shipped {tracking_number}"),
        Fact::Order(_, OrderEvent::CancellationRequested { reason }) => {
            format!("cancellation-requested {reason:?}")
        }
        Fact::Order(_, OrderEvent::Cancelled { reason }) => format!("cancelled {reason:?}"),
        Fact::Order(_, event) => event.stored_type().trim_end_matches(".v1").to_owned(),
    });
    let deadlines = decision.deadlines.iter().map(|it| match it {
        Deadline::Set { key, kind, after } => {
            assert_eq!(*key, id(1).to_string());
            format!("set {kind} {after:?}")
        }
        Deadline::Clear { key, kind } => {
            assert_eq!(*key, id(1).to_string());
            format!("clear {kind}")
        }
    });
    facts.chain(deadlines).collect::<Vec<_>>().join(", ")
}

#[test]
fn every_input_in_every_state() {
    let mut table = String::new();
    for (state, world) in states() {
        table.push_str(&format!("{state}\n"));
        let mut nothing = Vec::new();
        for (input, it) in inputs() {
            match shown(&Orders::default().decide(&world, &it, AT)).as_str() {
                "" => nothing.push(input),
                decided => table.push_str(&format!("    {input} -> {decided}\n")),
            }
        }
        // Five to a line.
        for (index, some) in nothing.chunks(5).enumerate() {
            let lead = if index == 0 { "nothing:" } else { "        " };
            table.push_str(&format!("    {lead} {}\n", some.join(", ")));
        }
    }
    expect![[r#"
        -
            place -> placed 39.98 USD, set confirmation 1800s
            stock-reserved -> impossible: the order was never placed here
            payment-authorized -> impossible: the order was never placed here
            payment-captured -> impossible: the order was never placed here
            dispatched -> impossible: the order was never placed here
            delivered -> impossible: the order was never placed here
            stock-rejected -> impossible: the order was never placed here
            payment-declined -> impossible: the order was never placed here
            capture-failed -> impossible: the order was never placed here
            reservation-expired -> impossible: the order was never placed here
            shipment-cancelled -> impossible: the order was never placed here
            cancellation-refused -> impossible: the order was never placed here
            cancel -> refused: UnknownOrder
            confirmation-due -> impossible: the order was never placed here
            product-changed -> priced 25.00 USD
        placed
            stock-reserved -> stock-noted
            payment-authorized -> payment-noted
            stock-rejected -> cancelled OutOfStock, clear confirmation
            payment-declined -> cancelled PaymentDeclined, clear confirmation
            reservation-expired -> cancelled ReservationExpired, clear confirmation
            cancel -> cancelled Customer, clear confirmation
            confirmation-due -> cancelled TimedOut, clear confirmation
            product-changed -> priced 25.00 USD
            nothing: place, payment-captured, dispatched, delivered, capture-failed
                     shipment-cancelled, cancellation-refused
        placed, stock
            payment-authorized -> payment-noted, confirmed, clear confirmation
            stock-rejected -> cancelled OutOfStock, clear confirmation
            payment-declined -> cancelled PaymentDeclined, clear confirmation
            reservation-expired -> cancelled ReservationExpired, clear confirmation
            cancel -> cancelled Customer, clear confirmation
            confirmation-due -> cancelled TimedOut, clear confirmation
            product-changed -> priced 25.00 USD
            nothing: place, stock-reserved, payment-captured, dispatched, delivered
                     capture-failed, shipment-cancelled, cancellation-refused
        placed, payment
            stock-reserved -> stock-noted, confirmed, clear confirmation
            stock-rejected -> cancelled OutOfStock, clear confirmation
            payment-declined -> cancelled PaymentDeclined, clear confirmation
            reservation-expired -> cancelled ReservationExpired, clear confirmation
            cancel -> cancelled Customer, clear confirmation
            confirmation-due -> cancelled TimedOut, clear confirmation
            product-changed -> priced 25.00 USD
            nothing: place, payment-authorized, payment-captured, dispatched, delivered
                     capture-failed, shipment-cancelled, cancellation-refused
        confirmed
            payment-captured -> paid
            dispatched -> shipped WB2
            capture-failed -> cancelled CaptureFailed
            reservation-expired -> cancellation-requested ReservationExpired
            cancel -> cancellation-requested Customer
            product-changed -> priced 25.00 USD
            nothing: place, stock-reserved, payment-authorized, delivered, stock-rejected
                     payment-declined, shipment-cancelled, cancellation-refused, confirmation-due
        confirmed, paid
            dispatched -> shipped WB2
            reservation-expired -> cancellation-requested ReservationExpired
            cancel -> cancellation-requested Customer
            product-changed -> priced 25.00 USD
            nothing: place, stock-reserved, payment-authorized, payment-captured, delivered
                     stock-rejected, payment-declined, capture-failed, shipment-cancelled, cancellation-refused
                     confirmation-due
        confirmed, cancelling
            payment-captured -> paid
            dispatched -> shipped WB2
            capture-failed -> cancelled CaptureFailed
            shipment-cancelled -> cancelled Customer
            product-changed -> priced 25.00 USD
            nothing: place, stock-reserved, payment-authorized, delivered, stock-rejected
                     payment-declined, reservation-expired, cancellation-refused, cancel, confirmation-due
        confirmed, paid, cancelling
            dispatched -> shipped WB2
            shipment-cancelled -> cancelled Customer
            product-changed -> priced 25.00 USD
            nothing: place, stock-reserved, payment-authorized, payment-captured, delivered
                     stock-rejected, payment-declined, capture-failed, reservation-expired, cancellation-refused
                     cancel, confirmation-due
        shipped
            payment-captured -> paid
            delivered -> delivered
            cancel -> refused: TooLateToCancel
            product-changed -> priced 25.00 USD
            nothing: place, stock-reserved, payment-authorized, dispatched, stock-rejected
                     payment-declined, capture-failed, reservation-expired, shipment-cancelled, cancellation-refused
                     confirmation-due
        shipped, paid
            delivered -> delivered
            cancel -> refused: TooLateToCancel
            product-changed -> priced 25.00 USD
            nothing: place, stock-reserved, payment-authorized, payment-captured, dispatched
                     stock-rejected, payment-declined, capture-failed, reservation-expired, shipment-cancelled
                     cancellation-refused, confirmation-due
        delivered
            payment-captured -> paid
            cancel -> refused: TooLateToCancel
            product-changed -> priced 25.00 USD
            nothing: place, stock-reserved, payment-authorized, dispatched, delivered
                     stock-rejected, payment-declined, capture-failed, reservation-expired, shipment-cancelled
                     cancellation-refused, confirmation-due
        delivered, paid
            cancel -> refused: TooLateToCancel
            product-changed -> priced 25.00 USD
            nothing: place, stock-reserved, payment-authorized, payment-captured, dispatched
                     delivered, stock-rejected, payment-declined, capture-failed, reservation-expired
                     shipment-cancelled, cancellation-refused, confirmation-due
        cancelled
            product-changed -> priced 25.00 USD
            nothing: place, stock-reserved, payment-authorized, payment-captured, dispatched
                     delivered, stock-rejected, payment-declined, capture-failed, reservation-expired
                     shipment-cancelled, cancellation-refused, cancel, confirmation-due
        cancelled, paid
            product-changed -> priced 25.00 USD
            nothing: place, stock-reserved, payment-authorized, payment-captured, dispatched
                     delivered, stock-rejected, payment-declined, capture-failed, reservation-expired
                     shipment-cancelled, cancellation-refused, cancel, confirmation-due
    "#]].assert_eq(&table);
}

#[test]
fn the_states_of_the_table_are_all_there_are() {
    // `Placed` with both is passed through within one decision; no input finds an order there.
    let name = |state: &State| match state {
        State::Placed { stock, payment } => format!("placed {stock} {payment}"),
        State::Confirmed { paid, cancelling } => format!("confirmed {paid} {}", cancelling.is_some()),
        State::Shipped { paid, .. } => format!("shipped {paid}"),
        State::Delivered { paid, .. } => format!("delivered {paid}"),
        State::Cancelled { paid, .. } => format!("cancelled {paid}"),
    };
    let seen: std::collections::BTreeSet<String> =
        states().iter().filter_map(|(_, world)| Some(name(&world.orders.get(&id(1))?.state))).collect();
    assert_eq!(seen.len(), 3 + 4 + 2 + 2 + 2, "{seen:?}");
    // Whatever happens next, the order is in one of them again.
    for (state, world) in states() {
        for (input, it) in inputs() {
            let mut world = world.clone();
            if step(&mut world, &it).is_ok() {
                let after = world.orders.get(&id(1)).map(|order| name(&order.state));
                assert!(after.iter().all(|it| seen.contains(it)), "{state} and {input} lead to {after:?}");
            }
        }
    }
}

#[test]
fn whatever_comes_a_second_time_changes_nothing() {
    for (state, world) in states() {
        for (input, it) in inputs().into_iter().filter(|(_, it)| it.order_id().is_some()) {
            let mut world = world.clone();
            if step(&mut world, &it).is_err() {
                continue;
            }
            let (again, _) = step(&mut world, &it).unwrap();
            assert_eq!(again, Decision::nothing(), "{state}: {input} again");
        }
    }
}

#[test]
fn published_events_are_counted_without_a_gap() {
    for (state, world) in states() {
        for (input, first) in inputs() {
            for (next, second) in inputs() {
                let mut world = world.clone();
                let before = world.orders.get(&id(1)).map_or(0, |it| it.sequence);
                let mut published = Vec::new();
                for it in [&first, &second] {
                    published.extend(step(&mut world, it).into_iter().flat_map(|(_, published)| published));
                }
                let sequences: Vec<i64> = published.iter().map(|it| it.sequence).collect();
                let expected: Vec<i64> = (before + 1..).take(sequences.len()).collect();
                assert_eq!(sequences, expected, "{state}, {input}, {next}");
                assert!(published.iter().all(|it| it.key == id(1).to_string()));
            }
        }
    }
}
