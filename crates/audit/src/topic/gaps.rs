//! Which of a key's numbers are missing, as ranges: what a hand has made of a counter may be any number, and takes no
//! more memory or room than another.

use std::{fmt, ops::RangeInclusive};

/// So many ranges are told one by one.
const MOST: usize = 20;

#[derive(Debug, Default)]
pub(super) struct Gaps {
    ranges: Vec<RangeInclusive<i64>>,
    /// How many ranges there are besides.
    more: u64,
}

impl Gaps {
    /// What is missing from the first to the last number, where those are `there`, in ascending order.
    pub(super) fn between(first: i64, last: i64, there: &[i64]) -> Self {
        let mut gaps = Self::default();
        // `None`: no number is higher.
        let mut next = Some(first);
        for number in there.iter().copied().take_while(|it| *it <= last) {
            let Some(from) = next.filter(|it| *it <= number) else { continue };
            if from < number {
                gaps.add(from..=number - 1);
            }
            next = number.checked_add(1);
        }
        if let Some(from) = next.filter(|it| *it <= last) {
            gaps.add(from..=last);
        }
        gaps
    }

    fn add(&mut self, range: RangeInclusive<i64>) {
        if self.ranges.len() < MOST {
            self.ranges.push(range);
        } else {
            self.more += 1;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Those that are told, each in words.
    pub(super) fn told(&self) -> impl Iterator<Item = String> {
        self.ranges.iter().map(|it| match (it.start(), it.end()) {
            (from, to) if from == to => from.to_string(),
            (from, to) => format!("{from} to {to}"),
        })
    }
}

/// With its verb: "number 3 is", "numbers 1 to 5, 9 are".
impl fmt::Display for Gaps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = self.told().collect::<Vec<_>>().join(", ");
        match self.ranges.as_slice() {
            [one] if one.start() == one.end() => write!(f, "number {told} is"),
            _ if self.more == 0 => write!(f, "numbers {told} are"),
            _ => write!(f, "numbers {told} and {} more are", self.more),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check((first, last): (i64, i64), there: &[i64], expected: &str) {
        let gaps = Gaps::between(first, last, there);
        let told = if gaps.is_empty() { String::new() } else { gaps.to_string() };
        assert_eq!(told, expected);
    }

    #[test]
    fn what_is_missing_is_told_as_ranges() {
        check((1, 3), &[1, 2, 3], "");
        check((1, 0), &[], "");
        check((1, 1), &[], "number 1 is");
        check((1, 9), &[6, 7, 8], "numbers 1 to 5, 9 are");
        check((3, 5), &[0, 1, 2, 4, 4, 6], "numbers 3, 5 are");
        check((5, 5), &[4, 6], "number 5 is");
    }

    #[test]
    fn any_number_is_told_in_a_few_words() {
        check((1, 100_000_000), &[1, 2, 3], "numbers 4 to 100000000 are");
        check((1, i64::MAX), &[1, i64::MAX], "numbers 2 to 9223372036854775806 are");
        check((i64::MAX, i64::MAX), &[], "number 9223372036854775807 is");
        let odd: Vec<i64> = (1..=99).step_by(2).collect();
        let gaps = Gaps::between(1, 99, &odd);
        assert_eq!(gaps.told().count(), MOST);
        let told = gaps.to_string();
        assert!(told.starts_with("numbers 2, 4, 6") && told.ends_with("38, 40 and 29 more are"), "{told}");
    }
}
