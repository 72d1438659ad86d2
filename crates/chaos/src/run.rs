//! One run: load, faults, rest, audit.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use events::Timestamp;
use fastrand::Rng;
use load::{EVERYTHING, Latency, Load, Mix, Pace, Tally, Target};
use sqlx::Row;
use time::format_description::well_known::Rfc3339;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use crate::{
    SERVICES, canary,
    ground::Ground,
    hunter::Hunter,
    plan::{Planned, Selection},
    report::{Figures, Report, Struck},
    suite::{Setup, Suite},
    watch::{Watch, count, lag},
};

/// What a run is asked for.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub seed: u64,
    /// How long orders are placed at least; they are until the last fault is over.
    pub duration: Duration,
    /// Orders a second.
    pub rate: u32,
    pub faults: Selection,
    /// Kinds of faults that this machine cannot do.
    pub left_out: Vec<String>,
    /// The defence that was taken out: the run ends as soon as that shows.
    pub mutant: Option<String>,
    /// What is ordered, if not everything.
    pub mix: Option<Mix>,
    /// What the programs are told beyond the usual, by mutants for one.
    pub setup: Setup,
}

/// Whoever follows a run is told a line at a time.
pub type Tell<'a> = &'a (dyn Fn(&str) + Sync);

/// A fault that takes longer has got stuck.
const STUCK: Duration = Duration::from_secs(150);
/// Orders are under way before the first fault.
const WARM: Duration = Duration::from_secs(2);
/// In this time all is to come to rest, and what is under way is to be judged.
const REST: Duration = Duration::from_secs(240);

/// Carries out one run on `ground`. An error says that it could not be carried out at all.
pub async fn run(ground: Arc<Ground>, wanted: &Wanted, tell: Tell<'_>) -> anyhow::Result<Report> {
    let began_at = Timestamp::now_utc().format(&Rfc3339)?;
    let suite = Arc::new(Suite::start(ground, wanted.setup.clone()).await.context("starting the suite")?);
    let mut rng = Rng::with_seed(wanted.seed);
    let plan = wanted.faults.draw(&mut rng, wanted.duration);
    tell(&format!("the suite runs; {} faults are planned", plan.len()));
    let load = begin_load(&suite, wanted).await?;
    let begun = Instant::now();
    let watch = Watch::begin(suite.clone(), load.meter(), begun);
    let hunter = match wanted.mutant {
        Some(_) => Hunter::begin(sources(&suite).await?, begun),
        None => Hunter::idle(),
    };

    sleep(WARM).await;
    let mut faults = Vec::new();
    for planned in plan {
        if hunter.has_found() {
            break;
        }
        let struck = strike(&suite, planned, begun, &mut rng).await;
        tell(&struck.to_string());
        let is_enough = wanted.mutant.is_some() && struck.failure.is_some();
        faults.push(struck);
        if is_enough {
            break;
        }
    }
    hunter.found_within(wanted.duration.saturating_sub(begun.elapsed())).await;
    let tally = load.stop().await;
    let mut report = Report {
        seed: wanted.seed,
        began_at,
        took_ms: begun.elapsed().as_millis() as u64,
        rate: wanted.rate,
        mutant: wanted.mutant.clone(),
        faults,
        left_out: wanted.left_out.clone(),
        figures: Figures::default(),
        samples: Vec::new(),
        first: hunter.end(),
        audit: None,
        failures: Vec::new(),
    };
    if report.first.is_none() {
        tell("the load has stopped; what is under way is waited for, and the books are looked at");
        conclude(&suite, &tally, &mut report, wanted.rest()).await?;
    }
    report.samples = watch.samples();
    report.figures = figures(&suite, &tally, &watch, report.figures.rest_ms).await?;
    judge(&mut report, &tally);
    drop(watch);
    suite.clear().await?;
    Ok(report)
}

impl Wanted {
    /// A mutant may never come to rest; nobody waits for that as long as for a real one.
    fn rest(&self) -> Duration {
        if self.mutant.is_some() { REST / 8 } else { REST }
    }
}

async fn begin_load(suite: &Suite, wanted: &Wanted) -> anyhow::Result<Load> {
    let mix = Mix { seed: wanted.seed, ..wanted.mix.unwrap_or(EVERYTHING) };
    let target = Target {
        order_url: suite.url("order-1", "").await?,
        inventory_url: suite.url("inventory-1", "").await?,
        key: suite.prefix.clone(),
        patience: REST,
    };
    // Enough for a plan that takes much longer than it was meant to.
    let orders = (wanted.duration.as_secs() as usize * 3 + 600) * wanted.rate as usize;
    mix.stock(&target, orders).await.context("putting products on the shelves")?;
    Load::begin(&target, mix, Pace::PerSecond(wanted.rate), orders)
}

/// Waits for rest, and has the books audited.
async fn conclude(suite: &Suite, tally: &Tally, report: &mut Report, rest: Duration) -> anyhow::Result<()> {
    match at_rest(suite, rest).await {
        Ok(took) => report.figures.rest_ms = Some(took.as_millis() as u64),
        Err(error) => report.failures.push(format!("nothing comes to rest: {error:#}")),
    }
    report.audit = Some(audit::audit(&sources(suite).await?, &audit::Options { patience: rest }).await?);
    report.failures.extend(lost(suite, tally).await?);
    // The last half second is counted too.
    sleep(Duration::from_millis(600)).await;
    Ok(())
}

