//! `waybill`: the operator's command line.
//!
//! It starts and stops the suite, on containers or natively, and talks to a running one as anybody could: over HTTP
//! and Kafka, by URLs from flags or the environment. Results go to standard output (`--json` where a machine may
//! read them), an error is one line on standard error, and the exit code says of which kind it is, see [`exit`].
//!
//! **Invariant:** no command changes a service's database but through its API, and none reads one but `audit` and `repair`,
//! which only read; `up` and `dev` create databases and hand them over. Nothing is read from `target/up.env`: only what the caller has put into the
//! environment counts.
//!
//! Deliberately absent: business rules. What is refused, the services refuse.

mod audit;
mod bench;
mod chaos;
mod cli;
mod client;
mod dead_letters;
mod dev;
mod down;
mod exit;
mod health;
mod orders;
mod output;
mod place;
mod products;
mod repair;
mod signals;
mod suite;
mod topics;
mod up;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cli::main()
}
