//! What every input does in every state: nothing is left to chance.

use super::*;
use crate::{
    State,
    reservation::tests::{event_name, items, listed, state_name, states},
};

/// Products and reservations together: order 1 in each of its states, with the product that it asks for; then
/// what a product can be while nothing is known of the order.
fn worlds() -> Vec<(String, World)> {
    let product = |on_hand, reserved, deducted| Product {
        name: "MUG".into(),
        price: Money { amount: 5, currency: Currency::USD },
        on_hand,
        reserved,
        deducted,
        sequence: 1,
    };
    let world = |state: Option<State>, product: Option<Product>| World {
        products: product.map(|it| (sku("MUG"), it)).into_iter().collect(),
        reservations: state
            .map(|it| (order(1), Reservation { sequence: 1, state: it }))
            .into_iter()
            .collect(),
    };
    let of_the_order = states().into_iter().map(|(name, state)| {
        let its = Some(product(10, 4, 3));
        (format!("order {name}; 10 on hand, 4 reserved, 3 gone"), world(state, its))
    });
    of_the_order
        .chain([
            ("order unknown; no such product".to_owned(), world(None, None)),
            ("order unknown; 4 on hand, all reserved".to_owned(), world(None, Some(product(4, 4, 0)))),
            ("order unknown; none on hand".to_owned(), world(None, Some(product(0, 0, 4)))),
        ])
        .collect()
}

listed! {
    inputs: Input, input_name: Input {
        "placed": Input::OrderPlaced(..) => Input::OrderPlaced(order(1), items()),
        "confirmed": Input::OrderConfirmed(_) => Input::OrderConfirmed(order(1)),
        "dispatched": Input::Dispatched(_) => Input::Dispatched(order(1)),
        "cancelled": Input::OrderCancelled(_) => Input::OrderCancelled(order(1)),
        "due": Input::ReservationDue(_) => Input::ReservationDue(order(1)),
        "describe!": Input::Describe { price: Money { currency: Currency::USD, .. }, .. } => described("MUG"),
        "describe, in yen!": Input::Describe { .. } => Input::Describe {
            sku: sku("MUG"),
            name: "MUG".into(),
            price: Money { amount: 5, currency: "JPY".parse().unwrap() },
        },
        "one more!": Input::Adjust { delta: 0.., .. } => adjusted("MUG", 1),
        "one less!": Input::Adjust { delta: ..0, .. } => adjusted("MUG", -1),
    }
}

#[test]
fn the_inputs_are_what_they_are_called() {
    for (title, input) in inputs() {
        assert_eq!(input_name(&input), title);
    }
}

/// What follows: the events, of which those with a capital are published, the deadlines, and what is left.
fn outcome(inventory: &Inventory, mut world: World, input: &Input) -> String {
    let decision = match inventory.decide(&world, input, Timestamp::UNIX_EPOCH) {
        Ok(decision) => decision,
        Err(Declined::Refused(refusal)) => return format!("refused: {refusal:?}"),
        Err(Declined::Impossible(reason)) => return format!("impossible: {reason}"),
    };
    assert_eq!(decision.effects, [], "inventory calls nobody");
    let (before, mut told) = (world.products.clone(), Vec::new());
    for fact in &decision.events {
        inventory.evolve(&mut world, fact);
        let (name, published) = match fact {
            Fact::Product(_, ProductEvent::Added { .. }) => ("Added", true),
            Fact::Product(_, ProductEvent::Described { .. }) => ("Described", true),
            Fact::Product(_, ProductEvent::Adjusted { .. }) => ("Adjusted", true),
            Fact::Reservation(_, event) => (event_name(event), event.is_published()),
        };
        assert_eq!(inventory.publish(&world, fact).is_some(), published, "{name}");
        told.push(name.to_owned());
        if let Fact::Reservation(id, _) = fact {
            let state = world.reservations.get(id).map(|it| it.state.clone());
            told.push(format!("=> {}", state_name(&state)));
        }
    }
    told.extend(decision.deadlines.iter().map(|it| match it {
        Deadline::Set { after, .. } => format!("set {after:?}"),
        Deadline::Clear { .. } => "clear".to_owned(),
    }));
    if world.products != before {
        let left =
            |it: &Product| format!("{} on hand, {} reserved, {} gone", it.on_hand, it.reserved, it.deducted);
        told.extend(world.products.values().map(left));
    }
    told.join("; ").replace("; =>", " =>")
}

