use anyhow::anyhow;
use audit::Law;

use super::*;
use crate::{report::Struck, run::Wanted, suite::Setup};

const RECOVERED: Duration = Duration::from_secs(3);

/// A run in which a fault was struck with this proof, and so many duplicates were dropped.
fn a_run(proof: anyhow::Result<&str>, duplicates_dropped: u64) -> Report {
    let wanted = Wanted {
        seed: 1,
        duration: Duration::from_secs(60),
        rate: 10,
        faults: "all".parse().unwrap(),
        left_out: Vec::new(),
        mutant: None,
        twins: false,
        mix: None,
        setup: Setup { programs: "nowhere".into(), env: Vec::new() },
    };
    let name = ("half-open", "kafka".to_owned());
    let struck = Struck::of(name, (0, 9_000), proof.map(str::to_owned), Ok(RECOVERED));
    let mut report =
        Report::new(&wanted, "chaos-1", ("2026-01-01T00:00:00Z".into(), 60_000), vec![struck], None);
    report.figures.counted.duplicates_dropped = duplicates_dropped;
    report
}

#[track_caller]
fn check(mut report: Report, tally: &Tally, expected: &[&str]) {
    judge(&mut report, tally);
    assert_eq!(report.failures, expected);
    assert_eq!(report.passed(), expected.is_empty());
}

#[test]
fn a_run_with_its_proofs_and_duplicates_passes() {
    check(a_run(Ok("4 connections were silenced"), 12), &Tally::default(), &[]);
}

#[test]
fn a_fault_without_its_proof_fails_the_run_even_if_all_recovers() {
    let refused = Err(anyhow!("nobody was connected"));
    check(a_run(refused, 12), &Tally::default(), &["half-open of kafka: nobody was connected"]);

    let mut silent = a_run(Ok("4 connections were silenced"), 12);
    silent.faults[0].proof = None;
    check(silent, &Tally::default(), &["half-open of kafka: nothing shows that it took hold"]);
}

#[test]
fn a_suite_that_does_not_recover_fails_the_run() {
    let mut report = a_run(Ok("shown"), 12);
    let (name, times) = (("kill", "order".to_owned()), (9_000, 10_000));
    report.faults.push(Struck::of(name, times, Ok("shown".into()), Err(anyhow!("no order is accepted"))));
    check(report, &Tally::default(), &["kill of order: no order is accepted"]);
}

#[test]
fn a_run_in_which_no_duplicate_was_dropped_fails() {
    let expected = "no inbox has dropped a duplicate: redelivery was not tried";
    check(a_run(Ok("shown"), 0), &Tally::default(), &[expected]);
}

#[test]
fn an_answer_that_no_service_gives_on_purpose_fails_the_run_and_outages_do_not() {
    let mut tally = Tally { refused: 40, raced: 2, ..Tally::default() };
    tally.failed.insert("POST /orders: 503 {}".into(), 70);
    check(a_run(Ok("shown"), 12), &tally, &[]);

    let said = "POST /orders: the service failed on this request";
    tally.defects.insert(500, load::Defect { count: 3, first: said.into() });
    let expected = "answered with 500: 3 requests; POST /orders: the service failed on this request";
    check(a_run(Ok("shown"), 12), &tally, &[expected]);

    let figures = Figures { defects: tally.defects.iter().map(defect).collect(), ..Figures::default() };
    assert!(figures.to_string().contains(&format!("3 answers with 500; {said}")), "{figures}");
}

#[test]
fn what_is_broken_is_told_with_its_order_or_product_and_its_key() {
    let mut report = a_run(Ok("shown"), 12);
    report.audit = Some(an_audit());
    let stock =
        "1 violation of the law: ".to_owned() + Law::Stock.statement() + "; stock, SKU MUG: 2 too many (a 1)";
    let found = "found: Parked at payment, key A-1: 1 dead letter";
    let page = crate::page(&report);
    assert!(page.contains("What is broken"), "{page}");
    assert!(page.contains("stock, SKU MUG: 2 too many (a 1)") && page.contains("payment, key A-1"), "{page}");

    check(report, &Tally::default(), &[stock.as_str(), found]);
    assert!(!crate::page(&a_run(Ok("shown"), 12)).contains("What is broken"));
}

/// One law is broken, once, and one key is parked.
fn an_audit() -> audit::Report {
    let text = "2 too many".to_owned();
    let events = vec!["a 1".to_owned()];
    let violation =
        audit::Violation { law: Law::Stock, order_id: None, sku: Some("MUG".into()), events, text };
    let finding = audit::Finding {
        kind: audit::Kind::Parked,
        service: "payment".into(),
        key: Some("A-1".into()),
        text: "1 dead letter".into(),
    };
    let law = |law: Law| audit::Checked {
        law,
        statement: law.statement(),
        checked: 3,
        violations: u64::from(law == Law::Stock),
    };
    audit::Report {
        as_of: events::Timestamp::UNIX_EPOCH,
        took_ms: 0,
        orders: BTreeMap::new(),
        in_flight: 0,
        ignored_records: 0,
        forgotten: 0,
        awaiting_person: 0,
        laws: Law::ALL.map(law).into(),
        violations: vec![violation],
        findings: vec![finding],
        stale_rows: BTreeSet::new(),
        unsettled: BTreeSet::new(),
    }
}

