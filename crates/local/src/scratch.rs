//! Directories that are gone when their owner is.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use uuid::Uuid;

use crate::home::{create_open, home};

/// A directory for the data of one run, removed on drop; what killed runs left is removed by the next one.
#[derive(Debug)]
pub struct Scratch {
    dir: PathBuf,
    /// Held while the owner lives, whatever becomes of it: so the next run can tell.
    _lock: File,
}

impl Scratch {
    /// A new, empty directory below [`home`].
    pub fn new() -> anyhow::Result<Scratch> {
        let runs = std::path::absolute(home().join("run"))?;
        create_open(&runs)?;
        let gate = File::create(runs.join("lock"))?;
        gate.lock()?;
        sweep(&runs)?;
        let dir = runs.join(Uuid::now_v7().simple().to_string());
        create_open(&dir)?;
        let lock = File::create(dir.join("lock"))?;
        lock.lock()?;
        Ok(Scratch { dir, _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.dir
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.dir) {
            tracing::warn!(dir = %self.dir.display(), %error, "could not remove the data of this run");
        }
    }
}

/// Removes the directories whose owners are gone.
fn sweep(runs: &Path) -> anyhow::Result<()> {
    for run in fs::read_dir(runs)? {
        let run = run?.path();
        let owned = match File::open(run.join("lock")).map(|lock| lock.try_lock()) {
            Ok(Err(TryLockError::Error(error))) => return Err(error.into()),
            Ok(held) => held.is_err(),
            // Without a lock it was half removed; what is no directory is our own lock.
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        };
        if !owned {
            // A server of a run that was just killed may still be writing: then the next sweep gets it.
            let _ = fs::remove_dir_all(&run);
        }
    }
    Ok(())
}
