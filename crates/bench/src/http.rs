//! One kept connection, driven directly: a client with a pool and redirects costs as much as what it measures.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, bail};
use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, StatusCode,
    body::Bytes,
    client::conn::http1::{SendRequest, handshake},
    header::{CONTENT_TYPE, HOST, LOCATION},
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};
use tokio_util::task::AbortOnDropHandle;

/// Longer than any deadline of the services' own.
const TIMEOUT: Duration = Duration::from_secs(20);

pub(crate) struct Connection {
    to: SocketAddr,
    open: Option<(SendRequest<Full<Bytes>>, AbortOnDropHandle<()>)>,
}

/// What matters of an answer.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) location: Option<String>,
    pub(crate) body: Bytes,
}

impl Connection {
    /// Opened by the first request, and again by the next one when it was closed.
    pub(crate) fn new(to: SocketAddr) -> Self {
        Self { to, open: None }
    }

    /// Sends a request and reads the whole answer. After an error the next request opens a new connection.
    pub(crate) async fn send(
        &mut self,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: String,
    ) -> anyhow::Result<Answer> {
        let answer = timeout(TIMEOUT, self.exchange(method, path, key, body)).await;
        let answer = answer.unwrap_or_else(|_| bail!("no answer in {TIMEOUT:?}"));
        if answer.is_err() {
            self.open = None;
        }
        answer
    }

    async fn exchange(
        &mut self,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: String,
    ) -> anyhow::Result<Answer> {
        let mut request = Request::builder().method(method).uri(path).header(HOST, self.to.to_string());
        request = request.header(CONTENT_TYPE, "application/json");
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let request = request.body(Full::new(Bytes::from(body)))?;
        let sender = self.opened().await?;
        sender.ready().await.context("the connection is closed")?;
        let answer = sender.send_request(request).await.context("cut")?;
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.context("cut")?.to_bytes();
        let location = parts.headers.get(LOCATION).and_then(|it| Some(it.to_str().ok()?.to_owned()));
        Ok(Answer { status: parts.status, location, body })
    }

    async fn opened(&mut self) -> anyhow::Result<&mut SendRequest<Full<Bytes>>> {
        if self.open.as_ref().is_some_and(|it| it.0.is_closed()) {
            self.open = None;
        }
        if self.open.is_none() {
            let stream = TcpStream::connect(self.to).await.context("refused")?;
            stream.set_nodelay(true)?;
            let (sender, connection) = handshake(TokioIo::new(stream)).await?;
            // How a connection ends is told by the request that was on it.
            let driver = tokio::spawn(async move { drop(connection.await) });
            self.open = Some((sender, AbortOnDropHandle::new(driver)));
        }
        Ok(&mut self.open.as_mut().context("just opened")?.0)
    }
}
