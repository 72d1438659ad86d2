//! What was measured, with names: as a table for people, as JSON for machines.

use std::{collections::BTreeMap, time::Duration};

use hdrhistogram::Histogram;
use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::usage::Spent;

/// What is kept of a value: three digits, from a microsecond to an hour.
const DIGITS: u8 = 3;
const LONGEST: Duration = Duration::from_secs(3_600);
/// The quantiles that are told, by name.
pub(crate) const QUANTILES: [(&str, f64); 5] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)];

/// Who would not be there without a bench, or is only a stand-in.
pub(crate) const LOAD: &str = "load";
pub(crate) const PROVIDER: &str = "psp";
pub(crate) const WITHOUT: &str = "cpu without load and psp";
/// What the machine did besides.
pub(crate) const ELSEWHERE: &str = "cores busy elsewhere";

/// How long things took. Longer than an hour is an hour.
#[derive(Debug, Clone)]
pub struct Latencies(Histogram<u64>);

impl Default for Latencies {
    fn default() -> Self {
        let longest = LONGEST.as_micros() as u64;
        // Its bounds are constants that it takes.
        Self(Histogram::new_with_bounds(1, longest, DIGITS).unwrap_or_else(|_| unreachable!("valid bounds")))
    }
}

impl Latencies {
    pub fn record(&mut self, took: Duration) {
        self.0.saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }

    pub fn add(&mut self, other: &Self) {
        // Both have the same bounds, so that nothing can be outside.
        let _ = self.0.add(&other.0);
    }

    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// Milliseconds that a share of all (0 to 1) took at the most.
    pub fn quantile_ms(&self, quantile: f64) -> f64 {
        self.0.value_at_quantile(quantile) as f64 / 1_000.0
    }

    /// Quantile and milliseconds, as finely as there are values: what a plot of percentiles is made of.
    pub fn curve(&self) -> Vec<(f64, f64)> {
        let steps = self.0.iter_quantiles(5);
        let points = steps.map(|it| (it.quantile_iterated_to(), it.value_iterated_to() as f64 / 1_000.0));
        points.filter(|it| it.0 < 1.0).collect()
    }
}

/// One thing that was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    pub name: String,
    pub value: f64,
    /// What it is counted in: `ms`, `/s`, `ms/order`; nothing for a bare number.
    pub unit: String,
}

impl Figure {
    /// The value for people: a count has no decimals.
    pub fn told(&self) -> String {
        let is_count = self.unit.is_empty() && self.value.fract() == 0.0;
        if is_count { format!("{:.0}", self.value) } else { number(self.value) }
    }
}

/// What was measured in one run, in the order in which it is told. In JSON an object of `{"value", "unit"}`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures(pub Vec<Figure>);

impl Figures {
    pub fn put(&mut self, name: impl Into<String>, value: f64, unit: &str) {
        self.0.push(Figure { name: name.into(), value, unit: unit.to_owned() });
    }

    /// The quantiles of a latency, as `<name> p50` and so on; nothing where there was nothing, and no quantile that fewer
    /// than one value lies above: that would be the maximum.
    pub fn put_latencies(&mut self, name: &str, of: &Latencies) {
        if of.count() == 0 {
            return;
        }
        // A hair more, for the sake of what 1.0 - 0.99 is in binary.
        let above = |share: f64| of.count() as f64 * (1.0 - share) + 1e-6;
        for (quantile, share) in QUANTILES.into_iter().filter(|it| it.1 == 1.0 || above(it.1) >= 1.0) {
            self.put(format!("{name} {quantile}"), of.quantile_ms(share), "ms");
        }
    }

