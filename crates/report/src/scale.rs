//! From values to places on an axis, and what is written along it.

use crate::text::number;

/// How values are laid out along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Axis {
    /// Evenly, from zero.
    Linear,
    /// Evenly, from zero; ticks are times.
    Seconds,
    /// The same factor is the same distance. Values that are not above zero are put at the lower end.
    Log,
    /// Values are quantiles, 0 to 1, stretched towards 1: 0.9, 0.99 and 0.999 are at equal distances. Their ticks are
    /// percentiles.
    Quantile,
}

/// An axis with its ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    axis: Axis,
    low: f64,
    high: f64,
}

/// A place on an axis, 0 to 1, and what is written there.
pub(crate) type Tick = (f64, String);

const MINUTE: f64 = 60.0;
const HOUR: f64 = 3_600.0;

impl Scale {
    /// Made for these values; those that are no number are passed over.
    pub(crate) fn of(axis: Axis, values: impl Iterator<Item = f64>) -> Self {
        let stretched = values.filter(|it| it.is_finite()).filter_map(|it| match axis {
            Axis::Log if it <= 0.0 => None,
            _ => Some(stretch(axis, it)),
        });
        let (low, high) =
            stretched.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), it| (low.min(it), high.max(it)));
        let (low, high) = match axis {
            _ if low > high => (0.0, 1.0),
            // Whole powers of ten at the lower end, so that curves do not stand on their least value.
            Axis::Log => (low.floor(), (high + 0.02).max(low.floor() + 1.0)),
            Axis::Quantile => (0.0, high.max(2.0)),
            Axis::Seconds => (0.0, high),
            Axis::Linear => (low.min(0.0), high.max(0.0) * 1.06),
        };
        Self { axis, low, high: if high > low { high } else { low + 1.0 } }
    }

    /// Where a value is: 0 at the lower end, 1 at the upper one.
    pub(crate) fn at(&self, value: f64) -> f64 {
        ((stretch(self.axis, value) - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }

    /// About so many ticks, at round values.
    pub(crate) fn ticks(&self, about: usize) -> Vec<Tick> {
        let ticks = match self.axis {
            Axis::Linear => self.even(round_step((self.high - self.low) / about as f64)),
            Axis::Seconds => self.times(about),
            Axis::Log => self.powers(about),
            Axis::Quantile => self.percentiles(),
        };
        ticks.into_iter().map(|(value, label)| (self.at(value), label)).collect()
    }

    fn even(&self, step: f64) -> Vec<Tick> {
        let (unit, letter) = match self.high {
            high if high >= 5e6 => (1e6, "M"),
            high if high >= 2e4 => (1e3, "k"),
            _ => (1.0, ""),
        };
        let decimals = (-(step / unit).log10().floor()).clamp(0.0, 9.0) as usize;
        let label = |value: f64| match number(value / unit, decimals) {
            zero if value.abs() < step / 2.0 => zero.trim_end_matches(['0', '.']).to_owned() + "0",
            other => other + letter,
        };
        multiples(step, self.low, self.high).map(|value| (value, label(value))).collect()
    }

    fn times(&self, about: usize) -> Vec<Tick> {
        const STEPS: [f64; 17] = [
            0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1_800.0, HOUR,
            7_200.0,
        ];
        let least = (self.high - self.low) / about as f64;
        let step = STEPS.into_iter().find(|it| *it >= least);
        let step = step.unwrap_or_else(|| round_step(least / HOUR) * HOUR);
        let label = |value: f64| match self.high {
            high if high >= HOUR => {
                format!("{}:{:02} h", (value / HOUR).floor(), (value % HOUR / MINUTE).round())
            }
            high if high > 2.0 * MINUTE => {
                format!("{}:{:02}", (value / MINUTE).floor(), (value % MINUTE).round())
            }
            _ if step < 1.0 => format!("{value:.1} s"),
            _ => format!("{value:.0} s"),
        };
        multiples(step, self.low, self.high).map(|value| (value, label(value))).collect()
    }

    /// Powers of ten, and what is between them where there are few.
    fn powers(&self, about: usize) -> Vec<Tick> {
        let decades = self.high - self.low;
        let parts: &[f64] = if decades * 3.0 <= about.max(6) as f64 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let every = (decades / about as f64).ceil().max(1.0) as usize;
        let decades = (self.low as i32..=self.high as i32).step_by(every);
        let values = decades.flat_map(|power| parts.iter().map(move |it| (it * 10_f64.powi(power), power)));
        let within = values.filter(|(value, _)| value.log10() <= self.high + 1e-9);
        within.map(|(value, power)| (value, number(value, (-power).max(0) as usize))).collect()
    }

    fn percentiles(&self) -> Vec<Tick> {
        let mut ticks = vec![(0.0, "0 %".to_owned()), (0.5, "50 %".to_owned())];
        for nines in 1..=self.high.floor() as i32 {
            let value = 1.0 - 10_f64.powi(-nines);
            ticks.push((value, format!("{:.*} %", (nines - 2).max(0) as usize, value * 100.0)));
        }
        ticks
    }
}

/// Where a value would be on an axis without ends.
fn stretch(axis: Axis, value: f64) -> f64 {
    match axis {
        Axis::Linear | Axis::Seconds => value,
        Axis::Log => value.max(1e-12).log10(),
        // A quantile of one is at the end of whatever is there, and beyond a millionth nobody looks.
        Axis::Quantile => -(1.0 - value).clamp(1e-6, 1.0).log10(),
    }
}

/// The least of 1, 2 and 5 times a power of ten that is not below `least`.
fn round_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|it| it * power >= least * (1.0 - 1e-9));
    factor.unwrap_or(10.0) * power
}

