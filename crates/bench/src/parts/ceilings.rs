//! The parts beside the least that does the same work: how far each is from its ceiling.

mod bare;
mod http;

use std::sync::Arc;

use super::{
    consume::{BATCH, Case},
    machine::Machine,
    relay::{Drain, Way},
};
use crate::{
    figures::Figures,
    ground::Ground,
    output::{Files, Report},
    progress::Progress,
    turns::Turns,
};

/// Each part beside the least that does the same work, by turns in one run.
///
/// The relay beside a producer that has its records in memory; the consumer beside the same rows written without a log;
/// POST requests through the engine beside a plain handler with a transaction each, from so many clients that each wait
/// for their answer.
#[derive(clap::Args, Debug)]
pub struct Ceilings {
    /// Times that each has its turn, after one to warm up.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Rows that the relay publishes in its turn.
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u32).range(20_000..))]
    rows: u32,
    /// Messages that the consumer applies in its turn.
    #[arg(long, default_value_t = 60_000, value_parser = clap::value_parser!(u32).range(1_000..))]
    messages: u32,
    /// How long requests are made in a turn, in seconds.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Requests under way at once.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    clients: u32,
    #[command(flatten)]
    pub(crate) files: Files,
}

/// Over how many keys messages and requests are spread.
const KEYS: u32 = 10_000;

/// What they are compared by.
const FIGURES: [&str; 2] = ["rate", "cpu total"];

/// Ours, and beside it its ceiling.
const PARTS: [[&str; 2]; 3] =
    [["relay", "bare producer"], ["consumer", "bare inserts"], ["ingest", "bare handler"]];

pub(crate) async fn run(
    asked: &Ceilings,
    ground: Arc<Ground>,
    progress: &Progress<'_>,
) -> anyhow::Result<Report> {
    let machine = Machine::on(ground);
    let mut report = Report::new("ceilings")
        .asked("rounds", asked.rounds)
        .asked("rows", asked.rows)
        .asked("messages", asked.messages)
        .asked("seconds", asked.seconds)
        .asked("clients", asked.clients);
    let mut turns = Turns::of(PARTS.as_flattened().iter().copied());
    progress.begin_counting(u64::from(asked.rounds + 1) * PARTS.as_flattened().len() as u64, "turns");
    for round in 0..=asked.rounds {
        let told =
            if round == 0 { "to warm up".to_owned() } else { format!("round {round} of {}", asked.rounds) };
        for index in order(round) {
            let part = PARTS.as_flattened()[index];
            progress.tell(&format!("{part}, {told}"));
            let (figures, failures) = asked.turn(&machine, part, round).await?;
            report.failures.extend(failures.into_iter().map(|it| format!("{part}: {it}")));
            if round > 0 {
                turns.put(index, figures);
            }
            progress.one_more();
        }
    }
    progress.end();
    for ours in (0..PARTS.as_flattened().len()).step_by(2) {
        report.ratios.extend(turns.ratios(ours, ours + 1, &FIGURES));
    }
    report.runs = turns.medians();
    report.picture_rates();
    report.picture_cpu("1,000");
    Ok(report)
}

/// A part and its ceiling stay side by side, and in every other round the ceiling is first.
fn order(round: u32) -> impl Iterator<Item = usize> {
    (0..PARTS.len())
        .flat_map(move |it| if round.is_multiple_of(2) { [2 * it, 2 * it + 1] } else { [2 * it + 1, 2 * it] })
}

impl Ceilings {
    async fn turn(
        &self,
        machine: &Machine,
        part: &str,
        round: u32,
    ) -> anyhow::Result<(Figures, Vec<String>)> {
        let name = format!("{}_{round}", part.replace(' ', "_"));
        let case = Case { messages: self.messages, duplicates: 0, keys: KEYS, batch: BATCH };
        match part {
            "relay" => Drain { way: Way::Ours, rows: self.rows }.run(machine, &name).await,
            "bare producer" => bare::produce(machine, &name, self.rows).await,
            "consumer" => case.run(machine, &name).await,
            "bare inserts" => bare::insert(machine, &name, case).await,
            _ => http::Turn { seconds: self.seconds, clients: self.clients }.run(machine, &name, part).await,
        }
    }
}
