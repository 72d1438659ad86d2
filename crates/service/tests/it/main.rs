//! The chassis as clients and orchestrators meet it: over sockets, signals and exit codes.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail as its assertions do")]

mod admin;
mod harness;
mod notes;
mod operations;
mod process;
mod rejections;
mod stop;
mod supervision;
