//! A service's HTTP side: its own routes behind one guard, and beside them what every service answers.
//!
//! `/livez`, `/readyz`, `/metrics`, `/openapi.json` and `/docs` stand outside the guard, so that a service that sheds
//! its load can still be asked how it is.

mod accept;
mod guard;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Router, middleware};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::{ContentBuilder, Info, OpenApi, Ref, ResponseBuilder};
use utoipa::{PartialSchema as _, ToSchema as _};
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::SwaggerUi;

pub use self::accept::listen;
use self::guard::Guard;
use crate::{FieldError, PROBLEM_JSON, Problem, Readiness, metrics_text};

/// The most that a request body may have.
pub const BODY_LIMIT: usize = 64 * 1024;

/// What one request, and all of them together, may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// From the request's headers to its response; then it is given up and answered by a 503.
    pub request_timeout: Duration,
    /// Requests being handled at once; more are shed by a 503.
    pub in_flight: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { request_timeout: Duration::from_secs(10), in_flight: 1024 }
    }
}

/// Takes the address that `variable` says, before anything else is started. Port 0 takes any: ask the listener which.
pub async fn bind(variable: &str, addr: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(addr).await.map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => {
            anyhow!("{variable} {addr} is already in use: set {variable} to a free address")
        }
        ErrorKind::AddrNotAvailable => anyhow!("{variable} {addr} is not an address of this machine"),
        _ => anyhow::Error::new(error).context(format!("listening on {variable} {addr}")),
    })
}

/// Serves the routes until `shutdown`, then lets requests in flight finish, within a deadline.
///
/// `name` labels the metrics: several services may share a process and its registry.
pub async fn serve(
    name: &'static str,
    listener: TcpListener,
    api: OpenApiRouter,
    readiness: Readiness,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let app = app(name, api, readiness.clone(), Limits::default())?;
    listen(name, listener, app, readiness, shutdown).await
}

/// All routes of a service, without a socket.
pub fn app(
    name: &'static str,
    api: OpenApiRouter,
    readiness: Readiness,
    limits: Limits,
) -> anyhow::Result<Router> {
    let (api, mut openapi) = api.split_for_parts();
    // A router that was given no description of its own carries that of utoipa-axum, author and licence included.
    if openapi.info == OpenApiRouter::<()>::new().get_openapi().info {
        openapi.info = Info::new(name, "1");
    }
    document_problems(&mut openapi);
    let openapi = Bytes::from(openapi.to_json().context("writing the OpenAPI description")?);
    let guard = Arc::new(Guard::new(name, limits));
    let api = api
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn_with_state(guard, guard::guard))
        .layer(DefaultBodyLimit::max(BODY_LIMIT));
    Ok(operations(openapi, readiness).merge(api).with_state(()))
}

/// What every service answers about itself.
fn operations(openapi: Bytes, readiness: Readiness) -> Router {
    const JSON: [(HeaderName, &str); 1] = [(header::CONTENT_TYPE, "application/json")];
    const TEXT: [(HeaderName, &str); 1] =
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    Router::new()
        .route("/livez", get(async move || (JSON, r#"{"status":"live"}"#)))
        .route("/readyz", get(async move || readiness.report()))
        .route("/metrics", get(async move || (TEXT, metrics_text())))
        .route("/openapi.json", get(async move || (JSON, openapi)))
        .merge(SwaggerUi::new("/docs").config(utoipa_swagger_ui::Config::from("/openapi.json")))
        .method_not_allowed_fallback(method_not_allowed)
}

async fn not_found() -> Problem {
    Problem::not_found("there is nothing at this path")
}

async fn method_not_allowed() -> impl IntoResponse {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this path does not have this method; see the Allow header")
}

/// Says once for all operations that an error is a problem, so that no handler has to.
fn document_problems(openapi: &mut OpenApi) {
    let schemas = &mut openapi.components.get_or_insert_default().schemas;
    schemas.insert(Problem::name().into_owned(), Problem::schema());
    schemas.insert(FieldError::name().into_owned(), FieldError::schema());
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(Problem::name()))).build();
    let problem = ResponseBuilder::new()
        .description("The request was not served.")
        .content(PROBLEM_JSON, content)
        .build();
    for operation in openapi.paths.paths.values_mut().flat_map(operations_of) {
        operation.responses.responses.entry("default".to_owned()).or_insert_with(|| problem.clone().into());
    }
}

fn operations_of(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.patch, &mut item.delete].into_iter().flatten()
}
