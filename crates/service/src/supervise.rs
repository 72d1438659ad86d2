use std::collections::HashMap;
use std::time::Duration;

use anyhow::anyhow;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

/// How long the loops may take to finish what they have in hand, after the intake has stopped. Both together stay
/// under 10 s, which is what orchestrators grant.
const STOP: Duration = Duration::from_secs(4);
/// A little more than HTTP gives its requests, so that it ends by its own deadline.
const INTAKE_STOP: Duration = Duration::from_millis(5_500);

/// The tasks of a process, none of which may end unnoticed.
///
/// If one ends before the stop, well or badly, the others are stopped and [`Tasks::wait`] returns an error.
/// A stop is in two phases: first what lets new work in, then, when that has ended, what does the work; a request
/// in flight still finds the loops that it needs.
pub struct Tasks {
    set: JoinSet<anyhow::Result<()>>,
    names: HashMap<Id, (&'static str, Phase)>,
    shutdown: CancellationToken,
    intake: CancellationToken,
    work: CancellationToken,
    stop_within: Duration,
    failure: Option<anyhow::Error>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Intake,
    Work,
}

type Ended = Result<(Id, anyhow::Result<()>), JoinError>;

impl Tasks {
    /// Tasks that stop when `shutdown` is cancelled, and cancel it when one of them ends.
    pub fn new(shutdown: CancellationToken) -> Self {
        Self {
            set: JoinSet::new(),
            names: HashMap::new(),
            shutdown,
            // Not children of `shutdown`: the phases are told one after the other.
            intake: CancellationToken::new(),
            work: CancellationToken::new(),
            stop_within: STOP,
            failure: None,
        }
    }

    /// Another deadline for the loops than 4 s. The orchestrator's own must be longer.
    #[must_use]
    pub fn stop_within(self, deadline: Duration) -> Self {
        Self { stop_within: deadline, ..self }
    }

    /// Runs what lets new work in (HTTP): told to stop first, by the token that it is given.
    pub fn spawn_intake<F>(&mut self, name: &'static str, task: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let future = task(self.intake.clone());
        self.add(name, Phase::Intake, future);
    }

    /// Runs a loop (consumer, relay, worker): told to stop when the intake has ended, by the token it is given.
    pub fn spawn<F>(&mut self, name: &'static str, task: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let future = task(self.work.clone());
        self.add(name, Phase::Work, future);
    }

    fn add<F>(&mut self, name: &'static str, phase: Phase, future: F)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let handle = self.set.spawn(future);
        self.names.insert(handle.id(), (name, phase));
    }

    /// Waits for the stop, then for the tasks; an error if one ended early, failed, panicked or had to be aborted.
    pub async fn wait(mut self) -> anyhow::Result<()> {
        tokio::select! {
            biased;
            () = self.shutdown.cancelled() => {}
            Some(ended) = self.set.join_next_with_id() => self.note(ended),
        }
        self.shutdown.cancel();
        self.intake.cancel();
        self.join(Phase::Intake, INTAKE_STOP).await;
        self.work.cancel();
        self.join(Phase::Work, self.stop_within).await;
        self.abort();
        self.failure.map_or(Ok(()), Err)
    }

    /// Waits until no task of the phase is left, or the deadline.
    async fn join(&mut self, phase: Phase, within: Duration) {
        let deadline = Instant::now() + within;
        while self.names.values().any(|(_, it)| *it == phase) {
            match timeout_at(deadline, self.set.join_next_with_id()).await {
                Ok(Some(ended)) => self.note(ended),
                Ok(None) | Err(_) => break,
            }
        }
    }

    /// Cuts off what the deadlines left, and says what that was.
    fn abort(&mut self) {
        let mut late: Vec<_> = self.names.values().map(|(name, _)| *name).collect();
        if !late.is_empty() {
            late.sort_unstable();
            self.fail(anyhow!("did not stop in time: {}", late.join(", ")));
            self.set.abort_all();
        }
    }

    fn note(&mut self, ended: Ended) {
        let (id, outcome) = match ended {
            Ok((id, outcome)) => (id, outcome),
            Err(error) => (error.id(), Err(anyhow!(panic_of(error)))),
        };
        let Some((name, _)) = self.names.remove(&id) else { return };
        match outcome {
            Err(error) => self.fail(error.context(format!("the task {name} failed"))),
            Ok(()) if !self.shutdown.is_cancelled() => {
                self.fail(anyhow!("the task {name} ended before the stop"))
            }
            Ok(()) => tracing::debug!(task = name, "stopped"),
        }
    }

    /// Logs each failure when it is noticed, before the stop takes its time; the first is also the process's.
    fn fail(&mut self, error: anyhow::Error) {
        tracing::error!(error = format!("{error:#}"), "the process is going to fail");
        self.failure.get_or_insert(error);
    }
}

fn panic_of(error: JoinError) -> String {
    match error.try_into_panic() {
        Ok(payload) => format!("panicked: {}", panic_message(&*payload)),
        Err(error) => error.to_string(),
    }
}

/// What a panic said, if it said it in words.
pub(crate) fn panic_message(payload: &(dyn std::any::Any + Send)) -> &str {
    payload
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}
