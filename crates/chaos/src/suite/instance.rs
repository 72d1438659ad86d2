use std::{collections::BTreeMap, time::Instant};

use anyhow::Context;
use local::{Launch, Process};
use serde::Serialize;

/// All processes of a suite, by name.
#[derive(Default)]
pub(crate) struct Instances(pub(crate) BTreeMap<String, Instance>);

/// One process of a suite, over all its starts.
pub(crate) struct Instance {
    pub(crate) launch: Launch,
    pub(crate) process: Process,
    pub(crate) http: String,
    pub(crate) admin: String,
    /// Whether it should run.
    pub(crate) wanted: bool,
    pub(crate) exits: Vec<Exit>,
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
const PAUSE: std::time::Duration = std::time::Duration::from_millis(500);

impl Instance {
    pub(super) fn new(launch: Launch, process: Process, (http, admin): (String, String)) -> Self {
        Self { launch, process, http, admin, wanted: true, exits: Vec::new(), ended: None }
    }

    fn tend(&mut self) {
        if !self.wanted || self.process.is_running() {
            self.ended = None;
            return;
        }
        let ended = *self.ended.get_or_insert_with(|| {
            let status = self.process.status().map_or("unknown".to_owned(), |it| it.to_string());
            let words = self.launch.last_words();
            tracing::warn!(name = self.launch.name, status, "ended without being asked to");
            self.exits.push(Exit { name: self.launch.name.clone(), status, last_words: words });
            Instant::now()
        });
        if ended.elapsed() < PAUSE {
            return;
        }
        match self.launch.start() {
            Ok(process) => self.process = process,
            Err(error) => tracing::error!(name = self.launch.name, %error, "cannot be started again"),
        }
    }
}

impl Instances {
    pub(super) fn tend(&mut self) {
        self.0.values_mut().for_each(Instance::tend);
    }

    pub(crate) fn get(&self, name: &str) -> anyhow::Result<&Instance> {
        self.0.get(name).with_context(|| format!("no process {name}"))
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> anyhow::Result<&mut Instance> {
        self.0.get_mut(name).with_context(|| format!("no process {name}"))
    }
}
