use order::Status;

use super::*;
use crate::{
    judge::tests::delivered,
    seen::{Held, Holding, Moving},
};

/// A confirmed and paid order whose parcel stands so.
fn confirmed(status: Moving, captured: bool, awaits_stock: bool) -> Seen {
    let mut seen = delivered();
    let holding = if status == Moving::Dispatched { Holding::Deducted } else { Holding::Kept };
    seen.order = seen.order.map(|it| Ordered { status: Status::Confirmed, version: 4, sequence: 3, ..it });
    seen.shipment = seen.shipment.map(|it| Shipped { sequence: 1, status, captured, awaits_stock, ..it });
    seen.stock = seen.stock.map(|it| Held { status: holding, ..it });
    seen
}

#[track_caller]
fn check(seen: Seen, passed: bool, work: impl FnOnce(Uuid, &mut Look), expected: Judged) {
    let (id, mut second) = (Uuid::now_v7(), Look::default());
    work(id, &mut second);
    assert_eq!(order(id, &seen, &seen, &second, passed), expected);
}

#[test]
fn a_parcel_that_nobody_moves_is_waited_for_by_name() {
    let ready = || confirmed(Moving::Scheduled, true, false);
    check(ready(), true, |_, _| {}, Judged::Awaits(Leg::Dispatch));
    check(confirmed(Moving::Dispatched, true, false), true, |_, _| {}, Judged::Awaits(Leg::Deliver));
    check(ready(), false, |_, _| {}, Judged::InFlight);
    // As with a deadline.
    check(ready(), true, |id, it| _ = it.work.open.insert(id), Judged::InFlight);
    check(ready(), true, |id, it| _ = it.work.parked.insert(id), Judged::Fine);
}

#[test]
fn a_parcel_that_cannot_move_stands() {
    let stands = || Judged::Broken(Law::Ends, "nothing is under way for it");
    check(confirmed(Moving::Scheduled, false, false), true, |_, _| {}, stands());
    check(confirmed(Moving::Scheduled, true, true), true, |_, _| {}, stands());
}

#[test]
fn what_somebody_else_has_taken_is_no_parcel_that_waits() {
    let mut seen = confirmed(Moving::Scheduled, true, false);
    seen.books.refunded = 1999;
    let moved = || Judged::Broken(Law::Provider, "money was moved that payment has not asked for");
    check(seen.clone(), true, |_, _| {}, moved());
    // Whatever is published and read: payment itself knows. Its carrier's deadline explains nothing, a call may.
    check(seen.clone(), false, |id, it| _ = it.work.open.insert(id), moved());
    check(seen, true, |id, it| (it.work.open.insert(id), _ = it.work.asked.insert(id)).1, Judged::InFlight);

    let mut seen = confirmed(Moving::Scheduled, true, false);
    seen.stock = seen.stock.map(|it| Held { status: Holding::Released, ..it });
    let lost = "its parcel waits for a person, and its stock is not held";
    check(seen, true, |_, _| {}, Judged::Broken(Law::Caused, lost));
}
