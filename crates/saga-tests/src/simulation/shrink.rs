//! From a schedule that breaks a law to one that has nothing in it that the law could do without.

use std::fmt;

use super::{Broken, Cast, Real, Setting, Simulation, step::Step};

/// A law that was broken, and the least that leads to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub seed: u64,
    pub law: String,
    pub about: String,
    /// How many steps it took before they were cut down.
    pub drawn: usize,
    /// The steps that are left of the scheduler's, in words, and then those that follow by themselves.
    pub chosen: Vec<String>,
    pub followed: Vec<String>,
}

/// All that a run depends on.
#[derive(Debug, Clone)]
struct Schedule {
    setting: Setting,
    steps: Vec<Step>,
    /// How long the story is, how much of it was chosen, and how much of that is out of the ordinary.
    cost: (usize, usize, u32),
}

/// Cuts down what `simulation` has done until the law broke.
pub(super) fn minimal<C: Cast>(
    seed: u64,
    simulation: &Simulation<C>,
    broken: &Broken,
    cast: &impl Fn(Real) -> C,
) -> Failure {
    let steps = simulation.done.clone();
    let cost = (steps.len(), steps.len(), u32::MAX);
    let mut best = Schedule { setting: simulation.setting, steps, cost };
    loop {
        let before = best.cost;
        drop_steps(&mut best, &broken.law, cast);
        make_ordinary(&mut best, &broken.law, cast);
        if best.cost == before {
            break;
        }
    }
    let mut told = Simulation::new(best.setting, cast);
    told.trace = Some(Vec::new());
    let (chosen, outcome) = told.replay(&best.steps);
    let again = outcome.expect_err("the law breaks in every run of the schedule");
    let mut chosen_steps = told.trace.unwrap_or_default();
    let followed = chosen_steps.split_off(chosen.min(chosen_steps.len()));
    let drawn = simulation.done.len();
    Failure { seed, law: again.law, about: again.about, drawn, chosen: chosen_steps, followed }
}

/// Delta debugging: half of the steps at once, then smaller parts, down to single ones.
fn drop_steps<C: Cast>(best: &mut Schedule, law: &str, cast: &impl Fn(Real) -> C) {
    let mut part = best.steps.len().div_ceil(2);
    while part > 0 {
        let mut start = 0;
        while start < best.steps.len() {
            let end = (start + part).min(best.steps.len());
            let rest = [&best.steps[..start], &best.steps[end..]].concat();
            if !improve(best, best.setting, rest, law, cast) {
                start = end;
            }
        }
        part = if part == 1 { 0 } else { part.div_ceil(2) };
    }
}

/// What is out of the ordinary stays only where it matters.
fn make_ordinary<C: Cast>(best: &mut Schedule, law: &str, cast: &impl Fn(Real) -> C) {
    for setting in best.setting.simpler() {
        let steps = best.steps.clone();
        improve(best, setting, steps, law, cast);
    }
    let mut index = 0;
    while let Some(step) = best.steps.get(index) {
        for simpler in step.simpler() {
            let mut steps = best.steps.clone();
            steps[index] = simpler;
            if improve(best, best.setting, steps, law, cast) {
                break;
            }
        }
        index += 1;
    }
}

/// Takes the other schedule if it breaks the same law for less.
fn improve<C: Cast>(
    best: &mut Schedule,
    setting: Setting,
    steps: Vec<Step>,
    law: &str,
    cast: &impl Fn(Real) -> C,
) -> bool {
    let mut simulation = Simulation::new(setting, cast);
    let (chosen, outcome) = simulation.replay(&steps);
    let length = simulation.done.len();
    // What could not be done is left out for good.
    let mut steps = simulation.done;
    steps.truncate(chosen);
    let cost = (length, chosen, steps.iter().map(|it| it.oddity()).sum::<u32>() + setting.oddity());
    let is_better = cost < best.cost && outcome.is_err_and(|it| it.law == law);
    if is_better {
        *best = Schedule { setting, steps, cost };
    }
    is_better
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}: {}: {}", self.seed, self.law, self.about)?;
        writeln!(f, "{} of {} steps are enough:", self.chosen.len(), self.drawn)?;
        self.chosen.iter().try_for_each(|step| writeln!(f, "  {step}"))?;
        if !self.followed.is_empty() {
            writeln!(f, "and then, with nothing in the way:")?;
        }
        self.followed.iter().try_for_each(|step| writeln!(f, "  {step}"))
    }
}
