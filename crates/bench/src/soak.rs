//! `soak`: a steady rate for long, with somebody who holds a transaction open and somebody who reads for long in
//! between; what drifts meanwhile.

use std::time::{Duration, Instant};

use report::Span;
use sqlx::{Connection, Executor, PgConnection};
use tokio::time::sleep_until;

use crate::{
    arrivals::Phase,
    figures::Figures,
    observe::{Plan, observe},
    options::{Load, measured},
    output::{Picture, Report, Run, drift},
    picture,
    stage::Stage,
    suite::Suite,
};

/// What is asked of it.
#[derive(clap::Args, Debug, Clone)]
pub struct Soak {
    #[command(flatten)]
    pub load: Load,
    /// How long orders are placed.
    #[arg(long, default_value = "1h", value_parser = measured)]
    pub duration: Duration,
}

/// Parts of the time that are told one by one, and compared.
const SLICES: u32 = 12;
/// The slices in which a transaction is held open, and in which a snapshot is.
const HOLDER: u32 = 4;
const READER: u32 = 8;
/// A transaction that has written, and waits for its client; and a snapshot that nobody lets go of. The server ends
/// neither.
const HOLD: &str = "set idle_in_transaction_session_timeout = 0; begin; select pg_current_xact_id()";
const READ: &str = "set idle_in_transaction_session_timeout = 0; begin isolation level repeatable read; \
                    select count(*) from order_view";

pub(crate) async fn run(asked: &Soak, stage: &Stage<'_>) -> anyhow::Result<Report> {
    let suite = stage.suite(&asked.load.with).await?;
    let (plan, begun) = (plan(asked), Instant::now());
    let (observed, sizes, (), ()) = tokio::try_join!(
        observe(&suite, plan.clone(), begun, stage.progress),
        sizes(&suite, &plan, begun),
        meddle(&suite, HOLD, &plan, HOLDER, begun),
        meddle(&suite, READ, &plan, READER, begun),
    )?;
    let mut report = asked
        .load
        .asked("soak")
        .asked("duration", format!("{:?}", asked.duration))
        .asked("transaction held open in", &plan.phases[HOLDER as usize].name)
        .asked("snapshot held in", &plan.phases[READER as usize].name);
    stage.done(suite, &observed, &mut report).await?;
    report.overloads = observed.overloads(1);
    for (phase, sizes) in (1..).zip(sizes) {
        let mut figures = observed.figures(phase);
        figures.0.extend(sizes.0);
        report.runs.push(Run { name: plan.phases[phase].name.clone(), figures });
    }
    report.runs.extend(drift(&report.runs));
    let meddled = vec![span(&plan, HOLDER, "transaction held open"), span(&plan, READER, "snapshot held")];
    report.pictures = vec![Picture::Timeline(picture::timeline(&observed, meddled))];
    Ok(report)
}

fn span(plan: &Plan, slice: u32, label: &str) -> Span {
    Span {
        from: plan.begins(slice as usize).as_secs_f64(),
        to: plan.begins(slice as usize + 1).as_secs_f64(),
        lane: "in between".to_owned(),
        label: label.to_owned(),
        kind: label.to_owned(),
    }
}

fn plan(asked: &Soak) -> Plan {
    let phase = |name: String, lasts| Phase { name, lasts, rate: asked.load.rate };
    asked.load.plan((1..=SLICES).map(|it| phase(format!("slice {it}"), asked.duration / SLICES)))
}

/// Does something in a transaction of the order service's database and keeps that open for a slice.
async fn meddle(
    suite: &Suite,
    what: &'static str,
    plan: &Plan,
    slice: u32,
    begun: Instant,
) -> anyhow::Result<()> {
    sleep_until((begun + plan.begins(slice as usize)).into()).await;
    let mut connection = PgConnection::connect(&suite.database_url("order")).await?;
    connection.execute(sqlx::raw_sql(what)).await?;
    sleep_until((begun + plan.begins(slice as usize + 1)).into()).await;
    // It fails if the server has ended the session, which then did not hold for as long as it is told.
    connection.execute(sqlx::raw_sql("rollback")).await?;
    Ok(connection.close().await?)
}

/// Tables and memory in the middle of each slice.
async fn sizes(suite: &Suite, plan: &Plan, begun: Instant) -> anyhow::Result<Vec<Figures>> {
    let mut all = Vec::new();
    for phase in 1..plan.phases.len() {
        let middle = plan.begins(phase) + plan.phases[phase].lasts / 2;
        sleep_until((begun + middle).into()).await;
        all.push(suite.sizes().await?);
    }
    Ok(all)
}
