//! The suite in containers: `docker compose`, with the repository's file.

use std::{
    env,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, bail, ensure};
use tokio::process::Command;

use super::Up;
use crate::{output::say, place::Place, signals::Stops, suite::Settings};

const FILE: &str = "docker-compose.yml";
/// Beside the logs while containers are up: `down` stops only what `up` has left.
const MARK: &str = "compose";

pub(super) async fn up(up: &Up) -> anyhow::Result<()> {
    let (place, root) = (Place::of(None)?, root()?);
    let mut stops = Stops::new()?;
    let turn = place.turn().await?;
    let native: Vec<_> = place.running()?.iter().map(|it| it.name()).collect();
    ensure!(native.is_empty(), "it is up natively ({}): `waybill down` first", native.join(", "));
    std::fs::write(place.files.join(MARK), "").context("marking that containers are up")?;
    let started = run(&root, &up.settings, &["up", "--build", "--wait"], &mut stops).await;
    if let Err(error) = started {
        say!("see `docker compose logs`; `waybill down` removes what has been started");
        return Err(error);
    }
    place.write_env(&up.settings.environment()?)?;
    drop(turn);
    if up.detach {
        return Ok(());
    }
    let mut logs = compose(&root, &up.settings, &["logs", "--follow", "--since", "1s"]).spawn()?;
    let ended = tokio::select! {
        () = stops.next() => Ok(()),
        ended = logs.wait() => ended.map(|_| ()).context("following the logs").and(Err(anyhow::anyhow!("the containers have ended"))),
    };
    // At a terminal Ctrl-C has reached it too.
    let _ = logs.kill().await;
    down(&place, false, true).await?;
    ended
}

/// Stops the containers that `up` has left, with `purge` their volumes too; `always` also without its mark.
/// Returns whether there was something to do.
pub(crate) async fn down(place: &Place, purge: bool, always: bool) -> anyhow::Result<bool> {
    let mark = place.files.join(MARK);
    if !always && !mark.exists() {
        return Ok(false);
    }
    let args: &[&str] = if purge { &["down", "--volumes"] } else { &["down"] };
    let mut docker = Command::new("docker");
    docker.arg("compose").args(args).current_dir(root()?).stdin(Stdio::null());
    let status = docker.status().await.context("running docker")?;
    ensure!(status.success(), "docker compose down failed ({status})");
    if mark.exists() {
        std::fs::remove_file(mark)?;
    }
    Ok(true)
}

async fn run(root: &Path, settings: &Settings, args: &[&str], stops: &mut Stops) -> anyhow::Result<()> {
    let mut child = compose(root, settings, args).spawn().context("running docker")?;
    let status = tokio::select! {
        status = child.wait() => status?,
        () = stops.next() => {
            child.kill().await?;
            bail!("interrupted while starting");
        }
    };
    ensure!(status.success(), "docker compose {} failed ({status})", args[0]);
    Ok(())
}

fn compose(root: &Path, settings: &Settings, args: &[&str]) -> Command {
    let mut docker = Command::new("docker");
    docker.arg("compose").args(args).current_dir(root).stdin(Stdio::null()).kill_on_drop(true);
    docker.env("TOPIC_PREFIX", &settings.topic_prefix);
    docker.envs(settings.ports.variables().map(|(name, port)| (name, port.to_string())));
    docker
}

/// The directory of the compose file: here or above, else above this program.
fn root() -> anyhow::Result<PathBuf> {
    let (here, program) = (env::current_dir()?, env::current_exe()?);
    let mut dirs = here.ancestors().chain(program.ancestors());
    let root = dirs.find(|dir| dir.join(FILE).is_file() && dir.join("deploy").is_dir());
    root.map(Path::to_owned).with_context(|| format!("there is no {FILE} here: run it in the repository"))
}
