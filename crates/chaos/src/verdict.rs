//! What a run has come to: rest, the books, the figures, and why it has not passed.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use audit::number;
use load::{Accepted, Latency, Tally};
use sqlx::Row;
use tokio::time::sleep;
use uuid::Uuid;

use crate::{
    SERVICES,
    report::{Defect, Figures, Report},
    suite::{PROVIDER, Suite},
    watch::{Watch, count, lag},
};

/// Waits for rest, and has the books audited. What cannot be looked at is a failure, and the rest is told all the same.
pub(crate) async fn conclude(suite: &Suite, tally: &Tally, report: &mut Report, rest: Duration) {
    match at_rest(suite, rest).await {
        Ok(took) => report.figures.rest_ms = Some(took.as_millis() as u64),
        Err(error) => report.failures.push(format!("nothing comes to rest: {error:#}")),
    }
    let audited = async {
        audit::audit(&sources(suite).await?, &audit::Options { patience: rest, ..audit::Options::default() })
            .await
    };
    report.audit = report.seen("the books cannot be audited", audited.await);
    let there = report.seen("the orders cannot be looked up", orders(suite).await);
    report.failures.extend(there.iter().flat_map(|it| belied(it, tally, &suite.own.answers())));
}

/// What an audit looks at.
pub(crate) async fn sources(suite: &Suite) -> anyhow::Result<audit::Sources> {
    Ok(audit::Sources {
        databases: suite.pools.clone(),
        bus: suite.ground.bus.clone(),
        topic_prefix: suite.prefix.clone(),
        http: suite.http.clone(),
        provider_url: suite.url(PROVIDER, "").await?,
    })
}

/// Waits until nothing is left to do anywhere; how long that took.
async fn at_rest(suite: &Suite, within: Duration) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    loop {
        let left = left(suite).await;
        match &left {
            Ok(left) if left.is_empty() => return Ok(begun.elapsed()),
            _ if begun.elapsed() < within => sleep(Duration::from_millis(300)).await,
            Ok(left) => anyhow::bail!("left after {within:?}: {}", left.join(", ")),
            Err(error) => anyhow::bail!("after {within:?}: {error:#}"),
        }
    }
}

/// What is left to do, and how much of it.
async fn left(suite: &Suite) -> anyhow::Result<Vec<String>> {
    let mut left = Vec::new();
    let mut note = |count: u64, one: &str, of: &str| {
        if count > 0 {
            left.push(format!("{} {of}", number(count, one)));
        }
    };
    let open = "order_view where status not in ('delivered', 'cancelled')
        or 'pending' in (coalesce(stock_compensation, ''), coalesce(payment_compensation, ''))";
    note(count(suite, "order", open).await?, "order", "under way");
    for service in SERVICES {
        for table in ["outbox", "effect", "dead_letter"] {
            let rows = count(suite, service, &format!("engine.{table}")).await?;
            note(rows, "row", &format!("in {table} of {service}"));
        }
    }
    note(lag(suite).await?, "record", "to be read");
    Ok(left)
}

pub(crate) async fn figures(suite: &Suite, tally: &Tally, watch: &Watch, report: &mut Report) -> Figures {
    let foreign = report.audit.as_ref().map_or(0, |it| it.ignored_records);
    let ended = report.seen("how orders ended cannot be counted", ended(suite).await);
    let again = published_again(suite, foreign).await;
    let again = report.seen("what was published again cannot be counted", again);
    let mut errors: BTreeMap<String, u64> = BTreeMap::new();
    for (what, count) in &tally.failed {
        // The bodies differ in their ids: what counts is the status, or how a connection ended.
        let kind: String = what.split('{').next().unwrap_or(what).trim().to_owned();
        *errors.entry(kind).or_default() += *count as u64;
    }
    errors.insert("connect: refused".into(), tally.refused as u64);
    errors.insert("kept connection: closed".into(), tally.raced as u64);
    Figures {
        accepted: tally.accepted.len() as u64,
        own: suite.own.answers().iter().flatten().count() as u64,
        unsent: tally.unsent as u64,
        ended: ended.unwrap_or_default(),
        counted: watch.counted(),
        published_again: again.unwrap_or_default(),
        client_errors: errors,
        defects: tally.defects.iter().map(defect).collect(),
        cancels: tally.cancelled_with().into_iter().map(|(status, count)| (status, count as u64)).collect(),
        waited_ms: latency_ms(tally, |it| it.waited),
        answered_ms: latency_ms(tally, |it| it.answered),
        exits: suite.exits().await,
        rest_ms: report.figures.rest_ms,
    }
}

fn latency_ms(tally: &Tally, of: impl Fn(&Accepted) -> Duration) -> BTreeMap<&'static str, f64> {
    let Latency { p50, p99, max, .. } = Latency::of(tally.accepted.iter().map(of).collect());
    [("p50", p50), ("p99", p99), ("max", max)].map(|(name, it)| (name, it.as_secs_f64() * 1_000.0)).into()
}

