//! Workloads at one rate: `saga`, `ingest`, `hot`. At a given rate, at the highest that is sustained, or several
//! settings in turns.

mod compare;

use std::time::{Duration, Instant};

use anyhow::Context;

use crate::{
    arrivals::Phase,
    figures::Figures,
    observe::{Observed, Plan, observe},
    options::Steady,
    orders::Skus,
    output::{Report, Run},
    picture,
    search::{NEAR, Search},
    stage::{Given, Stage},
    suite::Suite,
    variant::Variant,
};

/// What is placed, and how far it is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Orders to their end.
    Saga,
    /// `POST /orders` alone: the other services are away meanwhile, and do their part before the books are audited.
    Ingest,
    /// Orders to their end, half of them of one product.
    Hot,
}

/// In a rate that the search has found something may go wrong when it is measured for longer: then it is measured
/// once more, and then so many below it, each by as much as a search may be wrong.
const LOWER: i32 = 6;
/// Orders that `ingest` places at the most in a trial and in the measurement of what was found, and with how many the
/// other services have to catch up before the search goes on: they do their part when all is measured.
const TRIAL: f64 = 30_000.0;
const MEASUREMENT: f64 = 100_000.0;
const BACKLOG: u64 = 60_000;
/// How long the others may get on with nothing when they catch up.
const PATIENCE: Duration = Duration::from_secs(120);
const OTHERS: [&str; 3] = ["inventory", "payment", "shipping"];

/// One bench of this kind.
pub(crate) struct Bench<'a> {
    pub(crate) kind: Kind,
    pub(crate) asked: &'a Steady,
    pub(crate) stage: Stage<'a>,
}

/// What one suite has shown.
struct Measured {
    observed: Observed,
    figures: Figures,
    trials: Vec<Run>,
    warnings: Vec<String>,
    overloads: Vec<String>,
    failures: Vec<String>,
}

/// A suite, and the orders that it was given.
struct Loaded {
    suite: Suite,
    given: Given,
    /// Those of `ingest` that the other services have not seen.
    waiting: u64,
    /// It has not come to rest after a load: nothing more is to be measured on it.
    stuck: bool,
}

