//! What the engine costs and how fast it is, on real Postgres (with fsync) and real Kafka: `cargo bench -p engine`.
//!
//! With `-- relay` or `-- consumer` that part alone.
//!
//! Machines differ and are shared, so what counts is the ratio of two variants in one run, and CPU time.
#![expect(clippy::print_stdout, reason = "its output is what a benchmark is for")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on ends")]

#[path = "../../tests/it/account.rs"]
#[expect(dead_code, reason = "tests need more of it")]
mod account;
mod consumer;
mod machine;
mod relay;

use machine::Machine;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // Cargo adds an option of its own.
    let part = std::env::args().skip(1).find(|it| !it.starts_with('-'));
    let wanted = |name| part.as_deref().is_none_or(|it| it == name);
    let machine = Machine::start().await;
    if wanted("consumer") {
        consumer::run(&machine).await;
    }
    if wanted("relay") {
        relay::drain(&machine).await;
        relay::steady(&machine).await;
    }
}
