//! A running process, ours by birth or found by its pid file.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Child, ExitStatus},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use nix::{
    errno::Errno,
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::launch::{Launch, Life};

const POLL: Duration = Duration::from_millis(5);

/// A process with a pid file. Dropping a bound one ends it; a detached one is left alone.
#[derive(Debug)]
pub struct Process {
    name: String,
    pid: u32,
    /// When it started, in ticks since boot: with the pid, it tells the process from a later one of the same pid.
    started: u64,
    /// Ours to reap; none if found by its pid file. Locked to be looked at, which reaps it.
    child: Option<Mutex<Child>>,
    pid_file: PathBuf,
    /// The signal it gets when dropped; none if detached.
    orphaned: Option<Signal>,
}

impl Process {
    pub(crate) fn started(launch: &Launch, child: Child, started: u64) -> Process {
        let orphaned = (launch.life == Life::Bound).then_some(launch.orphaned);
        let pid_file = pid_file(&launch.dir, &launch.name);
        Process {
            name: launch.name.clone(),
            pid: child.id(),
            started,
            child: Some(Mutex::new(child)),
            pid_file,
            orphaned,
        }
    }

    /// The process that `<dir>/<name>.pid` names, if it still runs.
    pub fn find(dir: &Path, name: &str) -> anyhow::Result<Option<Process>> {
        let pid_file = pid_file(dir, name);
        let content = match fs::read_to_string(&pid_file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            content => content.with_context(|| format!("reading {}", pid_file.display()))?,
        };
        // A machine that went down while the file was written leaves an empty one: nothing runs.
        let Some((pid, started)) = content.trim().split_once(' ') else { return Ok(None) };
        let (pid, started) = (pid.parse()?, started.parse()?);
        let process = Process { name: name.to_owned(), pid, started, child: None, pid_file, orphaned: None };
        Ok((start_of(pid) == Some(started)).then_some(process))
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether it still runs.
    pub fn is_running(&self) -> bool {
        match self.child() {
            Some(mut child) => matches!(child.try_wait(), Ok(None)),
            None => start_of(self.pid) == Some(self.started),
        }
    }

    /// How it has ended, if it has and was ours to reap.
    pub fn status(&self) -> Option<ExitStatus> {
        self.child()?.try_wait().ok()?
    }

    /// An error if it does not run any more, with how it has ended and its last words: for whoever has not asked it to.
    pub fn check(&self, launch: &Launch) -> anyhow::Result<()> {
        if self.is_running() {
            return Ok(());
        }
        let how = self.status().map_or_else(|| "gone".to_owned(), |it| it.to_string());
        bail!("{} has ended by itself ({how}); see {}", launch.name, launch.last_words())
    }

    fn child(&self) -> Option<MutexGuard<'_, Child>> {
        Some(self.child.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Asks it to stop, waits, and kills it if it has not stopped in time.
    pub async fn stop(&mut self, ask: Signal, grace: Duration) -> anyhow::Result<()> {
        self.signal(ask)?;
        if self.gone_within(grace).await {
            return self.forget();
        }
        tracing::warn!(
            name = self.name,
            pid = self.pid,
            grace_s = grace.as_secs(),
            "did not stop in time, killing"
        );
        self.kill().await
    }

    /// SIGKILL to it and all its descendants, and waits until they are gone.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        let rest = self.kill_tree()?;
        let gone = self.gone_within(Duration::from_secs(10)).await;
        ensure!(gone, "{} (pid {}) survives SIGKILL", self.name, self.pid);
        for pid in rest {
            while start_of(pid).is_some() {
                tokio::time::sleep(POLL).await;
            }
        }
        self.forget()
    }

    /// Sends a signal; a process that is gone is not an error.
    pub fn signal(&mut self, signal: Signal) -> anyhow::Result<()> {
        if !self.is_running() {
            return Ok(());
        }
        match kill(unix(self.pid), signal) {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(error) => Err(error).with_context(|| format!("{signal} to {} (pid {})", self.name, self.pid)),
        }
    }

    /// Stopped first, so that no child is born between looking and killing; returns the descendants.
    fn kill_tree(&mut self) -> anyhow::Result<Vec<u32>> {
        if !self.is_running() {
            return Ok(Vec::new());
        }
        self.signal(Signal::SIGSTOP)?;
        let rest = descendants(self.pid);
        self.signal(Signal::SIGKILL)?;
        for pid in &rest {
            // One that has ended by itself is as good.
            let _ = kill(unix(*pid), Signal::SIGKILL);
        }
        Ok(rest)
    }

    async fn gone_within(&mut self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        while self.is_running() {
            if Instant::now() > deadline {
                return false;
            }
            tokio::time::sleep(POLL).await;
        }
        true
    }

    fn forget(&self) -> anyhow::Result<()> {
        match fs::remove_file(&self.pid_file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let Some(orphaned) = self.orphaned else { return };
        if self.signal(orphaned).is_ok() {
            let deadline = Instant::now() + Duration::from_secs(5);
            while self.is_running() && Instant::now() < deadline {
                thread::sleep(POLL);
            }
        }
        // Nobody is left to tell of a failure.
        let _ = self.kill_tree();
        if let Some(mut child) = self.child() {
            let _ = child.wait();
        }
        let _ = self.forget();
    }
}

fn pid_file(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.pid"))
}

fn unix(pid: u32) -> Pid {
    Pid::from_raw(pid.cast_signed())
}

/// When our child started, dead or alive: until it is reaped, its entry stays.
pub(crate) fn birth_of(child: &Child) -> Option<u64> {
    stat(child.id()).map(|stat| stat.started)
}

/// When a process started, if it runs: a zombie, which only waits to be reaped, does not.
fn start_of(pid: u32) -> Option<u64> {
    stat(pid).filter(|stat| !matches!(stat.state, 'Z' | 'X')).map(|stat| stat.started)
}

/// All processes below `pid`.
fn descendants(pid: u32) -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let pairs: Vec<_> = pids.filter_map(|pid| Some((pid, stat(pid)?.parent))).collect();
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        found.extend(pairs.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    found.split_off(1)
}

struct Stat {
    state: char,
    parent: u32,
    started: u64,
}

/// From `/proc/<pid>/stat` (see proc_pid_stat(5)): fields 3, 4 and 22; field 2 is in parentheses and may hold spaces.
fn stat(pid: u32) -> Option<Stat> {
    let line = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = line.rsplit_once(')')?;
    let fields: Vec<_> = rest.split_whitespace().collect();
    Some(Stat {
        state: fields.first()?.chars().next()?,
        parent: fields.get(1)?.parse().ok()?,
        started: fields.get(19)?.parse().ok()?,
    })
}
