//! Our own programs as processes: how each is started, and when it is ready.

use std::{env, path::PathBuf, time::Duration};

use anyhow::{Context, anyhow, bail, ensure};
use local::{Launch, Life, Process};
use nix::sys::signal::Signal;
use tokio::time::{Instant, sleep};

use crate::{
    client::{BaseUrl, Client, send},
    place::Place,
    suite::{Part, Settings},
};

const READY: Duration = Duration::from_secs(60);

/// Fails if a program was not built.
pub(crate) fn check_built() -> anyhow::Result<()> {
    Part::PROGRAMS.into_iter().try_for_each(|part| program(part).map(drop))
}

/// The program of a part: beside this one, from the same build.
fn program(part: Part) -> anyhow::Result<PathBuf> {
    let ours = env::current_exe().context("finding this program")?;
    let program = ours.with_file_name(format!("waybill-{}", part.name()));
    ensure!(
        program.is_file(),
        "{} is not there: cargo build --release --workspace --bins",
        program.display()
    );
    Ok(program)
}

/// Starts a program with its log and pid in the suite's place.
pub(crate) fn start(part: Part, place: &Place, settings: &Settings, life: Life) -> anyhow::Result<Process> {
    let mut launch = Launch::new(part.name(), &place.files, program(part)?);
    launch.life = life;
    launch.orphaned = Signal::SIGTERM;
    launch.env = environment(part, place, settings)?;
    launch.start()
}

/// What a program is told beyond the environment that it inherits.
fn environment(part: Part, place: &Place, settings: &Settings) -> anyhow::Result<Vec<(String, String)>> {
    let mut of = vec![("HTTP_ADDR", format!("127.0.0.1:{}", settings.ports.of(part)))];
    let admin = settings.ports.admin_of(part);
    of.extend(admin.map(|port| ("ADMIN_ADDR", format!("127.0.0.1:{port}"))));
    let key = || env::var("PROVIDER_API_KEY").ok().filter(|it| !it.is_empty());
    if part == Part::Psp {
        of.push(("LEDGER_FILE", place.data.join("psp/ledger.jsonl").display().to_string()));
        of.extend(key().map(|it| ("PSP_API_KEY", it)));
    } else {
        of.push(("DATABASE_URL", settings.database_url(part.name())?));
        of.push(("KAFKA_BOOTSTRAP_SERVERS", settings.bootstrap_servers()));
        of.push(("TOPIC_PREFIX", settings.topic_prefix.clone()));
        of.push(("INSTANCE_ID", format!("{}-1", part.name())));
    }
    if part == Part::Payment {
        of.push(("PROVIDER_URL", settings.ports.url(Part::Psp).to_string()));
    }
    Ok(of.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// Waits until a part says that it is ready; the error of one that does not has the end of its log.
pub(crate) async fn ready(
    part: Part,
    place: &Place,
    settings: &Settings,
    client: &Client,
) -> anyhow::Result<()> {
    let alive = || match place.find(part)? {
        Some(_) => Ok(()),
        None => bail!("it ended while starting"),
    };
    let answers = answers(client, &settings.ports.url(part), alive).await;
    answers.map_err(|error| anyhow!("{}: {error:#}; see {}", part.name(), place.last_words(part)))
}

/// Waits until a service says that it is ready, for as long as it is `alive`.
pub(crate) async fn answers(
    client: &Client,
    url: &BaseUrl,
    alive: impl Fn() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let deadline = Instant::now() + READY;
    loop {
        let Err(error) = send(client.get(url, "/readyz")).await else { return Ok(()) };
        alive()?;
        if Instant::now() > deadline {
            return Err(error.context(format!("not ready after {} s", READY.as_secs())));
        }
        sleep(Duration::from_millis(50)).await;
    }
}
