use events::Money;
use order::Status;

use super::*;
use crate::seen::Moving;

/// A confirmed and paid order whose parcel stands so.
fn confirmed(status: Moving, captured: bool, awaits_stock: bool) -> Seen {
    Seen {
        order: Some(Ordered {
            total: Money { amount: 1999, currency: "USD".parse().unwrap() },
            version: 4,
            sequence: 3,
            status: Status::Confirmed,
            paid: true,
            confirmed: true,
            stock_back: None,
            money_back: None,
        }),
        shipment: Some(Shipped { sequence: 1, status, captured, kept: true, awaits_stock }),
        ..Seen::default()
    }
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
