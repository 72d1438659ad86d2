//! A TCP proxy on 127.0.0.1 that delays, cuts and silences what goes through it.

use std::{
    io,
    net::Ipv4Addr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

/// A way from clients to one server. Dropping it cuts all that goes over it.
///
/// Ours, because no library of this kind is kept for Rust, and what is needed of one is little.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    way: Arc<Way>,
    accepting: JoinHandle<()>,
}

#[derive(Debug)]
struct Way {
    target: u16,
    delay_ms: AtomicU64,
    /// Whether connections that are opened now stay silent.
    silent: AtomicBool,
    connections: Mutex<Vec<Weak<Connection>>>,
    seen: Seen,
}

#[derive(Debug)]
struct Connection {
    /// Nothing goes through any more, in either direction, and neither side is told.
    silent: AtomicBool,
    cut: CancellationToken,
}

/// What has happened on a way so far.
#[derive(Debug, Default)]
struct Seen {
    opened: AtomicU64,
    delayed: AtomicU64,
    swallowed: AtomicU64,
}

/// What went through in pieces of at most so many bytes.
const PIECE: usize = 16 * 1024;
/// Pieces that wait for their time, in one direction of a connection; then nothing more is read.
const UNDER_WAY: usize = 256;

impl Proxy {
    /// Listens on a free port and passes everything on to `target` on 127.0.0.1.
    pub async fn start(target: u16) -> anyhow::Result<Self> {
        let port = crate::port::free()?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.context("a proxy")?;
        let way = Arc::new(Way {
            target,
            delay_ms: AtomicU64::new(0),
            silent: AtomicBool::new(false),
            connections: Mutex::default(),
            seen: Seen::default(),
        });
        let accepting = tokio::spawn(way.clone().accept(listener));
        Ok(Self { port, way, accepting })
    }

    /// Where clients connect.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// From now on each piece takes this much longer, in both directions.
    pub fn delay(&self, by: Duration) {
        self.way.delay_ms.store(by.as_millis() as u64, Ordering::Relaxed);
    }

    /// Resets all connections; returns how many there were.
    pub fn cut(&self) -> usize {
        let open = self.way.open();
        open.iter().for_each(|it| it.cut.cancel());
        open.len()
    }

    /// All connections, and those that are opened until [`heal`](Self::heal), fall silent for good: open at both
    /// ends, and nothing arrives. Returns how many there were.
    pub fn silence(&self) -> usize {
        self.way.silent.store(true, Ordering::Relaxed);
        let open = self.way.open();
        open.iter().for_each(|it| it.silent.store(true, Ordering::Relaxed));
        open.len()
    }

    /// Everything passes again. Connections that have fallen silent stay so, as they do when a router between has
    /// forgotten them.
    pub fn heal(&self) {
        self.way.silent.store(false, Ordering::Relaxed);
        self.way.delay_ms.store(0, Ordering::Relaxed);
    }

    /// Connections opened so far.
    pub fn opened(&self) -> u64 {
        self.way.seen.opened.load(Ordering::Relaxed)
    }

    /// Pieces that were delayed so far.
    pub fn delayed(&self) -> u64 {
        self.way.seen.delayed.load(Ordering::Relaxed)
    }

    /// Bytes that never arrived, so far.
    pub fn swallowed(&self) -> u64 {
        self.way.seen.swallowed.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

impl Way {
    fn connections(&self) -> MutexGuard<'_, Vec<Weak<Connection>>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> Vec<Arc<Connection>> {
        self.connections().iter().filter_map(Weak::upgrade).filter(|it| !it.cut.is_cancelled()).collect()
    }

    async fn accept(self: Arc<Self>, listener: TcpListener) {
        loop {
            // Out of file descriptors, for one: what was accepted goes on.
            let Ok((client, _)) = listener.accept().await else {
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            };
            self.seen.opened.fetch_add(1, Ordering::Relaxed);
            let silent = AtomicBool::new(self.silent.load(Ordering::Relaxed));
            let connection = Arc::new(Connection { silent, cut: CancellationToken::new() });
            let mut connections = self.connections();
            connections.retain(|it| it.strong_count() > 0);
            connections.push(Arc::downgrade(&connection));
            drop(connections);
            tokio::spawn(self.clone().carry(client, connection));
        }
    }

    /// Carries one connection until both ends have closed it, one has failed, or it is cut.
    async fn carry(self: Arc<Self>, mut client: TcpStream, connection: Arc<Connection>) {
        // Where nobody listens the client is turned away, as it would be without us.
        let Ok(mut server) = TcpStream::connect((Ipv4Addr::LOCALHOST, self.target)).await else { return };
        // Pieces go as they come; a socket that refuses works all the same.
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let is_cut = {
            let (from_client, to_client) = client.split();
            let (from_server, to_server) = server.split();
            tokio::select! {
                () = connection.cut.cancelled() => true,
                _ = async {
                    tokio::try_join!(
                        self.pass(from_client, to_server, &connection),
                        self.pass(from_server, to_client, &connection)
                    )
                } => false,
            }
        };
        if is_cut {
            // Closed with this, a connection is reset.
            let _ = (client.set_zero_linger(), server.set_zero_linger());
        }
    }

    async fn pass(&self, from: ReadHalf<'_>, to: WriteHalf<'_>, connection: &Connection) -> io::Result<()> {
        let (sender, receiver) = mpsc::channel(UNDER_WAY);
        tokio::try_join!(self.take(from, sender, connection), give(to, receiver))?;
        Ok(())
    }

    async fn take(
        &self,
        mut from: ReadHalf<'_>,
        pieces: mpsc::Sender<(Instant, Vec<u8>)>,
        connection: &Connection,
    ) -> io::Result<()> {
        let mut buffer = vec![0; PIECE];
        loop {
            let count = from.read(&mut buffer).await?;
            if connection.silent.load(Ordering::Relaxed) {
                self.seen.swallowed.fetch_add(count as u64, Ordering::Relaxed);
                if count == 0 {
                    // The other end is not told of this either.
                    std::future::pending::<()>().await;
                }
                continue;
            }
            if count == 0 {
                return Ok(());
            }
            let delay = self.delay_ms.load(Ordering::Relaxed);
            self.seen.delayed.fetch_add(u64::from(delay > 0), Ordering::Relaxed);
            let due = Instant::now() + Duration::from_millis(delay);
            if pieces.send((due, buffer[..count].to_vec())).await.is_err() {
                return Ok(());
            }
        }
    }
}

/// Writes what was taken, each piece when its time has come, and passes the end on.
async fn give(mut to: WriteHalf<'_>, mut pieces: mpsc::Receiver<(Instant, Vec<u8>)>) -> io::Result<()> {
    while let Some((due, piece)) = pieces.recv().await {
        sleep_until(due).await;
        to.write_all(&piece).await?;
    }
    to.shutdown().await
}
