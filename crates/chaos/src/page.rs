//! A run as a page for a browser.

use audit::number;
use report::{Page, Panel, Series, Span, Timeline};

use crate::{
    fault::KINDS,
    report::{Report, Struck},
    watch::Sample,
};

/// A self-contained HTML page: the verdict, a picture of what happened when, every fault with its proof, the laws.
pub fn page(report: &Report) -> String {
    let title = format!("Waybill under faults, seed {}", report.seed);
    let lead = format!(
        "{} a second for {:.0} s from {}, {}. Orders that are accepted, and that come to their end; what \
         waits in the outboxes and on the topics; and errors that clients have seen.",
        number(report.rate, "order"),
        report.took_ms as f64 / 1_000.0,
        report.began_at,
        number(report.faults.len(), "fault")
    );
    let verdict = if report.passed() { "Passed" } else { "Failed" };
    let page = Page::new(title)
        .text(lead)
        .verdict(verdict, report.passed(), &report.failures)
        .timeline(&timeline(report));
    let broken: Vec<_> = broken(report).collect();
    let page = match broken.is_empty() {
        true => page,
        false => page.section("What is broken").table(&["what", "of what, and how"], broken),
    };
    let page = page.section("Faults").table(
        &["at", "fault", "hit", "proof that it took hold", "until delivered again", "failure"],
        report.faults.iter().map(row),
    );
    let page = match report.left_out.is_empty() {
        true => page,
        false => page.text(format!("Not possible here, and left out: {}.", report.left_out.join("; "))),
    };
    let figures = report.figures.to_string();
    let figures = figures.lines().map(|line| {
        let (name, value) = line.split_at(line.find("  ").unwrap_or(line.len()).min(line.len()));
        [name.trim().to_owned(), value.trim().to_owned()]
    });
    let page = page.section("Figures").table(&["what", "figure"], figures);
    let Some(audit) = &report.audit else { return page.to_html() };
    let laws = audit.laws.iter().map(|it| {
        [it.law.name().to_owned(), it.statement.to_owned(), it.checked.to_string(), it.violations.to_string()]
    });
    page.section("Laws").table(&["law", "says", "checked", "broken"], laws).to_html()
}

/// Each violation and finding that was told one by one.
fn broken(report: &Report) -> impl Iterator<Item = [String; 2]> {
    let at_once = report.first.iter().map(|it| &it.violation);
    let at_rest = report.audit.iter().flat_map(|it| &it.violations);
    let violations = at_once.chain(at_rest).map(|it| ["law".to_owned(), format!("{it:#}")]);
    let findings = report.audit.iter().flat_map(|it| &it.findings);
    violations.chain(findings.map(|it| ["finding".to_owned(), it.to_string()]))
}

fn row(fault: &Struck) -> [String; 6] {
    let seconds = |ms: u64| format!("{:.1} s", ms as f64 / 1_000.0);
    [
        seconds(fault.at_ms),
        fault.kind.clone(),
        fault.target.clone(),
        format!("{}{}", fault.why_added(), fault.proof.as_deref().unwrap_or_default()),
        fault.recovered_ms.map(seconds).unwrap_or_default(),
        fault.failure.clone().unwrap_or_default(),
    ]
}

fn timeline(report: &Report) -> Timeline {
    let samples = &report.samples;
    let spans = report.faults.iter().map(|it| Span {
        from: it.at_ms as f64 / 1_000.0,
        to: it.until_ms as f64 / 1_000.0,
        lane: family(&it.kind).to_owned(),
        label: format!("{} {}", it.kind, it.target),
        kind: family(&it.kind).to_owned(),
    });
    let last = samples.last().map_or(0, |it| it.at_ms);
    Timeline {
        title: "What happened when".into(),
        seconds: last.max(report.took_ms) as f64 / 1_000.0,
        panels: vec![
            Panel {
                title: "Orders".into(),
                unit: "/s".into(),
                series: vec![
                    Series::line("accepted", rate(samples, |it| Some(it.accepted))),
                    Series::line("ended", rate(samples, |it| it.ended)),
                ],
            },
            Panel {
                title: "Waiting".into(),
                unit: "records".into(),
                series: vec![
                    Series::line("lag of the four groups", level(samples, |it| it.lag)),
                    Series::line("rows in the outboxes", level(samples, |it| it.outbox)),
                ],
            },
            Panel {
                title: "Errors seen by clients".into(),
                unit: "/s".into(),
                series: vec![Series::step("errors", rate(samples, |it| Some(it.errors)))],
            },
        ],
        spans: spans.collect(),
    }
}

fn family(kind: &str) -> &'static str {
    KINDS.iter().find(|it| it.name == kind).map_or("other", |it| it.family)
}

fn level(samples: &[Sample], of: impl Fn(&Sample) -> Option<u64>) -> Vec<(f64, f64)> {
    let point = |it: &Sample| Some((it.at_ms as f64 / 1_000.0, of(it)? as f64));
    samples.iter().filter_map(point).collect()
}

/// By the second, over a second or more at a time.
fn rate(samples: &[Sample], of: impl Fn(&Sample) -> Option<u64>) -> Vec<(f64, f64)> {
    let mut rates = Vec::new();
    let mut from: Option<(f64, f64)> = None;
    for (at, count) in level(samples, of) {
        match from {
            Some((since, before)) if at - since >= 1.0 => {
                rates.push((at, (count - before).max(0.0) / (at - since)));
                from = Some((at, count));
            }
            Some(_) => {}
            None => from = Some((at, count)),
        }
    }
    rates
}
