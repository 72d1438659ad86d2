//! Random lives of a shipment, shrunk to the shortest that breaks a rule.

use proptest::{collection::vec, prelude::*, sample::select};

use super::*;
use crate::shipment::State;

fn life() -> impl Strategy<Value = Vec<Input>> {
    let all: Vec<Input> = inputs().into_iter().map(|it| it.1).collect();
    vec(select(all), 0..40)
}

/// Where a shipment can go from where it is; without a delay it goes on at once.
fn may_follow(before: &State, after: &State) -> bool {
    use State as S;
    match (before, after) {
        (S::Early { .. }, _) => true,
        (S::Scheduled { .. }, S::Early { .. } | S::Barred) => false,
        (S::Scheduled { .. }, _) => true,
        (S::Dispatched { .. }, S::Dispatched { .. } | S::Delivered { .. }) => true,
        (S::Delivered { .. }, S::Delivered { .. }) => true,
        _ => before == after,
    }
}

/// What a parcel has to wait for is behind it.
fn may_leave(heard: &[Input]) -> bool {
    let first = heard.iter().find_map(|it| match it {
        Input::OrderConfirmed { stock_expires, .. } => Some(*stock_expires),
        _ => None,
    });
    let is_sure = first.is_some_and(|expires| !expires || heard.contains(&Input::StockKept(order_id())));
    is_sure && heard.contains(&Input::PaymentCaptured(order_id()))
}

fn is_off(heard: &[Input]) -> bool {
    let off = [Input::OrderCancelled(order_id()), Input::CancellationRequested(order_id())];
    heard.iter().any(|it| off.contains(it))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn every_life_of_a_shipment_keeps_the_rules(
        carrier in select(vec![SLOW, AT_ONCE, Carrier::Manual]),
        life in life(),
    ) {
        let shipments = Shipments { carrier };
        let mut world = World::default();
        let (mut heard, mut told) = (Vec::new(), 0);
        let mut set: BTreeSet<&str> = BTreeSet::new();
        for input in life {
            // A deadline is due while it is set, and once.
            if let Input::Due(_, leg) = &input
                && !set.remove(leg.name())
            {
                continue;
            }
            let before = world.shipments.get(&order_id()).cloned();
            let before = before.unwrap_or_else(|| Shipment::unknown(order_id()));
            let Ok(decision) = shipments.decide(&world, &input, AT) else {
                // The order is off, and the parcel has left: somebody has to see that.
                let is_command = matches!(input, Input::Dispatch(_) | Input::Deliver(_));
                prop_assert!(is_command || (input == Input::OrderCancelled(order_id()) && before.parcel().is_some()));
                continue;
            };
            let was_off = is_off(&heard);
            heard.push(input.clone());
            for fact in decision.events {
                if is_dispatch(&fact.event) {
                    prop_assert!(may_leave(&heard) && !was_off, "it leaves after {:?}", heard);
                }
                shipments.evolve(&mut world, &fact);
                if let Some(it) = shipments.publish(&world, &fact) {
                    told += 1;
                    prop_assert_eq!(it.sequence, told);
                }
            }
            for change in decision.deadlines {
                match change {
                    Deadline::Set { kind, .. } => prop_assert!(set.insert(kind)),
                    Deadline::Clear { kind, .. } => prop_assert!(set.remove(kind) || carrier != SLOW),
                }
            }
            let after = world.shipments.get(&order_id()).cloned();
            let after = after.unwrap_or_else(|| Shipment::unknown(order_id()));
            prop_assert!(may_follow(&before.state, &after.state), "{:?} -> {:?}", before, after);
            if carrier == SLOW {
                let waits = after.next_leg().map(Leg::name).into_iter().collect();
                prop_assert_eq!(&set, &waits);
            }
            let again = shipments.decide(&world, &input, AT);
            prop_assert_eq!(again, Ok(Decision::nothing()), "{:?} again", input);
        }
    }
}
