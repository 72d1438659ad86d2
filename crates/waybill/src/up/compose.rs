//! The suite in containers: `docker compose`, with the repository's file.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, anyhow, bail, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    process::{Child, Command},
    time::timeout,
};

use super::{Up, welcome};
use crate::{
    output::{Steps, say},
    place::Place,
    signals::Stops,
};

const FILE: &str = "docker-compose.yml";
/// Beside the logs while containers are up: `down` stops only what `up` has left.
const MARK: &str = "compose";
/// For `docker` itself, when it is told to stop.
const GRACE: Duration = Duration::from_secs(10);

pub(super) async fn up(up: &Up) -> anyhow::Result<()> {
    let (place, steps) = (Place::of(up.name.as_deref())?, Steps::begin());
    let environment = up.settings.environment()?;
    let mut stops = Stops::new()?;
    let turn = place.turn().await?;
    let native: Vec<_> = place.running()?.iter().map(|it| it.name()).collect();
    ensure!(native.is_empty(), "it is up natively ({}): `waybill down` first", native.join(", "));
    fs::write(place.files.join(MARK), "").context("marking that containers are up")?;
    let mut docker = compose(up.name.as_deref(), &["up", "--build", "--wait"])?;
    if let Err(error) = run(with_settings(&mut docker, up), &mut stops).await {
        if !up.detach {
            down(&place, up.name.as_deref(), false, true).await?;
        }
        return Err(error);
    }
    place.write_env(&environment)?;
    drop(turn);
    welcome(&place, up, up.detach, "docker compose logs", &steps);
    if up.detach {
        return Ok(());
    }
    follow(&place, up, &mut stops).await
}

/// Shows the containers' logs until it is asked to stop, then takes them down.
async fn follow(place: &Place, up: &Up, stops: &mut Stops) -> anyhow::Result<()> {
    let mut docker = compose(up.name.as_deref(), &["logs", "--follow", "--since", "1s"])?;
    let mut logs = with_settings(&mut docker, up).spawn().context("running docker")?;
    let ended = tokio::select! {
        () = stops.next() => Ok(()),
        ended = logs.wait() => Err(anyhow!("the containers have ended ({})", ended?)),
    };
    end(&mut logs).await?;
    say!("stopping");
    down(place, up.name.as_deref(), false, true).await?;
    ended
}

/// Stops the containers that `up` has left, with `purge` their volumes too; `always` also without its mark.
/// Returns whether there was something to do.
pub(crate) async fn down(
    place: &Place,
    name: Option<&str>,
    purge: bool,
    always: bool,
) -> anyhow::Result<bool> {
    let mark = place.files.join(MARK);
    if !always && !mark.exists() {
        return Ok(false);
    }
    let args: &[&str] = if purge { &["down", "--volumes"] } else { &["down"] };
    let status = compose(name, args)?.status().await.context("running docker")?;
    ensure!(status.success(), "docker compose down failed ({status})");
    if mark.exists() {
        fs::remove_file(mark)?;
    }
    Ok(true)
}

async fn run(docker: &mut Command, stops: &mut Stops) -> anyhow::Result<()> {
    let mut child = docker.spawn().context("running docker")?;
    let status = tokio::select! {
        status = child.wait() => status?,
        () = stops.next() => {
            end(&mut child).await?;
            bail!("interrupted while starting");
        }
    };
    ensure!(
        status.success(),
        "docker compose failed ({status}): see what it says, and `docker compose logs`"
    );
    Ok(())
}

/// Has `docker` stop by itself, as it has children of its own. At a terminal Ctrl-C has reached it already.
async fn end(docker: &mut Child) -> anyhow::Result<ExitStatus> {
    if let Some(pid) = docker.id() {
        // One that has just ended by itself is as good.
        let _ = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGTERM);
    }
    if let Ok(status) = timeout(GRACE, docker.wait()).await {
        return Ok(status?);
    }
    docker.kill().await?;
    Ok(docker.wait().await?)
}

/// `docker compose`, for the suite of that name.
fn compose(name: Option<&str>, args: &[&str]) -> anyhow::Result<Command> {
    let mut docker = Command::new("docker");
    docker.arg("compose");
    docker.args(name.iter().flat_map(|name| ["--project-name".to_owned(), format!("waybill-{name}")]));
    docker.args(args).current_dir(root()?).stdin(Stdio::null()).kill_on_drop(true);
    Ok(docker)
}

/// The file takes them from the environment, under the same names.
fn with_settings<'a>(docker: &'a mut Command, up: &Up) -> &'a mut Command {
    docker.env("TOPIC_PREFIX", &up.settings.topic_prefix);
    docker.envs(up.settings.ports.variables().map(|(name, port)| (name, port.to_string())))
}

/// The directory of the compose file: here or above, else above this program.
fn root() -> anyhow::Result<PathBuf> {
    let (here, program) = (env::current_dir()?, env::current_exe()?);
    let mut dirs = here.ancestors().chain(program.ancestors());
    let root = dirs.find(|dir| dir.join(FILE).is_file() && dir.join("deploy").is_dir());
    root.map(Path::to_owned).with_context(|| format!("there is no {FILE} here: run it in the repository"))
}
