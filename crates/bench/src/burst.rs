//! `burst`: several times the usual rate for a while, then a consumer that is away, and what both leave behind.

use std::time::{Duration, Instant};

use tokio::time::sleep_until;

use crate::{
    arrivals::Phase,
    figures::Figures,
    observe::{Observed, Plan, observe},
    options::{Load, measured},
    output::{Picture, Report, Run},
    picture,
    stage::Stage,
    suite::Suite,
};

/// What is asked of it.
#[derive(clap::Args, Debug, Clone)]
pub struct Burst {
    #[command(flatten)]
    pub load: Load,
    /// How many times the rate a burst is of.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(2..=100))]
    pub times: u32,
    /// How long the burst lasts.
    #[arg(long, default_value = "60s", value_parser = measured)]
    pub burst: Duration,
    /// How long it is calm before the burst, after it, and after the consumer is back.
    #[arg(long, default_value = "60s", value_parser = measured)]
    pub calm: Duration,
    /// How long the consumer is away.
    #[arg(long, default_value = "5m", value_parser = measured)]
    pub away: Duration,
    /// Whose consumer that is.
    #[arg(long, default_value = "inventory", value_parser = ["inventory", "payment", "shipping"])]
    pub consumer: String,
}

/// The places of phases in the plan.
const CALM: usize = 1;
const AFTER: usize = 3;
const AWAY: usize = 4;
const BACK: usize = 5;
/// What is under way, compared to the calm before, when a backlog is over: as many again, and a few by chance.
const USUAL: f64 = 2.0;
const CHANCE: f64 = 10.0;

pub(crate) async fn run(asked: &Burst, stage: &Stage<'_>) -> anyhow::Result<Report> {
    let suite = stage.suite(&asked.load.with).await?;
    let observed = observe_with_a_gap(&suite, asked, stage).await?;
    let mut report = asked
        .load
        .asked("burst")
        .asked("burst", format!("{} times for {:?}", asked.times, asked.burst))
        .asked("away", format!("{} for {:?}", asked.consumer, asked.away));
    stage.done(suite, &observed, &mut report).await?;
    // What follows may be more than it keeps up with, but nothing may go wrong in it.
    report.overloads.extend(observed.overload(CALM));
    report.overloads.extend((CALM + 1..=BACK).filter_map(|it| observed.mishap(it)));
    let phases = observed.plan.phases.iter().enumerate().skip(CALM);
    let run =
        |(index, it): (usize, &Phase)| Run { name: it.name.clone(), figures: figures(&observed, index) };
    report.runs.extend(phases.map(run));
    report.pictures = vec![Picture::Timeline(picture::timeline(&observed, Vec::new()))];
    Ok(report)
}

/// The consumer's process is stopped when its phase begins, and is started again when that ends.
async fn observe_with_a_gap(suite: &Suite, asked: &Burst, stage: &Stage<'_>) -> anyhow::Result<Observed> {
    let (plan, begun) = (plan(asked), Instant::now());
    let (from, to) = (begun + plan.begins(AWAY), begun + plan.begins(BACK));
    let gap = async {
        sleep_until(from.into()).await;
        stage.tell(&format!("{} goes away", asked.consumer));
        suite.stop(&asked.consumer).await?;
        sleep_until(to.into()).await;
        stage.tell(&format!("{} comes back", asked.consumer));
        suite.start_again(&asked.consumer).await
    };
    let (observed, ()) = tokio::try_join!(observe(suite, plan, begun, stage.progress), gap)?;
    Ok(observed)
}

fn plan(asked: &Burst) -> Plan {
    let rate = asked.load.rate;
    let phase = |name: &str, lasts, rate| Phase { name: name.to_owned(), lasts, rate };
    asked.load.plan([
        phase("calm", asked.calm, rate),
        phase("burst", asked.burst, rate * f64::from(asked.times)),
        phase("after it", asked.calm, rate),
        phase("consumer away", asked.away, rate),
        phase("back", asked.calm, rate),
    ])
}

fn figures(observed: &Observed, phase: usize) -> Figures {
    let mut figures = observed.figures(phase);
    let within = observed.plan.begins(phase)..observed.plan.begins(phase + 1);
    let most = observed.samples.iter().filter(|it| within.contains(&it.at)).map(|it| observed.under_way(it));
    figures.put("most under way", most.fold(0.0, f64::max), "");
    if matches!(phase, AFTER | BACK)
        && observed.sustained(CALM).is_ok()
        && let Some(took) = caught_up(observed, phase)
    {
        figures.put("caught up after", took.as_secs_f64(), "s");
    }
    figures
}

/// How long after the beginning of a phase there was as little under way as in the calm before the burst, also when
/// that was after its end.
fn caught_up(observed: &Observed, phase: usize) -> Option<Duration> {
    let usual = observed.backlog(CALM, 0.0, 1.0) * USUAL + CHANCE;
    let from = observed.plan.begins(phase);
    let later = observed.samples.iter().filter(|it| it.at >= from);
    later.filter(|it| observed.under_way(it) <= usual).map(|it| it.at - from).next()
}
