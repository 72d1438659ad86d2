//! `growth`: the same rate on tables that hold ever more orders, and whether an order costs more there.

mod copies;

use std::time::{Duration, Instant};

use anyhow::ensure;
use clap::{builder::RangedU64ValueParser, value_parser};

use self::copies::{Copies, Inboxes};
use crate::{
    arrivals::Phase,
    observe::{Observed, observe},
    options::{Load, measured},
    output::{Report, Run, drift},
    stage::{Given, PATIENCE, Stage},
    suite::Suite,
};

/// What is asked of it.
#[derive(clap::Args, Debug, Clone)]
pub struct Growth {
    #[command(flatten)]
    pub load: Load,
    /// How long is measured at each size.
    #[arg(long, default_value = "60s", value_parser = measured)]
    pub duration: Duration,
    /// How many orders there are when it is measured, rising.
    #[arg(long, value_delimiter = ',', default_value = "10000,100000,1000000,5000000", value_parser = size())]
    pub orders: Vec<u64>,
}

fn size() -> RangedU64ValueParser {
    value_parser!(u64).range(1..=1_000_000_000)
}

/// Real orders, before all others, so many that every partition has some: what is copied comes from among them.
const FIRST: f64 = 50.0;
const FIRST_LASTS: Duration = Duration::from_secs(10);

impl Growth {
    /// What cannot be measured is told before servers are started for it.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let rising = self.orders.is_sorted_by(|a, b| a < b);
        ensure!(rising, "the numbers of orders are to rise: {:?}", self.orders);
        Ok(())
    }
}

pub(crate) async fn run(asked: &Growth, stage: &Stage<'_>) -> anyhow::Result<Report> {
    let mut report = asked.load.asked("growth").asked("duration", format!("{:?}", asked.duration));
    report.warnings.push(
        "orders of the past are copies of such as were out of stock: fewer events than those that are delivered"
            .to_owned(),
    );
    let suite = stage.suite(&asked.load.with).await?;
    let shelves = Inboxes::count(&suite).await?;
    let mut given = Given::default();
    place(asked, (FIRST, FIRST_LASTS), &suite, stage, &mut given).await?;
    let most = asked.orders.last().copied().unwrap_or_default();
    let mut copies = begin(&suite, stage, given, &shelves, most).await?;
    for orders in &asked.orders {
        let more = orders.saturating_sub(given.accepted);
        if more == 0 {
            report
                .warnings
                .push(format!("there are {} orders where {orders} were asked for", given.accepted));
        }
        stage.tell(&format!("{more} orders are put beside the {} that are there", given.accepted));
        copies.add(&suite, more, stage.progress).await?;
        given.accepted += more;
        stage.ground.checkpoint().await?;
        let name = format!("{} orders", given.accepted);
        let observed = place(asked, (asked.load.rate, asked.duration), &suite, stage, &mut given).await?;
        let mut figures = observed.figures(1);
        figures.put("orders at the end", given.accepted as f64, "");
        figures.0.extend(suite.sizes().await?.0);
        report.overloads.extend(observed.overloads(1).into_iter().map(|it| format!("{name}, {it}")));
        report.runs.push(Run { name, figures });
        if !stage.settled(&suite, &observed).await? {
            break;
        }
    }
    report.picture_cpu("order");
    report.runs.extend(drift(&report.runs));
    report.failures.extend(stage.audited(suite, given).await?);
    Ok(report)
}

/// Orders at a rate, to their end, after the warm-up.
async fn place(
    asked: &Growth,
    (rate, lasts): (f64, Duration),
    suite: &Suite,
    stage: &Stage<'_>,
    given: &mut Given,
) -> anyhow::Result<Observed> {
    let measured = Phase { name: "measured".to_owned(), lasts, rate };
    let observed = observe(suite, asked.load.plan([measured]), Instant::now(), stage.progress).await?;
    given.add(&observed);
    Ok(observed)
}

/// The books are in order and everybody has read everything: now the topics forget, as they do with time, so that nobody
/// misses on them what was never said of copies.
async fn begin(
    suite: &Suite,
    stage: &Stage<'_>,
    given: Given,
    shelves: &Inboxes,
    most: u64,
) -> anyhow::Result<Copies> {
    let failures = suite.audit(given, PATIENCE, stage.progress).await?;
    ensure!(failures.is_empty(), "before anything was copied: {failures:?}");
    suite.expire().await?;
    stage.tell("the topics have forgotten the first orders");
    Copies::of_the_refused(suite, shelves, most).await
}
