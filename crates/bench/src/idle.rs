//! `idle`: a suite that has nothing to do, and what it does all the same.

mod statements;
mod switches;

use std::{collections::BTreeMap, time::Duration};

use tokio::time::{Instant, interval, sleep};

use self::{statements::Statements, switches::Switches};
use crate::{
    figures::{Figures, LOAD},
    options::{measured, time},
    output::{Files, Report, Run},
    stage::{Given, Stage},
    suite::Suite,
    usage::Usage,
    variant::Variant,
};

/// What is asked of it.
#[derive(clap::Args, Debug, Clone)]
pub struct Idle {
    /// How long is measured.
    #[arg(long, default_value = "30s", value_parser = measured)]
    pub duration: Duration,
    /// How long the suite is left alone before: polls get as rare as they get.
    #[arg(long, default_value = "15s", value_parser = time)]
    pub warm_up: Duration,
    /// Settings other than the usual ones: see `saga`.
    #[arg(long, default_value = "usual")]
    pub with: Variant,
    #[command(flatten)]
    pub files: Files,
}

/// A look at all that is counted.
struct Look {
    usage: Usage,
    switches: Switches,
    statements: Statements,
}

impl Look {
    /// What it costs to look at statements is in neither account: that is done before the first look's other parts, and
    /// after the last one's.
    async fn first(suite: &Suite) -> anyhow::Result<Self> {
        let statements = Statements::now(suite).await?;
        Ok(Self {
            statements,
            switches: Switches::now(suite.components())?,
            usage: suite.components().usage()?,
        })
    }

    async fn last(suite: &Suite) -> anyhow::Result<Self> {
        let (usage, switches) = (suite.components().usage()?, Switches::now(suite.components())?);
        Ok(Self { usage, switches, statements: Statements::now(suite).await? })
    }
}

pub(crate) async fn run(asked: &Idle, stage: &Stage<'_>) -> anyhow::Result<Report> {
    let suite = stage.suite(&asked.with).await?;
    sleep(asked.warm_up).await;
    stage.tell(&format!("it is left alone for {:?}", asked.duration));
    let first = Look::first(&suite).await?;
    alone(asked.duration, stage).await;
    let last = Look::last(&suite).await?;
    let mut report = Report::new("idle")
        .asked("duration", format!("{:?}", asked.duration))
        .asked("warm-up", format!("{:?}", asked.warm_up))
        .asked("with", &asked.with.name);
    let spent = last.usage.since(&first.usage);
    let seconds = spent.took.as_secs_f64();
    let switches = last.switches.since(&first.switches);
    let statements = last.statements.since(&first.statements);
    let memory = suite.components().memory()?;
    let mut figures: BTreeMap<&str, Figures> = BTreeMap::new();
    for (component, cpu) in spent.cpu.iter().filter(|it| it.0 != LOAD) {
        let of = figures.entry(component).or_default();
        of.put("cpu of one core", 100.0 * cpu.as_secs_f64() / seconds, "%");
        of.put("voluntary context switches", switches[component] as f64 / seconds, "/s");
        if let Some(it) = statements.by_service.get(component) {
            of.put("statements", it.statements as f64 / seconds, "/s");
            of.put("transactions", it.transactions as f64 / seconds, "/s");
        }
        of.put(
            "memory",
            memory.get(component).copied().unwrap_or_default() as f64 / f64::from(1 << 20),
            "MiB",
        );
    }
    report.runs = figures.into_iter().map(|(name, figures)| Run { name: name.to_owned(), figures }).collect();
    report.runs.push(total(&report.runs));
    report.tables.push(statements.table(seconds));
    report.failures = stage.audited(suite, Given::default()).await?;
    Ok(report)
}

async fn alone(time: Duration, stage: &Stage<'_>) {
    let begun = Instant::now();
    stage.progress.begin(time);
    let mut every = interval(Duration::from_secs(1));
    while begun.elapsed() < time {
        let left = time.saturating_sub(begun.elapsed());
        tokio::select! {
            _ = every.tick() => stage.progress.at(begun.elapsed(), ""),
            () = sleep(left) => {}
        }
    }
    stage.progress.end();
}

/// All together, the stand-in for the provider among them.
fn total(runs: &[Run]) -> Run {
    let mut figures = Figures::default();
    for figure in runs.iter().flat_map(|it| &it.figures.0) {
        if figures.get(&figure.name).is_none() {
            let sum = runs.iter().filter_map(|it| it.figures.get(&figure.name)).sum();
            figures.put(&figure.name, sum, &figure.unit);
        }
    }
    Run { name: "total".to_owned(), figures }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_total_is_of_those_that_have_a_figure() {
        let run = |figures: &[(&str, f64)]| {
            let mut all = Figures::default();
            figures.iter().for_each(|(name, value)| all.put(*name, *value, "/s"));
            Run { name: String::new(), figures: all }
        };
        let total = total(&[run(&[("cpu", 1.0)]), run(&[("cpu", 2.0), ("statements", 5.0)])]);
        assert_eq!((total.figures.get("cpu"), total.figures.get("statements")), (Some(3.0), Some(5.0)));
    }
}
