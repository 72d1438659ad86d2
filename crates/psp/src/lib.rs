//! A stand-in payment service provider for development and tests.
//!
//! It serves the part of Stripe's PaymentIntents API that a manual-capture card flow needs (create and confirm,
//! capture, cancel, refund, list refunds; form-encoded, with `Idempotency-Key`), and keeps its own ledger at `/ledger`: the witness of
//! the money that owes nothing to the suite's databases. The payment-method token decides what happens, including what
//! can go wrong between two parties: declined, slow, timed out before or after the work, a cut connection.
//!
//! **Invariant:** an idempotency key does its work once, also under concurrent requests and over a restart with
//! `LEDGER_FILE`. **Invariant:** the ledger holds only what really happened.
//!
//! Deliberately absent: every other part of Stripe, limits on amounts, expiry. Intents and idempotency keys are kept
//! as long as the process (or its journal) lives, so memory grows with the number of orders: this is not a server to
//! leave running under load for weeks.

mod answer;
mod books;
mod config;
mod form;
mod healthcheck;
mod http;
mod intent;
mod journal;
mod ledger;
mod listener;
mod refund;
mod token;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, anyhow};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    books::Books,
    http::{Provider, router},
    listener::Bounded,
};
pub use crate::{config::Config, healthcheck::healthcheck};

const CONNECTIONS: usize = 1024;
/// How long a stop waits for requests that are under way. Whatever was done is in the journal by then.
const DRAIN: Duration = Duration::from_secs(5);

/// Serves until `shutdown` is cancelled.
pub async fn run(config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    Server::open(&config, shutdown).await?.serve().await
}

/// A provider in this process, for tests. It stops when this is dropped.
pub struct Running {
    /// The address that it listens on, which is of interest where the configured port was 0.
    pub addr: SocketAddr,
    stop: DropGuard,
    task: JoinHandle<anyhow::Result<()>>,
}

/// Starts a provider; it takes requests when this returns.
pub async fn start(config: Config) -> anyhow::Result<Running> {
    let shutdown = CancellationToken::new();
    let server = Server::open(&config, shutdown.clone()).await?;
    Ok(Running { addr: server.addr, stop: shutdown.drop_guard(), task: tokio::spawn(server.serve()) })
}

impl Running {
    /// The value of a Stripe client's base URL.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Stops it and waits for its end; the journal can be opened again when this returns.
    pub async fn stop(self) -> anyhow::Result<()> {
        drop(self.stop);
        self.task.await.context("the provider's task")?
    }
}

/// A provider that holds its port and its journal.
struct Server {
    listener: TcpListener,
    addr: SocketAddr,
    provider: Arc<Provider>,
    shutdown: CancellationToken,
}

impl Server {
    async fn open(config: &Config, shutdown: CancellationToken) -> anyhow::Result<Self> {
        let addr = &config.http_addr;
        let listener = TcpListener::bind(addr).await.map_err(|error| {
            anyhow!("cannot listen on HTTP_ADDR={addr}: {error}; set HTTP_ADDR to a free address")
        })?;
        let books = Books::open(config.ledger_file.as_deref())?;
        let provider = Arc::new(Provider::new(config, books, shutdown.clone()));
        let addr = listener.local_addr().context("reading the address")?;
        Ok(Self { listener, addr, provider, shutdown })
    }

    async fn serve(self) -> anyhow::Result<()> {
        let Self { listener, addr, provider, shutdown } = self;
        tracing::info!("serving on http://{addr}");
        let server = axum::serve(Bounded::new(listener, CONNECTIONS), router(provider))
            .with_graceful_shutdown(shutdown.clone().cancelled_owned());
        tokio::select! {
            ended = server.into_future() => ended.context("serving HTTP"),
            () = async { shutdown.cancelled().await; tokio::time::sleep(DRAIN).await } => {
                tracing::warn!("stopped with requests still under way");
                Ok(())
            }
        }
    }
}

/// The tokens of the test cards, each with its own way to fare.
pub fn payment_methods() -> impl Iterator<Item = &'static str> {
    token::Token::ALL.into_iter().map(token::Token::name)
}
