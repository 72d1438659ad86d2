//! What is going to be broken, and when: the same of the same seed.

use std::{collections::BTreeSet, time::Duration};

use anyhow::bail;
use fastrand::Rng;

use crate::{
    SERVICES,
    fault::{Fault, KINDS, Kind},
};

/// Which faults are wanted.
#[derive(Debug, Clone)]
pub struct Selection {
    kinds: Vec<&'static Kind>,
    /// One fault of each family, and no more.
    one_of_each: bool,
    /// Asked for by name: each of them has to be struck.
    named: bool,
}

/// A fault, and how long it is held.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Planned {
    pub(crate) fault: Fault,
    pub(crate) hold: Duration,
    /// From the end of the one before.
    pub(crate) pause: Duration,
    /// Not selected: it is there so that duplicates are.
    pub(crate) added: bool,
}

impl Planned {
    fn of(fault: Fault, rng: &mut Rng) -> Self {
        let (hold, pause) = (rng.u64(2_000..4_500), rng.u64(300..1_500));
        let (hold, pause) = (Duration::from_millis(hold), Duration::from_millis(pause));
        Self { fault, hold, pause, added: false }
    }
}

/// What a fault takes with its recovery, about.
const USUAL: Duration = Duration::from_secs(9);

impl std::str::FromStr for Selection {
    type Err = anyhow::Error;

    /// `all`, whatever stands beside it, `families` (one fault of each family), or names of kinds and families,
    /// separated by commas.
    fn from_str(text: &str) -> anyhow::Result<Self> {
        let words: Vec<&str> = text.split(',').map(str::trim).collect();
        let has_all = words.contains(&"all");
        if words.iter().all(|it| *it == "families") {
            return Ok(Self { kinds: KINDS.iter().collect(), one_of_each: true, named: false });
        }
        let mut kinds: Vec<&Kind> = Vec::new();
        for word in words {
            if word == "all" || (word == "families" && has_all) {
                continue;
            }
            if word == "families" {
                bail!("`families` is one fault of each family, and stands alone or beside `all`");
            }
            let mut asked = KINDS.iter().filter(|it| it.name == word || it.family == word).peekable();
            if asked.peek().is_none() {
                let known: BTreeSet<&str> = KINDS.iter().flat_map(|it| [it.name, it.family]).collect();
                let known: Vec<&str> = known.into_iter().collect();
                bail!("no fault and no family `{word}`; there are all, families, {}", known.join(", "));
            }
            for kind in asked {
                if !kinds.iter().any(|it| it.name == kind.name) {
                    kinds.push(kind);
                }
            }
        }
        let kinds = if has_all { KINDS.iter().collect() } else { kinds };
        Ok(Self { kinds, one_of_each: false, named: !has_all })
    }
}

impl Selection {
    /// Whether the servers need disks that can be made small.
    pub fn needs_disks(&self) -> bool {
        self.kinds.iter().any(|it| it.needs_disks())
    }

    /// Leaves out the kinds for which there is a reason to; returns them with it. An error if they were named.
    pub(crate) fn without(
        &mut self,
        why: impl Fn(&Kind) -> Option<String>,
    ) -> anyhow::Result<Vec<(&'static str, String)>> {
        let out: Vec<_> = self.kinds.iter().filter_map(|it| Some((it.name, why(it)?))).collect();
        if let Some((kind, why)) = out.first().filter(|_| self.named) {
            bail!("`{kind}` is not possible here: {why}");
        }
        self.kinds.retain(|it| why(it).is_none());
        Ok(out)
    }

    /// Draws a plan for about `duration`: everything that was selected at least once, in an order of its own, and more
    /// of it while there is time. Where nothing of it is sure to make duplicates, the last fault is one that does: a run
    /// has to show that they are dropped.
    pub(crate) fn draw(&self, rng: &mut Rng, duration: Duration) -> Vec<Planned> {
        let mut faults: Vec<Fault> = match self.one_of_each {
            true => self.families().iter().filter_map(|family| rng.choice(family)?.one(rng)).collect(),
            false => self.kinds.iter().flat_map(|it| it.full(rng)).collect(),
        };
        rng.shuffle(&mut faults);
        let fit = (duration.as_secs() / USUAL.as_secs()) as usize;
        while !self.one_of_each && faults.len() < fit {
            faults.extend(rng.choice(&self.kinds).and_then(|it| it.one(rng)));
        }
        let mut plan: Vec<Planned> = faults.into_iter().map(|it| Planned::of(it, rng)).collect();
        if !plan.iter().any(|it| it.fault.makes_duplicates())
            && let Some(service) = rng.choice(SERVICES)
        {
            plan.push(Planned { added: true, ..Planned::of(Fault::Rewind(service), rng) });
        }
        plan
    }

