//! What a test needs of real servers: a database of its own, topics of its own, and waiting with a deadline.
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

mod database;
mod waiting;

use std::env;

use uuid::Uuid;

pub use database::TestDatabase;
pub use waiting::eventually;

/// A prefix for the names of topics and groups that no other test has.
pub fn topic_prefix() -> String {
    format!("test-{}", Uuid::now_v7().simple())
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
