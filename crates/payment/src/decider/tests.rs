//! Every state, every input, and what follows from each pair of them.

mod every;
mod mutants;
mod properties;
mod table;

use std::fmt::Write as _;

use events::{Currency, Money};

use self::every::{hold, inputs, states};
use super::*;
use crate::{
    payment::{Call, Hold, State, Then},
    row::Row,
};

fn order_id() -> OrderId {
    "0198c0de-7a10-7c3e-9d52-5b1f0e8a4c21".parse().unwrap()
}

fn world(state: &State) -> World {
    let payment = Payment { state: state.clone(), ..Payment::new(order_id()) };
    World { payments: [(order_id(), payment)].into(), stored: BTreeSet::new() }
}

/// What follows from `input`, what of it is published, and the state that it leads to. `None`: it can never be.
fn follow(state: &State, input: &Input) -> Option<(Decision<Fact>, Vec<Publication>, State)> {
    let mut world = world(state);
    let decision = match Payments.decide(&world, input, Timestamp::UNIX_EPOCH) {
        Ok(decision) => decision,
        Err(Declined::Impossible(_)) => return None,
        Err(Declined::Refused(never)) => match never {},
    };
    let mut published = Vec::new();
    for fact in &decision.events {
        Payments.evolve(&mut world, fact);
        published.extend(Payments.publish(&world, fact));
    }
    let state = world.payments.remove(&order_id()).unwrap().state;
    Some((decision, published, state))
}

/// All states that inputs lead to, from the first on.
fn reached() -> Vec<State> {
    let mut reached = vec![Payment::new(order_id()).state];
    let mut next = 0;
    while let Some(state) = reached.get(next).cloned() {
        for (_, _, after) in inputs().iter().filter_map(|input| follow(&state, input)) {
            if !reached.contains(&after) {
                reached.push(after);
            }
        }
        next += 1;
    }
    reached
}

#[test]
fn no_input_leads_to_a_state_that_is_not_listed() {
    let listed = states();
    for state in reached() {
        assert!(listed.contains(&state), "{state:?}");
    }
}

#[test]
fn a_payment_is_read_back_from_its_row() {
    for state in states() {
        let payment = Payment { state, ..Payment::new(order_id()) };
        assert_eq!(Row::of(&payment).payment(), Some(payment));
    }
}

#[test]
fn a_call_is_stored_as_it_was_recorded_and_is_the_last_thing_that_follows() {
    let asked = |fact: &Fact| match &fact.event {
        PaymentEvent::Asked(call) => Some(call.clone()),
        _ => None,
    };
    for state in states() {
        for (decision, ..) in inputs().iter().filter_map(|input| follow(&state, input)) {
            let recorded: Vec<Call> = decision.events.iter().filter_map(asked).collect();
            let stored = decision.effects.iter().map(|it| serde_json::from_str(&it.request).unwrap());
            let stored: Vec<Call> = stored.collect();
            assert_eq!(stored, recorded);
            assert!(stored.len() <= 1, "{stored:?}");
            assert!(stored.is_empty() || decision.events.last().and_then(asked).is_some());
        }
    }
}