async fn strike(suite: &Suite, planned: Planned, begun: Instant, rng: &mut Rng) -> Struck {
    sleep(planned.pause).await;
    let at_ms = begun.elapsed().as_millis() as u64;
    let (kind, target) = planned.fault.name();
    let outcome = timeout(STUCK, planned.fault.strike(suite, planned.hold, rng)).await;
    let outcome = outcome.unwrap_or_else(|_| Err(anyhow::anyhow!("it is not over after {STUCK:?}")));
    let until_ms = begun.elapsed().as_millis() as u64;
    let recovered = canary::delivered(suite).await;
    let recovered_ms = recovered.as_ref().ok().map(|it| it.as_millis() as u64);
    let failure = outcome.as_ref().err().or(recovered.as_ref().err()).map(|it| format!("{it:#}"));
    Struck { kind: kind.into(), target, at_ms, until_ms, proof: outcome.ok(), recovered_ms, failure }
}

async fn sources(suite: &Suite) -> anyhow::Result<audit::Sources> {
    Ok(audit::Sources {
        databases: suite.pools.clone(),
        bus: suite.ground.bus.clone(),
        topic_prefix: suite.prefix.clone(),
        http: suite.http.clone(),
        provider_url: suite.url(crate::suite::PROVIDER, "").await?,
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
            Ok(left) => anyhow::bail!("after {within:?} there are {left:?}"),
            Err(error) => anyhow::bail!("after {within:?}: {error:#}"),
        }
    }
}

/// What is left to do, by what it is.
async fn left(suite: &Suite) -> anyhow::Result<BTreeMap<String, u64>> {
    let mut left = BTreeMap::new();
    let open = "order_view where status not in ('delivered', 'cancelled')
        or 'pending' in (coalesce(stock_compensation, ''), coalesce(payment_compensation, ''))";
    left.insert("orders under way".to_owned(), count(suite, "order", open).await?);
    for service in SERVICES {
        for table in ["outbox", "effect", "dead_letter"] {
            let rows = count(suite, service, &format!("engine.{table}")).await?;
            left.insert(format!("rows in {table} of {service}"), rows);
        }
    }
    left.insert("records to be read".to_owned(), lag(suite).await?);
    left.retain(|_, count| *count > 0);
    Ok(left)
}

async fn figures(
    suite: &Suite,
    tally: &Tally,
    watch: &Watch,
    rest_ms: Option<u64>,
) -> anyhow::Result<Figures> {
    let ends = "select coalesce(cancel_reason, status), count(*) from order_view group by 1";
    let rows = sqlx::query(ends).fetch_all(&suite.pools["order"]).await?;
    let ended = rows.iter().map(|row| (row.get(0), row.get::<i64, _>(1).unsigned_abs()));
    let mut errors: BTreeMap<String, u64> = BTreeMap::new();
    for (what, count) in &tally.failed {
        // The bodies differ in their ids: what counts is the status, or how a connection ended.
        let kind: String = what.split('{').next().unwrap_or(what).trim().to_owned();
        *errors.entry(kind).or_default() += *count as u64;
    }
    errors.insert("connections refused".into(), tally.refused as u64);
    errors.insert("kept connections closed".into(), tally.raced as u64);
    let latency = Latency::of(tally.accepted.iter().map(|it| it.answered).collect());
    let ms = |it: Duration| it.as_secs_f64() * 1_000.0;
    Ok(Figures {
        accepted: tally.accepted.len() as u64,
        ended: ended.collect(),
        counted: watch.counted(),
        client_errors: errors,
        cancels: tally.cancelled_with().into_iter().map(|(status, count)| (status, count as u64)).collect(),
        latency_ms: [("p50", ms(latency.p50)), ("p99", ms(latency.p99)), ("max", ms(latency.max))].into(),
        exits: suite.exits().await,
        rest_ms,
    })
}

/// Orders that were accepted and are not there, and what else the clients alone can know.
async fn lost(suite: &Suite, tally: &Tally) -> anyhow::Result<Vec<String>> {
    let there =
        sqlx::query_scalar("select order_id from order_view").fetch_all(&suite.pools["order"]).await?;
    let there: BTreeSet<Uuid> = there.into_iter().collect();
    let lost: Vec<Uuid> = tally.accepted.iter().map(|it| it.id).filter(|it| !there.contains(it)).collect();
    let mut failures = Vec::new();
    if let Some(first) = lost.first() {
        failures.push(format!("{} accepted orders are not there, {first} for one", lost.len()));
    }
    let distinct: BTreeSet<Uuid> = tally.accepted.iter().map(|it| it.id).collect();
    if distinct.len() < tally.accepted.len() {
        failures.push("one order was the answer to requests with different keys".into());
    }
    if let Some(first) = tally.others.first() {
        failures.push(format!("one key was answered with two orders: {first:?}"));
    }
    Ok(failures)
}

fn judge(report: &mut Report, tally: &Tally) {
    let failures = &mut report.failures;
    for fault in &report.faults {
        if let Some(failure) = &fault.failure {
            failures.push(format!("{} of {}: {failure}", fault.kind, fault.target));
        }
    }
    if report.figures.counted.duplicates_dropped == 0 {
        failures.push("no inbox has dropped a duplicate: redelivery was not tried".into());
    }
    if let Some(first) = tally.given_up.first() {
        failures.push(format!("{} requests were given up: {first}", tally.given_up.len()));
    }
    if let Some(first) = &report.first {
        failures.push(format!("{}: {}", first.law, first.text));
    }
    for exit in &report.figures.exits {
        failures.push(format!("{} ended by itself: {}", exit.name, exit.status));
    }
    let Some(audit) = &report.audit else { return };
    for law in audit.laws.iter().filter(|it| it.violations > 0) {
        failures.push(format!("{} violations of the law: {}", law.violations, law.statement));
    }
    for finding in &audit.findings {
        failures.push(format!("found: {}", finding.text));
    }
}