#[test]
fn every_state_knows_what_to_do_with_every_input() {
    let mut table = String::new();
    for (name, _) in worlds() {
        writeln!(table, "{name}").unwrap();
        let mut nothing = Vec::new();
        for (input, it) in inputs() {
            // Loaded anew for each input.
            let (_, world) = worlds().into_iter().find(|it| it.0 == name).unwrap();
            match outcome(&FOR_A_MINUTE, world, &it).as_str() {
                "" => nothing.push(input),
                outcome => writeln!(table, "  {input:<17} {outcome}").unwrap(),
            }
        }
        if !nothing.is_empty() {
            writeln!(table, "  {:<17} {}", "nothing:", nothing.join(", ")).unwrap();
        }
    }
    expect![[r#"
        order unknown; 10 on hand, 4 reserved, 3 gone
          placed            Reserved until => reserved until; set 60s; 10 on hand, 6 reserved, 3 gone
          confirmed         impossible: an order is confirmed that was never placed here
          dispatched        impossible: a parcel has left for an order that no stock is reserved for
          cancelled         cancelled => cancelled
          describe!         Described; 10 on hand, 4 reserved, 3 gone
          describe, in yen! refused: CurrencyIsFixed(Currency(USD))
          one more!         Adjusted; 11 on hand, 4 reserved, 3 gone
          one less!         Adjusted; 9 on hand, 4 reserved, 3 gone
          nothing:          due
        order reserved; 10 on hand, 4 reserved, 3 gone
          confirmed         kept => kept
          dispatched        Deducted => deducted; 8 on hand, 2 reserved, 5 gone
          cancelled         Released => released; 10 on hand, 2 reserved, 3 gone
          describe!         Described; 10 on hand, 4 reserved, 3 gone
          describe, in yen! refused: CurrencyIsFixed(Currency(USD))
          one more!         Adjusted; 11 on hand, 4 reserved, 3 gone
          one less!         Adjusted; 9 on hand, 4 reserved, 3 gone
          nothing:          placed, due
        order reserved until; 10 on hand, 4 reserved, 3 gone
          confirmed         Kept => kept; clear
          dispatched        Deducted => deducted; clear; 8 on hand, 2 reserved, 5 gone
          cancelled         Released => released; clear; 10 on hand, 2 reserved, 3 gone
          due               Expired => expired; 10 on hand, 2 reserved, 3 gone
          describe!         Described; 10 on hand, 4 reserved, 3 gone
          describe, in yen! refused: CurrencyIsFixed(Currency(USD))
          one more!         Adjusted; 11 on hand, 4 reserved, 3 gone
          one less!         Adjusted; 9 on hand, 4 reserved, 3 gone
          nothing:          placed
        order kept; 10 on hand, 4 reserved, 3 gone
          dispatched        Deducted => deducted; 8 on hand, 2 reserved, 5 gone
          cancelled         Released => released; 10 on hand, 2 reserved, 3 gone
          describe!         Described; 10 on hand, 4 reserved, 3 gone
          describe, in yen! refused: CurrencyIsFixed(Currency(USD))
          one more!         Adjusted; 11 on hand, 4 reserved, 3 gone
          one less!         Adjusted; 9 on hand, 4 reserved, 3 gone
          nothing:          placed, confirmed, due
        order rejected; 10 on hand, 4 reserved, 3 gone
          dispatched        impossible: a parcel has left for an order that no stock is reserved for
          describe!         Described; 10 on hand, 4 reserved, 3 gone
          describe, in yen! refused: CurrencyIsFixed(Currency(USD))
          one more!         Adjusted; 11 on hand, 4 reserved, 3 gone
          one less!         Adjusted; 9 on hand, 4 reserved, 3 gone
          nothing:          placed, confirmed, cancelled, due
        order released; 10 on hand, 4 reserved, 3 gone
          dispatched        impossible: a parcel has left for an order that no stock is reserved for
          describe!         Described; 10 on hand, 4 reserved, 3 gone
          describe, in yen! refused: CurrencyIsFixed(Currency(USD))
          one more!         Adjusted; 11 on hand, 4 reserved, 3 gone
          one less!         Adjusted; 9 on hand, 4 reserved, 3 gone
          nothing:          placed, confirmed, cancelled, due
        order expired; 10 on hand, 4 reserved, 3 gone
          dispatched        impossible: a parcel has left for an order that no stock is reserved for
          describe!         Described; 10 on hand, 4 reserved, 3 gone
          describe, in yen! refused: CurrencyIsFixed(Currency(USD))
          one more!         Adjusted; 11 on hand, 4 reserved, 3 gone
          one less!         Adjusted; 9 on hand, 4 reserved, 3 gone
          nothing:          placed, confirmed, cancelled, due
        order deducted; 10 on hand, 4 reserved, 3 gone
          describe!         Described; 10 on hand, 4 reserved, 3 gone
          describe, in yen! refused: CurrencyIsFixed(Currency(USD))
          one more!         Adjusted; 11 on hand, 4 reserved, 3 gone
          one less!         Adjusted; 9 on hand, 4 reserved, 3 gone
          nothing:          placed, confirmed, dispatched, cancelled, due
        order cancelled; 10 on hand, 4 reserved, 3 gone
          dispatched        impossible: a parcel has left for an order that no stock is reserved for
          describe!         Described; 10 on hand, 4 reserved, 3 gone
          describe, in yen! refused: CurrencyIsFixed(Currency(USD))
          one more!         Adjusted; 11 on hand, 4 reserved, 3 gone
          one less!         Adjusted; 9 on hand, 4 reserved, 3 gone
          nothing:          placed, confirmed, cancelled, due
        order unknown; no such product
          placed            Rejected => rejected
          confirmed         impossible: an order is confirmed that was never placed here
          dispatched        impossible: a parcel has left for an order that no stock is reserved for
          cancelled         cancelled => cancelled
          describe!         Added; 0 on hand, 0 reserved, 0 gone
          describe, in yen! Added; 0 on hand, 0 reserved, 0 gone
          one more!         refused: UnknownProduct
          one less!         refused: UnknownProduct
          nothing:          due
        order unknown; 4 on hand, all reserved
          placed            Rejected => rejected
          confirmed         impossible: an order is confirmed that was never placed here
          dispatched        impossible: a parcel has left for an order that no stock is reserved for
          cancelled         cancelled => cancelled
          describe!         Described; 4 on hand, 4 reserved, 0 gone
          describe, in yen! refused: CurrencyIsFixed(Currency(USD))
          one more!         Adjusted; 5 on hand, 4 reserved, 0 gone
          one less!         refused: BelowReserved { available: 0 }
          nothing:          due
        order unknown; none on hand
          placed            Rejected => rejected
          confirmed         impossible: an order is confirmed that was never placed here
          dispatched        impossible: a parcel has left for an order that no stock is reserved for
          cancelled         cancelled => cancelled
          describe!         Described; 0 on hand, 0 reserved, 4 gone
          describe, in yen! refused: CurrencyIsFixed(Currency(USD))
          one more!         Adjusted; 1 on hand, 0 reserved, 4 gone
          one less!         refused: BelowReserved { available: 0 }
          nothing:          due
    "#]]
    .assert_eq(&table);
}

/// Where a reservation that lasts for good makes a difference to the table.
#[test]
fn without_a_time_nothing_is_due() {
    let mut table = String::new();
    for ((name, world), (_, same)) in worlds().into_iter().zip(worlds()) {
        let input = Input::OrderPlaced(order(1), items());
        let outcome = outcome(&FOR_GOOD, world, &input);
        if outcome != self::outcome(&FOR_A_MINUTE, same, &input) {
            writeln!(table, "{name}: placed -> {outcome}").unwrap();
        }
    }
    expect![[r#"
        order unknown; 10 on hand, 4 reserved, 3 gone: placed -> Reserved => reserved; 10 on hand, 6 reserved, 3 gone
    "#]].assert_eq(&table);
}
