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
    E::Scheduled { ship_to: address(), stock_expires: false }
}

fn expiring() -> E {
    E::Scheduled { ship_to: address(), stock_expires: true }
}

fn dispatched() -> E {
    E::Dispatched { tracking_number: tracking::number(order_id()), at: AT }
}

fn delivered() -> E {
    E::Delivered { at: AT }
}

fn fold(events: &[E]) -> Shipment {
    let mut shipment = Shipment::unknown(order_id());
    events.iter().for_each(|event| shipment.evolve(event));
    shipment
}

/// A list with a name for each of its items, and the match that finds the name again: what the list leaves out
/// does not compile.
macro_rules! listed {
    ($list:ident: $item:ty, $name:ident: $of:ty { $($title:literal: $pattern:pat => $it:expr,)* }) => {
        pub(crate) fn $list() -> Vec<(&'static str, $item)> {
            vec![$(($title, $it)),*]
        }

        pub(crate) fn $name(it: &$of) -> &'static str {
            match it {
                $($pattern => $title,)*
            }
        }
    };
}
pub(crate) use listed;

const READY: [fn() -> E; 2] = [scheduled, || E::Captured];

/// The shipment after it was ready, and then `more`.
fn ready_then(more: &[E]) -> Shipment {
    fold(&READY.map(|it| it()).into_iter().chain(more.iter().cloned()).collect::<Vec<_>>())
}

const fn waits_for(capture: bool, stock: bool) -> Awaited {
    Awaited { capture, stock }
}

listed! {
    states: Shipment, name: State {
        "unknown": S::Early { captured: false, kept: false } => fold(&[]),
        "captured": S::Early { captured: true, kept: false } => fold(&[E::Captured]),
        "kept": S::Early { captured: false, kept: true } => fold(&[E::Kept]),
        "captured, kept": S::Early { captured: true, kept: true } => fold(&[E::Captured, E::Kept]),
        "scheduled": S::Scheduled { waits_for: Awaited { capture: true, stock: false }, .. } => fold(&[scheduled()]),
        "scheduled until": S::Scheduled { waits_for: Awaited { capture: true, stock: true }, .. } =>
            fold(&[expiring()]),
        "paid until": S::Scheduled { waits_for: Awaited { capture: false, stock: true }, .. } =>
            fold(&[expiring(), E::Captured]),
        "ready": S::Scheduled { waits_for: Awaited { capture: false, stock: false }, .. } => ready_then(&[]),
        "dispatched": S::Dispatched { parcel: Parcel { cancellation_refused: false, .. }, .. } =>
            ready_then(&[dispatched()]),
        "dispatched!": S::Dispatched { parcel: Parcel { cancellation_refused: true, .. }, .. } =>
            ready_then(&[dispatched(), E::CancellationRefused]),
        "delivered": S::Delivered { parcel: Parcel { cancellation_refused: false, .. }, .. } =>
            ready_then(&[dispatched(), delivered()]),
        "delivered!": S::Delivered { parcel: Parcel { cancellation_refused: true, .. }, .. } =>
            ready_then(&[dispatched(), delivered(), E::CancellationRefused]),
        "cancelled": S::Cancelled { captured: false, .. } => fold(&[scheduled(), E::Cancelled]),
        "cancelled, paid": S::Cancelled { captured: true, .. } => ready_then(&[E::Cancelled]),
        "barred": S::Barred => fold(&[E::Barred]),
    }
}

// Those that are published begin with a capital.
listed! {
    all_events: E, event_name: E {
        "captured": E::Captured => E::Captured,
        "kept": E::Kept => E::Kept,
        "Scheduled": E::Scheduled { stock_expires: false, .. } => scheduled(),
        "Scheduled until": E::Scheduled { stock_expires: true, .. } => expiring(),
        "Dispatched": E::Dispatched { .. } => dispatched(),
        "Delivered": E::Delivered { .. } => delivered(),
        "Cancelled": E::Cancelled => E::Cancelled,
        "Refused": E::CancellationRefused => E::CancellationRefused,
        "barred": E::Barred => E::Barred,
    }
}

