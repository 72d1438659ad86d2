//! PostgreSQL, one server in one directory.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail, ensure};
use nix::{sys::signal::Signal, unistd::User};
use tokio::process::Command;
use uuid::Uuid;

use crate::{
    fetch,
    home::{check_reachable, create_open, give, server_user},
    launch::{Launch, Life},
    port,
    server::{Server, ask, settle},
};

/// How many connections: four services with a few pools each, several times over while tests run (240 of them then).
const CONNECTIONS: u16 = 500;

/// How the postmaster tells of a process of its own that crashed (`LogChildExit` in its postmaster.c); in English, by the
/// locale that a cluster is made with.
const CRASHED: &str = "was terminated by signal";

/// A running Postgres. Dropping it ends it, unless it is detached.
#[derive(Debug)]
pub struct Postgres {
    server: Server,
    password: String,
}

impl Postgres {
    /// Starts a server with data in `dir` (initialised if empty) on `port`, or on a free one.
    ///
    /// When root runs this the server is `nobody`'s, who must be able to enter the directories above `dir`:
    /// one below [`home`](crate::home) is.
    pub async fn start(dir: &Path, port: Option<u16>) -> anyhow::Result<Postgres> {
        Postgres::launch(dir, port, Life::Bound).await
    }

    /// As [`start`](Self::start), but the server outlives this process: [`find`](Self::find) gets it back.
    pub async fn start_detached(dir: &Path, port: Option<u16>) -> anyhow::Result<Postgres> {
        Postgres::launch(dir, port, Life::Detached).await
    }

    /// The server that runs in `dir`, whoever started it. Dropping what is returned leaves it running.
    pub async fn find(dir: &Path) -> anyhow::Result<Option<Postgres>> {
        let mut launch =
            Launch { life: Life::Detached, ..Launch::new("postgres", std::path::absolute(dir)?, "") };
        let Some(found) = Server::find(launch.clone())? else { return Ok(None) };
        configure(&mut launch, found.port).await?;
        let password = password(&launch)?;
        Ok(Some(Postgres { server: Server { launch, ..found }, password }))
    }

    async fn launch(dir: &Path, port: Option<u16>, life: Life) -> anyhow::Result<Postgres> {
        let mut launch = Launch { life, ..Launch::new("postgres", std::path::absolute(dir)?, "") };
        create_open(&launch.dir)?;
        launch.refuse_second()?;
        let port = port::claim(port, "POSTGRES_PORT")?;
        configure(&mut launch, port).await?;
        check_reachable(&launch.dir, launch.user.as_ref())?;
        let password = password(&launch)?;
        if !data(&launch).exists() {
            initialise(&launch).await?;
        }
        let server = Server::start(launch, port, serves).await?;
        Ok(Postgres { server, password })
    }

    /// A superuser's URL of a database.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres:{}@127.0.0.1:{}/{database}", self.password, self.server.port)
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.server.port
    }

    /// The process id of the postmaster.
    pub fn pid(&self) -> u32 {
        self.server.process.pid()
    }

    /// Fast shutdown (transactions roll back, the data is checkpointed), and waits for its end.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.server.stop(Signal::SIGINT).await
    }

    /// Whether it runs; it ends by itself when it cannot write its log, for one.
    pub fn is_running(&self) -> bool {
        self.server.process.is_running()
    }

    /// An error if it has ended, with how and its last words; or if one of its processes has crashed (or the kernel was
    /// out of memory), upon which it ends all sessions, recovers, and goes on.
    pub fn check(&self) -> anyhow::Result<()> {
        self.server.process.check(&self.server.launch)?;
        let log = fs::read(self.log()).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        match log.lines().find(|it| it.contains(CRASHED)) {
            Some(line) => bail!("postgres has ended all sessions: {line}"),
            None => Ok(()),
        }
    }

    /// Its output so far.
    pub fn log(&self) -> PathBuf {
        self.server.launch.log()
    }

    /// SIGKILL to the postmaster and all its children, as when the machine loses power; for fault runs.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        self.server.process.kill().await
    }

    /// An immediate shutdown (nothing is checkpointed, no client is waited for) and recovery from the log.
    pub async fn restart_immediately(&mut self) -> anyhow::Result<()> {
        self.server.restart(Signal::SIGQUIT, serves).await
    }

    /// The same data on the same port again, after a kill or in place of the running one.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.server.restart(Signal::SIGINT, serves).await
    }
}

