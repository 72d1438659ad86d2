//! The routes, and who may call them.
//!
//! `/v1` asks for the key, as Stripe does; `/ledger` and the probes do not, since they are for those who run the
//! tests and the stand-in listens on loopback.

mod sent;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, Path, Query, RawQuery, State},
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use self::sent::{Authorized, Sent};
use crate::{
    answer::{self, Problem},
    books::{self, Answer, Books, Call, Objection, Performed},
    config::Config,
    form::Form,
    ledger::Entry,
    token::{AfterWork, BeforeWork},
};

const BODY_LIMIT: usize = 64 * 1024;
/// How late a slow card's answer is.
const SLOW: Duration = Duration::from_secs(2);
/// How long a request that times out is left without an answer; longer than clients wait.
const SILENCE: Duration = Duration::from_secs(30);

pub(crate) struct Provider {
    books: Mutex<Books>,
    /// The accepted values of the `Authorization` header, without the scheme.
    bearer: String,
    basic: String,
    latency: Duration,
    stopping: CancellationToken,
}

pub(crate) fn router(provider: Arc<Provider>) -> Router {
    Router::new()
        .route("/v1/payment_intents", post(create))
        .route("/v1/payment_intents/{id}", get(retrieve))
        .route("/v1/payment_intents/{id}/capture", post(capture))
        .route("/v1/payment_intents/{id}/cancel", post(cancel))
        .route("/v1/refunds", get(refunds).post(refund))
        .route("/ledger", get(ledger))
        .route("/livez", get(|| async { "ok" }))
        .route("/readyz", get(ready))
        .fallback(unrecognized)
        .method_not_allowed_fallback(unrecognized)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(provider)
}

async fn create(State(provider): State<Arc<Provider>>, sent: Sent) -> Result<Response, Problem> {
    provider.perform(sent, Form::create).await
}

async fn capture(
    State(provider): State<Arc<Provider>>,
    Path(id): Path<String>,
    sent: Sent,
) -> Result<Response, Problem> {
    provider.perform(sent, |form| form.capture(id)).await
}

async fn cancel(
    State(provider): State<Arc<Provider>>,
    Path(id): Path<String>,
    sent: Sent,
) -> Result<Response, Problem> {
    provider.perform(sent, |form| form.cancel(id)).await
}

async fn refund(State(provider): State<Arc<Provider>>, sent: Sent) -> Result<Response, Problem> {
    provider.perform(sent, Form::refund).await
}

async fn retrieve(
    State(provider): State<Arc<Provider>>,
    Path(id): Path<String>,
    _: Authorized,
) -> Result<Response, Problem> {
    let intent = provider.books().intent(&id).cloned().ok_or_else(no_such_intent)?;
    let body = answer::render_intent(&intent).map_err(|error| internal(&error.into()))?;
    Ok(json(StatusCode::OK, body))
}

async fn refunds(
    State(provider): State<Arc<Provider>>,
    RawQuery(query): RawQuery,
    _: Authorized,
) -> Result<Response, Problem> {
    let (id, limit) = Form::parse(query.unwrap_or_default().as_bytes())?.refunds()?;
    let found = provider.books().refunds(&id, OffsetDateTime::now_utc());
    let (intent, refunds) = found.ok_or_else(no_such_intent)?;
    let body = answer::render_refunds(&intent, &refunds, limit).map_err(|error| internal(&error.into()))?;
    Ok(json(StatusCode::OK, body))
}

#[derive(Deserialize)]
struct LedgerQuery {
    order_id: Option<String>,
}

#[derive(Serialize)]
struct LedgerView {
    entries: Vec<Entry>,
}

async fn ledger(State(provider): State<Arc<Provider>>, Query(query): Query<LedgerQuery>) -> Json<LedgerView> {
    let entries = provider.books().entries(query.order_id.as_deref(), OffsetDateTime::now_utc());
    Json(LedgerView { entries })
}

async fn ready(State(provider): State<Arc<Provider>>) -> (StatusCode, &'static str) {
    match (provider.stopping.is_cancelled(), provider.books().are_sound()) {
        (false, true) => (StatusCode::OK, "ready"),
        (true, _) => (StatusCode::SERVICE_UNAVAILABLE, "stopping"),
        (false, false) => (StatusCode::SERVICE_UNAVAILABLE, "the journal cannot be written"),
    }
}

