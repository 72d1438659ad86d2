mod reading;

use std::{fmt::Write as _, time::Duration};

use engine::Deadline;
use expect_test::{Expect, expect};

use super::*;
use crate::shipment::tests::{AT, address, event_name, name, order_id, states};

const DELAY: Duration = Duration::from_millis(500);
const SLOW: Carrier = Carrier::Simulated { delay: DELAY };
const AT_ONCE: Carrier = Carrier::Simulated { delay: Duration::ZERO };

fn inputs() -> Vec<(&'static str, Input)> {
    let id = order_id();
    vec![
        ("order confirmed", Input::OrderConfirmed(id, address())),
        ("payment captured", Input::PaymentCaptured(id)),
        ("cancellation requested", Input::CancellationRequested(id)),
        ("order cancelled", Input::OrderCancelled(id)),
        ("dispatch!", Input::Dispatch(id)),
        ("deliver!", Input::Deliver(id)),
        ("dispatch due", Input::Due(id, Leg::Dispatch)),
        ("delivery due", Input::Due(id, Leg::Deliver)),
    ]
}

fn world(shipment: &Shipment) -> World {
    let mut world = World::default();
    if shipment.state != crate::State::Unknown {
        world.shipments.insert(shipment.order_id, shipment.clone());
    }
    world
}

/// What follows from an input: the events, of which those with a capital are published, then the deadlines.
fn outcome(carrier: Carrier, shipment: &Shipment, input: &Input) -> String {
    let decision = match (Shipments { carrier }).decide(&world(shipment), input, AT) {
        Ok(decision) => decision,
        Err(Declined::Refused(refusal)) => return format!("refused: {refusal:?}"),
        Err(Declined::Impossible(reason)) => return format!("poison: {reason}"),
    };
    let mut shown: Vec<String> =
        decision.events.iter().map(|fact| event_name(&fact.event).to_owned()).collect();
    shown.extend(decision.deadlines.iter().map(|it| match it {
        Deadline::Set { kind, after, key } => {
            assert_eq!((*after, key), (DELAY, &order_id().to_string()));
            format!("set {kind}")
        }
        Deadline::Clear { kind, key } => {
            assert_eq!(key, &order_id().to_string());
            format!("clear {kind}")
        }
    }));
    check_publications(carrier, shipment, &decision.events);
    shown.join(", ")
}

/// Every published event takes the next number, the others take none.
fn check_publications(carrier: Carrier, shipment: &Shipment, facts: &[Fact]) {
    let (shipments, mut world) = (Shipments { carrier }, world(shipment));
    let mut sequence = shipment.sequence;
    for fact in facts {
        shipments.evolve(&mut world, fact);
        let publication = shipments.publish(&world, fact);
        assert_eq!(publication.is_some(), fact.event.is_published(), "{fact:?}");
        if let Some(it) = publication {
            sequence += 1;
            assert_eq!((it.sequence, it.key), (sequence, order_id().to_string()));
        }
    }
    let world_sequence = world.shipments.get(&order_id()).map_or(0, |it| it.sequence);
    assert_eq!(world_sequence, sequence);
}

