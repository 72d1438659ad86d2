//! `waybill up`: everything, on containers where an engine answers, else natively.

pub(crate) mod compose;
pub(crate) mod databases;
mod native;
pub(crate) mod programs;

use std::process::Stdio;

use clap::ValueEnum;
use tokio::process::Command;

use crate::{
    output::{Steps, say},
    place::{Place, shown},
    suite::{Part, Settings},
};

/// Start everything and keep it running until Ctrl-C (`-d`: leave it running).
///
/// Where a container engine answers that is `docker compose up`; otherwise Kafka, Postgres and the services run as
/// processes of this machine. Ports can be moved by flags or by their variables. Where the suite is up already, only
/// what has died is started again.
#[derive(clap::Args)]
pub(crate) struct Up {
    /// Leave it running: `waybill down` stops it.
    #[arg(short, long)]
    pub(crate) detach: bool,
    #[command(flatten)]
    pub(crate) runtime: RuntimeChoice,
    /// A second suite beside the first, with data and logs of its own; its ports have to be others.
    #[arg(long, env = "WAYBILL_SUITE", value_parser = suite_name)]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) settings: Settings,
}

/// What the suite runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Runtime {
    /// Processes of this machine.
    Native,
    /// Containers.
    Compose,
}

#[derive(clap::Args, Clone, Copy, Debug)]
pub(crate) struct RuntimeChoice {
    /// Do not look for a container engine.
    #[arg(long, conflicts_with = "compose")]
    native: bool,
    /// Use `docker compose`.
    #[arg(long)]
    compose: bool,
    /// The same choice, for the environment.
    #[arg(long, env = "WAYBILL_RUNTIME", value_name = "RUNTIME")]
    runtime: Option<Runtime>,
}

impl RuntimeChoice {
    /// What was asked for; a flag of its own goes before the variable.
    pub(crate) fn asked(self) -> Option<Runtime> {
        match self {
            Self { native: true, .. } => Some(Runtime::Native),
            Self { compose: true, .. } => Some(Runtime::Compose),
            Self { runtime, .. } => runtime,
        }
    }
}

/// The name is a part of directories' names.
pub(crate) fn suite_name(name: &str) -> Result<String, String> {
    let plain = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-';
    if name.is_empty() || name.len() > 40 || !name.bytes().all(plain) {
        return Err("expected 1 to 40 characters out of a-z, 0-9 and '-'".into());
    }
    Ok(name.to_owned())
}

pub(crate) async fn run(up: Up) -> anyhow::Result<()> {
    let runtime = match up.runtime.asked() {
        Some(runtime) => runtime,
        None if engine_answers().await => Runtime::Compose,
        None => Runtime::Native,
    };
    match runtime {
        Runtime::Native => native::up(&up).await,
        Runtime::Compose => compose::up(&up).await,
    }
}

/// Whether there is a Docker engine, and its Compose.
async fn engine_answers() -> bool {
    let answers = async |args: &[&str]| {
        let mut docker = Command::new("docker");
        docker.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        docker.status().await.is_ok_and(|status| status.success())
    };
    answers(&["info"]).await && answers(&["compose", "version"]).await
}

/// What to do with it, now that it is up.
fn welcome(place: &Place, up: &Up, detached: bool, logs: &str, steps: &Steps) {
    let waybill = std::env::current_exe().map_or_else(|_| "waybill".into(), |it| shown(&it));
    let name = up.name.as_ref().map(|it| format!(" --name {it}")).unwrap_or_default();
    let stop = if detached { format!("{waybill} down{name}") } else { "Ctrl-C".to_owned() };
    say!(
        "\nup after {:.1} s\n\
         \n  environment  set -a; . {}; set +a\
         \n  an order     {waybill} orders place --sku MUG-01 --quantity 2 --watch\
         \n  its API      {}/docs\
         \n  lag          {waybill} topics lag\
         \n  dead letters {waybill} dead-letters list\
         \n  logs         {}\
         \n  stop         {stop}\n",
        steps.seconds(),
        shown(&place.env),
        up.settings.ports.url(Part::Order),
        logs,
    );
}
