//! What a page shows of a load.

use std::{collections::BTreeMap, time::Duration};

use report::{Axis, Panel, Plot, Series, Span, Timeline};

use crate::{
    figures::Latencies,
    observe::Observed,
    output::{Picture, Run},
};

/// Points of a line over time: more are not told apart.
const POINTS: u32 = 240;

/// Latency by percentile of the last phase, and everything over time.
pub(crate) fn all(observed: &Observed) -> Vec<Picture> {
    let last = observed.plan.phases.len() - 1;
    let curves = observed.latencies(last).into_iter();
    let series = curves.map(|(name, it)| Series::line(name, it.curve())).filter(|it| !it.points.is_empty());
    let plot = Plot::percentiles("Latency since an order was due", "ms", series.collect());
    vec![Picture::Plot(plot), Picture::Timeline(timeline(observed, Vec::new()))]
}

/// Latency by percentile, to the end or the answer, of several loads with a name each.
pub(crate) fn side_by_side<'a>(all: impl Iterator<Item = (String, &'a Observed)>) -> Picture {
    let series = all.filter_map(|(name, observed)| {
        let followed = if observed.plan.to_the_end { "ended" } else { "answered" };
        let latencies = observed.latencies(observed.plan.phases.len() - 1);
        let (_, it) = latencies.into_iter().find(|it| it.0 == followed)?;
        Some(Series::line(name, it.curve()))
    });
    Picture::Plot(Plot::percentiles("Latency since an order was due, last round", "ms", series.collect()))
}

/// Latency by the rate that was asked for, over the trials of a search.
pub(crate) fn trials(trials: &[Run]) -> Picture {
    let line = |name: &str| {
        let point = |it: &Run| Some((it.figures.get("rate asked for")?, it.figures.get(name)?));
        let mut points: Vec<(f64, f64)> = trials.iter().filter_map(point).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        Series::line(name, points)
    };
    let all = ["answered p50", "answered p99", "ended p50", "ended p99"].map(line);
    Picture::Plot(Plot {
        title: "The search for the capacity".into(),
        x: (Axis::Linear, "orders/s asked for".into()),
        y: (Axis::Log, "ms".into()),
        series: all.into_iter().filter(|it| !it.points.is_empty()).collect(),
    })
}

/// Rates, backlog and latency over time, with the phases as spans and what else happened.
pub(crate) fn timeline(observed: &Observed, mut spans: Vec<Span>) -> Timeline {
    let plan = &observed.plan;
    spans.extend(plan.phases.iter().enumerate().map(|(index, it)| Span {
        from: plan.begins(index).as_secs_f64(),
        to: plan.begins(index + 1).as_secs_f64(),
        lane: "phase".to_owned(),
        label: format!("{}, {:.0}/s", it.name, it.rate),
        kind: it.name.clone(),
    }));
    let under_way = observed.samples.iter().map(|it| (it.at.as_secs_f64(), observed.under_way(it)));
    let panel = |title: &str, unit: &str, series| Panel { title: title.into(), unit: unit.into(), series };
    Timeline {
        title: "Over time".into(),
        seconds: plan.lasts().as_secs_f64(),
        panels: vec![
            panel("Orders", "/s", rates(observed)),
            panel("Under way", "orders", vec![Series::line("due and not done", under_way.collect())]),
            panel("Latency since an order was due", "ms", latencies(observed)),
            panel("CPU", "cores", cpu(observed)),
        ],
        spans,
    }
}

/// By the second or more, so that a line is a rate and not the noise of counts.
fn rates(observed: &Observed) -> Vec<Series> {
    let step = slice(observed).max(Duration::from_secs(1));
    let mut points = [Vec::new(), Vec::new(), Vec::new()];
    let mut from = observed.samples.first().copied().unwrap_or_default();
    for it in &observed.samples {
        let took = it.at.saturating_sub(from.at);
        if took < step {
            continue;
        }
        let counts = [(from.due, it.due), (from.placed, it.placed), (from.ended, it.ended)];
        for (points, (before, now)) in points.iter_mut().zip(counts) {
            points.push((it.at.as_secs_f64(), (now - before) as f64 / took.as_secs_f64()));
        }
        from = *it;
    }
    let names = ["due", "accepted", "ended"].into_iter().zip(points);
    names.map(|(name, points)| Series::line(name, points)).collect()
}

/// The median and the 99th percentile of the orders that were due in each slice of time.
fn latencies(observed: &Observed) -> Vec<Series> {
    let step = slice(observed);
    let mut slices: Vec<Latencies> = Vec::new();
    for order in &observed.orders {
        let done = match observed.plan.to_the_end {
            true => order.ended.as_ref().map(|it| it.0),
            false => Some(order.answered),
        };
        let index = (order.due.as_nanos() / step.as_nanos()) as usize;
        slices.resize_with(slices.len().max(index + 1), Latencies::default);
        if let Some(done) = done {
            slices[index].record(done.saturating_sub(order.due));
        }
    }
    let line = |name: &str, quantile: f64| {
        let points = slices.iter().enumerate().filter(|it| it.1.count() > 0);
        let at = |index: usize| (step * index as u32).as_secs_f64();
        Series::line(name, points.map(|(index, it)| (at(index), it.quantile_ms(quantile))).collect())
    };
    vec![line("p50", 0.5), line("p99", 0.99)]
}

/// What each component keeps busy, between one look and the next.
fn cpu(observed: &Observed) -> Vec<Series> {
    let mut lines: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
    for looks in observed.usage.windows(2) {
        let [(_, before), (at, now)] = looks else { continue };
        let spent = now.since(before);
        for (component, cpu) in spent.cpu {
            let cores = cpu.as_secs_f64() / spent.took.as_secs_f64().max(f64::EPSILON);
            lines.entry(component).or_default().push((at.as_secs_f64(), cores));
        }
    }
    lines.into_iter().map(|(component, points)| Series::line(component, points)).collect()
}

fn slice(observed: &Observed) -> Duration {
    (observed.plan.lasts() / POINTS).max(Duration::from_millis(250))
}
