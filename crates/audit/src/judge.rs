//! The laws across services, of one order: pure.

use order::{Return, Status};

use crate::{
    law::Law,
    seen::{Books, Held, Holding, Leg, Moving, Ordered, Paid, Paying, Seen, Shipped},
};

/// What is broken whenever it is seen, provided that effects were read before their causes: order, shipment,
/// payment, reservation, ledger. Facts are only added to, so a cause that is not there now was not there then.
pub(crate) fn at_any_time(seen: &Seen) -> Broken {
    let Seen { order, shipment, payment, stock, books } = seen;
    let mut broken = charged_once(books);
    if let Some(order) = order {
        broken.extend(order_caused(order, shipment, payment, stock));
        broken.extend(compensated(order, payment, stock));
        let items = stock.and_then(|it| it.items);
        broken.extend(unless(
            items.is_none_or(|it| it == order.items),
            Law::Caused,
            "its reservation is of other items than were ordered",
        ));
        let text = "the ledger is in another currency than its total";
        broken.extend(unless(books.is_in(order.total.currency), Law::Provider, text));
    }
    if shipment.is_some_and(|it| it.has_left()) {
        broken.extend(departure_caused(seen));
    }
    if let Some(payment) = payment {
        broken.extend(amounts(payment, order));
        broken.extend(provider(payment, books));
    }
    broken
}

