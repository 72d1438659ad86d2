//! Thousands of schedules of the four deciders; and of deciders that are wrong, which have to be caught.

mod wrong;

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

/// More by `SEEDS=10000`, one by `SEED=42`.
#[test]
fn every_schedule_ends_with_the_laws_intact() {
    let from_environment = |name: &str| std::env::var(name).ok().and_then(|it| it.parse::<u64>().ok());
    let seeds = match from_environment("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..from_environment("SEEDS").unwrap_or(2_000),
    };
    let count = (seeds.end - seeds.start) as usize;
    let mut all = Tally::default();
    for seed in seeds {
        match simulation::run(seed) {
            Ok(tally) => {
                tally.0.into_iter().for_each(|(what, times)| *all.0.entry(what).or_default() += times)
            }
            Err(story) => panic!("{story}"),
        }
    }
    for (what, often) in EXERCISED {
        let times = all.0.get(what).copied().unwrap_or(0);
        assert!(times >= often * (count / 1_000), "the scheduler leaves something out: {what} in {all:?}");
    }
}
