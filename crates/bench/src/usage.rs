//! What processes have spent, by the kernel's account.

use std::{
    collections::BTreeMap,
    fs,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anyhow::Context;

/// Fields of `/proc` count in this unit on every Linux that Rust runs on: USER_HZ is 100.
const TICK: Duration = Duration::from_millis(10);

/// The processes that are accounted for, each under the name of a component; several may have the same. What one that
/// has ended had spent when it was last looked at stays its component's. Clones are of one account.
#[derive(Debug, Clone, Default)]
pub struct Components(Arc<Mutex<Vec<Member>>>);

#[derive(Debug, Clone)]
struct Member {
    component: String,
    pid: u32,
    with_descendants: bool,
    /// When it was started, since its pid may get to be somebody else's.
    born: Option<u64>,
    /// Ticks, at the last look.
    spent: u64,
}

/// CPU time so far, by component. Only the difference of two says something: [`since`](Self::since).
#[derive(Debug, Clone)]
pub struct Usage {
    at: Instant,
    cpu: BTreeMap<String, Duration>,
    machine: Duration,
}

/// What was spent between two looks.
#[derive(Debug, Clone)]
pub struct Spent {
    pub took: Duration,
    /// User and system time by component.
    pub cpu: BTreeMap<String, Duration>,
    /// What all processors of the machine were busy for, whoever it was.
    pub machine: Duration,
}

/// Looks at the processes before one is taken whose tree loses none meanwhile.
const LOOKS: usize = 5;

impl Components {
    /// A process with all its descendants, also those that have come and gone: a Postgres is its postmaster, a
    /// backend for each connection, and whoever vacuums.
    pub fn tree(self, component: &str, pid: u32) -> Self {
        self.add(component, pid, true);
        self
    }

    /// This process without those that it has started, which are components of their own.
    pub fn ourselves(self, component: &str) -> Self {
        self.add(component, std::process::id(), false);
        self
    }

    /// One more, also of a component that had one which has ended.
    pub fn add(&self, component: &str, pid: u32, with_descendants: bool) {
        let born = process(pid).map(|it| it.born);
        self.members().push(Member {
            component: component.to_owned(),
            pid,
            with_descendants,
            born,
            spent: 0,
        });
    }

    fn members(&self) -> MutexGuard<'_, Vec<Member>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// CPU time so far.
    pub fn usage(&self) -> anyhow::Result<Usage> {
        let mut members = self.members();
        let (at, processes) = (Instant::now(), settled(&members)?);
        let mut cpu: BTreeMap<String, Duration> = BTreeMap::new();
        for member in members.iter_mut() {
            let spent: u64 = match member.with_descendants {
                true => member.processes(&processes).iter().map(|it| it.own + it.reaped).sum(),
                false => member.processes(&processes).iter().map(|it| it.own).sum(),
            };
            member.spent = member.spent.max(spent);
            *cpu.entry(member.component.clone()).or_default() += ticks(member.spent);
        }
        Ok(Usage { at, cpu, machine: machine()? })
    }

    /// The processes that live, by component.
    pub(crate) fn living(&self) -> anyhow::Result<BTreeMap<String, Vec<u32>>> {
        let (members, processes) = (self.members(), processes()?);
        let mut living: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        for member in members.iter() {
            let pids = member.processes(&processes).into_iter().map(|it| it.pid);
            living.entry(member.component.clone()).or_default().extend(pids);
        }
        Ok(living)
    }

    /// Memory by component, in bytes: what is resident of one that is one process (its RSS); of several the pages that
    /// they share are divided among them (PSS), or else a Postgres would have its buffers once per connection. That
    /// walks page tables, so not while something is measured.
    pub fn memory(&self) -> anyhow::Result<BTreeMap<String, u64>> {
        let mut memory = self.resident()?;
        for (component, pids) in self.living()?.into_iter().filter(|it| it.1.len() > 1) {
            let shares = pids.into_iter().filter_map(|it| proportional(it).or_else(|| resident(it)));
            memory.insert(component, shares.sum());
        }
        Ok(memory)
    }

    /// The same of those that are one process, which costs next to nothing.
    pub(crate) fn resident(&self) -> anyhow::Result<BTreeMap<String, u64>> {
        let alone = |(component, pids): (String, Vec<u32>)| match pids[..] {
            [pid] => Some((component, resident(pid)?)),
            _ => None,
        };
        Ok(self.living()?.into_iter().filter_map(alone).collect())
    }
}

impl Member {
    /// Those of its processes that live.
    fn processes<'p>(&self, all: &'p BTreeMap<u32, Process>) -> Vec<&'p Process> {
        let root = all.get(&self.pid).filter(|it| self.born == Some(it.born));
        match root {
            Some(_) if self.with_descendants => tree(all, self.pid),
            root => root.into_iter().collect(),
        }
    }
}

