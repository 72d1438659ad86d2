use events::Money;

use super::*;
use crate::seen::{Coin, Print, Prints};

/// An order of 1999 that all agree is delivered.
pub(crate) fn delivered() -> Seen {
    let total = Money { amount: 1999, currency: "USD".parse().unwrap() };
    Seen {
        order: Some(Ordered {
            total,
            items: Print::of_items([("MUG-01", 1)]),
            tracking: Some(Print::of(&"WB1")),
            version: 7,
            sequence: 5,
            events: Prints::default(),
            status: Status::Delivered,
            paid: true,
            confirmed: true,
            stock_back: None,
            money_back: None,
        }),
        shipment: Some(Shipped {
            sequence: 3,
            status: Moving::Delivered,
            captured: true,
            kept: true,
            awaits_stock: false,
            tracking: Some(Print::of(&"WB1")),
        }),
        payment: Some(Paid {
            amount: Some(total),
            authorized: 1999,
            captured: 1999,
            refunded: 0,
            sequence: 2,
            status: Paying::Captured,
            reserved: true,
            confirmed: true,
            cancelled: false,
            intent: Some(Print::of(&"pi_1")),
        }),
        stock: Some(held(Holding::Deducted)),
        books: Books {
            authorized: 1999,
            captured: 1999,
            refunded: 0,
            cancelled: 0,
            authorizations: 1,
            captures: 1,
            coin: Coin::One(total.currency),
            intent: Some(Print::of(&"pi_1")),
        },
    }
}

fn held(status: Holding) -> Held {
    Held { sequence: 2, items: Some(Print::of_items([("MUG-01", 1)])), status }
}

/// The same, cancelled after the capture, and all given back.
fn refunded() -> Seen {
    let mut seen = delivered();
    let back = Some(Return::Done);
    seen.order = seen.order.map(|it| Ordered {
        status: Status::Cancelled,
        stock_back: back,
        money_back: back,
        tracking: None,
        ..it
    });
    seen.shipment = seen.shipment.map(|it| Shipped { status: Moving::Cancelled, tracking: None, ..it });
    seen.payment = seen.payment.map(|it| Paid { status: Paying::Refunded, refunded: 1999, ..it });
    seen.stock = Some(held(Holding::Released));
    seen.books.refunded = 1999;
    seen
}

#[track_caller]
fn check(mut seen: Seen, change: impl FnOnce(&mut Seen), expected: &[Law]) {
    change(&mut seen);
    let mut broken: Vec<Law> = at_any_time(&seen).into_iter().map(|it| it.0).collect();
    broken.extend(at_the_end(&seen).map(|it| it.0));
    broken.sort();
    broken.dedup();
    assert_eq!(broken, expected, "{seen}");
}

fn order(seen: &mut Seen) -> &mut Ordered {
    seen.order.as_mut().unwrap()
}

fn payment(seen: &mut Seen) -> &mut Paid {
    seen.payment.as_mut().unwrap()
}

fn hold(status: Holding) -> impl FnOnce(&mut Seen) {
    move |it| it.stock = Some(held(status))
}

fn ship(status: Moving) -> impl FnOnce(&mut Seen) {
    move |it| it.shipment.as_mut().unwrap().status = status
}

#[test]
fn sound_ends_are_sound() {
    check(delivered(), |_| {}, &[]);
    check(refunded(), |_| {}, &[]);
}

#[test]
fn a_delivered_order_needs_all_of_it() {
    use Law::{Amounts, Caused, ChargedOnce, Delivered, Provider};
    check(delivered(), ship(Moving::Dispatched), &[Caused, Delivered]);
    check(delivered(), ship(Moving::Scheduled), &[Caused, Delivered]);
    check(delivered(), |it| it.shipment = None, &[Caused, Delivered]);
    check(delivered(), hold(Holding::Kept), &[Delivered]);
    check(delivered(), hold(Holding::Released), &[Caused, Delivered]);
    check(delivered(), hold(Holding::Rejected), &[Caused, Delivered]);
    check(delivered(), |it| it.payment = None, &[Caused, Delivered]);
    check(delivered(), |it| payment(it).captured = 0, &[Caused]);
    check(delivered(), |it| payment(it).refunded = 2000, &[Amounts, Provider]);
    check(delivered(), |it| order(it).total.amount = 1998, &[Amounts, Caused, Delivered]);
    check(delivered(), |it| it.books = Books::default(), &[Caused, Provider, Delivered]);
    let twice =
        |it: &mut Seen| (it.books.captured, it.books.captures, it.books.authorizations) = (3998, 2, 2);
    check(delivered(), twice, &[Provider, ChargedOnce, Delivered]);
    check(delivered(), |it| it.books.refunded = 5000, &[Caused, ChargedOnce, Delivered]);
    check(delivered(), |it| payment(it).intent = Some(Print::of(&"pi_2")), &[Provider]);
    let others = |it: &mut Seen| it.stock.as_mut().unwrap().items = Some(Print::of_items([("MUG-01", 3)]));
    check(delivered(), others, &[Caused]);
    let other = Some(Print::of(&"WB2"));
    check(delivered(), |it| it.shipment.as_mut().unwrap().tracking = other, &[Caused]);
}

