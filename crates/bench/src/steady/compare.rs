use std::collections::BTreeMap;

use super::Bench;
use crate::{
    figures::{WITHOUT, number},
    observe::Observed,
    output::{Report, Run},
    picture,
    turns::Turns,
};

/// What variants are compared by, each at a rate of its own.
const FIGURES: [&str; 4] = ["rate done", "cpu total", WITHOUT, "WAL"];
/// And what they are compared by besides where all have the same rate.
const LATENCIES: [&str; 6] =
    ["confirmed p50", "confirmed p99", "ended p50", "ended p99", "answered p50", "answered p99"];

impl Bench<'_> {
    /// All settings in turns, each beside the first one of the same round.
    pub(super) async fn compare(&self, report: &mut Report) -> anyhow::Result<()> {
        let (variants, rounds) = (&self.asked.compare, self.asked.rounds as usize);
        let settings: Vec<&str> = variants.iter().map(|it| it.name.as_str()).collect();
        report.asked.insert("with".to_owned(), settings.join(", "));
        report.asked.insert("rounds".to_owned(), rounds.to_string());
        if rounds < variants.len() {
            let s = if rounds == 1 { "" } else { "s" };
            report.warnings.push(format!(
                "{rounds} round{s} of {} settings: not each of them was first once, and whoever is later finds a warmer broker",
                variants.len()
            ));
        }
        let mut turns = Turns::of(variants.iter().map(|it| &it.name));
        let mut last: BTreeMap<usize, Observed> = BTreeMap::new();
        // A broker that has just begun compiles what it does, and whoever is first would pay for that.
        self.stage.tell("a turn that does not count");
        report.failures.extend(self.measure(&variants[0], false).await?.failures);
        for round in 0..rounds {
            for index in turns.order(round) {
                let name = format!("{}, round {}", variants[index].name, round + 1);
                self.stage.tell(&format!("{name} of {rounds}"));
                let measured = self.measure(&variants[index], self.asked.find_capacity).await?;
                report.failures.extend(measured.failures.iter().map(|it| format!("{name}: {it}")));
                report.overloads.extend(measured.overloads.iter().map(|it| format!("{name}: {it}")));
                report.warnings.extend(measured.warnings.iter().map(|it| format!("{name}: {it}")));
                let searched = measured.trials.into_iter();
                report.trials.extend(searched.map(|it| Run { name: format!("{name}: {}", it.name), ..it }));
                turns.put(index, measured.figures.clone());
                report.trials.push(Run { name, figures: measured.figures });
                last.insert(index, measured.observed);
            }
        }
        let last = last
            .iter()
            .map(|(index, it)| (format!("{}, {}/s", turns.name(*index), number(it.plan.phases[1].rate)), it));
        report.pictures.push(picture::side_by_side(last));
        let latencies = if self.asked.find_capacity { &[][..] } else { &LATENCIES };
        report.ratios = turns.to_first(&[&FIGURES, latencies].concat());
        report.runs = turns.medians();
        Ok(())
    }
}
