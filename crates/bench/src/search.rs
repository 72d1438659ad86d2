//! The search for the highest rate that is sustained.

/// It is over when the rate that is sustained is so near to one that is not.
pub(crate) const NEAR: f64 = 1.1;
const TRIALS: usize = 20;

/// Doubled until a rate is not sustained, then halved in between. A trial that fails is made again before it is
/// believed: on a machine that others use something is always in the way of one.
#[derive(Debug)]
pub(crate) struct Search {
    /// What is tried next, or was last.
    rate: f64,
    low: Option<f64>,
    high: Option<f64>,
    /// The rate has failed once.
    doubted: bool,
    trials: usize,
}

impl Search {
    pub(crate) fn from(rate: f64) -> Self {
        Self { rate, low: None, high: None, doubted: false, trials: 0 }
    }

    /// What to try next; none when it is over.
    pub(crate) fn rate(&self) -> Option<f64> {
        (!self.is_near() && self.trials < TRIALS).then_some(self.rate)
    }

    /// What has come of the trial.
    pub(crate) fn note(&mut self, sustained: bool) {
        self.trials += 1;
        if !sustained && !self.doubted {
            self.doubted = true;
            return;
        }
        self.doubted = false;
        *(if sustained { &mut self.low } else { &mut self.high }) = Some(self.rate);
        self.rate = match (self.low, self.high) {
            (Some(low), Some(high)) => (low * high).sqrt(),
            (Some(low), None) => low * 2.0,
            (None, _) => self.rate / 2.0,
        };
    }

    /// What is sustained is as near to what is not as it was to be. A search that is over without that has given up.
    pub(crate) fn is_near(&self) -> bool {
        matches!((self.low, self.high), (Some(low), Some(high)) if high / low <= NEAR)
    }

    /// The highest rate that was sustained.
    pub(crate) fn found(&self) -> Option<f64> {
        self.low
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found where `sustains` tells of a trial, by its rate and number; and in how many trials.
    fn found(from: f64, sustains: impl Fn(f64, usize) -> bool) -> (Option<f64>, usize) {
        let (mut search, mut trials) = (Search::from(from), 0);
        while let Some(rate) = search.rate() {
            search.note(sustains(rate, trials));
            trials += 1;
        }
        assert_eq!(search.is_near(), trials < TRIALS, "{search:?}");
        (search.found(), trials)
    }

    #[test]
    fn the_highest_rate_is_found_from_below_and_from_above() {
        for from in [10.0, 100.0, 5_000.0] {
            let (found, trials) = found(from, |rate, _| rate <= 1_000.0);
            assert!(found.is_some_and(|it| (1_000.0 / NEAR..=1_000.0).contains(&it)), "{from}: {found:?}");
            assert!(trials <= TRIALS, "{trials}");
        }
    }

    /// Whichever trial it is that something else on the machine spoils.
    #[test]
    fn one_noisy_trial_does_not_end_it() {
        for noisy in 0..TRIALS {
            let (found, _) = found(100.0, |rate, trial| rate <= 1_000.0 && trial != noisy);
            assert!(found.is_some_and(|it| it >= 1_000.0 / NEAR), "trial {noisy}: {found:?}");
        }
    }

    #[test]
    fn a_suite_that_sustains_nothing_or_everything_ends_it_too() {
        assert_eq!(found(100.0, |_, _| false), (None, TRIALS));
        assert_eq!(found(100.0, |_, _| true).1, TRIALS);
    }
}