/// What follows, by name; those that are published begin with a capital.
fn shown(events: &[E]) -> String {
    events.iter().map(event_name).collect::<Vec<_>>().join(", ")
}

#[test]
fn the_states_are_what_they_are_called() {
    for (title, shipment) in states() {
        assert_eq!(name(&shipment.state), title);
    }
    for (title, event) in all_events() {
        assert_eq!(event_name(&event), title);
        assert_eq!(event.is_published(), title.starts_with(char::is_uppercase));
    }
}

#[test]
fn each_state_follows_each_event() {
    let mut table = String::new();
    for (before, shipment) in states() {
        let mut to: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (event_name, event) in all_events() {
            let mut after = shipment.clone();
            after.evolve(&event);
            assert_eq!(after.sequence - shipment.sequence, i64::from(event.is_published()));
            if after.state != shipment.state {
                to.entry(name(&after.state)).or_default().push(event_name);
            }
        }
        let to: Vec<_> = to.iter().map(|(after, by)| format!("{after} by {}", by.join("/"))).collect();
        table.push_str(format!("{before:<16}-> {}", to.join("; ")).trim_end());
        table.push('\n');
    }
    expect![[r#"
        unknown         -> barred by Cancelled/barred; captured by captured; kept by kept; scheduled by Scheduled; scheduled until by Scheduled until
        captured        -> barred by Cancelled/barred; captured, kept by kept; paid until by Scheduled until; ready by Scheduled
        kept            -> barred by Cancelled/barred; captured, kept by captured; scheduled by Scheduled/Scheduled until
        captured, kept  -> barred by Cancelled/barred; ready by Scheduled/Scheduled until
        scheduled       -> cancelled by Cancelled; ready by captured
        scheduled until -> cancelled by Cancelled; paid until by captured; scheduled by kept
        paid until      -> cancelled, paid by Cancelled; ready by kept
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
    check(&[E::Captured], |it| it.schedule(&address(), false), expect!["Scheduled"]);
    check(&[E::Captured, scheduled()], Shipment::note_capture, expect![""]);
    assert_eq!(fold(&[E::Captured, scheduled()]).next_leg(), Some(Leg::Dispatch));
}

#[test]
fn nothing_leaves_before_it_is_paid_for() {
    let shipment = fold(&[scheduled()]);
    assert_eq!(shipment.next_leg(), None);
    assert_eq!(shipment.dispatch(AT), Err(Refusal::NotReady(waits_for(true, false))));
    // Nor if such an event were recorded.
    assert_eq!(fold(&[scheduled(), dispatched()]).state, shipment.state);
}

#[test]
fn nothing_leaves_before_its_stock_is_certain() {
    let shipment = fold(&[E::Captured, expiring()]);
    assert_eq!(shipment.next_leg(), None);
    assert_eq!(shipment.dispatch(AT), Err(Refusal::NotReady(waits_for(false, true))));
    assert_eq!(fold(&[E::Captured, expiring(), dispatched()]).state, shipment.state);
    for whenever in [[E::Kept, E::Captured, expiring()], [E::Captured, expiring(), E::Kept]] {
        assert_eq!(fold(&whenever).next_leg(), Some(Leg::Dispatch));
    }
}

#[test]
fn stock_that_does_not_expire_is_not_waited_for() {
    check(&[scheduled(), E::Captured], |it| it.note_kept(), expect![""]);
    assert_eq!(fold(&[scheduled(), E::Captured]).next_leg(), Some(Leg::Dispatch));
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
    check(&[E::Cancelled], |it| it.schedule(&address(), false), expect![""]);
    check(&[E::Cancelled], Shipment::note_capture, expect![""]);
    check(&[E::Cancelled], Shipment::note_kept, expect![""]);
}
