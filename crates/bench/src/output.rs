//! What a bench has come to, for people, machines and browsers.

use std::{collections::BTreeMap, path::PathBuf};

use report::{Bars, Page, Plot, Timeline};
use serde::Serialize;

use crate::{
    figures::{ELSEWHERE, Figure, Figures, QUANTILES, WITHOUT, number},
    provenance::Provenance,
    turns::{self, Ratio},
};

/// The name of standard output in place of a file's.
pub const STDOUT: &str = "-";

/// Cores that are busy with something else, above which that is told.
const DISTURBED: f64 = 0.1;

/// Where a report goes besides standard output.
#[derive(clap::Args, Debug, Clone, Default)]
pub struct Files {
    /// Where to write the report as JSON; without a file to standard output, and nothing else there.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = STDOUT)]
    pub json: Option<PathBuf>,
    /// Where to write the report as a page for a browser.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

/// One measurement: a column of the table.
#[derive(Debug, Clone, Serialize)]
pub struct Run {
    pub name: String,
    pub figures: Figures,
}

/// What the last one is, times the first: a figure that the first does not have, or has as nothing, has no ratio.
pub(crate) fn drift(runs: &[Run]) -> Option<Run> {
    let [first, .., last] = runs else { return None };
    let mut figures = Figures::default();
    for figure in first.figures.0.iter().filter(|it| it.name != ELSEWHERE) {
        if let Some(now) = last.figures.get(&figure.name).filter(|_| figure.value > 0.0) {
            figures.put(&figure.name, now / figure.value, &figure.unit);
        }
    }
    Some(Run { name: "last / first".to_owned(), figures })
}

/// What the page shows beside the table.
#[derive(Debug, Clone)]
pub enum Picture {
    Bars(Bars),
    Plot(Plot),
    Timeline(Timeline),
}

/// Something that is no figure of a run: rows under a title, of which the first is the heading.
#[derive(Debug, Clone, Serialize)]
pub struct Table {
    pub title: String,
    pub rows: Vec<Vec<String>>,
}

/// What a bench has come to.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    pub workload: String,
    pub provenance: Provenance,
    /// What it was asked for.
    pub asked: BTreeMap<String, String>,
    pub runs: Vec<Run>,
    /// How runs compare to another one, round by round.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ratios: Vec<Ratio>,
    /// What led to them, one by one: for machines, not in the table.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trials: Vec<Run>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<Table>,
    /// Why its figures are to be read with care.
    pub warnings: Vec<String>,
    /// Rates that the suite did not keep up with: its figures are those of an overload.
    pub overloads: Vec<String>,
    /// Why its figures are not to be used: books that do not balance.
    pub failures: Vec<String>,
    #[serde(skip)]
    pub pictures: Vec<Picture>,
}

impl Report {
    pub fn new(workload: &str) -> Self {
        Self { workload: workload.to_owned(), ..Self::default() }
    }

    /// Something that it was asked for.
    pub fn asked(mut self, name: &str, value: impl ToString) -> Self {
        self.asked.insert(name.to_owned(), value.to_string());
        self
    }

