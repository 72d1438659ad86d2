//! Scenarios over the whole suite.

mod dependencies;
mod faults;
mod processes;
mod scenarios;
mod simulation;

pub(crate) use saga_tests::suite::PATIENCE;
