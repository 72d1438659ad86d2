use events::Money;

use super::*;
use crate::seen::Coin;

/// An order of 1999 that all agree is delivered.
fn delivered() -> Seen {
    let total = Money { amount: 1999, currency: "USD".parse().unwrap() };
    Seen {
        order: Some(Ordered {
            total,
            version: 7,
            sequence: 5,
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
        }),
        stock: Some(Held { sequence: 2, status: Holding::Deducted }),
        books: Books {
            authorized: 1999,
            captured: 1999,
            refunded: 0,
            cancelled: 0,
            authorizations: 1,
            captures: 1,
            coin: Coin::One(total.currency),
        },
    }
}

/// The same, cancelled after the capture, and all given back.
fn refunded() -> Seen {
    let mut seen = delivered();
    let back = Some(Return::Done);
    seen.order =
        seen.order.map(|it| Ordered { status: Status::Cancelled, stock_back: back, money_back: back, ..it });
    seen.shipment = seen.shipment.map(|it| Shipped { status: Moving::Cancelled, ..it });
    seen.payment = seen.payment.map(|it| Paid { status: Paying::Refunded, refunded: 1999, ..it });
    seen.stock = Some(Held { sequence: 2, status: Holding::Released });
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
    move |it| it.stock = Some(Held { sequence: 2, status })
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
    check(delivered(), |it| it.books = Books::default(), &[Provider, Delivered]);
    let twice =
        |it: &mut Seen| (it.books.captured, it.books.captures, it.books.authorizations) = (3998, 2, 2);
    check(delivered(), twice, &[Provider, ChargedOnce, Delivered]);
    check(delivered(), |it| it.books.refunded = 5000, &[ChargedOnce, Delivered]);
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
}

#[test]
fn what_has_not_settled_is_not_at_an_end() {
    check(delivered(), |it| (order(it).paid, it.books.refunded) = (false, 5), &[]);
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
