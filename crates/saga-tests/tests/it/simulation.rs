//! Thousands of schedules of the four deciders.

use saga_tests::simulation::{self, Tally};

/// More by `SEEDS=10000`, one by `SEED=42`.
#[test]
fn every_schedule_ends_with_the_laws_intact() {
    let from_environment = |name: &str| std::env::var(name).ok().and_then(|it| it.parse::<u64>().ok());
    let seeds = match from_environment("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..from_environment("SEEDS").unwrap_or(2_000),
    };
    let mut all = Tally::default();
    for seed in seeds.clone() {
        match simulation::run(seed) {
            Ok(tally) => {
                all.delivered += tally.delivered;
                all.cancelled += tally.cancelled;
                all.duplicates += tally.duplicates;
                all.refunds += tally.refunds;
            }
            Err(story) => panic!("{story}"),
        }
    }
    if seeds.end - seeds.start > 100 {
        let seldom = [all.delivered, all.cancelled, all.duplicates, all.refunds];
        assert!(seldom.iter().all(|it| *it > 20), "the scheduler leaves something out: {all:?}");
    }
}
