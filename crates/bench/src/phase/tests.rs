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
        Order { end: "delivered", due, sent: due, answered: due, confirmed: Some(due + took / 2), ended }
    };
    let sample = |tenth: u32| {
        let at = Duration::from_millis(100) * tenth;
        let due = u64::from(tenth) * 10;
        let ended = (at.as_secs_f64() * done_rate) as u64;
        Sample { at, due, placed: due, failed: 0, ended }
    };
    let cut = |messages| Cut { usage: Components::default().usage().expect("usage"), wal: 0, messages };
    Observed {
        plan,
        orders: (0..1_000).map(order).collect(),
        failed: vec![],
        samples: (0..100).map(sample).collect(),
        cuts: vec![cut(7), cut(1_007)],
        memory: Default::default(),
        usage: vec![],
        drained,
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
    // Of a phase that is meant to be too much only what went wrong is told.
    assert_eq!(failing.mishap(0).as_deref(), Some(r#"measured: errors: {"503": 1}"#));
    assert_eq!((slow.mishap(0), slow.overload(0).is_some()), (None, true));
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
    // Those of the last second were accepted when the phase was over.
    near("rate accepted", 90.0);
}

#[test]
fn orders_that_have_not_ended_are_an_overload() {
    let mut observed = observed(100.0, Duration::from_millis(20), Some(Duration::ZERO));
    assert_eq!(observed.figures(0).get("not ended"), Some(0.0));
    observed.orders[7].ended = None;
    observed.orders[8].ended = None;
    assert_eq!(observed.figures(0).get("not ended"), Some(2.0));
    assert!(observed.sustained(0).is_err_and(|it| it == "2 orders have not ended"));
    // They are not followed to their end.
    observed.plan.to_the_end = false;
    assert_eq!(observed.sustained(0), Ok(()));
}

#[test]
fn orders_that_end_otherwise_than_they_were_to_are_no_rate_that_is_sustained() {
    let mut observed = observed(100.0, Duration::from_millis(20), Some(Duration::ZERO));
    for (it, reason) in observed.orders.iter_mut().zip(["timed-out", "payment-declined", "timed-out"]) {
        it.ended = Some((it.due, Outcome::Cancelled(reason.into())));
    }
    let told = r#"{"payment-declined, not delivered": 1, "timed-out, not delivered": 2}"#;
    let told = format!("orders ended otherwise than they were to: {told}");
    assert_eq!(observed.sustained(0), Err(told));
    let count = |it: &str| observed.figures(0).get(it);
    let counts = ["orders accepted", "orders delivered", "orders timed-out", "lasted"].map(count);
    assert_eq!(counts, [1_000.0, 997.0, 2.0, 10.0].map(Some));
    observed.orders.clear();
    assert_eq!(observed.sustained(0), Err("no order was accepted".into()));
}

#[test]
fn what_is_accepted_and_not_published_is_a_backlog_too() {
    let mut observed = observed(100.0, Duration::from_millis(20), Some(Duration::ZERO));
    observed.plan.to_the_end = false;
    observed.cuts[1].messages = 7 + 900;
    assert_eq!(observed.sustained(0), Err("the outbox grew by 100 events".into()));
    observed.cuts[1].messages = 7 + 980;
    assert_eq!(observed.sustained(0), Ok(()));
}

#[test]
fn where_nothing_is_done_nothing_has_a_cost() {
    let mut observed = observed(100.0, Duration::from_millis(20), None);
    observed.orders.iter_mut().for_each(|it| it.ended = None);
    let figures = observed.figures(0);
    assert_eq!(["cpu total", "messages", "WAL"].map(|it| figures.get(it)), [None; 3]);
    assert!(figures.get("cores busy elsewhere").is_some());
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
