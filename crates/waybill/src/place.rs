//! Where a suite that `up` started keeps its files, and how its processes are found again.

use std::{
    env,
    fs::{self, File, Metadata, TryLockError},
    io::{ErrorKind, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
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

/// Held while a suite is started or stopped: one at a time. Dropped, it lets the next one go on, and where there is
/// nothing but its lock by then it leaves nothing behind: a start that was refused, or a name that nobody has, is no
/// suite.
pub(crate) struct Turn {
    /// [`Place::files`], with the lock in it.
    files: PathBuf,
    lock: File,
}

impl Turn {
    /// Whether what is locked is what others find there: a lock that was deleted between its opening and its locking
    /// keeps nobody out.
    fn is_valid(&self) -> bool {
        let identity = |it: std::io::Result<Metadata>| it.ok().map(|it| (it.dev(), it.ino()));
        let there = identity(fs::metadata(self.files.join("lock")));
        there.is_some() && there == identity(self.lock.metadata())
    }

    /// Deletes the lock and its directory if nothing else is in there.
    fn clear(&self) -> std::io::Result<()> {
        if self.is_valid() && fs::read_dir(&self.files)?.count() == 1 {
            fs::remove_file(self.files.join("lock"))?;
            fs::remove_dir(&self.files)?;
        }
        Ok(())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // What cannot be deleted is in nobody's way.
        let _ = self.clear();
    }
}

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
        let mut told = false;
        loop {
            let lock = self.lock()?;
            loop {
                match lock.try_lock() {
                    Ok(()) => break,
                    Err(TryLockError::Error(error)) => return Err(error).context("locking"),
                    Err(TryLockError::WouldBlock) if told => {}
                    Err(TryLockError::WouldBlock) => {
                        say!("waiting for another `waybill up` or `down` to finish");
                    }
                }
                told = true;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            let turn = Turn { files: self.files.clone(), lock };
            if turn.is_valid() {
                return Ok(turn);
            }
        }
    }

    /// What is locked while it is somebody's turn.
    fn lock(&self) -> anyhow::Result<File> {
        loop {
            fs::create_dir_all(&self.files).with_context(|| format!("creating {}", self.files.display()))?;
            match File::create(self.files.join("lock")) {
                // The directory has just gone with the end of another's turn.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                lock => return lock.with_context(|| format!("creating a lock in {}", self.files.display())),
            }
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
        Err(error) if error.kind() != ErrorKind::NotFound => {
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

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    fn place(scratch: &local::Scratch) -> Place {
        let dir = scratch.path();
        Place { files: dir.join("up-x"), data: dir.join("data"), env: dir.join("up-x.env") }
    }

    #[tokio::test]
    async fn a_turn_in_which_nothing_was_started_leaves_nothing() {
        let scratch = local::Scratch::new().unwrap();
        let place = place(&scratch);

        let turn = place.turn().await.unwrap();
        assert!(timeout(Duration::from_millis(50), place.turn()).await.is_err(), "one at a time");
        assert!(place.files.join("lock").exists(), "who has waited in vain deletes nothing");
        drop(turn);
        assert!(!place.files.exists());

        let turn = place.turn().await.unwrap();
        fs::write(place.files.join("order.log"), "").unwrap();
        drop(turn);
        assert!(place.files.join("lock").exists(), "a suite's lock stays with its files");
    }

    #[tokio::test]
    async fn who_waits_for_a_lock_that_is_deleted_takes_the_next_one() {
        let scratch = local::Scratch::new().unwrap();
        let place = place(&scratch);
        let first = place.turn().await.unwrap();
        let waiting = tokio::spawn({
            let place = place.clone();
            async move { place.turn().await.unwrap() }
        });
        tokio::time::sleep(Duration::from_millis(20)).await;

        drop(first);
        let second = waiting.await.unwrap();

        assert!(second.is_valid(), "what it has locked keeps others out");
        assert!(timeout(Duration::from_millis(50), place.turn()).await.is_err(), "one at a time");
    }

    #[tokio::test]
    async fn a_lock_is_its_owners_to_delete() {
        let scratch = local::Scratch::new().unwrap();
        let place = place(&scratch);
        let first = place.turn().await.unwrap();
        place.purge().unwrap();
        let second = place.turn().await.unwrap();

        drop(first);

        assert!(second.is_valid());
    }
}
