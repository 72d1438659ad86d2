//! Waiting for what happens elsewhere.

use std::{
    fmt::Display,
    panic::Location,
    time::{Duration, Instant},
};

use tokio::time::{sleep, timeout};

const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// Polls until `probe` is `Ok`, and returns that; panics once `limit` is over, with the last `Err`.
///
/// The probe's error is the reason why what `what` describes is not so yet. A probe that hangs counts as not so.
#[track_caller]
pub fn eventually<T, E: Display>(
    limit: Duration,
    what: &str,
    mut probe: impl AsyncFnMut() -> Result<T, E>,
) -> impl Future<Output = T> {
    let caller = Location::caller();
    async move {
        let begun = Instant::now();
        let mut pause = FIRST_PAUSE;
        let mut seen = "nothing yet".to_owned();
        loop {
            match timeout(limit.saturating_sub(begun.elapsed()), probe()).await {
                Ok(Ok(value)) => return value,
                Ok(Err(reason)) => seen = reason.to_string(),
                Err(_) => seen.push_str(" (then the probe did not return)"),
            }
            if begun.elapsed() + pause > limit {
                panic!("{caller}: not within {limit:?}: {what}; last seen: {seen}");
            }
            sleep(pause).await;
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{future::pending, panic::AssertUnwindSafe};

    use super::*;

    /// The message of the panic that a wait ends with.
    fn failure(wait: impl Future<Output = ()>) -> String {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let panic = std::panic::catch_unwind(AssertUnwindSafe(|| runtime.block_on(wait))).unwrap_err();
        *panic.downcast::<String>().unwrap()
    }

    #[tokio::test]
    async fn returns_what_the_probe_found_after_some_failures() {
        let mut left = 3;
        let found = eventually(Duration::from_secs(5), "the count is down", async || {
            left -= 1;
            if left == 0 { Ok("down") } else { Err(format!("{left} left")) }
        });
        assert_eq!(found.await, "down");
    }

    #[test]
    fn a_failure_says_where_what_and_why() {
        let limit = Duration::from_millis(30);
        let (line, wait) = (line!(), eventually(limit, "the order is paid", async || Err("it is placed")));

        let said = failure(wait);

        assert!(said.starts_with(&format!("{}:{line}:", file!())), "{said}");
        assert!(said.ends_with("the order is paid; last seen: it is placed"), "{said}");
    }

    #[test]
    fn a_probe_that_hangs_does_not_hang_the_test() {
        let said = failure(eventually(Duration::from_millis(30), "an answer", async || {
            pending::<Result<(), &str>>().await
        }));

        assert!(said.contains("the probe did not return"), "{said}");
    }
}
