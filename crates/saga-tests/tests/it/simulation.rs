//! Thousands of schedules of the four deciders; and of deciders that are wrong, which have to be caught.

mod races;
mod wrong;

use std::sync::LazyLock;

use saga_tests::simulation::{self, Tally};

/// What has to happen, and how often at least in a thousand schedules.
const EXERCISED: [(&str, usize); 14] = [
    ("delivered", 300),
    ("cancelled", 1_000),
    ("duplicate", 3_000),
    ("voided", 500),
    ("refunded", 50),
    ("never asked for", 350),
    ("declined after the cancellation", 100),
    ("kept", 200),
    ("expired", 150),
    ("expired across the confirmation", 20),
    ("expired across the capture", 15),
    ("cancelled too late", 10),
    ("cancelled on the way", 40),
    ("authorised after the time", 150),
];

/// How many seeds are run unless `SEEDS` says more: as many as it takes to meet every race.
const SEEDS: u64 = 4_000;

/// More by `SEEDS=10000`, one by `SEED=42`.
static RUNS: LazyLock<(u64, Tally)> = LazyLock::new(|| {
    let from_environment = |name: &str| std::env::var(name).ok().and_then(|it| it.parse::<u64>().ok());
    let seeds = match from_environment("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..from_environment("SEEDS").unwrap_or(SEEDS),
    };
    let mut all = Tally::default();
    for seed in seeds.clone() {
        all.add(simulation::run(seed).unwrap_or_else(|failure| panic!("{failure}")));
    }
    (seeds.end - seeds.start, all)
});

#[test]
fn every_schedule_ends_with_the_laws_intact() {
    let (runs, all) = &*RUNS;
    for (what, often) in EXERCISED {
        let times = all.times.get(what).copied().unwrap_or(0);
        let enough = often * (*runs as usize / 1_000);
        assert!(times >= enough, "the scheduler leaves something out: {what} in {:?}", all.times);
    }
}

#[test]
fn a_seed_does_the_same_whenever_it_is_run() {
    for seed in 0..20 {
        let trace = simulation::trace(seed);
        assert_eq!(trace, simulation::trace(seed));
        assert!(trace.len() > 10, "{trace:?}");
    }
    assert_ne!(simulation::trace(1), simulation::trace(2));
}
