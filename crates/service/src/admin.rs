//! The operator's routes: a service's dead letters, and what can be done about them.
//!
//! They are for an address of their own that is off unless it is set: whoever reaches it reads messages in full, and
//! is not asked who they are. What is done is recorded with the name that the caller gives (`X-Actor`).

mod request;
mod shape;

use axum::extract::State;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use engine::{Action, DeadLetter, DeadLetters, RedriveError, Redriven, Status, Wanted};
use serde::{Deserialize, Serialize};
use utoipa::openapi::{Info, OpenApiBuilder};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use self::request::{Asked, Deed, Request};
use self::shape::{ActionShape, LetterShape};
use crate::{Json, Path, Problem, Query, RequestContext, unreadable};

pub(crate) fn routes(service: &str, dead_letters: DeadLetters) -> OpenApiRouter {
    let info = Info::new(format!("{service}: operator").as_str(), "1");
    OpenApiRouter::with_openapi(OpenApiBuilder::new().info(info).build())
        .routes(routes!(list))
        .routes(routes!(actions))
        .routes(routes!(show))
        .routes(routes!(redrive))
        .routes(routes!(discard))
        .with_state(dead_letters)
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListParams {
    /// Only those of this key: mostly an aggregate's id.
    key: Option<String>,
    /// Only those of this type, with prefix and version or without: `order.placed`.
    r#type: Option<String>,
    /// Only those that failed so: `impossible`, `unknown-version`, ..; `key-parked` has not failed.
    cause: Option<String>,
    /// `poison` has failed itself, `waiting` stands behind one of its key.
    #[param(value_type = Option<String>, example = "poison")]
    status: Option<Status>,
    /// The `next_cursor` of the page before.
    cursor: Option<i64>,
    /// 1 to 100; 20 when absent.
    limit: Option<i64>,
}

/// A page of dead letters, oldest first, without their headers and payloads.
#[derive(Debug, Serialize, ToSchema)]
struct LetterPage {
    #[schema(value_type = Vec<LetterShape>)]
    dead_letters: Vec<DeadLetter>,
    /// Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<i64>,
}

/// List dead letters, oldest first.
#[utoipa::path(get, path = "/dead-letters", tag = "dead letters", params(ListParams),
    responses((status = 200, body = LetterPage)))]
async fn list(
    State(letters): State<DeadLetters>,
    Query(params): Query<ListParams>,
) -> Result<Json<LetterPage>, Problem> {
    let limit = page_size(params.limit)?;
    for (name, value) in [("type", &params.r#type), ("cause", &params.cause)] {
        if value.as_ref().is_some_and(|it| it.contains('\0')) {
            return Err(Problem::bad_request(format!("the parameter {name} holds a NUL")));
        }
    }
    let wanted = Wanted {
        key: params.key,
        r#type: params.r#type,
        cause: params.cause,
        status: params.status,
        after: params.cursor,
        limit: limit + 1,
    };
    let found = letters.list(&wanted).await.map_err(unreadable)?;
    let (dead_letters, next_cursor) = page(found, limit, |it| it.dead_letter_id);
    Ok(Json(LetterPage { dead_letters, next_cursor }))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ActionParams {
    /// The `next_cursor` of the page before.
    cursor: Option<i64>,
    /// 1 to 100; 20 when absent.
    limit: Option<i64>,
}

/// A page of what was done about dead letters, newest first.
#[derive(Debug, Serialize, ToSchema)]
struct ActionPage {
    #[schema(value_type = Vec<ActionShape>)]
    actions: Vec<Action>,
    /// Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<i64>,
}

/// List what was done about dead letters, by whom and why, newest first.
#[utoipa::path(get, path = "/dead-letters/actions", tag = "dead letters", params(ActionParams),
    responses((status = 200, body = ActionPage)))]
async fn actions(
    State(letters): State<DeadLetters>,
    Query(params): Query<ActionParams>,
) -> Result<Json<ActionPage>, Problem> {
    let limit = page_size(params.limit)?;
    let found = letters.actions(params.cursor, limit + 1).await.map_err(unreadable)?;
    let (actions, next_cursor) = page(found, limit, |it| it.action_id);
    Ok(Json(ActionPage { actions, next_cursor }))
}

