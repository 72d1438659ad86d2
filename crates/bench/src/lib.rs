//! What the suite and its parts cost, and how fast they are: `waybill bench`.
//!
//! A workload runs against a Kafka and a Postgres of its own (with fsync) and the services as processes, of the same
//! build as this one; those of the parts run an engine in this process. Load is an open loop: each order has the moment at which it is due, latency counts from there,
//! and a suite that stands still makes orders late, not fewer.
//!
//! Invariants:
//! - A rate is sustained only if what is under way does not grow, is done soon after the last order, and is not late.
//! - CPU time comes from the kernel's own account of every process, also of those that have ended, and what the machine
//!   did besides is told.
//! - What is measured pays for nobody who looks on: no part is asked by SQL how far it is.
//! - After each run the books are audited: figures of a suite that loses orders are not figures.
//!
//! Absent on purpose: a verdict on figures. Machines differ and are shared, so ratios within one run say more.

mod arrivals;
mod burst;
mod command;
mod customers;
pub mod figures;
pub mod ground;
mod growth;
mod http;
mod idle;
mod observe;
mod options;
mod orders;
pub mod output;
mod parts;
mod phase;
mod picture;
mod progress;
mod provenance;
mod running;
mod search;
mod soak;
mod stage;
mod steady;
mod suite;
mod turns;
pub mod usage;
mod variant;
mod watcher;

pub use command::{Bench, Workload, run};
pub use parts::{Ceilings, Consume, Relay};
pub use progress::Tell;
