mod properties;
mod reading;
mod table;

use std::time::Duration;

use engine::Deadline;

use super::*;
use crate::shipment::tests::{AT, address, event_name, listed, order_id, states};

const DELAY: Duration = Duration::from_millis(500);
const SLOW: Carrier = Carrier::Simulated { delay: DELAY };
const AT_ONCE: Carrier = Carrier::Simulated { delay: Duration::ZERO };

fn confirmed(stock_expires: bool) -> Input {
    Input::OrderConfirmed { order_id: order_id(), ship_to: address(), stock_expires }
}

listed! {
    inputs: Input, input_name: Input {
        "order confirmed": Input::OrderConfirmed { stock_expires: false, .. } => confirmed(false),
        "order confirmed until": Input::OrderConfirmed { stock_expires: true, .. } => confirmed(true),
        "payment captured": Input::PaymentCaptured(_) => Input::PaymentCaptured(order_id()),
        "stock kept": Input::StockKept(_) => Input::StockKept(order_id()),
        "cancellation requested": Input::CancellationRequested(_) => Input::CancellationRequested(order_id()),
        "order cancelled": Input::OrderCancelled(_) => Input::OrderCancelled(order_id()),
        "dispatch!": Input::Dispatch(_) => Input::Dispatch(order_id()),
        "deliver!": Input::Deliver(_) => Input::Deliver(order_id()),
        "dispatch due": Input::Due(_, Leg::Dispatch) => Input::Due(order_id(), Leg::Dispatch),
        "delivery due": Input::Due(_, Leg::Deliver) => Input::Due(order_id(), Leg::Deliver),
    }
}

fn world(shipment: &Shipment) -> World {
    let mut world = World::default();
    if *shipment != Shipment::unknown(shipment.order_id) {
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
            if is_dispatch(&fact.event) {
                check_certain(begun, run);
            }
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
    let waits = after.and_then(Shipment::next_leg).map(Leg::name);
    if carrier == SLOW {
        assert_eq!(set.into_iter().collect::<Vec<_>>(), waits.into_iter().collect::<Vec<_>>(), "{run:?}");
    }
    let (off, left) = (seen.contains(&ShipmentEvent::Cancelled), seen.iter().any(is_dispatch));
    assert!(!(off && left), "{run:?}: cancelled and dispatched");
}

/// A parcel leaves: all that it has to wait for is behind it.
fn check_certain(begun: &Shipment, run: &[&Input]) {
    use crate::shipment::State as S;
    let heard = |wanted: fn(&Input) -> bool| run.iter().any(|it| wanted(it));
    let (captured, kept, expires) = match begun.state {
        S::Early { captured, kept } => {
            // Of two confirmations the first counts.
            let mut confirmations = run.iter().filter(|it| matches!(it, Input::OrderConfirmed { .. }));
            (captured, kept, confirmations.next() == Some(&&confirmed(true)))
        }
        S::Scheduled { waits_for, .. } => (!waits_for.capture, !waits_for.stock, waits_for.stock),
        _ => panic!("{begun:?} has left, or never will"),
    };
    assert!(captured || heard(|it| matches!(it, Input::PaymentCaptured(_))), "{run:?}: not paid for");
    let kept = kept || !expires || heard(|it| matches!(it, Input::StockKept(_)));
    assert!(kept, "{run:?}: without stock");
}

fn is_dispatch(event: &ShipmentEvent) -> bool {
    matches!(event, ShipmentEvent::Dispatched { .. })
}
