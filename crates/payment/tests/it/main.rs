//! The service as it runs: real Postgres, the stand-in provider over HTTP, and the log in memory.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail as its assertions do")]

mod cancel;
mod exits;
mod forward;
mod http;
mod laws;
mod mutants;
mod order;
mod races;
mod repeat;
mod restart;
mod rig;
mod table;
mod unsure;
