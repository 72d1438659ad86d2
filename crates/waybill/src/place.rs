//! Where a suite that `up` started keeps its files, and how its processes are found again.

use std::{
    env,
    fs::{self, File, TryLockError},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, ensure};
use local::{Launch, Process};
use tokio::task::JoinSet;

use crate::{
    output::{Steps, say},
    suite::Part,
};

/// Longer than a service's own deadlines.
const GRACE: Duration = Duration::from_secs(30);

/// The directories of one suite on this machine.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// Pids and logs.
    pub(crate) files: PathBuf,
    /// What survives: `kafka`, `postgres` and `psp`.
    pub(crate) data: PathBuf,
    /// The environment of a running suite.
    pub(crate) env: PathBuf,
}

/// Held while a suite is started or stopped: one at a time.
pub(crate) struct Turn(#[expect(dead_code, reason = "dropping it lets the next one go on")] File);

impl Place {
    /// `target/up`, with its data below [`local::home`]; a suite with a name of its own has `target/up-<name>`.
    pub(crate) fn of(name: Option<&str>) -> anyhow::Result<Place> {
        let name = name.map_or("up".to_owned(), |it| format!("up-{it}"));
        let program = env::current_exe().context("finding this program")?;
        // target/release/waybill
        let target = program.ancestors().nth(2).context("this program has no directory")?.to_owned();
        let data = std::path::absolute(local::home())?.join(&name);
        Ok(Place { files: target.join(&name), data, env: target.join(format!("{name}.env")) })
    }

    /// Waits for another `up` or `down` of the same suite.
    pub(crate) async fn turn(&self) -> anyhow::Result<Turn> {
        fs::create_dir_all(&self.files).with_context(|| format!("creating {}", self.files.display()))?;
        let file = File::create(self.files.join("lock"))?;
        let mut told = false;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Turn(file)),
                Err(TryLockError::Error(error)) => return Err(error).context("locking"),
                Err(TryLockError::WouldBlock) if told => {}
                Err(TryLockError::WouldBlock) => say!("waiting for another `waybill up` or `down` to finish"),
            }
            told = true;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Where a part's pid and log are.
    pub(crate) fn dir(&self, part: Part) -> PathBuf {
        match part {
            Part::Kafka | Part::Postgres => self.data.join(part.name()),
            _ => self.files.clone(),
        }
    }

    pub(crate) fn find(&self, part: Part) -> anyhow::Result<Option<Process>> {
        Process::find(&self.dir(part), part.name())
    }

    /// The parts that run.
    pub(crate) fn running(&self) -> anyhow::Result<Vec<Part>> {
        let mut running = Vec::new();
        for part in Part::ALL {
            if self.find(part)?.is_some() {
                running.push(part);
            }
        }
        Ok(running)
    }

    /// The end of a part's log, for an error.
    pub(crate) fn last_words(&self, part: Part) -> String {
        Launch::new(part.name(), self.dir(part), "").last_words()
    }

    /// Stops `parts`: those that talk before those that are talked to. Goes on when one cannot be stopped.
    pub(crate) async fn stop(&self, parts: &[Part], steps: &Steps) -> anyhow::Result<()> {
        use Part::{Inventory, Kafka, Order, Payment, Postgres, Psp, Shipping};
        let stages: [&[Part]; 4] = [&[Order, Inventory, Payment, Shipping], &[Psp], &[Kafka], &[Postgres]];
        let mut failures = Vec::new();
        for stage in stages {
            let mut stopping = JoinSet::new();
            for part in stage.iter().copied().filter(|it| parts.contains(it)) {
                let Some(mut process) = self.find(part)? else { continue };
                stopping.spawn(async move { (part, process.stop(part.stop_signal(), GRACE).await) });
            }
            while let Some(stopped) = stopping.join_next().await {
                match stopped? {
                    (part, Ok(())) => steps.done(part.name(), "stopped"),
                    (part, Err(error)) => failures.push(format!("{}: {error:#}", part.name())),
                }
            }
        }
        ensure!(failures.is_empty(), "could not stop {}", failures.join("; "));
        Ok(())
    }

    /// Writes the environment of the suite. It holds passwords.
    pub(crate) fn write_env(&self, environment: &str) -> anyhow::Result<()> {
        let open = File::options().create(true).write(true).truncate(true).mode(0o600).open(&self.env);
        open.and_then(|mut file| file.write_all(environment.as_bytes()))
            .with_context(|| format!("writing {}", self.env.display()))
    }

    /// The environment that the suite was started with.
    pub(crate) fn read_env(&self) -> String {
        fs::read_to_string(&self.env).unwrap_or_default()
    }

    /// Deletes everything that the suite has, its data too.
    pub(crate) fn purge(&self) -> anyhow::Result<()> {
        for dir in [&self.data, &self.files] {
            gone(dir, fs::remove_dir_all(dir))?;
        }
        gone(&self.env, fs::remove_file(&self.env))
    }
}

fn gone(path: &Path, removed: std::io::Result<()>) -> anyhow::Result<()> {
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("deleting {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// A path as short as it can be said from here.
pub(crate) fn shown(path: &Path) -> String {
    let here = env::current_dir().unwrap_or_default();
    path.strip_prefix(here).unwrap_or(path).display().to_string()
}
