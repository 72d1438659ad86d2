//! The shipping service as it runs, on real Postgres and a log in memory: events and HTTP in, events and HTTP
//! out.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod cancelling;
mod carrier;
mod joining;
mod outage;
mod racing;
mod rig;
mod routes;
mod rows;
mod stock;
mod upgrade;
