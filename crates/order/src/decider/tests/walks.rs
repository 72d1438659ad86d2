//! What holds on every way that an order can go, however its inputs come: duplicated, late, in any order.

use std::collections::BTreeSet;

use expect_test::expect;

use super::*;
use crate::order::{Back, Funds, Return, every};

/// What an order has heard, and how often it has told of an end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Heard {
    stock: bool,
    stock_back: bool,
    money: bool,
    money_back: bool,
    never_money: bool,
    ends: u8,
}

impl Heard {
    fn after(mut self, input: &Input, published: &[Publication]) -> Self {
        match input {
            Input::StockReserved(..) => self.stock = true,
            Input::StockReleased(_) | Input::ReservationExpired(_) => self.stock_back = true,
            Input::PaymentAuthorized(_) | Input::PaymentCaptured(_) => self.money = true,
            Input::PaymentVoided(_) | Input::PaymentRefunded(_) => self.money_back = true,
            Input::PaymentDeclined(_) | Input::PaymentCancelled(_) => self.never_money = true,
            _ => {}
        }
        let is_end = |it: &&Publication| {
            it.r#type.contains("order.cancelled") || it.r#type.contains("order.delivered")
        };
        self.ends += published.iter().filter(is_end).count() as u8;
        self
    }
}

fn anything(_: &World, _: &Heard, _: &Input) -> bool {
    true
}

/// Whether a service tells this to an order that has heard so much: each tells its own news in order, as often as it
/// likes, and gives back what it holds when the order is off.
fn is_told(world: &World, heard: &Heard, input: &Input) -> bool {
    let cancelled = matches!(world.orders[&id(1)].state, State::Cancelled { .. });
    match input {
        Input::ReservationExpired(_) => heard.stock,
        Input::StockReleased(_) => heard.stock && cancelled,
        Input::PaymentCaptured(_) | Input::CaptureFailed(_) => heard.money,
        Input::PaymentVoided(_) | Input::PaymentRefunded(_) => heard.money && cancelled,
        Input::PaymentAuthorized(_) => !heard.never_money,
        Input::PaymentDeclined(_) => !heard.money,
        Input::PaymentCancelled(_) => !heard.money && cancelled,
        _ => true,
    }
}

/// Every world that an order can come to by the inputs that are let in, with what it has heard on its way; each step
/// is shown to `watch`.
fn walk(
    let_in: fn(&World, &Heard, &Input) -> bool,
    mut watch: impl FnMut(&World, &Input, &World, &[Publication], Heard),
) -> Vec<(World, Heard)> {
    let mut seen = BTreeSet::new();
    let mut open = vec![(placed(), Heard::default())];
    let mut all = Vec::new();
    while let Some((world, heard)) = open.pop() {
        if !seen.insert((format!("{:?}", world.orders[&id(1)].state), heard)) {
            continue;
        }
        for input in inputs().into_iter().filter(|it| let_in(&world, &heard, it)) {
            let mut next = world.clone();
            if let Ok((_, published)) = step(&mut next, &input) {
                let heard = heard.after(&input, &published);
                watch(&world, &input, &next, &published, heard);
                open.push((next, heard));
            }
        }
        all.push((world, heard));
    }
    all
}

#[test]
fn an_order_comes_to_one_end_and_stays_there() {
    let all = walk(anything, |before, input, after, published, heard| {
        let [before, after] = [before, after].map(|it| &it.orders[&id(1)]);
        let ended = |order: &Order| matches!(order.state, State::Delivered { .. } | State::Cancelled { .. });
        assert_eq!(heard.ends, u8::from(ended(after)), "{input:?} in {:?}", before.state);
        if ended(before) {
            let late = published.iter().all(|it| it.r#type.contains("order.paid"));
            assert!(ended(after) && late, "{input:?} in {:?}", before.state);
        }
    });
    assert!(all.len() > 100, "{}", all.len());
}

/// Nothing is claimed to be back that is not, and what is held is never forgotten.
#[test]
fn compensation_is_done_when_it_has_been_told_and_pending_until_then() {
    let mut seen = BTreeSet::new();
    for (world, heard) in walk(is_told, |_, _, _, _, _| {}) {
        let State::Cancelled { back: Back { stock, money }, .. } = world.orders[&id(1)].state else {
            continue;
        };
        let expected = match (heard.stock, heard.stock_back) {
            (false, _) => None,
            (true, false) => Some(Return::Pending),
            (true, true) => Some(Return::Done),
        };
        assert_eq!(stock, expected, "{heard:?}");
        // Payment has told that it never held any, or it may hold some.
        let expected = match (heard.never_money, heard.money_back) {
            (true, _) => Funds::Never,
            (false, false) => Funds::Pending,
            (false, true) => Funds::Done,
        };
        assert_eq!(money, expected, "{heard:?}");
        seen.insert(format!("{stock:?} {money:?}"));
    }
    assert_eq!(seen.len(), 9, "{seen:?}");
}

/// The table has rows for states that no order can be in; which those are.
#[test]
fn the_states_that_no_input_leads_to() {
    let reached: BTreeSet<String> = walk(anything, |_, _, _, _, _| {})
        .iter()
        .map(|(world, _)| every::words(&world.orders[&id(1)].state))
        .collect();
    let listed: Vec<String> = every::states().iter().map(every::words).collect();
    assert!(reached.iter().all(|it| listed.contains(it)), "{reached:?}");
    let missing: Vec<String> = listed.into_iter().filter(|it| !reached.contains(it)).collect();
    expect![[r#"
        placed, stock, payment
        cancelled, money unheard of
        cancelled, paid, money unheard of
        cancelled, paid, money pending
        cancelled, paid, money done
        cancelled, paid
        cancelled, stock pending, money unheard of
        cancelled, paid, stock pending, money unheard of
        cancelled, paid, stock pending
        cancelled, stock done, money unheard of
        cancelled, paid, stock done, money unheard of
        cancelled, paid, stock done"#]]
    .assert_eq(&missing.join("\n"));
}

#[test]
fn whatever_comes_a_second_time_changes_nothing() {
    walk(anything, |_, input, after, _, _| {
        if input.order_id().is_some() && !matches!(input, Input::Place(_)) {
            let again = Orders::default().decide(after, input, AT);
            let row_only = matches!(input, Input::Refold(_));
            let nothing =
                if row_only { Decision::events([Fact::Refolded(id(1))]) } else { Decision::nothing() };
            assert_eq!(again, Ok(nothing), "{input:?} again in {:?}", after.orders[&id(1)].state);
        }
    });
}

#[test]
fn published_events_are_counted_without_a_gap() {
    walk(anything, |before, input, after, published, _| {
        let [before, after] = [before, after].map(|it| it.orders[&id(1)].sequence);
        let sequences: Vec<i64> = published.iter().map(|it| it.sequence).collect();
        assert_eq!(sequences, (before + 1..=after).collect::<Vec<_>>(), "{input:?}");
        assert!(published.iter().all(|it| it.key == id(1).to_string()));
    });
}