    /// CPU time of each component, of all together, of all but those who only measure, and of the rest of the machine,
    /// for each of `count` things called `per`: `cpu order`, `ms/order`. Of none there is no such figure.
    pub fn put_cpu(&mut self, spent: &Spent, count: f64, per: &str) {
        if count > 0.0 {
            let each = |it: Duration| it.as_secs_f64() * 1_000.0 / count;
            let unit = format!("ms/{per}");
            for (component, cpu) in &spent.cpu {
                self.put(format!("cpu {component}"), each(*cpu), &unit);
            }
            self.put("cpu total", each(spent.total()), &unit);
            if spent.cpu.contains_key(LOAD) {
                self.put(WITHOUT, each(spent.without(&[LOAD, PROVIDER])), &unit);
            }
        }
        let cores = |it: Duration| it.as_secs_f64() / spent.took.as_secs_f64().max(f64::EPSILON);
        self.put("cores busy with it", cores(spent.total()), "cores");
        self.put(ELSEWHERE, cores(spent.elsewhere()), "cores");
    }

    /// The memory of each component, given in bytes: `memory order`.
    pub fn put_memory(&mut self, bytes: &BTreeMap<String, u64>) {
        for (component, bytes) in bytes.iter().filter(|it| *it.1 > 0) {
            self.put(format!("memory {component}"), *bytes as f64 / f64::from(1 << 20), "MiB");
        }
    }

    /// One figure of each name that any measurement has, where that one tells it.
    pub(crate) fn kinds<'a>(all: impl IntoIterator<Item = &'a Figures>) -> Vec<&'a Figure> {
        let mut kinds: Vec<&Figure> = Vec::new();
        for figures in all {
            let mut next = 0;
            for figure in &figures.0 {
                let known = kinds.iter().position(|it| it.name == figure.name);
                let at = known.unwrap_or_else(|| {
                    kinds.insert(next, figure);
                    next
                });
                next = at + 1;
            }
        }
        kinds
    }

    /// The median of each figure over those measurements that have it, the lower one of two. A count that one does not
    /// have is nothing.
    pub fn medians(all: &[Figures]) -> Self {
        let median = |figure: &Figure| {
            let nothing = figure.unit.is_empty().then_some(0.0);
            let mut values: Vec<f64> = all.iter().filter_map(|it| it.get(&figure.name).or(nothing)).collect();
            values.sort_by(f64::total_cmp);
            Figure { value: values[(values.len() - 1) / 2], ..figure.clone() }
        };
        Self(Self::kinds(all).into_iter().map(median).collect())
    }

    /// The value of that name.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.0.iter().find(|it| it.name == name).map(|it| it.value)
    }
}

impl Serialize for Figures {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Measured<'a> {
            value: f64,
            unit: &'a str,
        }
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for Figure { name, value, unit } in &self.0 {
            map.serialize_entry(name, &Measured { value: *value, unit })?;
        }
        map.end()
    }
}

