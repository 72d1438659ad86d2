//! What a bench is asked for.

use std::time::Duration;

use anyhow::ensure;

use crate::{arrivals::Spacing, orders::Skus, output::Files, variant::Variant};

/// What all workloads of whole suites are told.
#[derive(clap::Args, Debug, Clone)]
pub struct Load {
    /// Orders a second; with `--find-capacity` where the search begins.
    #[arg(long, default_value_t = 100.0, value_parser = rate, allow_negative_numbers = true)]
    pub rate: f64,
    /// A rate is sustained only if 99 of 100 orders are confirmed in this time from when they were due; of `ingest`, are
    /// accepted.
    #[arg(long, default_value = "1s", value_parser = time)]
    pub bound: Duration,
    /// How long orders are placed before anything is measured: a broker that has just begun is still compiling what it
    /// does, and costs about twice as much for half a minute; two minutes are better where CPU time is compared.
    #[arg(long, default_value = "30s", value_parser = time)]
    pub warm_up: Duration,
    /// How orders follow each other.
    #[arg(long, value_enum, default_value_t = Spacing::Poisson)]
    pub arrivals: Spacing,
    /// How products are chosen.
    #[arg(long, value_enum, default_value_t = Skus::Uniform)]
    pub skus: Skus,
    /// What arrivals and orders are drawn from.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Settings other than the usual ones: `batch=100`, `workers=2`, `partitions=3`, `processes=2`, `VARIABLE=value`, joined by `+`.
    #[arg(long, default_value = "usual")]
    pub with: Variant,
    #[command(flatten)]
    pub files: Files,
}

/// What is measured at one rate after the other.
#[derive(clap::Args, Debug, Clone)]
pub struct Steady {
    #[command(flatten)]
    pub load: Load,
    /// How long is measured.
    #[arg(long, default_value = "60s", value_parser = measured)]
    pub duration: Duration,
    /// Search the highest rate that is sustained, and measure that. A rate that is not is tried once more.
    #[arg(long)]
    pub find_capacity: bool,
    /// How long each rate is tried in that search.
    #[arg(long, default_value = "15s", value_parser = measured, requires = "find_capacity")]
    pub trial: Duration,
    /// Measure these settings in turns and put each beside the first: `usual,batch=100,batch=1`; without any,
    /// `usual,batch=1`.
    #[arg(long, value_name = "SETTINGS", value_delimiter = ',')]
    #[arg(num_args = 0..=1, default_missing_values = ["usual", "batch=1"])]
    pub compare: Vec<Variant>,
    /// How many turns each of them has.
    #[arg(long, default_value_t = 3, requires = "compare", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub rounds: u32,
}

impl Steady {
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        ensure!(self.compare.len() != 1, "a comparison needs two settings: usual,batch=1");
        // Not a conflict to the parser, for which `--rounds` would then need no `--compare`.
        let both = !self.compare.is_empty() && self.load.with != Variant::default();
        ensure!(
            !both,
            "--compare cannot be used with --with: name all settings, as in usual,workers=2+batch=100"
        );
        Ok(())
    }
}

/// `90s`, `500ms`, `5m`, `1h`: up to a day.
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    let expected = || format!("expected 10s, 500ms, 2m or 1h, up to a day, not `{text}`");
    let digits = text.trim_end_matches(|it: char| it.is_ascii_alphabetic());
    let millis = match &text[digits.len()..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(expected()),
    };
    let count: u64 = digits.parse().map_err(|_| expected())?;
    let all = count.checked_mul(millis).filter(|it| (1..=86_400_000).contains(it)).ok_or_else(expected)?;
    Ok(Duration::from_millis(all))
}

/// What is measured lasts so long at least, so that there is something to see in each third of it.
pub(crate) fn measured(text: &str) -> Result<Duration, String> {
    let least = Duration::from_secs(1);
    time(text)
        .and_then(|it| if it < least { Err(format!("expected 1s at least, not `{text}`")) } else { Ok(it) })
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|it: &f64| (0.1..=100_000.0).contains(it));
    rate.ok_or_else(|| "expected 0.1 to 100000 orders a second".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit() {
        let millis = |text| time(text).map(|it| it.as_millis());
        assert_eq!((millis("90s"), millis("500ms"), millis("1h")), (Ok(90_000), Ok(500), Ok(3_600_000)));
        assert!(measured("999ms").is_err() && measured("1s") == Ok(Duration::from_secs(1)));
        for wrong in ["", "s", "7", "0s", "5d", "-1s", "25h", "99999999999999999999h", "1.5s", "é"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }
}
