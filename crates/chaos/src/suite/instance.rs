use std::{
    collections::BTreeMap,
    os::unix::process::ExitStatusExt,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use local::{Launch, Process};
use nix::sys::signal::Signal;
use serde::Serialize;

/// All processes of a suite.
#[derive(Default)]
pub(crate) struct Instances {
    pub(crate) by_name: BTreeMap<String, Instance>,
    /// Also of those that are no longer there.
    exits: Vec<Exit>,
}

/// One process of a suite, over all its starts.
pub(crate) struct Instance {
    pub(crate) launch: Launch,
    pub(crate) process: Process,
    pub(crate) http: String,
    pub(crate) admin: String,
    /// Whether it should run.
    pub(crate) wanted: bool,
    ended: Option<Instant>,
}

/// An end that nobody had asked for.
#[derive(Debug, Clone, Serialize)]
pub struct Exit {
    pub name: String,
    /// Exit code or signal.
    pub status: String,
    /// How its log ends.
    pub last_words: String,
}

/// A container engine waits a little before it starts a program again.
const PAUSE: Duration = Duration::from_millis(500);
/// A service's own deadlines for a stop, and a little.
const STOP: Duration = Duration::from_secs(15);

impl Instance {
    pub(super) fn new(launch: Launch, process: Process, (http, admin): (String, String)) -> Self {
        Self { launch, process, http, admin, wanted: true, ended: None }
    }

    /// kill -9; returns the pid that has ended by it.
    pub(super) async fn kill(&mut self) -> anyhow::Result<u32> {
        self.expect_running()?;
        self.wanted = false;
        self.process.kill().await?;
        let status = self.process.status().context("it survives")?;
        ensure!(status.signal() == Some(Signal::SIGKILL as i32), "{} ended by {status}", self.launch.name);
        Ok(self.process.pid())
    }

    /// SIGTERM, and waits for the end, which has to be an orderly one.
    pub(super) async fn terminate(&mut self) -> anyhow::Result<()> {
        self.expect_running()?;
        self.wanted = false;
        self.process.stop(Signal::SIGTERM, STOP).await?;
        let status = self.process.status().context("it survives")?;
        ensure!(status.success(), "{} was asked to stop, and ended by {status}", self.launch.name);
        Ok(())
    }

    /// One that has ended by itself stays wanted, so that its end is noted.
    fn expect_running(&mut self) -> anyhow::Result<()> {
        ensure!(self.process.is_running(), "{} had ended by itself before", self.launch.name);
        Ok(())
    }

    /// Goes on, or starts again, whatever a fault has left of it.
    pub(super) fn heal(&mut self) -> anyhow::Result<()> {
        self.process.signal(Signal::SIGCONT)?;
        if !self.wanted && !self.process.is_running() {
            self.process = self.launch.start()?;
        }
        self.wanted = true;
        Ok(())
    }

    /// The end that nobody had asked for, when it is first seen.
    fn exit(&mut self) -> Option<Exit> {
        if !self.wanted || self.process.is_running() {
            self.ended = None;
            return None;
        }
        if self.ended.is_some() {
            return None;
        }
        self.ended = Some(Instant::now());
        let (name, last_words) = (self.launch.name.clone(), self.launch.last_words());
        let status = self.process.status().map_or("unknown".to_owned(), |it| it.to_string());
        tracing::warn!(name, status, "ended without being asked to");
        Some(Exit { name, status, last_words })
    }

    fn start_again(&mut self) {
        if self.ended.is_none_or(|it| it.elapsed() < PAUSE) {
            return;
        }
        match self.launch.start() {
            Ok(process) => (self.process, self.ended) = (process, None),
            Err(error) => tracing::error!(name = self.launch.name, %error, "cannot be started again"),
        }
    }
}

impl Instances {
    pub(super) fn tend(&mut self) {
        for it in self.by_name.values_mut() {
            self.exits.extend(it.exit());
            it.start_again();
        }
    }

    /// Forgets a process, but not that it has ended by itself.
    pub(super) fn remove(&mut self, name: &str) {
        if let Some(mut it) = self.by_name.remove(name) {
            self.exits.extend(it.exit());
        }
    }

    /// The ends that nobody had asked for, so far.
    pub(super) fn exits(&mut self) -> Vec<Exit> {
        // What has ended since it was last looked.
        self.tend();
        self.exits.clone()
    }

    pub(crate) fn get(&self, name: &str) -> anyhow::Result<&Instance> {
        self.by_name.get(name).with_context(|| format!("no process {name}"))
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> anyhow::Result<&mut Instance> {
        self.by_name.get_mut(name).with_context(|| format!("no process {name}"))
    }
}

#[cfg(test)]
mod tests;