#[test]
fn each_state_answers_each_input() {
    let mut table = String::new();
    for (state, shipment) in states() {
        writeln!(table, "{state}").unwrap();
        for (input, it) in inputs() {
            let line = format!("  {input:<23} {}", outcome(SLOW, &shipment, &it));
            writeln!(table, "{}", line.trim_end()).unwrap();
        }
    }
    expect![[r#"
        unknown
          order confirmed         Scheduled
          payment captured        captured
          cancellation requested  Cancelled
          order cancelled         barred
          dispatch!               refused: Unknown
          deliver!                refused: Unknown
          dispatch due
          delivery due
        captured
          order confirmed         Scheduled, set dispatch
          payment captured
          cancellation requested  Cancelled
          order cancelled         barred
          dispatch!               refused: Unknown
          deliver!                refused: Unknown
          dispatch due
          delivery due
        scheduled
          order confirmed
          payment captured        captured, set dispatch
          cancellation requested  Cancelled
          order cancelled         Cancelled
          dispatch!               refused: NotCaptured
          deliver!                refused: NotDispatched { captured: false }
          dispatch due
          delivery due
        ready
          order confirmed
          payment captured
          cancellation requested  Cancelled, clear dispatch
          order cancelled         Cancelled, clear dispatch
          dispatch!               Dispatched, clear dispatch, set deliver
          deliver!                refused: NotDispatched { captured: true }
          dispatch due            Dispatched, set deliver
          delivery due
        dispatched
          order confirmed
          payment captured
          cancellation requested  Refused
          order cancelled         poison: the order is cancelled, but its parcel has left
          dispatch!
          deliver!                Delivered, clear deliver
          dispatch due
          delivery due            Delivered
        dispatched!
          order confirmed
          payment captured
          cancellation requested
          order cancelled         poison: the order is cancelled, but its parcel has left
          dispatch!
          deliver!                Delivered, clear deliver
          dispatch due
          delivery due            Delivered
        delivered
          order confirmed
          payment captured
          cancellation requested  Refused
          order cancelled         poison: the order is cancelled, but its parcel has left
          dispatch!
          deliver!
          dispatch due
          delivery due
        delivered!
          order confirmed
          payment captured
          cancellation requested
          order cancelled         poison: the order is cancelled, but its parcel has left
          dispatch!
          deliver!
          dispatch due
          delivery due
        cancelled
          order confirmed
          payment captured
          cancellation requested
          order cancelled
          dispatch!               refused: Cancelled
          deliver!                refused: Cancelled
          dispatch due
          delivery due
        cancelled, paid
          order confirmed
          payment captured
          cancellation requested
          order cancelled
          dispatch!               refused: Cancelled
          deliver!                refused: Cancelled
          dispatch due
          delivery due
        barred
          order confirmed
          payment captured
          cancellation requested
          order cancelled
          dispatch!               refused: Unknown
          deliver!                refused: Unknown
          dispatch due
          delivery due
    "#]]
    .assert_eq(&table);
}

/// Where another carrier makes a difference to the one of `each_state_answers_each_input`.
#[track_caller]
fn check_difference(carrier: Carrier, expected: Expect) {
    let mut table = String::new();
    for (state, shipment) in states() {
        for (input, it) in inputs() {
            let outcome = outcome(carrier, &shipment, &it);
            if outcome != self::outcome(SLOW, &shipment, &it) {
                writeln!(table, "{}", format!("{state:<12} {input:<23} {outcome}").trim_end()).unwrap();
            }
        }
    }
    expected.assert_eq(&table);
}

#[test]
fn without_a_delay_both_legs_are_over_at_once() {
    check_difference(
        AT_ONCE,
        expect![[r#"
            captured     order confirmed         Scheduled, Dispatched, Delivered
            scheduled    payment captured        captured, Dispatched, Delivered
            ready        dispatch!               Dispatched, Delivered, clear dispatch
            ready        dispatch due            Dispatched, Delivered
        "#]],
    );
}

#[test]
fn without_a_carrier_nothing_moves_by_itself() {
    check_difference(
        Carrier::Manual,
        expect![[r#"
            captured     order confirmed         Scheduled
            scheduled    payment captured        captured
            ready        dispatch!               Dispatched, clear dispatch
            ready        dispatch due
            dispatched   delivery due
            dispatched!  delivery due
        "#]],
    );
}

/// Whatever comes, in whatever order and however often: three inputs after each other from every state.
#[test]
fn no_run_breaks_the_rules() {
    for carrier in [SLOW, AT_ONCE, Carrier::Manual] {
        for (_, begun) in states() {
            for (_, first) in inputs() {
                for (_, second) in inputs() {
                    for (_, third) in inputs() {
                        check_run(carrier, &begun, &[&first, &second, &third]);
                    }
                }
            }
        }
    }
}

fn check_run(carrier: Carrier, begun: &Shipment, run: &[&Input]) {
    let (shipments, mut world) = (Shipments { carrier }, world(begun));
    let mut seen: Vec<ShipmentEvent> = Vec::new();
    // What is set when the run begins.
    let mut set: BTreeSet<&str> = begun.next_leg().map(Leg::name).into_iter().collect();
    for input in run {
        if let Input::Due(_, leg) = input
            && !set.remove(leg.name())
        {
            continue;
        }
        let Ok(decision) = shipments.decide(&world, input, AT) else { continue };
        for fact in decision.events {
            shipments.evolve(&mut world, &fact);
            assert!(!seen.contains(&fact.event), "{run:?}: {:?} twice", fact.event);
            seen.push(fact.event);
        }
        for deadline in decision.deadlines {
            match deadline {
                Deadline::Set { kind, .. } => assert!(set.insert(kind), "{run:?}: {kind} is set twice"),
                // One that another carrier would have set is cleared in vain.
                Deadline::Clear { kind, .. } => {
                    assert!(set.remove(kind) || carrier != SLOW, "{run:?}: {kind} is not set");
                }
            }
        }
    }
    let after = world.shipments.get(&order_id());
    if let Some(shipment) = after {
        // The state is one that has a name, so none that is half one thing and half another.
        name(shipment);
    }
    let waits = after.and_then(Shipment::next_leg).map(Leg::name);
    if carrier == SLOW {
        assert_eq!(set.into_iter().collect::<Vec<_>>(), waits.into_iter().collect::<Vec<_>>(), "{run:?}");
    }
    let (off, left) = (seen.contains(&ShipmentEvent::Cancelled), seen.iter().any(is_dispatch));
    assert!(!(off && left), "{run:?}: cancelled and dispatched");
}

fn is_dispatch(event: &ShipmentEvent) -> bool {
    matches!(event, ShipmentEvent::Dispatched { .. })
}
