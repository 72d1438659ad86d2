//! Readiness: whether this process makes progress, not whether a port is open.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

type Check = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// The checks that `/readyz` asks. A clone shares the draining state and costs two counts.
#[derive(Clone, Default)]
pub struct Readiness {
    checks: Arc<Vec<(&'static str, Check)>>,
    draining: Arc<AtomicBool>,
}

impl Readiness {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a check. It is synchronous on purpose: it looks at progress that was recorded elsewhere and must not
    /// wait for what may be the very thing that hangs.
    #[must_use]
    pub fn with(
        mut self,
        name: &'static str,
        check: impl Fn() -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        Arc::make_mut(&mut self.checks).push((name, Arc::new(check)));
        self
    }

    /// Not ready from now on, in all clones: this process is stopping.
    pub fn draining(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Asks every check, each time anew.
    pub fn report(&self) -> Report {
        let mut ready = true;
        let mut checks = BTreeMap::new();
        for (name, check) in self.checks.iter() {
            let outcome = check();
            ready &= outcome.is_ok();
            checks.insert(*name, outcome.map_or_else(Cow::Owned, |()| Cow::Borrowed("ok")));
        }
        if self.draining.load(Ordering::Relaxed) {
            ready = false;
            checks.insert("process", Cow::Borrowed("stopping"));
        }
        Report { status: if ready { "ready" } else { "unready" }, checks }
    }
}

/// The answer of `/readyz`.
#[derive(Debug, Serialize)]
pub struct Report {
    /// `ready` or `unready`.
    pub status: &'static str,
    /// By name: `ok`, or what is wrong.
    pub checks: BTreeMap<&'static str, Cow<'static, str>>,
}

impl IntoResponse for Report {
    fn into_response(self) -> Response {
        let status = if self.status == "ready" { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        (status, axum::Json(self)).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(readiness: &Readiness, expected: &str) {
        assert_eq!(serde_json::to_string(&readiness.report()).unwrap(), expected);
    }

    #[test]
    fn one_failing_check_makes_it_unready_and_is_named() {
        let moving = Arc::new(AtomicBool::new(true));
        let seen = Arc::clone(&moving);
        let readiness = Readiness::new().with("relay", || Ok(())).with("consumer", move || {
            seen.load(Ordering::Relaxed).then_some(()).ok_or_else(|| "no progress for 12 s".to_owned())
        });

        check(&readiness, r#"{"status":"ready","checks":{"consumer":"ok","relay":"ok"}}"#);
        moving.store(false, Ordering::Relaxed);
        check(
            &readiness,
            r#"{"status":"unready","checks":{"consumer":"no progress for 12 s","relay":"ok"}}"#,
        );
        moving.store(true, Ordering::Relaxed);
        check(&readiness, r#"{"status":"ready","checks":{"consumer":"ok","relay":"ok"}}"#);
    }

    #[test]
    fn draining_is_seen_by_every_clone() {
        let readiness = Readiness::new();
        let clone = readiness.clone();
        readiness.draining();
        check(&clone, r#"{"status":"unready","checks":{"process":"stopping"}}"#);
    }
}
