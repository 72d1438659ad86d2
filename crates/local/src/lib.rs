//! Runs a real Apache Kafka and a real PostgreSQL on this machine, without a container engine.
//!
//! Both come from Maven Central, at the versions of the container images, and need nothing but Java 17 and Maven:
//! no root, no installation, one directory each. `waybill up`, the tests, the benchmark and the fault runs use them.
//!
//! Invariants:
//! - A server listens on 127.0.0.1 only, and `start` returns when it answers its own protocol, not when a port is open.
//! - A server that was started with [`Life::Bound`] is gone when this process is gone, however it ended.
//! - Durability is the real one: fsync stays on, and a kill followed by a restart finds the same data and port.
//! - Whatever is downloaded is complete or absent; concurrent first uses download it once.
//!
//! Absent on purpose: clients of either (see `bus` and `sqlx`), clusters of more than one node, other platforms
//! than Linux on x86-64 and arm64.

mod fetch;
mod home;
mod kafka;
mod launch;
mod port;
mod postgres;
mod process;
mod proxy;
mod scratch;
mod server;

pub use fetch::fetch;
pub use home::home;
pub use kafka::{Front, Kafka};
pub use launch::{Launch, Life, bound};
pub use port::{claim as claim_port, free as free_port};
pub use postgres::Postgres;
pub use process::Process;
pub use proxy::Proxy;
pub use scratch::Scratch;
