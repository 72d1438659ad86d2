use std::{
    collections::BTreeMap,
    fs, mem,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::task::JoinHandle;

/// Resident memory by process, in kB.
pub type Resident = BTreeMap<&'static str, u64>;

const EVERY: Duration = Duration::from_millis(100);

/// Samples the memory of processes until it is dropped.
pub struct MemoryWatch {
    pids: BTreeMap<&'static str, u32>,
    highest: Arc<Mutex<Resident>>,
    task: JoinHandle<()>,
}

impl MemoryWatch {
    pub(super) fn begin(pids: BTreeMap<&'static str, u32>) -> Self {
        let highest = Arc::new(Mutex::new(resident(&pids)));
        let (watched, seen) = (pids.clone(), highest.clone());
        let task = tokio::spawn(async move {
            let mut every = tokio::time::interval(EVERY);
            loop {
                every.tick().await;
                let mut highest = seen.lock().unwrap_or_else(PoisonError::into_inner);
                for (name, now) in resident(&watched) {
                    let most = highest.entry(name).or_default();
                    *most = now.max(*most);
                }
            }
        });
        Self { pids, highest, task }
    }

    /// What each has now.
    pub fn now(&self) -> Resident {
        resident(&self.pids)
    }

    /// The most that each has had since it was last asked, or since the watch began.
    pub fn highest(&self) -> Resident {
        let now = self.now();
        mem::replace(&mut *self.highest.lock().unwrap_or_else(PoisonError::into_inner), now)
    }
}

impl Drop for MemoryWatch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn resident(pids: &BTreeMap<&'static str, u32>) -> Resident {
    let of = |pid| field(pid, "VmRSS:")?.split_whitespace().next()?.parse().ok();
    pids.iter().filter_map(|(name, pid)| Some((*name, of(*pid)?))).collect()
}

/// A line of `/proc/<pid>/status` (see proc_pid_status(5)).
pub(super) fn field(pid: u32, name: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|it| it.strip_prefix(name)).map(|it| it.trim().to_owned())
}
