use std::net::SocketAddr;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;
use std::{env, io};

use anyhow::{Context as _, bail};
use clap::Parser;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{healthcheck, telemetry};

/// The whole stop, longer than all the deadlines within it: a backstop against what ignores them.
const STOP: Duration = Duration::from_secs(25);
/// For blocking calls that are still running when all else has ended.
const BLOCKING_STOP: Duration = Duration::from_secs(1);

/// The process around a service: configuration, telemetry, runtime, signals, exit code.
///
/// ```no_run
/// # #[derive(clap::Parser)]
/// # struct Config { #[command(flatten)] chassis: service::Config }
/// # async fn run(_: Config, _: tokio_util::sync::CancellationToken) -> anyhow::Result<()> { Ok(()) }
/// fn main() -> std::process::ExitCode {
///     service::main("order", run)
/// }
/// ```
///
/// SIGTERM or SIGINT cancels the token that `run` is given; a second one ends the process at once. With
/// `healthcheck` as its first argument the process asks a running one on the same address instead.
pub fn main<C, R, F>(name: &'static str, run: R) -> ExitCode
where
    C: Parser,
    R: FnOnce(C, CancellationToken) -> F,
    F: Future<Output = anyhow::Result<()>>,
{
    let outcome = if env::args_os().nth(1).is_some_and(|it| it == "healthcheck") {
        http_addr::<C>().and_then(healthcheck)
    } else {
        let config = C::parse();
        start(name, |shutdown| run(config, shutdown))
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// From the environment, else the service's own default; the rest of its configuration is not asked for.
fn http_addr<C: Parser>() -> anyhow::Result<SocketAddr> {
    let command = C::command();
    let arg = command.get_arguments().find(|arg| arg.get_id() == "http_addr");
    let arg = arg.context("this program has no HTTP address")?;
    let given =
        arg.get_env().and_then(env::var_os).or_else(|| arg.get_default_values().first().map(Into::into));
    let given = given.context("HTTP_ADDR is not set")?;
    given.to_string_lossy().parse().context("HTTP_ADDR is not an address")
}

fn start<F>(name: &'static str, run: impl FnOnce(CancellationToken) -> F) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>>,
{
    let _telemetry = telemetry::init(name)?;
    let runtime = runtime().context("starting the runtime")?;
    let shutdown = CancellationToken::new();
    let outcome = runtime.block_on(until_stopped(run(shutdown.clone()), shutdown));
    runtime.shutdown_timeout(BLOCKING_STOP);
    if outcome.is_ok() {
        tracing::info!(service = name, "stopped");
    }
    outcome
}

/// With one worker thread, unless `TOKIO_WORKER_THREADS` says otherwise: a service waits far more than it computes, and
/// threads that wake one another cost more than they carry. Beyond a core it is carried by more processes.
fn runtime() -> io::Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    if env::var_os("TOKIO_WORKER_THREADS").is_none() {
        builder.worker_threads(1);
    }
    builder.enable_all().build()
}

async fn until_stopped<F>(run: F, shutdown: CancellationToken) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>>,
{
    let mut signals = Signals::new().context("listening for signals")?;
    let mut run = pin!(run);
    tokio::select! {
        outcome = &mut run => return outcome,
        () = signals.next() => tracing::info!("asked to stop"),
    }
    shutdown.cancel();
    tokio::select! {
        outcome = run => outcome,
        () = signals.next() => bail!("ended at once by a second signal"),
        () = tokio::time::sleep(STOP) => bail!("did not stop within {STOP:?}"),
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
