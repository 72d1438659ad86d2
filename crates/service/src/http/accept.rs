use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderValue, header};
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use socket2::{SockFilter, SockRef};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::Readiness;

/// For the requests in flight when the stop begins; whoever is still sending its headers then is cut off.
const STOP: Duration = Duration::from_secs(5);
/// For the handshakes that have begun when the stop does: a round trip.
const HANDSHAKE: Duration = Duration::from_millis(100);
/// How long a connection that was taken and has brought no request yet is waited for in the stop: whoever has just
/// connected is about to ask, and does not expect to have to ask again.
const FIRST_REQUEST: Duration = Duration::from_secs(1);
/// The same for one that has served before: its next request may be on its way, and learns from its answer that the
/// connection ends, while one that is closed under a request leaves the client in doubt.
const NEXT_REQUEST: Duration = Duration::from_millis(500);
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
    if let Err(error) = SockRef::from(&listener).attach_filter(&NO_SYN) {
        tracing::warn!(service = name, %error, "who connects during the stop may be cut off");
    }
    let end = Instant::now() + HANDSHAKE;
    while let Ok(Ok((stream, _))) = timeout_at(end, listener.accept()).await {
        connections.spawn(connection(stream, app.clone(), shutdown.clone()));
    }
    drop(listener);
    drain(name, addr, connections).await;
    Ok(())
}

/// What the listening socket takes in the stop, as a classic BPF program over the TCP header (Linux's
/// `Documentation/networking/filter.rst`): nothing that asks for a connection.
///
/// With a listening socket the kernel resets the connections that nobody has accepted yet, and those whose handshake
/// is under way. So it has to begin no more of them before it is closed. Who knocks meanwhile gets no answer, knocks
/// again after a second, as TCP does, and is refused then, or served by our successor.
const NO_SYN: [SockFilter; 4] = [
    SockFilter::new(0x30, 0, 0, 13),       // load the byte of the flags
    SockFilter::new(0x45, 0, 1, 0x02),     // is SYN among them?
    SockFilter::new(0x06, 0, 0, 0),        // then drop the segment,
    SockFilter::new(0x06, 0, 0, u32::MAX), // or else pass the whole of it on
];

async fn drain(name: &'static str, addr: SocketAddr, mut connections: JoinSet<()>) {
    let drained = async { while connections.join_next().await.is_some() {} };
    if timeout(STOP, drained).await.is_err() {
        tracing::warn!(service = name, %addr, connections = connections.len(), "cut off at the stop");
        connections.shutdown().await;
    }
}

/// Serves one connection. In a stop every answer says that it is the last one (RFC 9112, 9.6), and a connection
/// without a request is closed only after a moment: at once, that would cut off requests that have been sent and not
/// been read yet.
async fn connection(stream: TcpStream, app: Router, shutdown: CancellationToken) {
    // Small responses must not wait for the client's delayed acknowledgement.
    let _ = stream.set_nodelay(true);
    let (app, asked) = (TowerToHyperService::new(app), AtomicBool::new(false));
    let service = service_fn(|request| {
        asked.store(true, Ordering::Relaxed);
        let (answer, stopping) = (app.call(request), shutdown.clone());
        async move {
            let mut answer = answer.await?;
            if stopping.is_cancelled() {
                answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, std::convert::Infallible>(answer)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let outcome = tokio::select! {
        // What has come is read before the connection is closed for want of a request.
        biased;
        outcome = connection.as_mut() => outcome,
        () = last_call(&shutdown, &asked) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%error, "a connection broke");
    }
}

/// Returns when the stop has begun and no request is to be expected any more.
async fn last_call(shutdown: &CancellationToken, asked: &AtomicBool) {
    shutdown.cancelled().await;
    sleep(NEXT_REQUEST).await;
    if !asked.load(Ordering::Relaxed) {
        sleep(FIRST_REQUEST - NEXT_REQUEST).await;
    }
}
