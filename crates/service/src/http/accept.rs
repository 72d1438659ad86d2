use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::Readiness;

/// For the requests in flight when the stop begins; whoever is still sending its headers then is cut off.
const STOP: Duration = Duration::from_secs(5);
/// For a request's headers, and for an idle connection.
const HEADERS: Duration = Duration::from_secs(30);
/// After an error that is not the client's: mostly that the process is out of file descriptors.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Serves `app` on the listener until `shutdown`, then lets requests in flight finish, within a deadline.
///
/// The accept loop is our own: axum's cannot bound the headers, nor abort the connections that outlive the stop.
pub async fn listen(
    name: &'static str,
    listener: TcpListener,
    app: Router,
    readiness: Readiness,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let addr = listener.local_addr()?;
    tracing::info!(service = name, %addr, "listening");
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, app.clone(), shutdown.clone()));
                }
                Err(error) => {
                    tracing::warn!(service = name, %error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_AGAIN).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
    readiness.draining();
    drop(listener);
    drain(name, addr, connections).await;
    Ok(())
}

async fn drain(name: &'static str, addr: SocketAddr, mut connections: JoinSet<()>) {
    let drained = async { while connections.join_next().await.is_some() {} };
    if timeout(STOP, drained).await.is_err() {
        tracing::warn!(service = name, %addr, connections = connections.len(), "cut off at the stop");
        connections.shutdown().await;
    }
}

async fn connection(stream: TcpStream, app: Router, shutdown: CancellationToken) {
    // Small responses must not wait for the client's delayed acknowledgement.
    let _ = stream.set_nodelay(true);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(app));
    let mut connection = pin!(connection);
    let outcome = tokio::select! {
        outcome = connection.as_mut() => outcome,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%error, "a connection broke");
    }
}
