use std::fmt::Write as _;

use events::{Item, Sku, Timestamp};
use expect_test::{Expect, expect};

use super::*;

fn item(sku: &str, quantity: u32) -> Item {
    Item { sku: sku.parse().unwrap(), quantity }
}

fn midnight() -> Timestamp {
    Timestamp::UNIX_EPOCH
}

pub(crate) fn items() -> Vec<Item> {
    vec![item("MUG", 2)]
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

listed! {
    states: Option<State>, state_name: Option<State> {
        "unknown": None => None,
        "reserved": Some(S::Reserved { expires_at: None, .. }) =>
            Some(S::Reserved { items: items(), expires_at: None }),
        "reserved until": Some(S::Reserved { expires_at: Some(_), .. }) =>
            Some(S::Reserved { items: items(), expires_at: Some(midnight()) }),
        "kept": Some(S::Kept { .. }) => Some(S::Kept { items: items() }),
        "rejected": Some(S::Rejected) => Some(S::Rejected),
        "released": Some(S::Released { .. }) => Some(S::Released { items: items() }),
        "expired": Some(S::Expired { .. }) => Some(S::Expired { items: items() }),
        "deducted": Some(S::Deducted { .. }) => Some(S::Deducted { items: items() }),
        "cancelled": Some(S::Cancelled) => Some(S::Cancelled),
    }
}

// Those that are published begin with a capital.
listed! {
    events: ReservationEvent, event_name: ReservationEvent {
        "Reserved": E::Reserved { expires_at: None, .. } => E::Reserved { items: vec![item("CUP", 9)], expires_at: None },
        "Reserved until": E::Reserved { expires_at: Some(_), .. } =>
            E::Reserved { items: vec![item("CUP", 9)], expires_at: Some(midnight()) },
        "Rejected": E::Rejected { .. } => E::Rejected { shortages: vec![] },
        "kept": E::Kept { had_time: false } => E::Kept { had_time: false },
        "Kept": E::Kept { had_time: true } => E::Kept { had_time: true },
        "Released": E::Released => E::Released,
        "Expired": E::Expired => E::Expired,
        "Deducted": E::Deducted => E::Deducted,
        "cancelled": E::Cancelled => E::Cancelled,
    }
}

#[test]
fn states_and_events_are_what_they_are_called() {
    for (title, state) in states() {
        assert_eq!(state_name(&state), title);
    }
    for (title, event) in events() {
        assert_eq!(event_name(&event), title);
        assert_eq!(event.is_published(), title.starts_with(char::is_uppercase));
    }
}

#[test]
fn an_event_that_does_not_fit_changes_nothing() {
    let mut table = String::new();
    for (name, state) in states() {
        let before = state.map(|state| Reservation { sequence: 1, state });
        let fits = |it: &&(&str, ReservationEvent)| Reservation::evolve(before.clone(), &it.1) != before;
        let events = events();
        let names: Vec<_> = events.iter().filter(fits).map(|it| it.0).collect();
        let names = if names.is_empty() { "-".to_owned() } else { names.join(", ") };
        writeln!(table, "{name:<14} | {names}").unwrap();
    }
    expect![[r#"
        unknown        | Reserved, Reserved until, Rejected, cancelled
        reserved       | kept, Kept, Released, Expired, Deducted
        reserved until | kept, Kept, Released, Expired, Deducted
        kept           | Released, Deducted
        rejected       | -
        released       | -
        expired        | -
        deducted       | -
        cancelled      | -
    "#]]
    .assert_eq(&table);
}

/// What an order for `demand` comes to, with two of MUG and three of CUP to be had.
#[track_caller]
fn check(demand: &[Item], expected: Expect) {
    let available = |sku: &Sku| match sku.as_str() {
        "MUG" => 2,
        "CUP" => 3,
        _ => 0,
    };
    let list = |items: &[Item]| {
        let items: Vec<_> = items.iter().map(|it| format!("{} {}", it.quantity, it.sku)).collect();
        items.join(", ")
    };
    let shown = match reserve(None, demand, available, None) {
        Ok(Some(E::Reserved { items, .. })) => format!("reserved {}", list(&items)),
        Ok(Some(E::Rejected { shortages })) => {
            let short = |it: &Shortage| format!("{} {}, there are {}", it.requested, it.sku, it.available);
            format!("short of {}", shortages.iter().map(short).collect::<Vec<_>>().join("; "))
        }
        Err(Impossible(reason)) => reason,
        other => format!("{other:?}"),
    };
    expected.assert_eq(&shown);
}

#[test]
fn all_lines_are_reserved() {
    check(&[item("MUG", 2), item("CUP", 3)], expect!["reserved 3 CUP, 2 MUG"]);
}

#[test]
fn one_line_short_is_all_lines_rejected() {
    check(&[item("MUG", 3), item("CUP", 3)], expect!["short of 3 MUG, there are 2"]);
}

#[test]
fn every_shortage_is_told() {
    check(
        &[item("MUG", 3), item("CUP", 4), item("PEN", 1)],
        expect!["short of 4 CUP, there are 3; 3 MUG, there are 2; 1 PEN, there are 0"],
    );
}

#[test]
fn lines_of_one_product_are_summed() {
    check(&[item("CUP", 1), item("MUG", 1), item("CUP", 2)], expect!["reserved 3 CUP, 1 MUG"]);
    check(&[item("MUG", 1), item("MUG", 2)], expect!["short of 3 MUG, there are 2"]);
}

#[test]
fn an_order_that_nobody_can_have_placed_is_impossible() {
    check(&[], expect!["the order asks for nothing"]);
    check(&[item("MUG", 1), item("CUP", 0)], expect!["the order asks for none of CUP"]);
    check(&[item("MUG", u32::MAX), item("MUG", 1)], expect!["the order asks for too many of MUG"]);
}
