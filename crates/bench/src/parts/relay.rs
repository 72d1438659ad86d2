//! The relay alone: how fast it empties an outbox, and how late it is at a steady rate.

mod drain;
mod naive;
mod steady;

use std::sync::Arc;

use anyhow::ensure;
use report::{Plot, Series};

pub(super) use self::drain::{Drain, Way};
use self::steady::Steady;
use super::{
    counter::PUBLISHES,
    machine::{Machine, Service},
};
use crate::{
    ground::Ground,
    output::{Files, Picture, Report, Run},
    progress::Progress,
    turns::Turns,
};

/// Keys that events are spread over.
const KEYS: u64 = 50_000;
/// Rows that are published before anything is measured, by when a broker has compiled what it does.
const WARM_UP: u32 = 500_000;

/// How fast a relay empties an outbox, and how late events are at steady rates.
///
/// Rows of 400 B over 50,000 keys and six partitions. At a rate events are committed by commands, and `due to reader` is
/// what counts: from the moment at which an event was due to where a reader of the topic has it. When its transaction
/// was committed nobody outside of Postgres sees; it was after `ce_time`, when the event was decided, and before the
/// command's caller had its answer, so that the way from commit to reader is at most `decided to reader`, and at least
/// `answered to reader`.
#[derive(clap::Args, Debug)]
pub struct Relay {
    /// Rows of the outbox that is emptied; 0: none is.
    #[arg(long, default_value_t = 1_000_000, value_parser = rows)]
    rows: u32,
    /// Events a second, one after the other.
    #[arg(long, value_delimiter = ',', default_value = "1000,5000,10000", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rates: Vec<u32>,
    /// How long each rate is held, in seconds.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Instead: these relays in turns, each with an outbox of its own: `ours`, `await-each` (reads and deletes pages, and
    /// awaits each send), `row-by-row` (a row is read, sent, awaited and deleted).
    #[arg(long, value_delimiter = ',', value_enum, num_args = 0.., default_missing_value = "ours,await-each,row-by-row")]
    compare: Vec<Way>,
    /// How many turns each of them has.
    #[arg(long, default_value_t = 3, requires = "compare", value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    #[command(flatten)]
    pub(crate) files: Files,
}

/// Fewer would be gone before the first look.
const FEWEST: u32 = 20_000;

fn rows(given: &str) -> Result<u32, String> {
    match given.parse() {
        Ok(rows @ (0 | FEWEST..)) => Ok(rows),
        _ => Err(format!("expected 0, or {FEWEST} and more")),
    }
}

impl Relay {
    /// What cannot be measured is told before servers are started for it.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let is_possible = self.compare.is_empty() || self.rows > 0;
        ensure!(
            is_possible,
            "relays are compared by how they empty outboxes: --rows is to be {FEWEST} or more"
        );
        ensure!(self.compare.len() != 1, "a comparison needs two relays: ours,await-each");
        Ok(())
    }
}

/// What relays are compared by.
const FIGURES: [&str; 2] = ["rate", "cpu total"];

