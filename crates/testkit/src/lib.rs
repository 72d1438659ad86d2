//! What a test needs of real servers: a database of its own, topics of its own, and waiting with a deadline; and of
//! itself: a process of its own.
//!
//! The servers' addresses are in `TEST_POSTGRES_URL` (a superuser's) and `TEST_KAFKA_BOOTSTRAP_SERVERS`, set by
//! `waybill-local run`. Tests share the servers and nothing else, so they run side by side.
//!
//! Invariants:
//! - A missing server fails the test with one line that says what to run; nothing is skipped.
//! - A test's database is gone after it, also when the test panicked.
//! - Nothing waits by sleeping for a fixed time: [`eventually`] polls, has a deadline, and says what it saw last.
//!
//! Absent on purpose: a Kafka client (whoever creates topics, deletes them) and any business word.
//! Panics are the interface, as for assertions.

mod again;
mod database;
mod waiting;

use std::{
    env,
    net::{Ipv4Addr, SocketAddr},
    sync::atomic::{AtomicU16, Ordering},
};

use uuid::Uuid;

pub use again::run_again;
pub use database::TestDatabase;
pub use waiting::eventually;

/// A prefix for the names of topics and groups that no other test has.
pub fn topic_prefix() -> String {
    format!("test-{}", Uuid::now_v7().simple())
}

/// An address to listen on that nothing else takes, also not between this call and the bind.
///
/// All of 127.0.0.0/8 is this machine. The address is made from the process's id and the port, below those that
/// the kernel gives to outgoing connections, from a counter; so no two processes' tests meet.
pub fn free_addr() -> SocketAddr {
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    let [_, a, b, c] = std::process::id().to_be_bytes();
    // 127.0.0.x is where everything else listens.
    let ip = Ipv4Addr::new(127, 64 | a, b, c.max(1));
    (ip, 20_000 + TAKEN.fetch_add(1, Ordering::Relaxed) % 10_000).into()
}

/// The Kafka that tests share.
#[track_caller]
pub fn bootstrap_servers() -> String {
    variable("TEST_KAFKA_BOOTSTRAP_SERVERS")
}

#[track_caller]
fn variable(name: &str) -> String {
    match env::var(name) {
        Ok(value) => value,
        Err(_) => {
            panic!("{name} is not set; run ./scripts/test, or: cargo run -p local -- run -- cargo test")
        }
    }
}
