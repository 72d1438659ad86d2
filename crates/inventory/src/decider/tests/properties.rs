//! Random days of a warehouse, shrunk to the shortest that breaks a rule.

use std::{collections::BTreeSet, time::Duration};

use engine::Deadline;
use proptest::{collection::vec, option, prelude::*, sample::select};

use super::*;
use crate::State;

const SKUS: [&str; 2] = ["MUG", "TEA"];
const ORDERS: std::ops::Range<u128> = 1..5;

fn input() -> impl Strategy<Value = Input> {
    let sku = || select(&SKUS[..]);
    let demand = vec((sku(), 1..6u32), 1..3);
    prop_oneof![
        1 => sku().prop_map(described),
        2 => (sku(), -4..8i32).prop_map(|(sku, delta)| adjusted(sku, delta)),
        4 => (ORDERS, demand).prop_map(|(number, demand)| placed(number, &demand)),
        2 => ORDERS.prop_map(|it| Input::OrderConfirmed(order(it))),
        2 => ORDERS.prop_map(|it| Input::OrderCancelled(order(it))),
        2 => ORDERS.prop_map(|it| Input::Dispatched(order(it))),
        2 => ORDERS.prop_map(|it| Input::ReservationDue(order(it))),
    ]
}

/// Where a reservation can go from where it is.
fn may_follow(before: &State, after: &State) -> bool {
    use State as S;
    match (before, after) {
        (S::Reserved { .. }, S::Kept { .. } | S::Expired { .. })
        | (S::Reserved { .. } | S::Kept { .. }, S::Released { .. } | S::Deducted { .. }) => true,
        _ => before == after,
    }
}

/// All that came in is on the shelf or has left, and what is promised is there.
fn check_stock(world: &World, received: &BTreeMap<Sku, i64>) -> Result<(), TestCaseError> {
    for (name, product) in &world.products {
        let live = world.reservations.values().filter(|it| it.is_live()).flat_map(Reservation::items);
        let held: i64 = live.filter(|it| it.sku == *name).map(|it| i64::from(it.quantity)).sum();
        prop_assert_eq!(product.reserved, held);
        prop_assert_eq!(product.on_hand + product.deducted, received.get(name).copied().unwrap_or(0));
        prop_assert!(0 <= product.reserved && product.reserved <= product.on_hand, "{:?}", product);
        prop_assert!(product.deducted >= 0);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn every_day_of_a_warehouse_keeps_the_rules(
        ttl in option::of(Just(Duration::from_secs(60))),
        opening in vec(2..12i32, SKUS.len()),
        day in vec(input(), 0..60),
    ) {
        let inventory = Inventory { reservation_ttl: ttl };
        let opening =
            SKUS.iter().zip(opening).flat_map(|(sku, delta)| [described(sku), adjusted(sku, delta)]);
        let mut world = World::default();
        let mut received: BTreeMap<Sku, i64> = BTreeMap::new();
        let (mut told, mut set) = (BTreeMap::<String, i64>::new(), BTreeSet::new());
        for input in opening.chain(day) {
            let before = world.reservations.clone();
            let Ok(decision) = inventory.decide(&world, &input, Timestamp::UNIX_EPOCH) else { continue };
            for fact in decision.events {
                if let Fact::Product(sku, ProductEvent::Adjusted { delta, .. }) = &fact {
                    *received.entry(sku.clone()).or_default() += i64::from(*delta);
                }
                inventory.evolve(&mut world, &fact);
                if let Some(it) = inventory.publish(&world, &fact) {
                    let last = told.entry(it.key).or_default();
                    *last += 1;
                    prop_assert_eq!(it.sequence, *last);
                }
            }
            for change in decision.deadlines {
                match change {
                    Deadline::Set { key, .. } => prop_assert!(set.insert(key)),
                    Deadline::Clear { key, .. } => prop_assert!(set.remove(&key)),
                }
            }
            if let Input::ReservationDue(id) = &input {
                set.remove(&id.to_string());
            }
            check_stock(&world, &received)?;
            let timed = world.reservations.iter().filter(|it| it.1.expires_at().is_some());
            prop_assert_eq!(&timed.map(|it| it.0.to_string()).collect::<BTreeSet<_>>(), &set);
            for (id, reservation) in &before {
                let after = &world.reservations[id];
                prop_assert!(may_follow(&reservation.state, &after.state), "{:?} -> {:?}", reservation, after);
                prop_assert!(input.order_id() == Some(*id) || reservation == after);
            }
            if input.order_id().is_some() {
                let again = inventory.decide(&world, &input, Timestamp::UNIX_EPOCH);
                let nothing = again.is_ok_and(|it| it.events.is_empty() && it.deadlines.is_empty());
                prop_assert!(nothing, "{:?} again", input);
            }
        }
    }
}
