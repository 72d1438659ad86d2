//! The engine on real Postgres and real Kafka: each promise has a test that fails when it is broken.
//!
//! A small service, accounts that are booked on, stands for all services. What is promised is checked by the
//! functions in `laws`, which also have to see the defects of engines with a defence taken out (`mutants`).
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod account;
mod breaker;
mod commands;
mod deadlines;
mod duplicates;
mod effects;
mod gauges;
mod happy;
mod housekeeping;
mod laws;
mod metrics;
mod mutants;
mod observing;
mod outage;
mod poison;
mod rebalance;
mod redrive;
mod relay;
mod rig;
mod running;
mod shedding;
mod silence;
mod slow;
mod teller;
mod transaction;
