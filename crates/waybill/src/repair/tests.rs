//! From findings to proposals.

mod hold;
mod sending;
mod surplus;

use std::collections::{BTreeMap, BTreeSet};

use audit::{Account, Finding, Holds, Intent, Kind, Law, Payment, Report, Standing, Violation};
use clap::Parser;
use events::Timestamp;
use expect_test::{Expect, expect};
use order::Status;
use uuid::Uuid;

use super::{
    Repair, line,
    plan::{Given, Plan, plan, unclear},
    proposal::Targets,
};

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    repair: Repair,
}

const ORDER: Uuid = Uuid::from_u128(7);

fn violation(law: Law) -> Violation {
    Violation { law, order_id: Some(ORDER), sku: None, events: vec![], text: "it is so".into() }
}

fn finding(kind: Kind, service: &str, key: &str) -> Finding {
    Finding { kind, service: service.into(), key: Some(key.into()), text: "it is so".into() }
}

fn report(laws: &[Law], findings: Vec<Finding>) -> Report {
    Report {
        as_of: Timestamp::UNIX_EPOCH,
        took_ms: 0,
        orders: BTreeMap::new(),
        in_flight: 0,
        ignored_records: 0,
        forgotten: 0,
        awaiting_person: 0,
        laws: vec![],
        violations: laws.iter().map(|it| violation(*it)).collect(),
        findings,
        stale_rows: BTreeSet::new(),
        unsettled: BTreeSet::new(),
    }
}

fn intent(id: &str, authorized: i64, captured: i64, refunded: i64) -> Intent {
    Intent { id: id.into(), currency: "usd".into(), authorized, captured, refunded, cancelled: 0 }
}

fn account(status: impl Into<Option<Status>>, payment: Option<(Holds, &str)>, intents: &[Intent]) -> Account {
    let order = status.into().map(|status| Standing { status, cancelling: false });
    let own = |reference: &str| (!reference.is_empty()).then(|| reference.to_owned());
    let payment = payment.map(|(holds, reference)| Payment { holds, reference: own(reference) });
    Account { order, payment, intents: intents.to_vec(), reserved: false, parcel: None }
}

#[track_caller]
fn planned(report: &Report, account: Option<Account>) -> Plan {
    planned_of(report, &account.map(|it| (ORDER, it)).into_iter().collect())
}

#[track_caller]
fn planned_of(report: &Report, accounts: &BTreeMap<Uuid, Account>) -> Plan {
    planned_with(report, accounts, &["repair", "--unknown-orders"])
}

#[track_caller]
fn planned_with(report: &Report, accounts: &BTreeMap<Uuid, Account>, args: &[&str]) -> Plan {
    let repair = Cli::parse_from(args).repair;
    let targets =
        Targets { order: &repair.order_url, desks: &repair.desks, provider: repair.places.provider() };
    assert_eq!(unclear(report), accounts.keys().copied().collect(), "what is looked at");
    plan(&Given { report, accounts, unknown_orders: repair.unknown_orders }, &targets)
}

#[track_caller]
fn check(report: &Report, account: impl Into<Option<Account>>, expected: &Expect) {
    let plan = planned(report, account.into());
    let mut told = String::new();
    for it in &plan.proposals {
        assert!(it.safe_to_send_twice && !it.does.is_empty(), "{it:?}");
        told.push_str(&format!("{}\n  {}\n", it.wrong.join(" | "), line(&it.command)));
    }
    for it in &plan.unmended {
        told.push_str(&format!("{}\n  {:.60}\n", it.wrong.join(" | "), it.advice));
    }
    expected.assert_eq(&told.replace(&ORDER.to_string(), "7"));
}

