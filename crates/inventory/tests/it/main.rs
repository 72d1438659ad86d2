//! The service as it runs, on a real Postgres and a log in memory: events and HTTP in, events and HTTP out.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod concurrency;
mod expiry;
mod http;
mod laws;
mod mutants;
mod rig;
mod saga;
mod storage;
mod told;
