//! What a Kafka and a Postgres have in common: a launch, a port, and a question that tells when it serves.

use std::{fs, io, path::Path, time::Duration};

use anyhow::{Context, bail};
use nix::sys::signal::Signal;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};

use crate::{launch::Launch, process::Process};

const START: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) launch: Launch,
    pub(crate) process: Process,
    pub(crate) port: u16,
}

impl Server {
    /// Starts it and waits until `serves` says so; leaves the port beside the pid, for who finds it later.
    pub(crate) async fn start(
        launch: Launch,
        port: u16,
        serves: impl AsyncFn(u16) -> io::Result<bool>,
    ) -> anyhow::Result<Server> {
        let process = launch.start()?;
        fs::write(port_file(&launch), port.to_string())?;
        let mut server = Server { launch, process, port };
        server.wait(serves).await?;
        Ok(server)
    }

    /// The server of that launch, if it runs.
    pub(crate) fn find(launch: Launch) -> anyhow::Result<Option<Server>> {
        let Some(process) = Process::find(&launch.dir, &launch.name)? else { return Ok(None) };
        let port = port_of(&launch)?;
        Ok(Some(Server { launch, process, port }))
    }

    pub(crate) async fn stop(&mut self, ask: Signal) -> anyhow::Result<()> {
        self.process.stop(ask, STOP).await
    }

    /// Stops it if it runs, and starts it once more.
    pub(crate) async fn restart(
        &mut self,
        ask: Signal,
        serves: impl AsyncFn(u16) -> io::Result<bool>,
    ) -> anyhow::Result<()> {
        self.stop(ask).await?;
        let mut attempts = 5;
        loop {
            self.process = self.launch.start()?;
            match self.wait(&serves).await {
                // Children of a server that was killed from outside may hold its data for a moment.
                Err(_) if attempts > 1 && !self.process.is_running() => attempts -= 1,
                done => return done,
            }
            sleep(Duration::from_millis(300)).await;
        }
    }

    async fn wait(&mut self, serves: impl AsyncFn(u16) -> io::Result<bool>) -> anyhow::Result<()> {
        let deadline = Instant::now() + START;
        loop {
            if let Ok(Ok(true)) = timeout(Duration::from_secs(2), serves(self.port)).await {
                return Ok(());
            }
            let name = &self.launch.name;
            if !self.process.is_running() {
                bail!("{name} ended while starting; see {}", self.launch.last_words());
            }
            if Instant::now() > deadline {
                bail!("{name} does not serve after {} s; see {}", START.as_secs(), self.launch.last_words());
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The port a server of that launch used last.
pub(crate) fn port_of(launch: &Launch) -> anyhow::Result<u16> {
    let file = port_file(launch);
    let port = fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
    port.trim().parse().with_context(|| format!("{} holds no port", file.display()))
}

fn port_file(launch: &Launch) -> std::path::PathBuf {
    launch.dir.join(format!("{}.port", launch.name))
}

/// Sends one request and returns the first bytes of the answer.
pub(crate) async fn ask<const N: usize>(port: u16, request: &[u8]) -> io::Result<[u8; N]> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(request).await?;
    // More than is asked for: closing with bytes unread would be a reset, which servers log.
    let mut answer = Vec::with_capacity(1024);
    while answer.len() < N && stream.read_buf(&mut answer).await? > 0 {}
    answer.first_chunk().copied().ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

/// Moves a directory that was filled aside into place, so that an interrupted start leaves nothing half made.
pub(crate) fn settle(aside: &Path, place: &Path) -> anyhow::Result<()> {
    fs::rename(aside, place).with_context(|| format!("moving {} to {}", aside.display(), place.display()))
}