    /// What has been done was done right. That says nothing of whether the suite has kept up with it.
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
    }

    /// Whether the machine did something else meanwhile: then figures are those of a part of it.
    pub(crate) fn disturbance(&self) -> Option<String> {
        let elsewhere =
            self.runs.iter().chain(&self.trials).filter_map(|it| Some((it, it.figures.get(ELSEWHERE)?)));
        let (run, most) = elsewhere.max_by(|a, b| a.1.total_cmp(&b.1)).filter(|it| it.1 > DISTURBED)?;
        let name = &run.name;
        Some(format!("{most:.1} cores were busy with something else, at `{name}`: measure it alone"))
    }

    /// A row for each figure that any run has, a column for each run; the first row is the heading.
    pub fn rows(&self) -> Vec<Vec<String>> {
        let heading = ["what", "unit"].into_iter().chain(self.runs.iter().map(|it| it.name.as_str()));
        let mut rows: Vec<Vec<String>> = vec![heading.map(str::to_owned).collect()];
        for Figure { name, unit, .. } in Figures::kinds(self.runs.iter().map(|it| &it.figures)) {
            let told = |it: &Run| it.figures.0.iter().find(|it| it.name == *name).map(Figure::told);
            let values = self.runs.iter().map(|it| told(it).unwrap_or_default());
            rows.push([name.clone(), unit.clone()].into_iter().chain(values).collect());
        }
        rows
    }

    /// All that is told beside the figures: ratios, and what a workload has found.
    pub fn more(&self) -> Vec<Table> {
        let rows = turns::rows(&self.ratios);
        let ratios = Table { title: "Compared, in turns".to_owned(), rows };
        let ratios = Some(ratios).filter(|_| !self.ratios.is_empty());
        ratios.into_iter().chain(self.tables.iter().cloned()).collect()
    }

    /// A row for each latency of each run, a column for each quantile; and the other figures.
    fn figures(&self) -> [Table; 2] {
        let several = self.runs.len() > 1;
        let heading = ["latency, ms"].into_iter().chain(QUANTILES.iter().map(|it| it.0));
        let mut rows: Vec<Vec<String>> = vec![heading.map(str::to_owned).collect()];
        let median = |it: &Figure| it.name.strip_suffix(" p50").map(str::to_owned);
        for run in &self.runs {
            for name in run.figures.0.iter().filter_map(median) {
                let value = |it: &(&str, f64)| run.figures.get(&format!("{name} {}", it.0));
                let values = QUANTILES.iter().map(|it| value(it).map(number).unwrap_or_default());
                let name = if several { format!("{name}, {}", run.name) } else { name.clone() };
                rows.push([name].into_iter().chain(values).collect());
            }
        }
        let is_quantile = |row: &[String]| {
            QUANTILES.iter().any(|it| row[0].strip_suffix(it.0).is_some_and(|it| it.ends_with(' ')))
        };
        let others = self.rows().into_iter().filter(|it| !is_quantile(it)).collect();
        [Table { title: "Latencies".into(), rows }, Table { title: "Figures".into(), rows: others }]
    }

    /// What everything is to be read with: loudest first.
    pub fn remarks(&self) -> Vec<String> {
        let told =
            |word: &'static str, all: &[String]| all.iter().map(move |it| format!("{word}  {it}")).collect();
        let all: [Vec<String>; 3] = [
            told("FAILED", &self.failures),
            told("NOT SUSTAINED", &self.overloads),
            told("WARNING", &self.warnings),
        ];
        all.concat()
    }

    /// A bar for each run, of the CPU time of its components for each thing of that name.
    pub(crate) fn picture_cpu(&mut self, per: &str) {
        let unit = format!("CPU-ms/{per}");
        let beside = ["cpu total", WITHOUT];
        let bar = |run: &Run| {
            let parts = run.figures.0.iter().filter(|it| !beside.contains(&it.name.as_str()));
            let part = |it: &Figure| Some((it.name.strip_prefix("cpu ")?.to_owned(), it.value));
            (run.name.clone(), parts.filter_map(part).collect())
        };
        let bars: Vec<(String, Vec<_>)> = self.runs.iter().map(bar).collect();
        let bars = Bars { title: "CPU time by component".into(), unit, bars };
        self.pictures.insert(0, Picture::Bars(bars));
    }

    /// A bar for each run, of how much it does in a second.
    pub(crate) fn picture_rates(&mut self) {
        let rate = |it: &Run| Some((it.name.clone(), vec![("rate".to_owned(), it.figures.get("rate")?)]));
        let bars = self.runs.iter().filter_map(rate).collect();
        self.pictures.insert(0, Picture::Bars(Bars { title: "Rate".into(), unit: "/s".into(), bars }));
    }

    /// What it all comes to, and whether that is good.
    fn verdict(&self) -> (&'static str, bool) {
        match (self.passed(), self.overloads.is_empty()) {
            (false, _) => ("Failed", false),
            (true, false) => ("More than it keeps up with", false),
            (true, true) => ("Passed", true),
        }
    }

    /// A self-contained page.
    pub fn page(&self) -> String {
        let asked: Vec<String> = self.asked.iter().map(|(name, value)| format!("{name} {value}")).collect();
        let (word, good) = self.verdict();
        let mut page = Page::new(format!("Waybill: bench {}", self.workload))
            .text(asked.join(", "))
            .verdict(word, good, self.remarks())
            .table(&["measured", ""], self.provenance.rows());
        for picture in &self.pictures {
            page = match picture {
                Picture::Bars(bars) => page.bars(bars),
                Picture::Plot(plot) => page.plot(plot),
                Picture::Timeline(timeline) => page.timeline(timeline),
            };
        }
        // What was compared is what was asked for; the rest is read after the figures.
        let (first, last) = self.more().into_iter().partition::<Vec<_>, _>(|_| !self.ratios.is_empty());
        let all = first.into_iter().chain(self.figures()).chain(last);
        for Table { title, rows } in all.filter(|it| it.rows.len() > 1) {
            let mut rows = rows.into_iter();
            let heading = rows.next().unwrap_or_default();
            let heading: Vec<&str> = heading.iter().map(String::as_str).collect();
            page = page.section(title).table(&heading, rows);
        }
        page.to_html()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_columns_and_what_one_lacks_is_blank() {
        let run = |name: &str, figures: &[(&str, f64)]| {
            let mut all = Figures::default();
            figures.iter().for_each(|(name, value)| all.put(*name, *value, "/s"));
            Run { name: name.to_owned(), figures: all }
        };
        let runs = vec![run("a", &[("rate", 1.0)]), run("b", &[("rate", 2.0), ("drain", 3.0)])];
        let report = Report { runs, ..Report::new("saga") };
        let expected = [
            vec!["what", "unit", "a", "b"],
            vec!["rate", "/s", "1.00", "2.00"],
            vec!["drain", "/s", "", "3.00"],
        ];
        assert_eq!(report.rows(), expected);
        assert!(report.page().contains("<td class=\"number\">2.00</td>"), "{}", report.page());
    }

    #[test]
    fn on_a_page_a_latency_is_a_row() {
        let mut figures = Figures::default();
        for (quantile, value) in [("p50", 1.5), ("p90", 2.5), ("p99", 3.5), ("p99.9", 4.5), ("max", 5.5)] {
            figures.put(format!("ended {quantile}"), value, "ms");
        }
        figures.put("rate", 7.0, "/s");
        let report = Report { runs: vec![Run { name: "usual".into(), figures }], ..Report::new("saga") };
        let [latencies, others] = report.figures();
        assert_eq!(latencies.rows[1].join(" "), "ended 1.50 2.50 3.50 4.50 5.50");
        assert_eq!(others.rows.len(), 2, "{others:?}");
    }

    #[test]
    fn a_machine_that_did_something_else_is_told_of() {
        let told = |cores: f64| {
            let mut figures = Figures::default();
            figures.put(ELSEWHERE, cores, "cores");
            let runs = vec![Run { name: "usual".into(), figures }];
            Report { runs, ..Report::new("saga") }.disturbance()
        };
        assert_eq!(told(0.05), None);
        assert!(told(0.7).is_some_and(|it| it.contains("0.7 cores") && it.contains("usual")));
    }

    #[test]
    fn an_overload_is_told_loudly_and_fails_nothing() {
        let overloads = vec!["500/s is not sustained".to_owned()];
        let report = Report { overloads, warnings: vec!["debug".into()], ..Report::new("saga") };
        assert!(report.passed());
        assert_eq!(report.remarks(), ["NOT SUSTAINED  500/s is not sustained", "WARNING  debug"]);
        let page = report.page();
        assert!(page.contains("verdict failed") && page.contains("NOT SUSTAINED"), "{page}");
        assert!(page.contains("More than it keeps up with"), "{page}");
    }

    #[test]
    fn the_picture_of_cpu_time_has_each_component_once() {
        let mut figures = Figures::default();
        let cpu = [("cpu order", 1.0), ("cpu postgres", 2.0), ("cpu total", 3.0), (WITHOUT, 3.0)];
        cpu.iter().for_each(|(name, value)| figures.put(*name, *value, "ms/order"));
        let mut report = Report { runs: vec![Run { name: "usual".into(), figures }], ..Report::new("saga") };
        report.picture_cpu("order");
        let [Picture::Bars(bars)] = &report.pictures[..] else { panic!("{:?}", report.pictures) };
        let parts = vec![("order".to_owned(), 1.0), ("postgres".to_owned(), 2.0)];
        assert_eq!(bars.bars, [("usual".to_owned(), parts)]);
    }
}