impl Usage {
    /// What was spent since an earlier look at the same components.
    pub fn since(&self, earlier: &Usage) -> Spent {
        let before = |name: &str| earlier.cpu.get(name).copied().unwrap_or_default();
        let spent = |(name, now): (&String, &Duration)| (name.clone(), now.saturating_sub(before(name)));
        Spent {
            took: self.at - earlier.at,
            cpu: self.cpu.iter().map(spent).collect(),
            machine: self.machine.saturating_sub(earlier.machine),
        }
    }
}

impl Spent {
    /// CPU time of all components.
    pub fn total(&self) -> Duration {
        self.cpu.values().sum()
    }

    /// CPU time of all components but these.
    pub fn without(&self, others: &[&str]) -> Duration {
        self.cpu.iter().filter(|it| !others.contains(&it.0.as_str())).map(|it| *it.1).sum()
    }

    /// What the machine spent on something else, the kernel's own work among it.
    pub fn elsewhere(&self) -> Duration {
        self.machine.saturating_sub(self.total())
    }
}

struct Process {
    pid: u32,
    parent: u32,
    born: u64,
    /// Ticks of its own threads.
    own: u64,
    /// Ticks of its children that have ended, and of theirs.
    reaped: u64,
}

fn ticks(count: u64) -> Duration {
    TICK * u32::try_from(count).unwrap_or(u32::MAX)
}

fn processes() -> anyhow::Result<BTreeMap<u32, Process>> {
    let entries = fs::read_dir("/proc").context("reading /proc")?.flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    Ok(pids.filter_map(|pid| Some((pid, process(pid)?))).collect())
}

/// All processes, looked at again if a tree's root has reaped a child meanwhile: that may be in neither account.
fn settled(members: &[Member]) -> anyhow::Result<BTreeMap<u32, Process>> {
    let roots = || members.iter().filter(|it| it.with_descendants).map(|it| it.pid);
    let mut all = processes()?;
    for _ in 1..LOOKS {
        let reaped = |it: Option<&Process>| it.map(|it| it.reaped);
        if roots().all(|it| reaped(all.get(&it)) == reaped(process(it).as_ref())) {
            break;
        }
        all = processes()?;
    }
    Ok(all)
}

/// From fields 4, 14 to 17 and 22 of proc_pid_stat(5); the name before them may hold spaces. None if it has ended.
fn process(pid: u32) -> Option<Process> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = text.rsplit_once(") ")?.1.split(' ').collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    let (own, reaped) = (number(11)? + number(12)?, number(13)? + number(14)?);
    let (parent, born) = (u32::try_from(number(1)?).ok()?, number(19)?);
    Some(Process { pid, parent, born, own, reaped })
}

fn tree(processes: &BTreeMap<u32, Process>, root: u32) -> Vec<&Process> {
    let mut found: Vec<&Process> = processes.get(&root).into_iter().collect();
    let mut next = 0;
    while let Some(parent) = found.get(next).map(|it| it.pid) {
        found.extend(processes.values().filter(|it| it.parent == parent));
        next += 1;
    }
    found
}

fn resident(pid: u32) -> Option<u64> {
    bytes(&format!("/proc/{pid}/status"), "VmRSS:")
}

/// None of a process whose page tables we may not read.
fn proportional(pid: u32) -> Option<u64> {
    bytes(&format!("/proc/{pid}/smaps_rollup"), "Pss:")
}

fn bytes(file: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|it| it.strip_prefix(name))?;
    Some(1_024 * line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?)
}

/// What all processors together were not idle for; a guest's time is in its host's user time already.
fn machine() -> anyhow::Result<Duration> {
    let text = fs::read_to_string("/proc/stat").context("reading /proc/stat")?;
    let line = text.lines().next().and_then(|it| it.strip_prefix("cpu ")).context("/proc/stat has no cpu")?;
    let fields: Vec<u64> = line.split_whitespace().filter_map(|it| it.parse().ok()).collect();
    // user, nice, system, idle, iowait, irq, softirq: proc_stat(5).
    let busy = [0, 1, 2, 5, 6].into_iter().filter_map(|it| fields.get(it)).sum();
    Ok(ticks(busy))
}

#[cfg(test)]
mod tests;