/// Laws, and in which way each is broken.
pub(crate) type Broken = Vec<(Law, &'static str)>;

/// `text` unless `kept`.
fn unless(kept: bool, law: Law, text: &'static str) -> Option<(Law, &'static str)> {
    (!kept).then_some((law, text))
}

fn order_caused(
    order: &Ordered,
    shipment: &Option<Shipped>,
    payment: &Option<Paid>,
    stock: &Option<Held>,
) -> Broken {
    let left = shipment.is_some_and(|it| it.has_left());
    let arrived = shipment.is_some_and(|it| it.status == Moving::Delivered);
    let (authorized, captured) = payment.map_or((0, 0), |it| (it.authorized, it.captured));
    let reserved = stock.is_some_and(|it| !matches!(it.status, Holding::Rejected | Holding::Cancelled));
    let total = order.total.amount;
    let tracked = order.tracking.is_none() || shipment.is_none_or(|it| it.tracking == order.tracking);
    [
        unless(tracked, Law::Caused, "its tracking number is not its parcel's"),
        unless(order.status != Status::Shipped || left, Law::Caused, "shipped, and no parcel has left"),
        unless(
            order.status != Status::Delivered || arrived,
            Law::Caused,
            "delivered, and no parcel has arrived",
        ),
        unless(
            order.status != Status::Cancelled || !left,
            Law::Cancelled,
            "cancelled, and its parcel has left",
        ),
        unless(!order.paid || captured == total, Law::Caused, "paid, and payment has not captured its total"),
        unless(
            !order.confirmed || authorized == total,
            Law::Caused,
            "confirmed without an authorised payment",
        ),
        unless(!order.confirmed || reserved, Law::Caused, "confirmed without reserved stock"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn departure_caused(seen: &Seen) -> Broken {
    let Seen { order, payment, stock, books, .. } = seen;
    let taken = payment.is_some_and(|it| it.status == Paying::Captured);
    let booked = order.is_none_or(|it| books.net() >= it.total.amount);
    let kept =
        stock.is_some_and(|it| matches!(it.status, Holding::Reserved | Holding::Kept | Holding::Deducted));
    [
        unless(taken, Law::Caused, "its parcel has left, and its money is not there"),
        unless(booked, Law::Caused, "its parcel has left, and the ledger does not have its total"),
        unless(kept, Law::Caused, "its parcel has left without its stock"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn compensated(order: &Ordered, payment: &Option<Paid>, stock: &Option<Held>) -> Broken {
    let stock_back = stock.is_some_and(|it| matches!(it.status, Holding::Released | Holding::Expired));
    let money_back = payment.is_some_and(|it| matches!(it.status, Paying::Voided | Paying::Refunded));
    let done = Some(Return::Done);
    [
        unless(order.stock_back != done || stock_back, Law::Compensated, "its stock is said to be back"),
        unless(order.money_back != done || money_back, Law::Compensated, "its money is said to be back"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn amounts(payment: &Paid, order: &Option<Ordered>) -> Broken {
    let Paid { authorized, captured, refunded, .. } = *payment;
    let ordered = 0 <= refunded && refunded <= captured && captured <= authorized;
    let of_total = match (order, payment.amount) {
        (Some(order), Some(amount)) => amount == order.total && authorized <= order.total.amount,
        _ => true,
    };
    [
        unless(ordered, Law::Amounts, "its payment's amounts contradict each other"),
        unless(of_total, Law::Amounts, "its payment is of another amount than its total"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn provider(payment: &Paid, books: &Books) -> Broken {
    let so = |said: i64, booked: i64| said == 0 || said == booked;
    let same = payment.intent.is_none() || books.intent.is_none() || payment.intent == books.intent;
    let none = books.net() == 0 && books.held() == 0;
    let over =
        matches!(payment.status, Paying::Voided | Paying::Refunded | Paying::Declined | Paying::Cancelled);
    [
        unless(so(payment.authorized, books.authorized), Law::Provider, "authorised otherwise in the ledger"),
        unless(so(payment.captured, books.captured), Law::Provider, "captured otherwise in the ledger"),
        unless(so(payment.refunded, books.refunded), Law::Provider, "refunded otherwise in the ledger"),
        unless(same, Law::Provider, "the ledger has another payment intent than payment knows"),
        unless(!over || none, Law::Provider, "payment holds nothing any more, and the provider does"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn charged_once(books: &Books) -> Broken {
    [
        unless(books.authorizations <= 1, Law::ChargedOnce, "authorised more than once at the provider"),
        unless(books.captures <= 1, Law::ChargedOnce, "captured more than once at the provider"),
        unless(books.refunded <= books.captured, Law::ChargedOnce, "more refunded than captured"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Money that somebody else has moved at the provider: the books were so before payment was looked at again, payment
/// has no question left to ask, and yet says otherwise. What it says while money is on its way back is judged at the end.
pub(crate) fn moved_by_others(before: &Seen, now: &Seen) -> Option<(Law, &'static str)> {
    let said = match now.payment {
        None => (0, 0),
        Some(it) => match it.status {
            Paying::Awaiting => (0, 0),
            Paying::Authorized | Paying::Captured => (it.authorized, it.captured),
            _ => return None,
        },
    };
    let Books { authorized, captured, refunded, cancelled, .. } = now.books;
    let so = (authorized, captured, refunded, cancelled) == (said.0, said.1, 0, 0);
    unless(so || before.books != now.books, Law::Provider, "money was moved that payment has not asked for")
}

/// What an order lacks that waits for nothing but a person who moves its parcel.
pub(crate) fn while_waiting(seen: &Seen, leg: Leg) -> Option<(Law, &'static str)> {
    let order = seen.order?;
    let holding = seen.stock.map(|it| it.status);
    let held = match leg {
        Leg::Dispatch => matches!(holding, Some(Holding::Reserved | Holding::Kept)),
        Leg::Deliver => holding == Some(Holding::Deducted),
    };
    let taken = (seen.books.net(), seen.books.held()) == (order.total.amount, 0);
    unless(held, Law::Caused, "its parcel waits for a person, and its stock is not held").or_else(|| {
        unless(taken, Law::Caused, "its parcel waits for a person, and the ledger does not have its total")
    })
}

/// What an order that has settled still lacks elsewhere. What it has published may not have been read yet, so this
/// is a suspicion until it has been.
pub(crate) fn at_the_end(seen: &Seen) -> Option<(Law, &'static str)> {
    let order = seen.order.filter(Ordered::is_settled)?;
    let paying = seen.payment.map(|it| it.status);
    let holding = seen.stock.map(|it| it.status);
    let moving = seen.shipment.map(|it| it.status);
    let books = &seen.books;
    let (law, kept) = match order.status {
        Status::Delivered => (
            Law::Delivered,
            paying == Some(Paying::Captured)
                && (books.net(), books.held()) == (order.total.amount, 0)
                && books.is_in(order.total.currency)
                && holding == Some(Holding::Deducted)
                && moving == Some(Moving::Delivered),
        ),
        _ => {
            use {Holding as H, Moving as M, Paying as P};
            // Who has heard of it has a row of it: without one, what comes late would be begun.
            let money = matches!(paying, Some(P::Declined | P::Voided | P::Refunded | P::Cancelled));
            let stock = matches!(holding, Some(H::Rejected | H::Released | H::Expired | H::Cancelled));
            let parcel = matches!(moving, Some(M::Cancelled | M::Barred));
            (Law::Cancelled, money && stock && parcel && (books.net(), books.held()) == (0, 0))
        }
    };
    unless(kept, law, "an end that is none")
}

/// The law of the end that an order has come to.
pub(crate) fn end_of(seen: &Seen) -> Option<Law> {
    let order = seen.order.filter(Ordered::is_settled)?;
    Some(if order.status == Status::Delivered { Law::Delivered } else { Law::Cancelled })
}

#[cfg(test)]
pub(crate) mod tests;
