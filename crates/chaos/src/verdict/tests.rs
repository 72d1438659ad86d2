use anyhow::anyhow;

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
    let expected = "3 requests were answered with 500; POST /orders: the service failed on this request";
    check(a_run(Ok("shown"), 12), &tally, &[expected]);

    let figures = Figures { defects: tally.defects.iter().map(defect).collect(), ..Figures::default() };
    assert!(figures.to_string().contains(&format!("3 answers with 500; {said}")), "{figures}");
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
