use std::{collections::BTreeMap, fs};

use crate::usage::Components;

/// How often each thread has waited for something so far, by component: each time something has woken it up.
pub(super) struct Switches(BTreeMap<String, BTreeMap<u32, u64>>);

impl Switches {
    pub(super) fn now(of: &Components) -> anyhow::Result<Self> {
        let all = of.living()?.into_iter();
        Ok(Self(all.map(|(name, pids)| (name, pids.into_iter().flat_map(threads).collect())).collect()))
    }

    /// How often since an earlier look; of threads that have ended meanwhile nobody knows.
    pub(super) fn since(&self, earlier: &Self) -> BTreeMap<String, u64> {
        let before = |name: &str, thread: &u32| earlier.0.get(name)?.get(thread).copied();
        let sum = |(name, threads): (&String, &BTreeMap<u32, u64>)| {
            let each = threads.iter().map(|(it, now)| now.saturating_sub(before(name, it).unwrap_or(0)));
            (name.clone(), each.sum())
        };
        self.0.iter().map(sum).collect()
    }
}

fn threads(pid: u32) -> Vec<(u32, u64)> {
    let entries = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    entries
        .filter_map(|it| {
            let status = fs::read_to_string(it.path().join("status")).ok()?;
            let count = status.lines().find_map(|it| it.strip_prefix("voluntary_ctxt_switches:"))?;
            Some((it.file_name().to_str()?.parse().ok()?, count.trim().parse().ok()?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::{thread::sleep, time::Duration};

    use super::*;

    #[test]
    fn each_time_that_a_thread_waits_is_counted() {
        let us = Components::default().ourselves("us");
        let before = Switches::now(&us).expect("a look");
        (0..50).for_each(|_| sleep(Duration::from_millis(1)));
        let waits = Switches::now(&us).expect("a look").since(&before)["us"];
        assert!(waits >= 50, "{waits}");
    }

    #[test]
    fn threads_that_come_and_go_are_not_negative() {
        let of = |all: &[(u32, u64)]| Switches([("us".to_owned(), all.iter().copied().collect())].into());
        let waits = of(&[(1, 15), (3, 7)]).since(&of(&[(1, 10), (2, 100)]));
        assert_eq!(waits["us"], 5 + 7);
    }
}