#[test]
fn a_cancelled_order_has_nothing_left() {
    use Law::{Cancelled, Caused, Compensated, Provider};
    check(refunded(), hold(Holding::Kept), &[Compensated, Cancelled]);
    check(refunded(), ship(Moving::Scheduled), &[Cancelled]);
    check(refunded(), ship(Moving::Dispatched), &[Caused, Cancelled]);
    check(refunded(), |it| payment(it).status = Paying::Refunding, &[Compensated, Cancelled]);
    check(refunded(), |it| it.books.refunded = 0, &[Provider, Cancelled]);
    check(refunded(), |it| it.books.authorized = 2500, &[Provider, Cancelled]);
    check(refunded(), |it| order(it).paid = false, &[]);
    // What keeps late actions from being begun.
    check(refunded(), |it| it.shipment = None, &[Cancelled]);
    let begun = |it: &mut Seen| {
        let order = order(it);
        (order.confirmed, order.paid, order.stock_back, order.money_back) = (false, false, None, None);
    };
    check(refunded(), |it| (begun(it), it.payment = None).0, &[Cancelled]);
    check(refunded(), |it| (begun(it), it.stock = None).0, &[Cancelled]);
}

#[test]
fn what_has_not_settled_is_not_at_an_end() {
    check(delivered(), |it| order(it).paid = false, &[]);
    // Its parcel has arrived all the same.
    check(delivered(), |it| (order(it).paid, it.books.refunded) = (false, 5), &[Law::Caused]);
    let pending = |it: &mut Seen| {
        order(it).money_back = Some(Return::Pending);
        payment(it).status = Paying::Refunding;
        (payment(it).refunded, it.books.refunded) = (0, 0);
    };
    check(refunded(), pending, &[]);
}

#[test]
fn an_amount_in_another_currency_is_another_amount() {
    use Law::{Delivered, Provider};
    let book = |codes: &'static [&str]| {
        move |it: &mut Seen| {
            it.books.coin = Coin::Nothing;
            codes.iter().for_each(|code| it.books.coin.enter(code));
        }
    };
    check(delivered(), book(&["usd", "usd"]), &[]);
    check(delivered(), book(&["eur", "eur"]), &[Provider, Delivered]);
    check(delivered(), book(&["usd", "eur", "usd"]), &[Provider, Delivered]);
    check(delivered(), book(&["shells", "usd"]), &[Provider, Delivered]);
    check(refunded(), book(&["usd", "eur"]), &[Provider]);
    check(refunded(), book(&[]), &[]);
}

#[test]
fn items_are_the_same_in_whichever_order_and_lines() {
    let of = |items: &[(&str, u32)]| Print::of_items(items.iter().copied());
    assert_eq!(of(&[("A", 1), ("B", 2), ("A", 2)]), of(&[("B", 2), ("A", 3)]));
    assert_ne!(of(&[("A", 1), ("B", 2)]), of(&[("A", 2), ("B", 1)]));
}

/// What payment and the ledger say of a confirmed order, of which nothing is asked.
#[track_caller]
fn moved(change: impl FnOnce(&mut Seen), expected: bool) {
    let mut seen = delivered();
    order(&mut seen).status = Status::Confirmed;
    change(&mut seen);
    assert_eq!(moved_by_others(&seen, &seen).is_some(), expected, "{seen}");
    // What has come since the first look may have been asked for since.
    assert_eq!(moved_by_others(&Seen::default(), &seen), None, "{seen}");
}

#[test]
fn money_moves_as_payment_says() {
    let booked = |authorized, captured, refunded, cancelled| {
        move |it: &mut Seen| {
            it.books = Books { authorized, captured, refunded, cancelled, ..it.books };
        }
    };
    moved(|_| {}, false);
    moved(booked(1999, 1999, 1999, 0), true);
    moved(booked(1999, 1999, 5, 0), true);
    let authorized = |it: &mut Seen| {
        (payment(it).status, payment(it).captured) = (Paying::Authorized, 0);
        booked(1999, 0, 0, 0)(it);
    };
    moved(authorized, false);
    moved(|it| (authorized(it), booked(1999, 0, 0, 1999)(it)).0, true);
    moved(|it| (authorized(it), booked(1999, 1999, 0, 0)(it)).0, true);
    // Nothing was asked for yet, or an answer is not.
    let awaiting = |it: &mut Seen| {
        let payment = payment(it);
        (payment.status, payment.authorized, payment.captured) = (Paying::Awaiting, 0, 0);
    };
    moved(awaiting, true);
    moved(|it| (awaiting(it), booked(0, 0, 0, 0)(it)).0, false);
    moved(|it| it.payment = None, true);
    moved(|it| (payment(it).status = Paying::Refunding, booked(1999, 1999, 1999, 0)(it)).0, false);
}

#[test]
fn who_waits_for_a_person_has_its_money_and_its_stock() {
    #[track_caller]
    fn waiting(leg: Leg, change: impl FnOnce(&mut Seen), sound: bool) {
        let mut seen = delivered();
        change(&mut seen);
        let broken = while_waiting(&seen, leg).map(|it| it.0);
        assert_eq!(broken, (!sound).then_some(Law::Caused), "{seen}");
    }
    waiting(Leg::Deliver, |_| {}, true);
    waiting(Leg::Deliver, hold(Holding::Kept), false);
    waiting(Leg::Deliver, |it| it.books.refunded = 1999, false);
    waiting(Leg::Dispatch, |_| {}, false);
    for (holding, sound) in [(Holding::Kept, true), (Holding::Reserved, true), (Holding::Released, false)] {
        waiting(Leg::Dispatch, hold(holding), sound);
    }
    waiting(Leg::Dispatch, |it| (hold(Holding::Kept)(it), it.books.captured = 0).0, false);
    waiting(Leg::Dispatch, |it| it.stock = None, false);
}