fn multiples(step: f64, low: f64, high: f64) -> impl Iterator<Item = f64> {
    let (first, last) = ((low / step - 1e-9).ceil() as i64, (high / step + 1e-9).floor() as i64);
    (first..=last).map(move |it| it as f64 * step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(axis: Axis, values: &[f64], about: usize, expected: &str) {
        let ticks = Scale::of(axis, values.iter().copied()).ticks(about);
        let labels: Vec<String> = ticks.iter().map(|it| it.1.clone()).collect();
        assert_eq!(labels.join(" | "), expected);
        assert!(ticks.iter().all(|it| (0.0..=1.0).contains(&it.0)), "{ticks:?}");
        assert!(ticks.windows(2).all(|it| it[0].0 < it[1].0), "{ticks:?}");
    }

    #[test]
    fn ticks_are_round_numbers() {
        check(Axis::Linear, &[0.0, 97.0], 4, "0 | 50 | 100");
        check(Axis::Linear, &[1_310.0], 4, "0 | 500 | 1,000");
        check(Axis::Linear, &[0.03], 4, "0 | 0.01 | 0.02 | 0.03");
        check(Axis::Linear, &[48_000.0], 4, "0 | 20k | 40k");
        check(Axis::Linear, &[7_500_000.0], 4, "0 | 2M | 4M | 6M");
        check(Axis::Linear, &[-3.0, 3.0], 4, "-2 | 0 | 2");
    }

    #[test]
    fn time_is_in_its_own_steps() {
        check(
            Axis::Seconds,
            &[90.0],
            10,
            "0 s | 10 s | 20 s | 30 s | 40 s | 50 s | 60 s | 70 s | 80 s | 90 s",
        );
        check(
            Axis::Seconds,
            &[300.0],
            10,
            "0:00 | 0:30 | 1:00 | 1:30 | 2:00 | 2:30 | 3:00 | 3:30 | 4:00 | 4:30 | 5:00",
        );
        check(Axis::Seconds, &[0.9], 5, "0.0 s | 0.2 s | 0.4 s | 0.6 s | 0.8 s");
        check(Axis::Seconds, &[7_200.0], 4, "0:00 h | 0:30 h | 1:00 h | 1:30 h | 2:00 h");
        check(Axis::Seconds, &[86_400.0 * 2.0], 6, "0:00 h | 10:00 h | 20:00 h | 30:00 h | 40:00 h");
    }

    #[test]
    fn factors_and_percentiles_are_at_equal_distances() {
        check(Axis::Log, &[1.2, 80.0], 6, "1 | 2 | 5 | 10 | 20 | 50");
        check(Axis::Log, &[0.05, 8_000.0], 6, "0.01 | 0.1 | 1 | 10 | 100 | 1,000");
        check(
            Axis::Quantile,
            &[0.5, 0.999, 1.0],
            6,
            "0 % | 50 % | 90 % | 99 % | 99.9 % | 99.99 % | 99.999 % | 99.9999 %",
        );
        check(Axis::Quantile, &[0.5, 0.99], 6, "0 % | 50 % | 90 % | 99 %");
        let scale = Scale::of(Axis::Quantile, [0.9999].into_iter());
        let [a, b, c] = [0.9, 0.99, 0.999].map(|it| scale.at(it));
        assert!((b - a - (c - b)).abs() < 1e-9);
    }

    #[test]
    fn nothing_and_what_is_no_number_have_a_scale() {
        check(Axis::Linear, &[], 4, "0 | 0.5 | 1.0");
        check(Axis::Linear, &[0.0, f64::NAN, f64::INFINITY], 2, "0 | 0.5 | 1.0");
        check(Axis::Log, &[0.0, -1.0], 2, "1 | 2 | 5 | 10");
        check(Axis::Seconds, &[], 2, "0.0 s | 0.5 s | 1.0 s");
    }
}