#[test]
fn an_order_that_stands_still_or_is_overdue_is_cancelled_while_it_can_be() {
    let stands = |status| account(status, None, &[]);
    check(
        &report(&[Law::Ends], vec![]),
        stands(Status::Placed),
        &expect![[r#"
            ends, order 7: it is so
              POST http://127.0.0.1:8080/orders/7/cancel {"reason":"stands still (waybill repair)"}
        "#]],
    );
    check(
        &report(&[Law::Ends], vec![finding(Kind::Overdue, "order", &ORDER.to_string())]),
        stands(Status::Confirmed),
        &expect![[r#"
            ends, order 7: it is so | Overdue at order, key 7: it is so
              POST http://127.0.0.1:8080/orders/7/cancel {"reason":"stands still (waybill repair)"}
        "#]],
    );
    check(
        &report(&[Law::Ends], vec![]),
        stands(Status::Shipped),
        &expect![[r#"
            ends, order 7: it is so
              no command mends this: the order cannot be cancelled any mor
        "#]],
    );
    let mut cancelling = stands(Status::Confirmed);
    cancelling.order.as_mut().unwrap().cancelling = true;
    check(
        &report(&[Law::Ends], vec![]),
        cancelling,
        &expect![[r#"
            ends, order 7: it is so
              no command mends this: the order cannot be cancelled any mor
        "#]],
    );
    let elsewhere = vec![finding(Kind::Overdue, "shipping", &ORDER.to_string())];
    check(
        &report(&[], elsewhere),
        None,
        &expect![[r#"
            Overdue at shipping, key 7: it is so
              the service takes its deadlines by itself as soon as it gets
        "#]],
    );
}

#[test]
fn a_row_is_written_anew_where_the_events_are_whole_and_before_all_else() {
    let mut wrong = report(&[Law::Fold, Law::Delivered], vec![]);
    let account = || account(Status::Delivered, None, &[intent("pi_one", 1999, 1999, 0)]);
    check(
        &wrong,
        account(),
        &expect![[r#"
            delivered, order 7: it is so
              first its row in the read model: look again after that
            fold, order 7: it is so
              no command mends this: the order's events themselves are not
        "#]],
    );
    wrong.stale_rows.insert(ORDER);
    check(
        &wrong,
        account(),
        &expect![[r#"
            fold, order 7: it is so
              POST http://127.0.0.1:8090/orders/7/refold
            delivered, order 7: it is so
              first its row in the read model: look again after that
        "#]],
    );
}

#[test]
fn dead_letters_are_redriven_by_their_key_and_never_discarded() {
    let parked = vec![
        finding(Kind::Parked, "payment", "a key"),
        finding(Kind::Parked, "shipping", "no \u{fffd} text"),
    ];
    check(
        &report(&[], parked),
        None,
        &expect![[r#"
            Parked at payment, key a key: it is so
              POST http://127.0.0.1:8092/dead-letters/redrive {"key":"a key","reason":"waybill repair"}
            Parked at shipping, key no � text: it is so
              the key is no text: redrive it by the id of a letter, see `w
        "#]],
    );
}

#[test]
fn what_no_command_mends_is_named() {
    let mut wrong = report(&[Law::Published, Law::Sequence, Law::Caused], vec![]);
    wrong.violations.push(Violation { order_id: None, sku: Some("MUG-01".into()), ..violation(Law::Stock) });
    wrong.violations.push(Violation { order_id: None, ..violation(Law::Known) });
    wrong.findings = [Kind::Failing, Kind::Relay, Kind::Consumer, Kind::Carrier]
        .map(|it| finding(it, "payment", "x"))
        .into();
    check(
        &wrong,
        None,
        &expect![[r#"
            stock, SKU MUG-01: it is so
              no command mends this: a row of inventory's was changed by o
            known: it is so
              an entry that names no order may be somebody else's at this 
            Failing at payment, key x: it is so
              it is asked again by itself until there is an answer: see wh
            Relay at payment, key x: it is so
              it is published as soon as the service's relay gets on: see 
            Consumer at payment, key x: it is so
              it is read as soon as the service gets on: see whether it ru
            Carrier at payment, key x: it is so
              the deadline by which a carrier would have moved the parcel 
            published, order 7: it is so
              no command mends this: an event that was recorded never came
            sequence, order 7: it is so
              no command mends this: either somebody has written to a topi
            caused, order 7: it is so
              no command mends this: the services contradict each other. C
        "#]],
    );
}