#[test]
fn what_customers_have_waited_is_told_from_when_orders_were_due_and_an_outage_is_in_it() {
    let mut tally = Tally { unsent: 1, ..Tally::default() };
    let (answered, waited) = (Duration::from_millis(5), Duration::from_secs(7));
    tally.accepted.push(Accepted { id: Uuid::nil(), sent: Instant::now(), answered, waited });
    let figures = Figures {
        accepted: 1,
        own: 3,
        unsent: 1,
        waited_ms: latency_ms(&tally, |it| it.waited),
        answered_ms: latency_ms(&tally, |it| it.answered),
        ..Figures::default()
    };
    let told = figures.to_string();
    for line in [
        "accepted     1, and 3 of the fault machine's own",
        "unsent       1 order due and not begun when the load was stopped",
        "waited       p50 7000 ms, p99 7000 ms, max 7000 ms, from when an order was due until it was accepted",
        "POST         p50 5 ms, p99 5 ms, max 5 ms, of the last attempt alone",
    ] {
        assert!(told.lines().any(|it| it == line), "{line}: {told}");
    }
}

#[test]
fn what_cannot_be_looked_at_fails_the_run_and_the_rest_is_told_all_the_same() {
    let mut report = a_run(Ok("shown"), 0);
    let gone = anyhow!("connection refused").context("reading the ledger");
    assert_eq!(report.seen::<u64>("the books cannot be audited", Err(gone)), None);
    assert_eq!(report.seen("what was published again cannot be counted", Ok(7)), Some(7));

    check(
        report,
        &Tally::default(),
        &[
            "the books cannot be audited: reading the ledger: connection refused",
            "no inbox has dropped a duplicate: redelivery was not tried",
        ],
    );
}

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

/// Customers who were answered with these orders.
fn answered(orders: &[u128]) -> Tally {
    let accepted = |it: &u128| {
        let (answered, waited) = (Duration::from_millis(5), Duration::from_millis(5));
        Accepted { id: id(*it), sent: Instant::now(), answered, waited }
    };
    Tally { accepted: orders.iter().map(accepted).collect(), ..Tally::default() }
}

#[track_caller]
fn check_told(there: &[(u128, &str)], tally: &Tally, own: &[Option<u128>], expected: &[&str]) {
    let there = there.iter().map(|(it, status)| (id(*it), (*status).to_owned())).collect();
    let own: Vec<_> = own.iter().map(|it| it.map(id)).collect();
    assert_eq!(belied(&there, tally, &own), expected);
}

const THREE: [(u128, &str); 3] = [(1, "delivered"), (2, "cancelled"), (3, "delivered")];

#[test]
fn an_order_that_nobody_was_answered_for_fails_the_run_and_the_machines_own_is_none() {
    check_told(&THREE, &answered(&[1, 2]), &[Some(3)], &[]);
    let expected = "nobody was answered for: 2 orders, 00000000-0000-0000-0000-000000000002 for one";
    check_told(&THREE, &answered(&[1]), &[], &[expected]);
}

#[test]
fn an_order_of_a_request_without_an_answer_may_be_there() {
    check_told(&THREE, &answered(&[1, 2]), &[None], &[]);
    let given_up = vec!["POST /orders under the key chaos-7".to_owned()];
    check_told(&THREE, &Tally { given_up, ..answered(&[1, 2]) }, &[], &[]);
}

#[test]
fn what_customers_were_told_and_is_not_so_fails_the_run() {
    let lost = "not there: 1 accepted order, 00000000-0000-0000-0000-000000000004 for one";
    check_told(&THREE, &answered(&[1, 2, 3, 4]), &[], &[lost]);
    check_told(&THREE, &answered(&[1, 2, 3]), &[Some(4)], &[lost]);

    let shared = "one order was the answer to requests with different keys";
    check_told(&THREE, &answered(&[1, 2, 3, 3]), &[], &[shared]);

    let other = load::Other { key: "chaos-7".into(), first: id(1), then: id(3) };
    let twice = format!("the key chaos-7 was answered with two orders: {} and {}", id(1), id(3));
    check_told(&THREE, &Tally { others: vec![other], ..answered(&[1, 2]) }, &[], &[twice.as_str()]);
}

#[test]
fn a_cancelled_order_that_goes_on_fails_the_run() {
    let cancels = |all: &[(u128, u16)]| Tally {
        cancels: all.iter().map(|(it, status)| (id(*it), *status)).collect(),
        ..answered(&[1, 2, 3])
    };
    check_told(&THREE, &cancels(&[(2, 200), (1, 202), (3, 409)]), &[], &[]);
    let expected = "not cancelled, and answered so: 1 order, 00000000-0000-0000-0000-000000000001 for one";
    check_told(&THREE, &cancels(&[(1, 200), (1, 200), (2, 200)]), &[], &[expected]);
}
