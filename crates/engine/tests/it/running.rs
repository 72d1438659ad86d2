//! Engines of a test: made, run, stopped, and crashed.

use std::time::Duration;

use engine::{By, Commands, DeadLetters, Engine, Health, RedriveError, Redriven, Rejected, Settings, Which};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    account::{Accounts, Input, Insufficient, Order, Statement},
    rig::{SOON, cause},
    teller::Teller,
};

/// An engine before it runs.
pub(crate) struct Prepared {
    pub(crate) settings: Settings,
    pub(crate) teller: Teller,
    pub(crate) mutant: Option<engine::Mutant>,
    /// The time of a transaction, if it is not the usual.
    pub(crate) attempt: Option<Duration>,
}

impl Prepared {
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self
    }

    pub(crate) fn mutant(mut self, mutant: Option<engine::Mutant>) -> Self {
        self.mutant = mutant;
        self
    }

    pub(crate) fn attempt(mut self, attempt: Duration) -> Self {
        self.attempt = Some(attempt);
        self
    }

    /// Runs the tasks whose names `only` lets pass.
    pub(crate) fn run(self, only: impl Fn(&str) -> bool) -> Running {
        let mut engine = Engine::new(Accounts, self.teller, self.settings);
        if let Some(mutant) = self.mutant {
            engine = engine.with_mutant(mutant);
        }
        if let Some(attempt) = self.attempt {
            engine = engine.with_attempt(attempt);
        }
        let (commands, health, dead_letters) = (engine.commands(), engine.health(), engine.dead_letters());
        let shutdown = CancellationToken::new();
        let mut tasks = JoinSet::new();
        for task in engine.tasks(shutdown.clone()).into_iter().filter(|it| only(it.name)) {
            tasks.spawn(async move { (task.name, task.future.await) });
        }
        Running { commands, health, dead_letters, shutdown, tasks }
    }
}

/// A running engine.
pub(crate) struct Running {
    pub(crate) commands: Commands<Accounts>,
    pub(crate) health: Health,
    pub(crate) dead_letters: DeadLetters,
    shutdown: CancellationToken,
    tasks: JoinSet<(&'static str, Result<(), bus::Error>)>,
}

fn by_jane() -> By {
    By { actor: "operator:jane".into(), reason: "the cause is gone".into() }
}

impl Running {
    /// Carries out a command.
    pub(crate) async fn command(&self, order: Order) -> Result<Statement, Rejected<Insufficient>> {
        self.commands.submit(Input::Command(order), cause(), None).await
    }

    /// Redrives as the operator Jane.
    pub(crate) async fn redrive(&self, which: Which) -> Result<Redriven, RedriveError> {
        self.dead_letters.redrive(which, by_jane(), None).await
    }

    pub(crate) async fn discard(&self, which: Which) -> Result<Redriven, RedriveError> {
        self.dead_letters.discard(which, by_jane(), None).await
    }

    /// Ends it as a service is ended. No task may have ended, or end, with an error.
    pub(crate) async fn stop(mut self) {
        self.shutdown.cancel();
        let ended = tokio::time::timeout(SOON, async {
            while let Some(ended) = self.tasks.join_next().await {
                let (name, result) = ended.unwrap();
                result.unwrap_or_else(|error| panic!("{name}: {error}"));
            }
        });
        ended.await.expect("an engine stops");
    }

    /// Ends it wherever it is, as a crash does.
    pub(crate) async fn crash(mut self) {
        self.tasks.shutdown().await;
    }
}
