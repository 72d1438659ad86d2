//! When orders are due.

use std::time::Duration;

use fastrand::Rng;

/// How orders follow each other.
#[derive(clap::ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spacing {
    /// Independently, as customers who know nothing of each other: some come at once.
    Poisson,
    /// At even distances.
    Constant,
}

/// A time with one rate.
#[derive(Debug, Clone)]
pub(crate) struct Phase {
    pub(crate) name: String,
    pub(crate) lasts: Duration,
    /// Orders a second.
    pub(crate) rate: f64,
}

/// The moments, since the start, at which orders are due, in order; the same of the same seed.
#[derive(Debug, Clone)]
pub(crate) struct Arrivals {
    spacing: Spacing,
    rng: Rng,
    /// Seconds and rate of what is left, the next phase last.
    left: Vec<(f64, f64)>,
    at: f64,
}

impl Arrivals {
    pub(crate) fn new(spacing: Spacing, seed: u64, phases: &[Phase]) -> Self {
        let left = phases.iter().rev().map(|it| (it.lasts.as_secs_f64(), it.rate)).collect();
        Self { spacing, rng: Rng::with_seed(seed), left, at: 0.0 }
    }
}

impl Iterator for Arrivals {
    type Item = Duration;

    /// A gap is a number of orders' worth of time, one or exponentially distributed around one; a phase with a higher
    /// rate uses it up faster, so that a gap may begin in one phase and end in another.
    fn next(&mut self) -> Option<Duration> {
        let mut gap = match self.spacing {
            Spacing::Constant => 1.0,
            Spacing::Poisson => -(1.0 - self.rng.f64()).ln(),
        };
        while let Some((seconds, rate)) = self.left.last_mut() {
            if gap < *seconds * *rate {
                let passes = gap / *rate;
                *seconds -= passes;
                self.at += passes;
                return Some(Duration::from_secs_f64(self.at));
            }
            gap -= *seconds * *rate;
            self.at += *seconds;
            self.left.pop();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phases(all: &[(u64, f64)]) -> Vec<Phase> {
        let phase = |(secs, rate): &(u64, f64)| Phase {
            name: String::new(),
            lasts: Duration::from_secs(*secs),
            rate: *rate,
        };
        all.iter().map(phase).collect()
    }

    #[test]
    fn constant_ones_are_evenly_spaced_and_a_gap_goes_on_in_the_next_phase() {
        let plan = |first, second| {
            let all = Arrivals::new(Spacing::Constant, 1, &phases(&[(1, first), (1, second)]));
            all.map(|it| it.as_millis()).collect::<Vec<_>>()
        };
        assert_eq!(plan(4.0, 2.0), [250, 500, 750, 1_000, 1_500]);
        // Half of the third gap is over when the rate doubles.
        assert_eq!(plan(2.5, 5.0), [400, 800, 1_100, 1_300, 1_500, 1_700, 1_900]);
    }

    /// Of a Poisson process the count in a window has its mean as variance, and gaps that are shorter than the mean are
    /// a share of 1 - 1/e.
    #[test]
    fn poisson_ones_are_as_far_apart_and_as_uneven_as_they_should_be() {
        let all: Vec<f64> = Arrivals::new(Spacing::Poisson, 7, &phases(&[(1_000, 100.0)]))
            .map(|it| it.as_secs_f64())
            .collect();
        assert!((99_000..=101_000).contains(&all.len()), "{}", all.len());
        let short = all.windows(2).filter(|it| it[1] - it[0] < 0.01).count() as f64 / all.len() as f64;
        assert!((0.622..=0.642).contains(&short), "{short}");
        let mut counts = vec![0.0; 1_000];
        all.iter().for_each(|at| counts[*at as usize] += 1.0);
        let variance = counts.iter().map(|it: &f64| (it - 100.0).powi(2)).sum::<f64>() / 1_000.0;
        assert!((85.0..=115.0).contains(&variance), "{variance}");
    }

    #[test]
    fn a_burst_has_its_rate_and_no_other_phase_does() {
        let all: Vec<Duration> =
            Arrivals::new(Spacing::Poisson, 3, &phases(&[(100, 10.0), (100, 50.0), (100, 10.0)])).collect();
        let within = |from: u64, to: u64| {
            all.iter().filter(|it| (from..to).contains(&it.as_secs())).count() as f64 / (to - from) as f64
        };
        let rates = [within(0, 100), within(100, 200), within(200, 300)];
        assert!((8.5..11.5).contains(&rates[0]) && (47.0..53.0).contains(&rates[1]), "{rates:?}");
        assert!((8.5..11.5).contains(&rates[2]), "{rates:?}");
    }

    #[test]
    fn the_same_seed_has_the_same_moments() {
        let of = |seed| Arrivals::new(Spacing::Poisson, seed, &phases(&[(2, 50.0)])).collect::<Vec<_>>();
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }
}
