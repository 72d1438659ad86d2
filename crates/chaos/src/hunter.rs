//! Audits over and over while a mutant runs, for the first violation of what it is to break.

use std::time::{Duration, Instant};

use audit::{Law, Violation};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::task::AbortOnDropHandle;

use crate::report::First;

/// Short: what is under way is judged the next time.
const PATIENCE: Duration = Duration::from_secs(4);
const PAUSE: Duration = Duration::from_secs(1);

pub(crate) struct Hunter {
    found: watch::Receiver<Option<First>>,
    task: Option<AbortOnDropHandle<()>>,
}

impl Hunter {
    /// Looks from now on, until it has found one of these laws broken. Others may be, and prove nothing: it looks on.
    pub(crate) fn begin(sources: audit::Sources, laws: &'static [Law], begun: Instant) -> Self {
        let (tell, found) = watch::channel(None);
        let task = tokio::spawn(async move {
            loop {
                sleep(PAUSE).await;
                // What cannot be looked at now, because a server is away, can be later.
                let audit = audit::audit(
                    &sources,
                    &audit::Options { patience: PATIENCE, ..audit::Options::default() },
                )
                .await;
                let Some(violation) = audit.ok().and_then(|it| first_of(laws, it.violations)) else {
                    continue;
                };
                let at_ms = begun.elapsed().as_millis() as u64;
                let _ = tell.send(Some(First { at_ms, violation }));
                return;
            }
        });
        Self { found, task: Some(AbortOnDropHandle::new(task)) }
    }

    /// Does not look.
    pub(crate) fn idle() -> Self {
        Self { found: watch::channel(None).1, task: None }
    }

    pub(crate) fn has_found(&self) -> bool {
        self.found.borrow().is_some()
    }

    /// Waits for a find, or until the time is over.
    pub(crate) async fn found_within(&self, time: Duration) {
        let mut found = self.found.clone();
        match self.task {
            // An error says that it was taken away.
            Some(_) => drop(timeout(time, found.wait_for(Option::is_some)).await),
            None => sleep(time).await,
        }
    }

    /// Looks no more; what was found.
    pub(crate) fn end(self) -> Option<First> {
        drop(self.task);
        self.found.borrow().clone()
    }
}

fn first_of(laws: &[Law], violations: Vec<Violation>) -> Option<Violation> {
    violations.into_iter().find(|it| laws.contains(&it.law))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_else_is_broken_does_not_hide_what_is_looked_for() {
        let violation = |law: Law| Violation {
            law,
            order_id: None,
            sku: None,
            events: Vec::new(),
            text: law.name().to_owned(),
        };
        let broken = || vec![violation(Law::Ends), violation(Law::Stock), violation(Law::Sequence)];

        let found = |laws| first_of(laws, broken()).map(|it| it.law);

        assert_eq!(found(&[Law::Sequence, Law::Published]), Some(Law::Sequence));
        assert_eq!(found(&[Law::ChargedOnce]), None);
        assert_eq!(found(&Law::ALL), Some(Law::Ends));
    }
}
