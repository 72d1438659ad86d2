//! The command: a workload each.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    burst::{self, Burst},
    ground::Ground,
    growth::{self, Growth},
    idle::{self, Idle},
    options::Steady,
    output::{Files, Report},
    parts::{self, Ceilings, Consume, Relay},
    progress::{Progress, Tell},
    provenance::Provenance,
    soak::{self, Soak},
    stage::Stage,
    steady::{self, Kind},
};

/// Measure what an order costs and how long it takes, on a suite of its own.
///
/// Everything runs on a Kafka and a Postgres of its own, beside whatever else runs here. Exit code 1: the books do not
/// balance afterwards, or it could not be carried out. Exit code 4: they do, and the suite did not keep up with a rate
/// that it was asked for, so that the figures are those of an overload. Exit code 130: interrupted.
///
/// A rate is sustained if nothing fails, all orders end as they are to, what is under way does not grow and is done
/// within a second and a tenth of the duration after the last order, and p99 stays within `--bound`.
///
/// Options without a workload are those of `saga`: `waybill bench --compare`.
#[derive(clap::Args, Debug)]
#[command(args_conflicts_with_subcommands = true, arg_required_else_help = true)]
pub struct Bench {
    #[command(subcommand)]
    workload: Option<Workload>,
    #[command(flatten)]
    saga: Steady,
}

/// What is measured.
#[derive(clap::Subcommand, Debug)]
pub enum Workload {
    /// Orders over HTTP to their end: 70 % delivered, 20 % out of stock, 10 % declined.
    Saga(Steady),
    /// POST /orders alone, while the other services are away.
    Ingest(Steady),
    /// As saga, but half of all orders want the same product.
    Hot(Steady),
    /// Five times the rate for a minute, then a consumer that is away for five, and what both leave behind.
    Burst(Burst),
    /// An hour at a rate, with a transaction held open and a snapshot held in between: what drifts.
    Soak(Soak),
    /// The same rate beside ever more orders of the past: whether an order costs more there.
    ///
    /// The past is made of copies, in all databases, of orders that were out of stock: they hold no stock and were never
    /// charged, so that the books are to balance afterwards. Five million take about 30 GB of disk, and a quarter of an
    /// hour.
    Growth(Growth),
    /// A suite without orders: what it costs to wait, in CPU, context switches and statements.
    Idle(Idle),
    Relay(Relay),
    Consume(Consume),
    Ceilings(Ceilings),
}

impl Bench {
    /// What is to be measured.
    pub fn workload(self) -> Workload {
        self.workload.unwrap_or(Workload::Saga(self.saga))
    }
}

impl Workload {
    /// Why this cannot be measured, if it cannot: to be asked before it is run.
    pub fn check(&self) -> anyhow::Result<()> {
        match self {
            Workload::Saga(it) | Workload::Ingest(it) | Workload::Hot(it) => it.check(),
            Workload::Growth(it) => it.check(),
            Workload::Relay(it) => it.check(),
            _ => Ok(()),
        }
    }

    /// Where its report goes.
    pub fn files(&self) -> &Files {
        match self {
            Workload::Saga(it) | Workload::Ingest(it) | Workload::Hot(it) => &it.load.files,
            Workload::Burst(it) => &it.load.files,
            Workload::Soak(it) => &it.load.files,
            Workload::Growth(it) => &it.load.files,
            Workload::Idle(it) => &it.files,
            Workload::Relay(it) => &it.files,
            Workload::Consume(it) => &it.files,
            Workload::Ceilings(it) => &it.files,
        }
    }
}

/// Carries it out with the programs in `programs`; nothing if it was `stopped`, by when all that it has started has
/// ended. An error says that it could not be carried out at all.
pub async fn run(
    workload: &Workload,
    programs: PathBuf,
    tell: Tell<'_>,
    stopped: impl Future<Output = ()>,
) -> anyhow::Result<Option<Report>> {
    let progress = Progress::new(tell);
    let stopped = async {
        stopped.await;
        progress.end();
        progress.tell("interrupted: what was started ends, and its data is removed");
    };
    tokio::select! {
        report = measure(workload, &programs, &progress) => report.map(Some),
        () = stopped => Ok(None),
    }
}

async fn measure(workload: &Workload, programs: &Path, progress: &Progress<'_>) -> anyhow::Result<Report> {
    let counting = matches!(workload, Workload::Idle(_));
    let ground = Arc::new(if counting { Ground::counting().await? } else { Ground::lay().await? });
    progress.tell("a Kafka and a Postgres of their own run");
    let provenance = ground.watching(async { Ok(Provenance::of(&ground, programs).await) }).await?;
    let warnings = provenance.warnings();
    warnings.iter().for_each(|it| progress.tell(&format!("WARNING: {it}")));
    let stage = Stage { ground: ground.clone(), programs, progress };
    let report = ground.watching(carry_out(workload, stage)).await?;
    if matches!(workload, Workload::Relay(_) | Workload::Consume(_) | Workload::Ceilings(_)) {
        let (good, bad) = ("the books of each run are in order", "the books do not balance");
        progress.tell(if report.passed() { good } else { bad });
    }
    let warnings = report.warnings.iter().cloned().chain(warnings).chain(report.disturbance()).collect();
    Ok(Report { provenance, warnings, ..report })
}

async fn carry_out(workload: &Workload, stage: Stage<'_>) -> anyhow::Result<Report> {
    let (ground, progress) = (stage.ground.clone(), stage.progress);
    match workload {
        Workload::Saga(it) => steady::Bench { kind: Kind::Saga, asked: it, stage }.run().await,
        Workload::Ingest(it) => steady::Bench { kind: Kind::Ingest, asked: it, stage }.run().await,
        Workload::Hot(it) => steady::Bench { kind: Kind::Hot, asked: it, stage }.run().await,
        Workload::Burst(it) => burst::run(it, &stage).await,
        Workload::Soak(it) => soak::run(it, &stage).await,
        Workload::Growth(it) => growth::run(it, &stage).await,
        Workload::Idle(it) => idle::run(it, &stage).await,
        Workload::Relay(it) => parts::relay(it, ground, progress).await,
        Workload::Consume(it) => parts::consume(it, ground, progress).await,
        Workload::Ceilings(it) => parts::ceilings(it, ground, progress).await,
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        bench: Bench,
    }

    fn workload(args: &str) -> Workload {
        let cli = Cli::try_parse_from(args.split(' ')).unwrap_or_else(|it| panic!("{args}: {it}"));
        cli.bench.workload()
    }

    #[test]
    fn what_is_compared_without_being_named_is_one_message_a_transaction() {
        for args in ["bench --compare --rate 5", "bench saga --rate 5 --compare"] {
            let Workload::Saga(asked) = workload(args) else { panic!("{args} is not of saga") };
            let names: Vec<_> = asked.compare.iter().map(|it| it.name.as_str()).collect();
            assert_eq!((names, asked.load.rate), (vec!["usual", "batch=1"], 5.0), "{args}");
        }
        assert!(matches!(workload("bench relay --compare"), Workload::Relay(_)));
    }

    #[test]
    fn a_comparison_has_two_settings() {
        assert!(workload("bench --compare usual").check().is_err());
        assert!(workload("bench --compare usual,usual").check().is_ok());
    }

    #[test]
    fn options_of_one_workload_are_not_given_to_another() {
        assert!(Cli::try_parse_from(["bench", "--rate", "5", "relay"]).is_err());
    }
}
