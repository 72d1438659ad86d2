use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use service::http::{self, Limits};
use service::{Json, Path, Problem, Query, Readiness, RequestContext};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

/// A service on a port of its own, for one test.
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    pub(crate) shutdown: CancellationToken,
    pub(crate) readiness: Readiness,
    pub(crate) stopped: JoinHandle<anyhow::Result<()>>,
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Note {
    text: String,
    tags: Vec<Tag>,
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Tag {
    weight: u32,
}

#[derive(Debug, Deserialize, IntoParams)]
struct Page {
    limit: Option<u32>,
}

#[utoipa::path(post, path = "/notes", responses((status = 200, body = Note)))]
async fn echo(Json(note): Json<Note>) -> Json<Note> {
    Json(note)
}

#[utoipa::path(post, path = "/optional", responses((status = 200, body = bool)))]
async fn optional(note: Option<Json<Note>>) -> Json<bool> {
    Json(note.is_some())
}

#[utoipa::path(get, path = "/notes/{id}", responses((status = 200, body = Uuid)))]
async fn by_id(Path(id): Path<Uuid>) -> Json<Uuid> {
    Json(id)
}

#[utoipa::path(get, path = "/pages", params(Page), responses((status = 200, body = u32)))]
async fn page(Query(page): Query<Page>) -> Json<u32> {
    Json(page.limit.unwrap_or(20))
}

#[utoipa::path(get, path = "/context", params(RequestContext), responses((status = 200, body = String)))]
async fn context(context: RequestContext) -> Json<String> {
    Json(context.correlation_id.to_string())
}

#[utoipa::path(get, path = "/panic", responses((status = 200)))]
async fn panic() {
    panic!("the secret of the handler");
}

#[utoipa::path(get, path = "/failure", responses((status = 200)))]
async fn failure() -> Result<(), Problem> {
    Err(anyhow::anyhow!("the secret of the database").context("reading notes"))?
}

#[utoipa::path(get, path = "/slow/{millis}", responses((status = 200, body = String)))]
async fn slow(Path(millis): Path<u64>) -> Json<&'static str> {
    tokio::time::sleep(Duration::from_millis(millis)).await;
    Json("done")
}

pub(crate) async fn start(limits: Limits, readiness: Readiness) -> Server {
    let listener = http::bind("HTTP_ADDR", ([127, 0, 0, 1], 0).into()).await.unwrap();
    let addr = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let api = OpenApiRouter::new()
        .routes(routes!(echo))
        .routes(routes!(optional))
        .routes(routes!(by_id))
        .routes(routes!(page))
        .routes(routes!(context))
        .routes(routes!(panic))
        .routes(routes!(failure))
        .routes(routes!(slow));
    let app = http::app("it", api, readiness.clone(), limits).unwrap();
    let stopped = tokio::spawn(http::listen("it", listener, app, readiness.clone(), shutdown.clone()));
    Server { addr, shutdown, readiness, stopped }
}

pub(crate) async fn default() -> Server {
    start(Limits::default(), Readiness::new()).await
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(it, _)| *it == name)
            .map(|(_, it)| it)
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

pub(crate) async fn get(addr: SocketAddr, path: &str) -> Answer {
    exchange(addr, format!("GET {path} HTTP/1.1\r\nhost: it\r\nconnection: close\r\n\r\n").as_bytes()).await
}

pub(crate) async fn post(addr: SocketAddr, path: &str, headers: &str, body: &str) -> Answer {
    let length = body.len();
    let head =
        format!("POST {path} HTTP/1.1\r\nhost: it\r\nconnection: close\r\ncontent-length: {length}\r\n");
    exchange(addr, format!("{head}{headers}\r\n{body}").as_bytes()).await
}

/// One request as it goes over the wire, and its answer.
pub(crate) async fn exchange(addr: SocketAddr, request: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    // A server that refuses a body closes without reading it: what it said before that still arrives.
    let _ = stream.write_all(request).await;
    read_answer(stream).await
}

pub(crate) async fn read_answer(mut stream: TcpStream) -> Answer {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut bytes)).await;
    let _ = read.expect("an answer within 10 s");
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").expect("a whole answer");
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
}
