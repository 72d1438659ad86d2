//! What all workloads of whole suites have in common: a suite is started, its books are audited when it has done its
//! part, and it is cleared away.

use std::{path::Path, sync::Arc, time::Duration};

use crate::{
    arrivals::Phase,
    ground::Ground,
    observe::{Observed, Plan},
    options::Load,
    output::Report,
    progress::Progress,
    suite::Suite,
    variant::Variant,
};

/// How long nothing may get on before the books are looked at as they are.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

/// What a workload is run on.
pub(crate) struct Stage<'a> {
    pub(crate) ground: Arc<Ground>,
    pub(crate) programs: &'a Path,
    pub(crate) progress: &'a Progress<'a>,
}

/// Orders that the suite has been given.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Given {
    pub(crate) accepted: u64,
    /// Nobody knows whether they are there.
    pub(crate) unanswered: u64,
}

impl Given {
    pub(crate) fn add(&mut self, observed: &Observed) {
        self.accepted += observed.orders.len() as u64;
        self.unanswered += observed.failed.len() as u64;
    }
}

impl Stage<'_> {
    pub(crate) fn tell(&self, line: &str) {
        self.progress.tell(line);
    }

    /// A suite of its own, with full shelves, on servers that owe nothing to the one before: what that has left in
    /// memory is on disk.
    pub(crate) async fn suite(&self, variant: &Variant) -> anyhow::Result<Suite> {
        let suite = Suite::start(self.ground.clone(), self.programs, variant).await?;
        self.ground.checkpoint().await?;
        self.tell("the suite runs and its shelves are full");
        Ok(suite)
    }

    /// Waits for what a load has left under way, perhaps without knowing of it: whatever is measured next would pay.
    /// `false`: it does not come to rest, which is for the audit to explain.
    pub(crate) async fn settled(&self, suite: &Suite, observed: &Observed) -> anyhow::Result<bool> {
        if observed.is_settled() {
            return Ok(true);
        }
        self.tell("what is under way is waited for");
        let left = suite.rest(PATIENCE, self.progress).await?;
        if !left.is_empty() {
            self.tell(&format!(
                "nothing more is measured, as the suite does not come to rest: there are {left:?}"
            ));
        }
        Ok(left.is_empty())
    }

    /// Waits for rest and has the books audited; then the suite is gone. Why its figures are of no use.
    pub(crate) async fn audited(&self, suite: Suite, given: Given) -> anyhow::Result<Vec<String>> {
        self.tell("what is under way is waited for, and the books are audited");
        let failures = suite.audit(given, PATIENCE, self.progress).await?;
        self.tell(if failures.is_empty() { "the books are in order" } else { "the books do not balance" });
        suite.clear().await?;
        Ok(failures)
    }

    /// What the books of a suite say that had one load and is gone then.
    pub(crate) async fn done(
        &self,
        suite: Suite,
        observed: &Observed,
        report: &mut Report,
    ) -> anyhow::Result<()> {
        let mut given = Given::default();
        given.add(observed);
        report.failures = self.audited(suite, given).await?;
        Ok(())
    }
}

impl Load {
    /// A report that says what was asked for.
    pub(crate) fn asked(&self, workload: &str) -> Report {
        Report::new(workload)
            .asked("rate", self.rate)
            .asked("p99 bound", format!("{:?}", self.bound))
            .asked("warm-up", format!("{:?}", self.warm_up))
            .asked("arrivals", format!("{:?}", self.arrivals).to_lowercase())
            .asked("skus", format!("{:?}", self.skus).to_lowercase())
            .asked("seed", self.seed)
            .asked("with", &self.with.name)
    }

    /// Orders of this load, to their end, over these phases, after a warm-up at the rate of the first.
    pub(crate) fn plan(&self, phases: impl IntoIterator<Item = Phase>) -> Plan {
        let warm_up = Phase { name: "warm-up".to_owned(), lasts: self.warm_up, rate: self.rate };
        let mut phases: Vec<Phase> = [warm_up].into_iter().chain(phases).collect();
        if let [warm_up, first, ..] = &mut phases[..] {
            warm_up.rate = first.rate;
        }
        Plan {
            phases,
            spacing: self.arrivals,
            skus: self.skus,
            seed: self.seed,
            to_the_end: true,
            bound: self.bound,
        }
    }
}