/// Whether it takes connections: a start-up message (protocol 3.0) is answered by `R`, a request to authenticate,
/// and by `E`, an error, while it starts or recovers.
async fn serves(port: u16) -> io::Result<bool> {
    let mut message = vec![0, 3, 0, 0];
    message.extend_from_slice(b"user\0postgres\0\0");
    let length = u32::try_from(message.len() + 4).map_err(io::Error::other)?;
    message.splice(0..0, length.to_be_bytes());
    let [kind] = ask(port, &message).await?;
    Ok(kind == b'R')
}

/// Fills in what the launch runs, and as whom.
async fn configure(launch: &mut Launch, port: u16) -> anyhow::Result<()> {
    launch.program = fetch::postgres().await?.join("bin/postgres");
    launch.user = server_user()?;
    check_reachable(&launch.program, launch.user.as_ref())?;
    // An immediate shutdown: unlike SIGKILL it leaves no shared memory behind.
    launch.orphaned = Signal::SIGQUIT;
    // A statement's memory is kept for the next one. Each backend would give it back to the kernel and ask for it again,
    // zeroed page by page, hundreds of times for an order.
    let kept = [("MALLOC_TOP_PAD_", "4194304"), ("MALLOC_TRIM_THRESHOLD_", "67108864")];
    launch.env = kept.map(|(name, bytes)| (name.to_owned(), bytes.to_owned())).into();
    launch.args = vec!["-D".into(), data(launch).into()];
    for setting in settings(port) {
        launch.args.extend(["-c".into(), setting.into()]);
    }
    Ok(())
}

/// For two cores and a few gigabytes. What makes commits durable (fsync, synchronous_commit) stays at its default: on.
fn settings(port: u16) -> Vec<String> {
    let fixed = [
        "listen_addresses=127.0.0.1",
        // Clients use TCP; a socket file would only limit how long the path of the data may be.
        "unix_socket_directories=",
        "shared_buffers=256MB",
        // At 2,500 orders/s the default fills in 20 s, and each checkpoint shows in the latency.
        "max_wal_size=2GB",
        // A client that died in the middle of a statement or a transaction must not hold its locks.
        "client_connection_check_interval=5s",
        "idle_in_transaction_session_timeout=60s",
        "log_min_messages=warning",
        "log_line_prefix=%m [%p] %d ",
        "timezone=UTC",
        "log_timezone=UTC",
    ];
    let sized = [format!("port={port}"), format!("max_connections={CONNECTIONS}")];
    fixed.into_iter().map(str::to_owned).chain(sized).collect()
}

/// The superuser's password: made up once, in a file that only the server's user can read.
fn password(launch: &Launch) -> anyhow::Result<String> {
    let file = launch.dir.join("password");
    if !file.exists() {
        let aside = launch.dir.join("password.part");
        let mut out = File::options().create(true).write(true).truncate(true).mode(0o600).open(&aside)?;
        out.write_all(Uuid::new_v4().simple().to_string().as_bytes())?;
        give(&aside, launch.user.as_ref())?;
        settle(&aside, &file)?;
    }
    fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))
}

async fn initialise(launch: &Launch) -> anyhow::Result<()> {
    let aside = launch.dir.join("data.part");
    if aside.exists() {
        fs::remove_dir_all(&aside)?;
    }
    // Only this one is the server's own: what we write, and trust, stays ours.
    fs::create_dir(&aside)?;
    give(&aside, launch.user.as_ref())?;
    let mut initdb = Command::new(launch.program.with_file_name("initdb"));
    initdb.args(["-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "--auth=scram-sha-256"]);
    initdb.arg("-D").arg(&aside).arg("--pwfile").arg(launch.dir.join("password"));
    initdb.current_dir(&launch.dir).kill_on_drop(true);
    if let Some(User { uid, gid, .. }) = &launch.user {
        initdb.uid(uid.as_raw()).gid(gid.as_raw());
    }
    let out = initdb.output().await.context("running initdb")?;
    ensure!(out.status.success(), "initdb failed:\n{}", String::from_utf8_lossy(&out.stderr));
    settle(&aside, &data(launch))
}

fn data(launch: &Launch) -> PathBuf {
    launch.dir.join("data")
}
