use audit::{Checked, Parcel};

use super::*;

/// Nobody has placed it, and its money is there.
fn unknown() -> Account {
    account(None, None, &[intent("pi_one", 1999, 1999, 0)])
}

/// Its money is payment's own, and was not given back.
fn cancelled() -> Account {
    account(Status::Cancelled, Some((Holds::Money, "pi_one")), &[intent("pi_one", 1999, 1999, 0)])
}

#[track_caller]
fn refunds(report: &Report, account: Account, expected: usize) {
    let plan = planned(report, Some(account));
    assert_eq!(plan.proposals.len(), expected, "{plan:?}");
    assert!(expected > 0 || !plan.unmended.is_empty(), "it is named");
}

#[test]
fn an_order_that_anybody_knows_was_placed() {
    refunds(&report(&[Law::Known], vec![]), unknown(), 1);
    refunds(&report(&[Law::Known], vec![]), Account { reserved: true, ..unknown() }, 0);
    for parcel in [Parcel::Here, Parcel::Left] {
        refunds(&report(&[Law::Known], vec![]), Account { parcel: Some(parcel), ..unknown() }, 0);
    }
    for law in [Law::Sequence, Law::Published, Law::Consumed] {
        refunds(&report(&[Law::Known, law], vec![]), unknown(), 0);
    }
    refunds(&report(&[Law::ChargedOnce], vec![]), unknown(), 0);
    let parked = vec![finding(Kind::Overdue, "shipping", &ORDER.to_string())];
    refunds(&report(&[Law::Known], parked), unknown(), 0);
}

#[test]
fn an_order_may_be_known_where_not_all_that_is_wrong_was_told() {
    let of = |violations| {
        let law = Checked { law: Law::Sequence, statement: "", checked: violations, violations };
        Report { laws: vec![law], ..report(&[Law::Known], vec![]) }
    };
    refunds(&of(audit::MOST as u64), unknown(), 1);
    refunds(&of(audit::MOST as u64 + 1), unknown(), 0);
}

#[test]
fn many_unknown_orders_are_a_wrong_database() {
    for (count, proposed) in [(5_u128, 5), (6, 0)] {
        let ids = (1..=count).map(Uuid::from_u128);
        let accounts: BTreeMap<Uuid, Account> = ids.map(|it| (it, unknown())).collect();
        let mut wrong = report(&[], vec![]);
        wrong.violations =
            accounts.keys().map(|it| Violation { order_id: Some(*it), ..violation(Law::Known) }).collect();
        let plan = planned_of(&wrong, &accounts);
        assert_eq!((plan.proposals.len(), plan.unmended.len()), (proposed, count as usize - proposed));
    }
}

#[test]
fn no_money_moves_while_a_service_does_not_get_on() {
    for kind in [Kind::Relay, Kind::Consumer] {
        let behind = Finding { key: None, ..finding(kind, "payment", "") };
        let wrong = report(&[Law::Cancelled], vec![behind.clone()]);
        refunds(&wrong, cancelled(), 0);
        refunds(&report(&[Law::Known], vec![behind]), unknown(), 0);
    }
}

#[test]
fn no_money_moves_while_something_is_under_way_for_its_order() {
    let mut wrong = report(&[Law::Cancelled], vec![]);
    refunds(&wrong, cancelled(), 1);
    wrong.unsettled.insert(Uuid::from_u128(8));
    refunds(&wrong, cancelled(), 1);
    wrong.unsettled.insert(ORDER);
    refunds(&wrong, cancelled(), 0);
}

#[test]
fn a_parcel_that_has_left_is_not_paid_back_without_a_person() {
    let wrong = report(&[Law::Cancelled], vec![]);
    refunds(&wrong, Account { parcel: Some(Parcel::Here), ..cancelled() }, 1);
    let left = |it: Account| Account { parcel: Some(Parcel::Left), ..it };
    check(
        &wrong,
        left(cancelled()),
        &expect![[r#"
            cancelled, order 7: it is so
              its parcel has left, and the order does not say so: whether 
        "#]],
    );
    refunds(&wrong, left(Account { payment: None, ..cancelled() }), 0);
    // What was taken twice for a parcel that is rightly gone is nobody's still.
    let twice = [intent("pi_one", 1999, 1999, 0), intent("pi_two", 1999, 1999, 0)];
    let delivered = account(Status::Delivered, Some((Holds::Money, "pi_one")), &twice);
    refunds(&report(&[Law::ChargedOnce], vec![]), left(delivered), 1);
}
