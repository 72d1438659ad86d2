//! One run: load, faults, rest, audit.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, anyhow};
use audit::number;
use events::Timestamp;
use fastrand::Rng;
use load::{EVERYTHING, Load, Mix, Pace, Target};
use time::format_description::well_known::Rfc3339;
use tokio::time::{sleep, timeout};

use crate::{
    SERVICES, canary,
    ground::Ground,
    hunter::Hunter,
    mutants::Mutant,
    plan::{Planned, Selection},
    report::{Report, Struck, heading},
    suite::{Setup, Suite},
    verdict::{conclude, figures, judge, sources},
    watch::Watch,
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
    pub mutant: Option<&'static Mutant>,
    /// Whether each service runs twice from the beginning.
    pub twins: bool,
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
    let suite = Suite::start(ground, wanted.setup.clone()).await.context("starting the suite")?;
    let mut report = suite.supervised(carry_out(&suite, began_at, wanted, tell)).await?;
    report.seen("the suite cannot be cleared away", suite.clear().await);
    Ok(report)
}

async fn carry_out(
    suite: &Suite,
    began_at: String,
    wanted: &Wanted,
    tell: Tell<'_>,
) -> anyhow::Result<Report> {
    for service in SERVICES.into_iter().filter(|_| wanted.twins) {
        let twin = format!("{service}-2");
        suite.add(&twin, true).await?;
        suite.ready(&twin).await?;
    }
    let mut rng = Rng::with_seed(wanted.seed);
    let plan = wanted.faults.draw(&mut rng, wanted.duration);
    tell(&format!("the suite runs; planned: {}", number(plan.len(), "fault")));
    let load = begin_load(suite, wanted).await?;
    let begun = Instant::now();
    let hunter = match wanted.mutant {
        Some(it) => Hunter::begin(sources(suite).await?, it.laws, begun),
        None => Hunter::idle(),
    };
    let (watch, meter) = (Watch::default(), load.meter());
    let watched = async {
        sleep(WARM).await;
        tell(&heading());
        let mut faults = Vec::new();
        for planned in plan {
            if hunter.has_found() {
                break;
            }
            let struck = strike(suite, planned, begun, &mut rng).await;
            tell(&struck.to_string());
            faults.push(struck);
        }
        hunter.found_within(wanted.duration.saturating_sub(begun.elapsed())).await;
        let tally = load.stop().await;
        let took_ms = begun.elapsed().as_millis() as u64;
        let mut report = Report::new(wanted, &suite.prefix, (began_at, took_ms), faults, hunter.end());
        if report.first.is_none() {
            tell("the load has stopped; what is under way is waited for, and the books are looked at");
            conclude(suite, &tally, &mut report, wanted.rest()).await;
        }
        // The last half second is counted too.
        sleep(Duration::from_millis(600)).await;
        report.samples = watch.samples();
        report.figures = figures(suite, &tally, &watch, &mut report).await;
        judge(&mut report, &tally);
        report
    };
    Ok(watch.during(watched, suite, &meter, begun).await)
}

impl Wanted {
    /// A mutant may never come to rest; nobody waits for that as long as for a sound suite.
    fn rest(&self) -> Duration {
        if self.mutant.is_none_or(Mutant::is_sound) { REST } else { REST / 8 }
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

async fn strike(suite: &Suite, planned: Planned, begun: Instant, rng: &mut Rng) -> Struck {
    sleep(planned.pause).await;
    let at_ms = begun.elapsed().as_millis() as u64;
    let outcome = timeout(STUCK, planned.fault.strike(suite, planned.hold, rng)).await;
    let mut outcome = outcome.unwrap_or_else(|_| Err(anyhow!("it is not over after {STUCK:?}")));
    if let Err(error) = &outcome
        && let Err(left) = suite.heal().await
    {
        outcome = Err(anyhow!("{error:#}; and it is not undone: {left:#}"));
    }
    let until_ms = begun.elapsed().as_millis() as u64;
    let recovered = canary::delivered(suite).await;
    Struck { added: planned.added, ..Struck::of(planned.fault.name(), (at_ms, until_ms), outcome, recovered) }
}
