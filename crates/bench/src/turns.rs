//! Several things that are measured in turns, so that what else the machine does is nobody's advantage; and how each
//! compares to the first, round by round: a ratio within a round is worth more than one between medians.

use serde::Serialize;

use crate::{
    figures::{Figures, number},
    output::Run,
};

/// What has been measured so far.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    names: Vec<String>,
    /// Of each, a measurement a round.
    all: Vec<Vec<Figures>>,
}

/// A figure of one of them, times that of another in the same round.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ratio {
    pub figure: String,
    pub of: String,
    pub to: String,
    /// Nothing in a round where one of them does not have the figure.
    pub rounds: Vec<Option<f64>>,
    pub min: f64,
    pub median: f64,
    pub max: f64,
}

impl Turns {
    pub(crate) fn of(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        Self { all: vec![Vec::new(); names.len()], names }
    }

    /// Whose turn it is when in a round, which is counted from 0: each round begins with another one.
    pub(crate) fn order(&self, round: usize) -> Vec<usize> {
        (0..self.names.len()).map(|turn| (round + turn) % self.names.len()).collect()
    }

    pub(crate) fn name(&self, index: usize) -> &str {
        &self.names[index]
    }

    pub(crate) fn put(&mut self, index: usize, figures: Figures) {
        self.all[index].push(figures);
    }

    /// Of each of them the medians.
    pub(crate) fn medians(&self) -> Vec<Run> {
        let of = |(name, all): (&String, &Vec<Figures>)| Run {
            name: name.clone(),
            figures: Figures::medians(all),
        };
        self.names.iter().zip(&self.all).map(of).collect()
    }

    /// How one compares to another in these figures; where both have one that is not zero.
    pub(crate) fn ratios(&self, of: usize, to: usize, figures: &[&str]) -> Vec<Ratio> {
        let ratio = |figure: &&str| {
            let both = self.all[of].iter().zip(&self.all[to]);
            let quotient = |(it, other): (&Figures, &Figures)| {
                Some(it.get(figure)? / other.get(figure).filter(|it| *it > 0.0)?)
            };
            let rounds: Vec<Option<f64>> = both.map(quotient).collect();
            let mut sorted: Vec<f64> = rounds.iter().copied().flatten().collect();
            sorted.sort_by(f64::total_cmp);
            let (min, max) = (*sorted.first()?, *sorted.last()?);
            // Of two in the middle neither is the median.
            let median = (sorted[(sorted.len() - 1) / 2] + sorted[sorted.len() / 2]) / 2.0;
            let [of, to] = [of, to].map(|it| self.names[it].clone());
            Some(Ratio { figure: (*figure).to_owned(), of, to, rounds, min, median, max })
        };
        figures.iter().filter_map(ratio).collect()
    }

    /// How all others compare to the first.
    pub(crate) fn to_first(&self, figures: &[&str]) -> Vec<Ratio> {
        (1..self.names.len()).flat_map(|it| self.ratios(it, 0, figures)).collect()
    }
}

/// A row for each ratio, a column for each round; the first row is the heading.
pub(crate) fn rows(ratios: &[Ratio]) -> Vec<Vec<String>> {
    let rounds = ratios.iter().map(|it| it.rounds.len()).max().unwrap_or(0);
    let heading = ["times", "figure", "min", "median", "max"].map(str::to_owned);
    let mut rows = vec![heading.into_iter().chain((1..=rounds).map(|it| format!("round {it}"))).collect()];
    for Ratio { figure, of, to, rounds: each, min, median, max } in ratios {
        let first = [format!("{of} / {to}"), figure.clone()].into_iter();
        let numbers = [min, median, max].map(|it| number(*it));
        let each = (0..rounds).map(|it| each.get(it).copied().flatten().map(number).unwrap_or_default());
        rows.push(first.chain(numbers).chain(each).collect());
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(all: &[(&str, &[f64])]) -> Turns {
        let mut turns = Turns::of(all.iter().map(|it| it.0));
        for (index, (_, rates)) in all.iter().enumerate() {
            for rate in *rates {
                let mut figures = Figures::default();
                figures.put("rate", *rate, "/s");
                turns.put(index, figures);
            }
        }
        turns
    }

    /// The machine is half as fast in the second round, which the ratio of the medians takes for a difference.
    #[test]
    fn ratios_are_within_a_round() {
        let turns = turns(&[("usual", &[100.0, 50.0, 100.0]), ("slow", &[50.0, 25.0, 60.0])]);
        let ratios = turns.to_first(&["rate", "absent"]);
        let expected = Ratio {
            figure: "rate".into(),
            of: "slow".into(),
            to: "usual".into(),
            rounds: [0.5, 0.5, 0.6].map(Some).into(),
            min: 0.5,
            median: 0.5,
            max: 0.6,
        };
        assert_eq!(ratios, [expected]);
        let rows = rows(&ratios);
        assert_eq!(rows[0].join(" "), "times figure min median max round 1 round 2 round 3");
        assert_eq!(rows[1].join(" "), "slow / usual rate 0.500 0.500 0.600 0.500 0.500 0.600");
    }

    #[test]
    fn the_median_of_two_rounds_is_between_them() {
        let ratios = turns(&[("usual", &[1.0, 1.0]), ("other", &[1.0, 3.0])]).to_first(&["rate"]);
        assert_eq!((ratios[0].min, ratios[0].median, ratios[0].max), (1.0, 2.0, 3.0));
    }

    #[test]
    fn a_round_without_a_figure_is_blank() {
        let ratios = turns(&[("usual", &[1.0, 0.0, 1.0]), ("other", &[1.0, 1.0, 3.0])]).to_first(&["rate"]);
        assert_eq!(rows(&ratios)[1].join(","), "other / usual,rate,1.00,2.00,3.00,1.00,,3.00");
    }

    #[test]
    fn nothing_is_compared_to_nothing() {
        assert_eq!(turns(&[("usual", &[0.0]), ("other", &[1.0])]).to_first(&["rate"]), []);
        assert_eq!(turns(&[("usual", &[]), ("other", &[])]).to_first(&["rate"]), []);
    }

    #[test]
    fn each_round_begins_with_another_one() {
        let turns = turns(&[("a", &[]), ("b", &[]), ("c", &[])]);
        assert_eq!([0, 1, 2, 3].map(|it| turns.order(it)), [[0, 1, 2], [1, 2, 0], [2, 0, 1], [0, 1, 2]]);
    }
}