async fn unrecognized(method: Method, uri: Uri) -> Problem {
    Problem::invalid(format!("Unrecognized request URL ({method}: {}).", uri.path()))
        .status(StatusCode::NOT_FOUND)
}

impl Provider {
    pub(crate) fn new(config: &Config, books: Books, stopping: CancellationToken) -> Self {
        Self {
            books: Mutex::new(books),
            bearer: config.psp_api_key.clone(),
            basic: BASE64_STANDARD.encode(format!("{}:", config.psp_api_key)),
            latency: Duration::from_millis(config.psp_latency_ms),
            stopping,
        }
    }

    /// Never held across an await: the work on one request is not interrupted when its client goes away.
    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn perform(
        &self,
        sent: Sent,
        read: impl FnOnce(Form) -> Result<books::Request, Problem>,
    ) -> Result<Response, Problem> {
        let Sent { idempotency_key, fingerprint, form } = sent;
        let call = Call { idempotency_key, fingerprint, request: read(form)? };
        self.wait(self.latency).await;
        let performed = self.books().perform(call, OffsetDateTime::now_utc());
        match performed {
            Ok(Performed::Fresh(answer, None)) => respond(&answer),
            Ok(Performed::Fresh(answer, Some(mishap))) => self.respond_badly(&answer, mishap).await,
            Ok(Performed::Replayed(answer)) => {
                Ok(([("idempotent-replayed", "true")], respond(&answer)?).into_response())
            }
            Ok(Performed::Stumbled(BeforeWork::ServerError)) => Err(Problem::internal()),
            Ok(Performed::Stumbled(BeforeWork::Silence)) => {
                self.wait(SILENCE).await;
                Err(Problem::internal())
            }
            Err(Objection::KeyReused) => Err(key_reused()),
            Err(Objection::NoSuchIntent) => Err(no_such_intent()),
            Err(Objection::Journal(error)) => Err(internal(&error)),
        }
    }

    async fn respond_badly(&self, answer: &Answer, mishap: AfterWork) -> Result<Response, Problem> {
        match mishap {
            AfterWork::Slow => self.wait(SLOW).await,
            AfterWork::Silence => self.wait(SILENCE).await,
            AfterWork::ServerError => return Err(Problem::internal()),
            AfterWork::Cut => return Ok(cut()),
            AfterWork::WrongJson => return Ok(json(StatusCode::OK, "<html>Bad gateway</html>")),
        }
        respond(answer)
    }

    /// A stop does not wait for those who wait.
    async fn wait(&self, time: Duration) {
        if !time.is_zero() {
            tokio::select! {
                () = tokio::time::sleep(time) => {}
                () = self.stopping.cancelled() => {}
            }
        }
    }

    fn authorize(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let unauthorized = |message| Problem::invalid(message).status(StatusCode::UNAUTHORIZED);
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let given = given.and_then(|value| value.split_once(' ')).ok_or_else(|| {
            unauthorized("You did not provide an API key in the Authorization header (Bearer or Basic).")
        })?;
        match given {
            (scheme, key) if scheme.eq_ignore_ascii_case("bearer") && key == self.bearer => Ok(()),
            (scheme, key) if scheme.eq_ignore_ascii_case("basic") && key == self.basic => Ok(()),
            _ => Err(unauthorized("Invalid API Key provided.")),
        }
    }
}

fn key_reused() -> Problem {
    let message = "Keys for idempotent requests can only be used with the same parameters they were first used with. \
                   Try using another key if you meant to execute a different request.";
    Problem::new(StatusCode::BAD_REQUEST, "idempotency_error", message)
}

fn no_such_intent() -> Problem {
    Problem::no_such("intent", "No such payment_intent").status(StatusCode::NOT_FOUND)
}

fn internal(error: &anyhow::Error) -> Problem {
    tracing::error!("a request failed: {error:#}");
    Problem::internal()
}

fn respond(answer: &Answer) -> Result<Response, Problem> {
    let (status, body) = answer::render(answer).map_err(|error| internal(&error.into()))?;
    Ok(json(status, body))
}

fn json(status: StatusCode, body: impl Into<Body>) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.into()).into_response()
}

/// A body that fails at once, on which the server drops the connection before it has sent a byte.
fn cut() -> Response {
    let failure = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    Body::from_stream(futures::stream::iter([Err::<Bytes, _>(failure)])).into_response()
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        match self.body() {
            Ok(body) => json(self.status, body),
            Err(error) => {
                tracing::error!(%error, "an error could not be written as JSON");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }
}