pub(crate) async fn run(
    asked: &Relay,
    ground: Arc<Ground>,
    progress: &Progress<'_>,
) -> anyhow::Result<Report> {
    let machine = Machine::on(ground);
    let mut report = Report::new("relay").asked("rows", asked.rows);
    progress.tell("warming up");
    let warm_up = Drain { way: Way::Ours, rows: asked.rows.clamp(FEWEST, WARM_UP) };
    report.failures.extend(warm_up.run(&machine, "warmed_up").await?.1);
    if !asked.compare.is_empty() {
        report = report.asked("rounds", asked.rounds);
        compare(asked, &machine, &mut report, progress).await?;
        report.picture_rates();
        report.picture_cpu("1,000");
        return Ok(report);
    }
    let rates: Vec<String> = asked.rates.iter().map(u32::to_string).collect();
    report = report.asked("events a second", rates.join(" ")).asked("seconds", asked.seconds);
    if asked.rows > 0 {
        progress.tell(&format!("emptying an outbox of {} rows", asked.rows));
        let drain = Drain { way: Way::Ours, rows: asked.rows };
        let (figures, failures) = drain.run(&machine, "drained").await?;
        report.runs.push(Run { name: "drain".into(), figures });
        report.failures.extend(failures);
    }
    let mut curves = Vec::new();
    progress.begin_counting(asked.rates.len() as u64, "rates");
    for (turn, rate) in asked.rates.iter().enumerate() {
        progress.tell(&format!("{rate} events a second for {} s", asked.seconds));
        let steady = Steady { rate: *rate, seconds: asked.seconds };
        let held = steady.run(&machine, &format!("steady_{turn}_{rate}")).await?;
        report.runs.push(Run { name: format!("{rate}/s"), figures: held.figures });
        report.failures.extend(held.failures);
        let overload = held.overload.map(|it| format!("{rate}/s is not sustained: {it}"));
        overload.iter().for_each(|it| progress.tell(it));
        report.overloads.extend(overload);
        curves.push(Series::line(format!("{rate}/s"), held.due_to_reader.curve()));
        progress.one_more();
    }
    progress.end();
    report.pictures.push(Picture::Plot(Plot::percentiles("From due to reader", "ms", curves)));
    report.picture_cpu("1,000");
    Ok(report)
}

/// Each way of relaying empties an outbox of its own, in turns.
async fn compare(
    asked: &Relay,
    machine: &Machine,
    report: &mut Report,
    progress: &Progress<'_>,
) -> anyhow::Result<()> {
    let mut turns = Turns::of(asked.compare.iter().map(|it| it.name()));
    progress.begin_counting(u64::from(asked.rounds) * asked.compare.len() as u64, "turns");
    for round in 0..asked.rounds as usize {
        for index in turns.order(round) {
            let drain = Drain { way: asked.compare[index], rows: asked.rows }.of_its_size();
            progress.tell(&format!("{}, {} rows, round {}", turns.name(index), drain.rows, round + 1));
            let (figures, failures) = drain.run(machine, &format!("drained_{index}_{round}")).await?;
            report.failures.extend(failures);
            turns.put(index, figures);
            progress.one_more();
        }
    }
    progress.end();
    report.ratios = turns.to_first(&FIGURES);
    report.runs = turns.medians();
    Ok(())
}

/// Rows that one statement puts there: an engine's connection gives a statement half a minute.
const AT_ONCE: usize = 100_000;

/// Puts rows into the outbox, as they would be at rest.
pub(super) async fn fill(service: &Service, rows: u32) -> anyhow::Result<()> {
    const INSERT: &str =
        "insert into engine.outbox (event_id, aggregate_type, aggregate_id, type, sequence, occurred_at,
             correlation_id, causation_id, actor, payload)
         select uuidv7(), $2, 'counter-' || n % $3, 'waybill.counter.raised.v1', n / $3 + 1,
             clock_timestamp(), uuidv7(), uuidv7(), 'service:counter',
             convert_to(json_build_object('counter', n % $3, 'note', repeat(md5(n::text), 11))::text, 'UTF8')
         from generate_series($1::bigint, $4 - 1) n";
    let keys = i64::try_from(KEYS)?;
    for first in (0..rows).step_by(AT_ONCE) {
        let end = i64::from(rows).min(i64::from(first) + AT_ONCE as i64);
        let insert = sqlx::query(INSERT).bind(i64::from(first)).bind(PUBLISHES.name()).bind(keys).bind(end);
        insert.execute(&service.pool).await?;
    }
    let mut connection = service.pool.acquire().await?;
    for settle in
        ["set statement_timeout = 0", "vacuum analyze engine.outbox", "checkpoint", "reset statement_timeout"]
    {
        sqlx::raw_sql(settle).execute(&mut *connection).await?;
    }
    Ok(())
}