/// Show a dead letter with its headers and its payload.
///
/// Bytes are a string where they are UTF-8, otherwise `{"base64": ".."}`.
#[utoipa::path(get, path = "/dead-letters/{id}", tag = "dead letters", params(("id" = i64, Path)),
    responses((status = 200, body = LetterShape)))]
async fn show(State(letters): State<DeadLetters>, Path(id): Path<i64>) -> Result<Json<DeadLetter>, Problem> {
    let letter = letters.show(id).await.map_err(unreadable)?;
    letter.map(Json).ok_or_else(no_such_letter)
}

/// What became of the letters, as far as this request came.
#[derive(Debug, Serialize, ToSchema)]
struct Outcome {
    applied: u64,
    /// Their events had been applied before.
    duplicates: u64,
    /// Nobody here handles their type any more.
    skipped: u64,
    discarded: u64,
    /// Poison still: what is behind them waits on.
    failed: u64,
    /// There is more to do: the same request with this cursor goes on. Absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

impl From<Redriven> for Outcome {
    fn from(it: Redriven) -> Self {
        let Redriven { applied, duplicates, skipped, discarded, failed, next } = it;
        let cursor = next.map(|it| BASE64_URL_SAFE_NO_PAD.encode(it));
        Self { applied, duplicates, skipped, discarded, failed, cursor }
    }
}

/// Run dead letters again, each key's in their order.
///
/// Always whole keys: each is done up to its first letter that is poison still. Doing it again, or in two places at once, applies nothing twice.
#[utoipa::path(post, path = "/dead-letters/redrive", tag = "dead letters", params(RequestContext),
    request_body = Request, responses((status = 200, body = Outcome)))]
async fn redrive(
    State(letters): State<DeadLetters>,
    context: RequestContext,
    Json(request): Json<Request>,
) -> Result<Json<Outcome>, Problem> {
    let Asked { which, by, after } = request.checked(Deed::Redrive, context)?;
    let done = letters.redrive(which, by, after).await;
    done.map(|it| Json(it.into())).map_err(problem)
}

/// Throw away the poison letter at the head of each key, and run those that wait behind it.
///
/// Needs a reason. What is thrown away is gone: its topic's mirror of dead letters has it for as long as that is kept.
#[utoipa::path(post, path = "/dead-letters/discard", tag = "dead letters", params(RequestContext),
    request_body = Request, responses((status = 200, body = Outcome)))]
async fn discard(
    State(letters): State<DeadLetters>,
    context: RequestContext,
    Json(request): Json<Request>,
) -> Result<Json<Outcome>, Problem> {
    let Asked { which, by, after } = request.checked(Deed::Discard, context)?;
    let done = letters.discard(which, by, after).await;
    done.map(|it| Json(it.into())).map_err(problem)
}

fn problem(error: RedriveError) -> Problem {
    match error {
        RedriveError::Unknown => no_such_letter(),
        RedriveError::NotFirst => Problem::conflict(
            "this letter is not what holds up its key: discard the first letter of the key, which is poison",
        ),
        RedriveError::Unavailable => Problem::unavailable("the database is not available", 2),
    }
}

fn no_such_letter() -> Problem {
    Problem::not_found("there is no such dead letter")
}

fn page_size(limit: Option<i64>) -> Result<i64, Problem> {
    match limit.unwrap_or(20) {
        limit @ 1..=100 => Ok(limit),
        _ => Err(Problem::bad_request("the parameter limit must be from 1 to 100")),
    }
}

/// The first `limit` of what was found, and the id of the last of them if there are more.
fn page<T>(mut found: Vec<T>, limit: i64, id: impl Fn(&T) -> i64) -> (Vec<T>, Option<i64>) {
    let more = found.len() as i64 > limit;
    found.truncate(limit as usize);
    let next = more.then(|| found.last().map(id)).flatten();
    (found, next)
}
