//! The whole suite under test: real services on real Kafka and Postgres, HTTP in and HTTP out.
//!
//! [`Suite`] runs the four services and the provider in one process, each with a database of its own, on the
//! Kafka that tests share, under topics that no other test has. Every scenario ends with [`Suite::finish`],
//! which waits until nothing is left to do and asserts what must hold then: the [`laws`].
//!
//! [`Processes`] is the same as it is run: a process each, to be killed, stopped and frozen under [`load`].
//!
//! Absent on purpose: stand-ins for anything of ours. The provider alone is one, and keeps its own books.

pub mod laws;
pub mod model;
pub mod processes;
pub mod simulation;
pub mod suite;
pub mod topic;

pub use processes::Processes;
pub use suite::{Options, Suite};
