use super::*;
use crate::{
    arrivals::{Phase, Spacing},
    customers::Failed,
    observe::{Cut, Plan},
    orders::Skus,
    usage::Components,
    watcher::Outcome,
};

/// Ten seconds at 100/s in which so many orders a second end, all of them `took` after they were due.
fn observed(done_rate: f64, took: Duration, drained: Option<Duration>) -> Observed {
    let phase = Phase { name: "measured".into(), lasts: Duration::from_secs(10), rate: 100.0 };
    let plan = Plan {
        phases: vec![phase],
        spacing: Spacing::Constant,
        skus: Skus::Uniform,
        seed: 1,
        to_the_end: true,
        bound: Duration::from_secs(1),
    };
    let order = |number: u32| {
        let due = Duration::from_millis(10) * number;
        let ended = Some((due + took, Outcome::Delivered));
        Order { due, sent: due, answered: due, confirmed: Some(due + took / 2), ended }
    };
    let sample = |tenth: u32| {
        let at = Duration::from_millis(100) * tenth;
        let due = u64::from(tenth) * 10;
        let ended = (at.as_secs_f64() * done_rate) as u64;
        Sample { at, due, placed: due, failed: 0, ended }
    };
    let cut = || Cut { usage: Components::default().usage().expect("usage"), wal: 0, messages: 0 };
    Observed {
        plan,
        orders: (0..1_000).map(order).collect(),
        failed: vec![],
        samples: (0..100).map(sample).collect(),
        cuts: vec![cut(), cut()],
        usage: vec![],
        drained,
        waited: Duration::from_secs(300),
    }
}

#[test]
fn a_rate_is_sustained_if_the_backlog_stays_and_drains() {
    let (soon, took) = (Some(Duration::from_millis(500)), Duration::from_millis(20));
    assert_eq!(observed(100.0, took, soon).sustained(0), Ok(()));
    assert!(observed(90.0, took, soon).sustained(0).is_err_and(|it| it.contains("grew")));
    let late = Some(Duration::from_secs(3));
    assert!(observed(100.0, took, late).sustained(0).is_err_and(|it| it.contains("3.0s to drain")));
    assert!(observed(100.0, took, None).sustained(0).is_err_and(|it| it.contains("did not drain")));
    let both = observed(90.0, took, late).sustained(0);
    assert!(both.is_err_and(|it| it.contains("grew") && it.ends_with("orders; it took 3.0s to drain")));
    // Neither grows nor drains slowly, and is too late all the same: by half at the confirmation.
    assert_eq!(observed(100.0, Duration::from_millis(1_980), soon).sustained(0), Ok(()));
    let slow = observed(100.0, Duration::from_millis(2_020), soon);
    assert!(slow.sustained(0).is_err_and(|it| it == "confirmed p99 is 1010 ms, more than 1000 ms"));
    assert_eq!(slow.overloads(0).len(), 1);
    let mut failing = observed(100.0, took, soon);
    failing.failed.push(Failed { due: Duration::from_secs(1), what: "503".into() });
    assert!(failing.sustained(0).is_err_and(|it| it == r#"errors: {"503": 1}"#));
}

#[test]
fn latency_counts_from_when_an_order_was_due() {
    let mut observed = observed(100.0, Duration::from_millis(20), Some(Duration::ZERO));
    // A client that was late to send, by a second, has an order that is late by a second.
    for it in &mut observed.orders[500..] {
        it.sent += Duration::from_secs(1);
        it.answered = it.sent + Duration::from_millis(1);
        it.ended = Some((it.answered + Duration::from_millis(20), Outcome::Delivered));
    }
    let figures = observed.figures(0);
    let near = |name: &str, expected: f64| {
        let told = figures.get(name).unwrap_or_default();
        assert!((told - expected).abs() <= expected / 100.0, "{name}: {told}, not {expected}");
    };
    near("ended p50", 20.0);
    near("ended p90", 1_021.0);
    near("answered p99", 1_001.0);
    near("delivered p99", 1_021.0);
    near("rate accepted", 100.0);
}

#[test]
fn orders_that_never_ended_are_told_and_fail_the_run() {
    let mut observed = observed(100.0, Duration::from_millis(20), Some(Duration::ZERO));
    assert_eq!((observed.losses(), observed.figures(0).get("never ended")), (vec![], Some(0.0)));
    observed.orders[7].ended = None;
    observed.orders[8].ended = None;
    assert_eq!(observed.figures(0).get("never ended"), Some(2.0));
    assert!(observed.sustained(0).is_err_and(|it| it == "2 orders have not ended"));
    assert!(observed.losses()[0].starts_with("2 accepted orders have not ended 300 s after"));
    // They are not followed to their end.
    observed.plan.to_the_end = false;
    assert_eq!((observed.losses(), observed.sustained(0)), (vec![], Ok(())));
}

#[test]
fn errors_are_told_by_their_kind() {
    let mut observed = observed(100.0, Duration::from_millis(20), Some(Duration::ZERO));
    let failed = |what: &str| Failed { due: Duration::from_secs(1), what: what.into() };
    observed.failed = vec![failed("503"), failed("cut"), failed("503")];
    let figures = observed.figures(0);
    let told = ["errors", "error 503", "error cut"].map(|it| figures.get(it));
    assert_eq!(told, [3.0, 2.0, 1.0].map(Some));
}