impl Bench<'_> {
    pub(crate) async fn run(&self) -> anyhow::Result<Report> {
        let load = &self.asked.load;
        let rate = match self.asked.find_capacity {
            true => format!("as found, in trials of {:?} from {}", self.asked.trial, load.rate),
            false => load.rate.to_string(),
        };
        let mut report = load
            .asked(self.kind.name())
            .asked("rate", rate)
            .asked("duration", format!("{:?}", self.asked.duration))
            .asked("skus", format!("{:?}", self.skus()).to_lowercase());
        if self.asked.compare.is_empty() {
            let measured = self.measure(&load.with, self.asked.find_capacity).await?;
            report.pictures = picture::all(&measured.observed);
            if !measured.trials.is_empty() {
                report.pictures.push(picture::trials(&measured.trials));
            }
            (report.trials, report.warnings) = (measured.trials, measured.warnings);
            (report.overloads, report.failures) = (measured.overloads, measured.failures);
            report.runs.push(Run { name: load.with.name.clone(), figures: measured.figures });
        } else {
            self.compare(&mut report).await?;
        }
        report.picture_cpu("order");
        Ok(report)
    }

    /// A suite of its own, measured at the rate that was asked for or at its capacity, audited, and cleared away.
    async fn measure(&self, variant: &Variant, find_capacity: bool) -> anyhow::Result<Measured> {
        let suite = self.stage.suite(variant).await?;
        let mut loaded = Loaded { suite, given: Given::default(), waiting: 0, stuck: false };
        self.send_others_away(&loaded.suite).await?;
        let (mut trials, mut warnings) = (Vec::new(), Vec::new());
        let observed = match find_capacity {
            true => self.capacity(&mut loaded, &mut trials, &mut warnings).await?,
            false => self.observe(&mut loaded, self.plan(self.asked.load.rate, self.asked.duration)).await?,
        };
        let mut figures = observed.figures(1);
        let mut memory = loaded.suite.components().memory()?;
        memory.extend(observed.memory.clone());
        figures.put_memory(&memory);
        self.call_others_back(&loaded.suite).await?;
        let failures = self.stage.audited(loaded.suite, loaded.given).await?;
        Ok(Measured { overloads: observed.overloads(1), observed, figures, trials, warnings, failures })
    }

    /// Measures the highest rate that is sustained.
    async fn capacity(
        &self,
        loaded: &mut Loaded,
        trials: &mut Vec<Run>,
        warnings: &mut Vec<String>,
    ) -> anyhow::Result<Observed> {
        let mut search = Search::from(self.asked.load.rate);
        let mut last = None;
        while let Some(rate) = search.rate().filter(|_| !loaded.stuck) {
            self.let_others_catch_up(loaded).await?;
            let observed = self.observe(loaded, self.bounded(rate, self.asked.trial, TRIAL)).await?;
            trials.push(Run { name: format!("trial at {rate:.0}/s"), figures: observed.figures(1) });
            search.note(observed.sustained(1).is_ok());
            last = Some(observed);
        }
        if !search.is_near() {
            let found = match search.found() {
                Some(rate) => format!("{rate:.0}/s is sustained, and perhaps more is"),
                None => "no rate that was tried is sustained".to_owned(),
            };
            warnings.push(format!("the search has given up: {found}"));
        }
        let Some(found) = search.found().filter(|_| !loaded.stuck) else {
            return last.context("nothing was tried");
        };
        let mut observed =
            self.observe(loaded, self.bounded(found, self.asked.duration, MEASUREMENT)).await?;
        for lower in 0..=LOWER {
            if loaded.stuck || observed.sustained(1).is_ok() {
                break;
            }
            let name = format!("measured at {:.0}/s", observed.plan.phases[1].rate);
            trials.push(Run { name, figures: observed.figures(1) });
            self.let_others_catch_up(loaded).await?;
            let rate = found / NEAR.powi(lower);
            observed = self.observe(loaded, self.bounded(rate, self.asked.duration, MEASUREMENT)).await?;
        }
        Ok(observed)
    }

    async fn observe(&self, loaded: &mut Loaded, plan: Plan) -> anyhow::Result<Observed> {
        let ([warm_up, lasts], rate) = ([0, 1].map(|it| plan.phases[it].lasts), plan.phases[1].rate);
        self.stage.tell(&format!("{rate:.0}/s for {lasts:.1?}, after a warm-up of {warm_up:.1?}"));
        let observed = observe(&loaded.suite, plan, Instant::now(), self.stage.progress).await?;
        let verdict =
            observed.sustained(1).map_or_else(|it| format!("not sustained: {it}"), |()| "sustained".into());
        self.stage.tell(&format!("{rate:.0}/s {verdict}"));
        loaded.given.add(&observed);
        loaded.waiting += observed.orders.len() as u64;
        if self.kind != Kind::Ingest {
            loaded.stuck = !self.stage.settled(&loaded.suite, &observed).await?;
        }
        Ok(observed)
    }

    fn plan(&self, rate: f64, lasts: Duration) -> Plan {
        let mut plan = self.asked.load.plan([Phase { name: "measured".to_owned(), lasts, rate }]);
        (plan.skus, plan.to_the_end) = (self.skus(), self.kind != Kind::Ingest);
        plan
    }

    /// So short that of `ingest` no more than `most` orders are placed.
    fn bounded(&self, rate: f64, lasts: Duration, most: f64) -> Plan {
        let mut plan = self.plan(rate, lasts);
        if self.kind == Kind::Ingest {
            shorten(&mut plan, most);
        }
        plan
    }

    fn skus(&self) -> Skus {
        if self.kind == Kind::Hot { Skus::Hot } else { self.asked.load.skus }
    }

    async fn send_others_away(&self, suite: &Suite) -> anyhow::Result<()> {
        for other in OTHERS.into_iter().filter(|_| self.kind == Kind::Ingest) {
            suite.stop(other).await?;
        }
        Ok(())
    }

    async fn call_others_back(&self, suite: &Suite) -> anyhow::Result<()> {
        for other in OTHERS.into_iter().filter(|_| self.kind == Kind::Ingest) {
            suite.start_again(other).await?;
        }
        Ok(())
    }

    /// A search places more than can be caught up with at its end.
    async fn let_others_catch_up(&self, loaded: &mut Loaded) -> anyhow::Result<()> {
        if self.kind != Kind::Ingest || loaded.waiting <= BACKLOG {
            return Ok(());
        }
        self.stage.tell(&format!("the other services catch up with {} orders", loaded.waiting));
        self.call_others_back(&loaded.suite).await?;
        let left = loaded.suite.rest(PATIENCE, self.stage.progress).await?;
        anyhow::ensure!(left.is_empty(), "the other services do not catch up: there are {left:?}");
        loaded.waiting = 0;
        self.send_others_away(&loaded.suite).await
    }
}

/// So that no more than `most` orders are placed, with a third of them to warm up.
fn shorten(plan: &mut Plan, most: f64) {
    for (phase, most) in plan.phases.iter_mut().zip([most / 3.0, most / 1.5]) {
        phase.lasts = phase.lasts.min(Duration::from_secs_f64(most / phase.rate));
    }
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Saga => "saga",
            Kind::Ingest => "ingest",
            Kind::Hot => "hot",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arrivals::Spacing;

    #[test]
    fn a_trial_of_ingest_places_no_more_than_can_be_caught_up_with() {
        for rate in [50.0, 2_000.0, 20_000.0] {
            let phase = |secs| Phase { name: String::new(), lasts: Duration::from_secs(secs), rate };
            let mut plan = Plan {
                phases: vec![phase(10), phase(15)],
                spacing: Spacing::Constant,
                skus: Skus::Uniform,
                seed: 1,
                to_the_end: false,
                bound: Duration::from_secs(1),
            };
            shorten(&mut plan, TRIAL);
            let orders: f64 = plan.phases.iter().map(|it| it.lasts.as_secs_f64() * it.rate).sum();
            assert!(orders <= TRIAL + 1.0, "{rate}/s: {orders}");
            assert!(rate > 50.0 || plan.lasts() == Duration::from_secs(25), "{plan:?}");
        }
    }
}