/// Three digits, and all of those before the point.
pub fn number(value: f64) -> String {
    match value.abs() {
        it if it == 0.0 || it >= 100.0 => format!("{value:.0}"),
        it if it >= 10.0 => format!("{value:.1}"),
        it if it >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_what_was_recorded() {
        let mut all = Latencies::default();
        (1..=10_000).for_each(|it| all.record(Duration::from_micros(it * 100)));
        for (share, expected) in [(0.5, 500.0), (0.9, 900.0), (0.99, 990.0), (0.999, 999.0), (1.0, 1_000.0)] {
            let told = all.quantile_ms(share);
            assert!((told - expected).abs() <= expected / 500.0, "{share}: {told}, not {expected}");
        }
    }

    #[test]
    fn a_quantile_needs_something_above_it() {
        let told = |count: u64| {
            let (mut all, mut figures) = (Latencies::default(), Figures::default());
            (1..=count).for_each(|it| all.record(Duration::from_millis(it)));
            figures.put_latencies("x", &all);
            figures
                .0
                .iter()
                .map(|it| it.name.trim_start_matches("x ").to_owned())
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(told(0), "");
        assert_eq!(told(1), "max");
        assert_eq!(told(99), "p50 p90 max");
        assert_eq!(told(100), "p50 p90 p99 max");
        assert_eq!(told(999), "p50 p90 p99 max");
        assert_eq!(told(1_000), "p50 p90 p99 p99.9 max");
    }

    #[test]
    fn what_takes_longer_than_an_hour_is_the_longest() {
        let mut all = Latencies::default();
        all.record(Duration::from_secs(10 * 3_600));
        all.record(Duration::ZERO);
        assert_eq!(all.count(), 2);
        assert!(all.quantile_ms(1.0) >= 3_600_000.0 && all.quantile_ms(0.5) <= 0.001);
    }

    #[test]
    fn figures_are_an_object_in_their_order() {
        let mut figures = Figures::default();
        figures.put("rate", 20.0, "/s");
        figures.put("errors", 0.0, "");
        let json = serde_json::to_string(&figures).expect("JSON");
        assert_eq!(json, r#"{"rate":{"value":20.0,"unit":"/s"},"errors":{"value":0.0,"unit":""}}"#);
        assert_eq!(figures.get("rate"), Some(20.0));
    }

    #[test]
    fn a_median_is_in_the_middle_of_all_measurements() {
        let measured = |value| {
            let mut figures = Figures::default();
            figures.put("rate", value, "/s");
            figures
        };
        let of = |all: &[f64]| Figures::medians(&all.iter().map(|it| measured(*it)).collect::<Vec<_>>());
        assert_eq!(of(&[3.0, 1.0, 2.0]).get("rate"), Some(2.0));
        assert_eq!(of(&[4.0, 1.0]).get("rate"), Some(1.0));
        assert_eq!(of(&[]), Figures::default());
    }

    #[test]
    fn an_error_of_one_round_is_not_the_median() {
        let mut failed = Figures::default();
        failed.put("error 503", 40.0, "");
        let all = [Figures::default(), failed, Figures::default()];
        assert_eq!(Figures::medians(&all).get("error 503"), Some(0.0));
    }

    #[test]
    fn what_only_some_have_stands_where_they_tell_it() {
        let of = |names: &[&str]| {
            let mut figures = Figures::default();
            names.iter().for_each(|it| figures.put(*it, 1.0, "ms"));
            figures
        };
        let all = [of(&["rate", "cpu"]), of(&["rate", "error 503", "p99", "cpu", "drained"])];
        let names = |all: Vec<&Figure>| all.iter().map(|it| it.name.clone()).collect::<Vec<_>>().join(", ");
        assert_eq!(names(Figures::kinds(&all)), "rate, error 503, p99, cpu, drained");
        assert_eq!(Figures::medians(&all).get("drained"), Some(1.0));
    }

    #[test]
    fn counts_have_no_decimals() {
        let told = |value, unit: &str| Figure { name: String::new(), value, unit: unit.to_owned() }.told();
        assert_eq!([told(1.0, ""), told(1.5, ""), told(1.0, "cores")], ["1", "1.50", "1.00"]);
    }

    #[test]
    fn cpu_is_told_with_and_without_those_who_only_measure() {
        let cpu = |all: &[(&str, u64)]| {
            let cpu = all.iter().map(|it| (it.0.to_owned(), Duration::from_millis(it.1))).collect();
            let spent = Spent { took: Duration::from_secs(1), cpu, machine: Duration::from_secs(2) };
            let mut figures = Figures::default();
            figures.put_cpu(&spent, 10.0, "order");
            figures
        };
        let suite = cpu(&[("load", 30), ("order", 40), ("postgres", 50), ("psp", 20)]);
        assert_eq!((suite.get("cpu total"), suite.get(WITHOUT)), (Some(14.0), Some(9.0)));
        assert_eq!(
            ["load", "order", "postgres", "psp"].map(|it| suite.get(&format!("cpu {it}"))),
            [3.0, 4.0, 5.0, 2.0].map(Some)
        );
        assert_eq!(cpu(&[("engine and load", 30), ("postgres", 10)]).get(WITHOUT), None);
    }

    #[test]
    fn numbers_have_three_digits() {
        let told = [0.0, 0.0123, 1.234, 12.34, 123.4, 12_345.6].map(number);
        assert_eq!(told, ["0", "0.012", "1.23", "12.3", "123", "12346"]);
    }
}
