//! The commands, and the process around them.

use std::{process::ExitCode, time::Duration};

use clap::{Parser, Subcommand};
use tokio::runtime::Runtime;

use crate::{
    audit, bench, chaos, dead_letters, dev, down, exit, health, orders, output::told, products, repair,
    topics, up,
};

/// The operator's command line of Waybill.
///
/// Exit codes: 0 done, 1 failed or refused, 2 wrong usage, 3 nobody answers. `audit`, `repair`, `bench` and `chaos` have their own.
#[derive(Parser)]
#[command(name = "waybill", subcommand_required = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Up(up::Up),
    Down(down::Down),
    Dev(dev::Dev),
    #[command(subcommand)]
    Topics(topics::Topics),
    #[command(subcommand)]
    Products(products::Products),
    #[command(subcommand)]
    Orders(orders::Orders),
    #[command(subcommand)]
    DeadLetters(dead_letters::DeadLetters),
    Audit(audit::Audit),
    Repair(repair::Repair),
    Bench(bench::Bench),
    Chaos(chaos::Chaos),
    Healthcheck(health::Healthcheck),
}

/// For downloads and requests that are under way when a command is interrupted.
const BLOCKING_STOP: Duration = Duration::from_millis(500);

pub(crate) fn main() -> ExitCode {
    let outcome = start(Cli::parse().command);
    if let Err(error) = &outcome {
        eprintln!("waybill: {}", told(error));
    }
    exit::code(&outcome)
}

fn start(command: Command) -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    let outcome = runtime.block_on(run(command));
    runtime.shutdown_timeout(BLOCKING_STOP);
    outcome
}

async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Up(it) => up::run(it).await,
        Command::Down(it) => down::run(it).await,
        Command::Dev(it) => dev::run(it).await,
        Command::Topics(it) => topics::run(it).await,
        Command::Products(it) => products::run(it).await,
        Command::Orders(it) => orders::run(it).await,
        Command::DeadLetters(it) => dead_letters::run(it).await,
        Command::Audit(it) => audit::run(it).await,
        Command::Repair(it) => repair::run(it).await,
        Command::Bench(it) => bench::run(it).await,
        Command::Chaos(it) => chaos::run(it).await,
        Command::Healthcheck(it) => health::run(it).await,
    }
}
