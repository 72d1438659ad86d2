use std::collections::BTreeMap;

use expect_test::{Expect, expect};
use time::macros::datetime;
use uuid::Uuid;

use super::*;

pub(crate) const AT: Timestamp = datetime!(2025-08-19 09:30 UTC);

pub(crate) fn order_id() -> OrderId {
    OrderId(Uuid::from_u128(1))
}

pub(crate) fn address() -> Address {
    Address {
        name: "Ada Lovelace".into(),
        line1: "12 Analytical St".into(),
        line2: None,
        city: "London".into(),
        postal_code: "N1".into(),
        country: "GB".into(),
    }
}

fn scheduled() -> E {
    E::Scheduled { ship_to: address() }
}

fn dispatched() -> E {
    E::Dispatched { tracking_number: tracking::number(order_id()), at: AT }
}

fn fold(events: &[E]) -> Shipment {
    let mut shipment = Shipment::unknown(order_id());
    events.iter().for_each(|event| shipment.evolve(event));
    shipment
}

/// Every state that there is, by a name.
pub(crate) fn states() -> Vec<(&'static str, Shipment)> {
    let delivered = E::Delivered { at: AT };
    let paid = [scheduled(), E::Captured];
    let left = [&paid[..], &[dispatched()]].concat();
    let arrived = [&left[..], &[delivered]].concat();
    let and = |events: &[E], event| fold(&[events, &[event]].concat());
    vec![
        ("unknown", fold(&[])),
        ("captured", fold(&[E::Captured])),
        ("scheduled", fold(&[scheduled()])),
        ("ready", fold(&paid)),
        ("dispatched", fold(&left)),
        ("dispatched!", and(&left, E::CancellationRefused)),
        ("delivered", fold(&arrived)),
        ("delivered!", and(&arrived, E::CancellationRefused)),
        ("cancelled", fold(&[scheduled(), E::Cancelled])),
        ("cancelled, paid", and(&paid, E::Cancelled)),
        ("barred", fold(&[E::Barred])),
    ]
}

/// The name of a state of [`states`].
pub(crate) fn name(shipment: &Shipment) -> &'static str {
    let found = states().into_iter().find(|(_, it)| it.state == shipment.state);
    found.expect("one of the states").0
}

pub(crate) fn event_name(event: &E) -> &'static str {
    match event {
        E::Captured => "captured",
        E::Scheduled { .. } => "Scheduled",
        E::Dispatched { .. } => "Dispatched",
        E::Delivered { .. } => "Delivered",
        E::Cancelled => "Cancelled",
        E::CancellationRefused => "Refused",
        E::Barred => "barred",
    }
}

/// What follows, by name; those that are published begin with a capital.
fn shown(events: &[E]) -> String {
    events.iter().map(event_name).collect::<Vec<_>>().join(", ")
}

#[test]
fn the_states_differ() {
    let states = states();
    for (name, shipment) in &states {
        assert_eq!(states.iter().filter(|(_, it)| it.state == shipment.state).count(), 1, "{name}");
    }
}

#[test]
fn each_state_follows_each_event() {
    let all = [
        E::Captured,
        scheduled(),
        dispatched(),
        E::Delivered { at: AT },
        E::Cancelled,
        E::CancellationRefused,
        E::Barred,
    ];
    let mut table = String::new();
    for (before, shipment) in states() {
        let mut to: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for event in &all {
            let mut after = shipment.clone();
            after.evolve(event);
            assert_eq!(after.sequence - shipment.sequence, i64::from(event.is_published()));
            if after.state != shipment.state {
                to.entry(name(&after)).or_default().push(event_name(event));
            }
        }
        let to: Vec<_> = to.iter().map(|(after, by)| format!("{after} by {}", by.join("/"))).collect();
        table.push_str(format!("{before:<16}-> {}", to.join("; ")).trim_end());
        table.push('\n');
    }
    expect![[r#"
        unknown         -> barred by Cancelled/barred; captured by captured; scheduled by Scheduled
        captured        -> barred by Cancelled/barred; ready by Scheduled
        scheduled       -> cancelled by Cancelled; ready by captured
        ready           -> cancelled, paid by Cancelled; dispatched by Dispatched
        dispatched      -> delivered by Delivered; dispatched! by Refused
        dispatched!     -> delivered! by Delivered
        delivered       -> delivered! by Refused
        delivered!      ->
        cancelled       ->
        cancelled, paid ->
        barred          ->
    "#]]
    .assert_eq(&table);
}

#[test]
fn a_parcel_keeps_what_it_was_dispatched_with() {
    let (_, shipment) = states().into_iter().find(|(name, _)| *name == "delivered!").unwrap();
    expect![[r#"
        Shipment {
            order_id: OrderId(
                00000000-0000-0000-0000-000000000001,
            ),
            sequence: 4,
            state: Delivered {
                ship_to: Address {
                    name: "Ada Lovelace",
                    line1: "12 Analytical St",
                    line2: None,
                    city: "London",
                    postal_code: "N1",
                    country: "GB",
                },
                parcel: Parcel {
                    tracking_number: "WB000000000001Y",
                    dispatched_at: 2025-08-19 9:30:00.0 +00:00:00,
                    cancellation_refused: true,
                },
                delivered_at: 2025-08-19 9:30:00.0 +00:00:00,
            },
        }
    "#]]
    .assert_debug_eq(&shipment);
}

#[track_caller]
fn check(given: &[E], when: impl FnOnce(&Shipment) -> Vec<E>, then: Expect) {
    then.assert_eq(&shown(&when(&fold(given))));
}

#[test]
fn the_money_may_come_first() {
    check(&[E::Captured], |it| it.schedule(&address()), expect!["Scheduled"]);
    check(&[E::Captured, scheduled()], Shipment::note_capture, expect![""]);
    assert_eq!(fold(&[E::Captured, scheduled()]).next_leg(), Some(Leg::Dispatch));
}

#[test]
fn nothing_leaves_before_it_is_paid_for() {
    let shipment = fold(&[scheduled()]);
    assert_eq!(shipment.next_leg(), None);
    assert_eq!(shipment.dispatch(AT), Err(Refusal::NotCaptured));
    // Nor if such an event were recorded.
    assert_eq!(fold(&[scheduled(), dispatched()]).state, shipment.state);
}

#[test]
fn an_order_is_answered_once() {
    check(&[scheduled(), E::Captured, dispatched()], Shipment::stop, expect!["Refused"]);
    check(&[scheduled(), E::Captured, dispatched(), E::CancellationRefused], Shipment::stop, expect![""]);
    check(&[scheduled()], Shipment::stop, expect!["Cancelled"]);
    check(&[scheduled(), E::Cancelled], Shipment::stop, expect![""]);
}

#[test]
fn an_answer_to_an_unknown_order_bars_its_shipment() {
    check(&[], Shipment::stop, expect!["Cancelled"]);
    check(&[E::Cancelled], |it| it.schedule(&address()), expect![""]);
    check(&[E::Cancelled], Shipment::note_capture, expect![""]);
}
