//! One command between the start and the end of its servers.

use std::{
    io::{IsTerminal, stdin},
    os::unix::process::ExitStatusExt,
    process::{ExitCode, ExitStatus},
    time::{Duration, Instant},
};

use anyhow::Context;
use local::{Kafka, Postgres, Scratch, bound};
use nix::{
    sys::signal::{Signal, kill, killpg},
    unistd::Pid,
};
use tokio::{
    process::{Child, Command},
    signal::unix::{SignalKind, signal},
    time::timeout,
};

/// Runs `command` against servers of its own; its exit code is ours, also when we are told to stop.
pub(crate) async fn run(command: &str, args: &[&str]) -> anyhow::Result<ExitCode> {
    let scratch = Scratch::new()?;
    let (kafka_dir, postgres_dir) = (scratch.path().join("kafka"), scratch.path().join("postgres"));
    let begun = Instant::now();
    let mut stops = Stops::new()?;
    let (kafka, postgres) = tokio::select! {
        started = async { tokio::try_join!(Kafka::start(&kafka_dir, None), Postgres::start(&postgres_dir, None)) } => started?,
        stop = stops.next() => return Ok(code(ExitStatus::from_raw(stop as i32))),
    };
    let (brokers, url) = (kafka.bootstrap_servers(), postgres.url("postgres"));
    eprintln!(
        "waybill-local: Kafka on {brokers} and Postgres on 127.0.0.1:{} after {:.1} s",
        postgres.port(),
        begun.elapsed().as_secs_f32()
    );
    let mut child = Command::from(bound(command, Signal::SIGTERM));
    child.args(args).env("TEST_KAFKA_BOOTSTRAP_SERVERS", brokers).env("TEST_POSTGRES_URL", url);
    let group = !stdin().is_terminal();
    if group {
        child.process_group(0);
    }
    let mut child = child.spawn().with_context(|| format!("running {command}"))?;
    let status = tokio::select! {
        status = child.wait() => status?,
        stop = stops.next() => pass_on(stop, &mut child, group).await?,
    };
    // What they hold is deleted next: no need to wait for a clean shutdown.
    drop((kafka, postgres));
    Ok(code(status))
}

/// Tells the command to stop, and kills it if it does not.
///
/// At a terminal it shares our process group, so that it may use the terminal, and Ctrl-C has reached it already.
/// Elsewhere it has a group of its own, so that its children are reached too.
async fn pass_on(stop: Signal, child: &mut Child, group: bool) -> anyhow::Result<ExitStatus> {
    let Some(pid) = child.id() else { return Ok(child.wait().await?) };
    let pid = Pid::from_raw(pid.cast_signed());
    let send = |signal| if group { killpg(pid, signal) } else { kill(pid, signal) };
    if group || stop != Signal::SIGINT {
        send(stop)?;
    }
    if let Ok(status) = timeout(Duration::from_secs(10), child.wait()).await {
        return Ok(status?);
    }
    send(Signal::SIGKILL)?;
    Ok(child.wait().await?)
}

/// The requests to stop that a terminal or a supervisor sends.
struct Stops {
    int: tokio::signal::unix::Signal,
    term: tokio::signal::unix::Signal,
    hup: tokio::signal::unix::Signal,
}

impl Stops {
    fn new() -> anyhow::Result<Stops> {
        let [int, term, hup] =
            [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
        Ok(Stops { int: int?, term: term?, hup: hup? })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.int.recv() => Signal::SIGINT,
            _ = self.term.recv() => Signal::SIGTERM,
            _ = self.hup.recv() => Signal::SIGHUP,
        }
    }
}

/// As a shell has it: what a signal ended counts as 128 and its number.
fn code(status: ExitStatus) -> ExitCode {
    let code = status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from)
}