    fn families(&self) -> Vec<Vec<&'static Kind>> {
        let mut families: Vec<Vec<&'static Kind>> = Vec::new();
        for kind in &self.kinds {
            match families.iter_mut().find(|it| it[0].family == kind.family) {
                Some(family) => family.push(kind),
                None => families.push(vec![kind]),
            }
        }
        families
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(text: &str, seed: u64, seconds: u64) -> Vec<Planned> {
        let selection: Selection = text.parse().unwrap();
        selection.draw(&mut Rng::with_seed(seed), Duration::from_secs(seconds))
    }

    /// What was selected.
    fn names(text: &str, seed: u64, seconds: u64) -> Vec<String> {
        let selected = plan(text, seed, seconds).into_iter().filter(|it| !it.added);
        selected.map(|it| it.fault.name()).map(|(name, whom)| format!("{name} {whom}")).collect()
    }

    #[test]
    fn a_seed_has_one_plan() {
        assert_eq!(names("all", 7, 300), names("all", 7, 300));
        assert_ne!(names("all", 7, 300), names("all", 8, 300));
    }

    #[test]
    fn all_has_every_kind_every_service_and_every_crash_point() {
        let all = names("all", 1, 10);
        for kind in &KINDS {
            assert!(all.iter().any(|it| it.starts_with(&format!("{} ", kind.name))), "{}", kind.name);
        }
        for expected in ["kill order", "kill shipping", "freeze payment", "half-open provider", "cut kafka"] {
            assert!(all.contains(&expected.to_owned()), "{expected}");
        }
        assert_eq!(all.iter().filter(|it| it.starts_with("crash")).count(), 6);
    }

    #[test]
    fn families_has_one_of_each_family() {
        let families = KINDS.iter().map(|it| it.family).collect::<std::collections::BTreeSet<_>>();
        assert_eq!(names("families", 3, 90).len(), families.len());
    }

    #[test]
    fn all_is_all_whatever_stands_beside_it() {
        for text in ["all,kill", "kill, all", "all,all", "families,all"] {
            assert_eq!(names(text, 7, 300), names("all", 7, 300), "{text}");
            // Nor is anything asked for by its name then.
            assert!(!text.parse::<Selection>().unwrap().named, "{text}");
        }
        assert_eq!(names("families,families", 7, 60), names("families", 7, 60));
        let told = |text: &str| text.parse::<Selection>().unwrap_err().to_string();
        assert!(told("all,lightning").starts_with("no fault and no family `lightning`"));
        assert!(told("families,kill").contains("stands alone"));
    }

    #[test]
    fn a_plan_without_a_fault_that_is_sure_to_make_duplicates_ends_with_one() {
        for text in ["slow", "kill,crash", "broker", "churn"] {
            let plan = plan(text, 1, 30);
            let added: Vec<bool> = plan.iter().map(|it| it.added).collect();
            let (last, others) = added.split_last().unwrap();
            assert!(*last && others.iter().all(|it| !it), "{text}: {added:?}");
            assert_eq!(plan.last().unwrap().fault.name().0, "rewind", "{text}");
        }
        for text in ["all", "rewind", "slow,rewind"] {
            assert!(plan(text, 1, 30).iter().all(|it| !it.added), "{text}");
        }
    }

    #[test]
    fn what_is_not_possible_is_left_out_of_all_and_refused_by_its_name() {
        let why = |kind: &Kind| (kind.family == "disk").then(|| "no root".to_owned());
        for text in ["all", "families"] {
            let mut selection: Selection = text.parse().unwrap();
            let out = selection.without(why).unwrap();
            let names: Vec<_> = out.iter().map(|it| it.0).collect();
            assert_eq!(
                (names, selection.needs_disks()),
                (vec!["broker-disk", "postgres-disk"], false),
                "{text}"
            );
        }
        for text in ["kill,postgres-disk", "disk"] {
            let error = text.parse::<Selection>().unwrap().without(why).unwrap_err().to_string();
            assert!(error.ends_with("-disk` is not possible here: no root"), "{error}");
        }
        assert!("kill,freeze".parse::<Selection>().unwrap().without(why).unwrap().is_empty());
    }

    #[test]
    fn what_is_asked_for_fills_the_time() {
        let kills = names("kill,relay", 1, 180);
        assert_eq!(kills.len(), 20);
        assert!(
            kills
                .iter()
                .all(|it| ["kill", "relay-f", "stale", "refusal"].iter().any(|word| it.starts_with(word)))
        );
        let error = "kill,lightning".parse::<Selection>().unwrap_err().to_string();
        assert!(error.contains("lightning") && error.contains("half-open"), "{error}");
    }
}