/// Orders by how they have ended.
async fn ended(suite: &Suite) -> anyhow::Result<BTreeMap<String, u64>> {
    let ends = "select coalesce(cancel_reason, status), count(*) from order_view group by 1";
    let rows = sqlx::query(ends).fetch_all(&suite.pools["order"]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get::<i64, _>(1).unsigned_abs())).collect())
}

fn defect((status, it): (&u16, &load::Defect)) -> (u16, Defect) {
    (*status, Defect { count: it.count as u64, first: it.first.clone() })
}

/// What is on the topics more than the aggregates have counted, less what others have put there.
async fn published_again(suite: &Suite, foreign: u64) -> anyhow::Result<u64> {
    let topics = suite.ground.bus.topics(&suite.prefix).await?;
    let events = topics.iter().filter(|it| !it.name.ends_with(".dead"));
    let there: i64 = events.flat_map(|it| &it.partitions).map(|it| it.high).sum();
    let mut counted = foreign.cast_signed();
    for (service, sum) in [
        ("order", "select sum(sequence)::bigint from order_view"),
        ("inventory", "select sum(sequence)::bigint from reservation"),
        ("inventory", "select sum(sequence)::bigint from product"),
        ("payment", "select sum(sequence)::bigint from payment"),
        ("shipping", "select sum(sequence)::bigint from shipment"),
    ] {
        let sum: Option<i64> = sqlx::query_scalar(sum).fetch_one(&suite.pools[service]).await?;
        counted += sum.unwrap_or(0);
    }
    Ok((there - counted).max(0).unsigned_abs())
}

/// All orders with their status.
async fn orders(suite: &Suite) -> anyhow::Result<BTreeMap<Uuid, String>> {
    let all = "select order_id, status from order_view";
    Ok(sqlx::query_as(all).fetch_all(&suite.pools["order"]).await?.into_iter().collect())
}

/// How the orders that are there belie what customers were told, and what else the customers alone can know. `own` is
/// what the machine's own orders were answered with.
fn belied(there: &BTreeMap<Uuid, String>, tally: &Tally, own: &[Option<Uuid>]) -> Vec<String> {
    let mut failures = Vec::new();
    let told: Vec<Uuid> =
        tally.accepted.iter().map(|it| it.id).chain(own.iter().flatten().copied()).collect();
    let mut answered: BTreeSet<Uuid> = told.iter().copied().collect();
    if answered.len() < told.len() {
        failures.push("one order was the answer to requests with different keys".into());
    }
    if let Some(first) = tally.others.first() {
        let load::Other { key, first, then } = first;
        failures.push(format!("the key {key} was answered with two orders: {first} and {then}"));
    }
    answered.extend(tally.others.iter().map(|it| it.then));
    let mut note = |what: &str, orders: BTreeSet<&Uuid>, one: &str| {
        if let Some(first) = orders.first() {
            failures.push(format!("{what}: {}, {first} for one", number(orders.len(), one)));
        }
    };
    note("not there", answered.iter().filter(|it| !there.contains_key(it)).collect(), "accepted order");
    // A request that was never answered may have placed an order all the same.
    if tally.given_up.is_empty() && own.iter().all(Option::is_some) {
        let unknown = there.keys().filter(|it| !answered.contains(it));
        note("nobody was answered for", unknown.collect(), "order");
    }
    let goes_on = |id| there.get(id).is_some_and(|status| status != "cancelled");
    let off = tally.cancels.iter().filter(|(id, status)| *status == 200 && goes_on(id));
    note("not cancelled, and answered so", off.map(|(id, _)| id).collect(), "order");
    failures
}

/// Why a run has not passed, from all that was seen.
pub(crate) fn judge(report: &mut Report, tally: &Tally) {
    let failures = &mut report.failures;
    for fault in &report.faults {
        let unproven = fault.proof.is_none().then_some("nothing shows that it took hold");
        if let Some(failure) = fault.failure.as_deref().or(unproven) {
            failures.push(format!("{} of {}: {failure}", fault.kind, fault.target));
        }
    }
    if report.figures.counted.duplicates_dropped == 0 {
        failures.push("no inbox has dropped a duplicate: redelivery was not tried".into());
    }
    for (status, it) in &tally.defects {
        failures.push(format!("answered with {status}: {}; {}", number(it.count, "request"), it.first));
    }
    if let Some(first) = tally.given_up.first() {
        failures.push(format!("given up: {}; {first}", number(tally.given_up.len(), "request")));
    }
    if let Some(first) = &report.first {
        failures.push(format!("{:#}", first.violation));
    }
    for exit in &report.figures.exits {
        failures.push(format!("{} ended by itself: {}", exit.name, exit.status));
    }
    let Some(audit) = &report.audit else { return };
    for law in audit.laws.iter().filter(|it| it.violations > 0) {
        let first = audit.violations.iter().find(|it| it.law == law.law).map(|it| format!("{it:#}"));
        let first = first.map(|it| format!("; {it}")).unwrap_or_default();
        failures.push(format!(
            "{} of the law: {}{first}",
            number(law.violations, "violation"),
            law.statement
        ));
    }
    failures.extend(audit.findings.iter().map(|it| format!("found: {it}")));
}

#[cfg(test)]
mod tests;
