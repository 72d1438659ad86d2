use std::fmt::Write as _;

use events::{Item, Sku, Timestamp};
use expect_test::{Expect, expect};

use super::*;
use crate::view::Status;

fn item(sku: &str, quantity: u32) -> Item {
    Item { sku: sku.parse().unwrap(), quantity }
}

fn midnight() -> Timestamp {
    Timestamp::UNIX_EPOCH
}

fn items() -> Vec<Item> {
    vec![item("MUG", 2)]
}

/// Every state, with how it is called in the table.
fn states() -> Vec<(&'static str, Option<State>)> {
    vec![
        ("unknown", None),
        ("reserved", Some(S::Reserved { items: items(), expires_at: None })),
        ("reserved until", Some(S::Reserved { items: items(), expires_at: Some(midnight()) })),
        ("kept", Some(S::Kept { items: items() })),
        ("rejected", Some(S::Rejected)),
        ("released", Some(S::Released { items: items() })),
        ("expired", Some(S::Expired { items: items() })),
        ("deducted", Some(S::Deducted { items: items() })),
        ("cancelled", Some(S::Cancelled)),
    ]
}

/// Every input, with how it is called in the table.
type Heard = (&'static str, fn(Option<&Reservation>) -> Followed);

fn inputs() -> Vec<Heard> {
    vec![
        ("placed, enough", |it| reserve(it, &items(), |_| 2, None)),
        ("placed, until", |it| reserve(it, &items(), |_| 2, Some(midnight()))),
        ("placed, short", |it| reserve(it, &items(), |_| 1, None)),
        ("confirmed", keep),
        ("dispatched", deduct),
        ("cancelled", release),
        ("due", expire),
    ]
}

#[test]
fn every_state_knows_what_to_do_with_every_input() {
    let mut table = String::new();
    for (state_name, state) in states() {
        for (input_name, input) in inputs() {
            let before = state.clone().map(|state| Reservation { sequence: 1, state });
            let follows = match input(before.as_ref()) {
                Ok(None) => "-".to_owned(),
                Ok(Some(event)) => told(before, &event),
                Err(Impossible(reason)) => format!("impossible: {reason}"),
            };
            writeln!(table, "{state_name:<14} | {input_name:<14} | {follows}").unwrap();
        }
    }
    expect![[r#"
        unknown        | placed, enough | Reserved, published => reserved
        unknown        | placed, until  | Reserved, published => reserved until
        unknown        | placed, short  | Rejected, published => rejected
        unknown        | confirmed      | impossible: an order is confirmed that was never placed here
        unknown        | dispatched     | impossible: a parcel has left for an order that no stock is reserved for
        unknown        | cancelled      | Cancelled => cancelled
        unknown        | due            | -
        reserved       | placed, enough | -
        reserved       | placed, until  | -
        reserved       | placed, short  | -
        reserved       | confirmed      | Kept => kept
        reserved       | dispatched     | Deducted, published => deducted
        reserved       | cancelled      | Released, published => released
        reserved       | due            | -
        reserved until | placed, enough | -
        reserved until | placed, until  | -
        reserved until | placed, short  | -
        reserved until | confirmed      | Kept => kept
        reserved until | dispatched     | Deducted, published => deducted
        reserved until | cancelled      | Released, published => released
        reserved until | due            | Expired, published => expired
        kept           | placed, enough | -
        kept           | placed, until  | -
        kept           | placed, short  | -
        kept           | confirmed      | -
        kept           | dispatched     | Deducted, published => deducted
        kept           | cancelled      | Released, published => released
        kept           | due            | -
        rejected       | placed, enough | -
        rejected       | placed, until  | -
        rejected       | placed, short  | -
        rejected       | confirmed      | -
        rejected       | dispatched     | impossible: a parcel has left for an order that no stock is reserved for
        rejected       | cancelled      | -
        rejected       | due            | -
        released       | placed, enough | -
        released       | placed, until  | -
        released       | placed, short  | -
        released       | confirmed      | -
        released       | dispatched     | impossible: a parcel has left for an order that no stock is reserved for
        released       | cancelled      | -
        released       | due            | -
        expired        | placed, enough | -
        expired        | placed, until  | -
        expired        | placed, short  | -
        expired        | confirmed      | -
        expired        | dispatched     | impossible: a parcel has left for an order that no stock is reserved for
        expired        | cancelled      | -
        expired        | due            | -
        deducted       | placed, enough | -
        deducted       | placed, until  | -
        deducted       | placed, short  | -
        deducted       | confirmed      | -
        deducted       | dispatched     | -
        deducted       | cancelled      | -
        deducted       | due            | -
        cancelled      | placed, enough | -
        cancelled      | placed, until  | -
        cancelled      | placed, short  | -
        cancelled      | confirmed      | -
        cancelled      | dispatched     | impossible: a parcel has left for an order that no stock is reserved for
        cancelled      | cancelled      | -
        cancelled      | due            | -
    "#]].assert_eq(&table);
}

/// An event, whether it is published, and the state after it.
fn told(before: Option<Reservation>, event: &ReservationEvent) -> String {
    let after = Reservation::evolve(before.clone(), event).unwrap();
    let published = after.sequence - before.map_or(0, |it| it.sequence);
    let name = format!("{event:?}");
    let name = name.split([' ', '{']).next().unwrap();
    let until = if after.expires_at().is_some() { " until" } else { "" };
    let state = Status::of(&after.state).name();
    format!("{name}{} => {state}{until}", ["", ", published"][published as usize])
}

#[test]
fn an_event_that_does_not_fit_changes_nothing() {
    let events = [
        E::Reserved { items: vec![item("CUP", 9)], expires_at: None },
        E::Rejected { shortages: vec![] },
        E::Kept,
        E::Released,
        E::Expired,
        E::Deducted,
        E::Cancelled,
    ];
    let mut table = String::new();
    for (name, state) in states() {
        let before = state.map(|state| Reservation { sequence: 1, state });
        let fits = |it: &&ReservationEvent| Reservation::evolve(before.clone(), it) != before;
        let names = events.iter().filter(fits).map(|it| format!("{it:?}"));
        let names: Vec<_> = names.map(|it| it.split(' ').next().unwrap().to_owned()).collect();
        let names = if names.is_empty() { "-".to_owned() } else { names.join(" ") };
        writeln!(table, "{name:<14} | {names}").unwrap();
    }
    expect![[r#"
        unknown        | Reserved Rejected Cancelled
        reserved       | Kept Released Expired Deducted
        reserved until | Kept Released Expired Deducted
        kept           | Released Deducted
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
