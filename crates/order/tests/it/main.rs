//! The order service as it runs, on a real Postgres and the log in memory: HTTP in, HTTP and events out.
//!
//! The tests play inventory, payment and shipping. Each ends with `Rig::finish`, which asserts what holds for
//! every order whatever has happened: see `laws`.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod again;
mod answer;
mod cancelling;
mod compensation;
mod idempotency;
mod laws;
mod load;
mod lost;
mod outage;
mod racing;
mod reading;
mod refold;
mod refusals;
mod rig;
mod saga;
mod unreadable;
mod upgrade;
mod words;
