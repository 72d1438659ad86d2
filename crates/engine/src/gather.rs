//! How long work is let come together before a batch of it is taken.

use std::time::Duration;

/// In proportion to what a batch takes, as a machine that is busy or slow needs more: at work for a quarter of the time,
/// a worker shares what a batch costs among about four times as many, and leaves the machine to the others meanwhile.
const TIMES: u32 = 3;
/// A batch costs at least this much, here or elsewhere, however quickly it was answered.
const LEAST: Duration = Duration::from_millis(2);
/// A batch that has waited (for a lock, for the database) says nothing about the next one.
const MOST: Duration = Duration::from_millis(50);

/// For how long to let work come together where it comes faster than it is taken, and the last batch `took` so long.
/// Whoever is alone is to wait for nobody.
pub(crate) fn gather(took: Duration) -> Duration {
    took.saturating_mul(TIMES).clamp(LEAST, MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_longer_is_shared_by_more_within_bounds() {
        let millis = [0, 1, 5, 16, 17, 60_000].map(|it| gather(Duration::from_millis(it)).as_millis());
        assert_eq!(millis, [2, 3, 15, 48, 50, 50]);
        assert_eq!(gather(Duration::MAX), MOST);
    }
}
