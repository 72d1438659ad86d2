//! The order service over HTTP.

mod request;

use axum::{
    extract::State,
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
};
use engine::IdempotencyKey;
use events::{OrderId, Timestamp};
use serde::{Deserialize, Serialize};
use service::{Api, FieldError, Json, Path, Problem, Query, RequestContext, rejected, unreadable};
use sqlx::{Row, postgres::PgRow};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use self::request::{CancelOrder, NewOrder};
use crate::{
    decider::{Input, Orders, Refusal},
    store::{self, Wanted},
    view::{OrderView, Status},
};

pub(crate) fn routes(api: Api<Orders>) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(place_order, list_orders))
        .routes(routes!(get_order))
        .routes(routes!(get_history))
        .routes(routes!(cancel_order))
        .with_state(api)
}

/// For the operator.
pub(crate) fn operator(api: Api<Orders>) -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(refold_order)).with_state(api)
}

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Place an order.
///
/// With an `Idempotency-Key` the same request may be sent again: it is answered as the first time and places
/// nothing new.
#[utoipa::path(post, path = "/orders", tag = "orders", request_body = NewOrder,
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 200 visible ASCII characters.")),
    responses((status = 201, body = OrderView, headers(
        ("Location" = String, description = "The order."), ("ETag" = String, description = "Its version.")))))]
async fn place_order(
    State(api): State<Api<Orders>>,
    context: RequestContext,
    headers: HeaderMap,
    Json(order): Json<NewOrder>,
) -> Result<Response, Problem> {
    let key = idempotency_key(&headers, &order)?;
    let order = order.validated(OrderId::new())?;
    let actor = format!("customer:{}", order.customer.id.as_str());
    let placed = api.commands.submit(Input::Place(order.into()), context.cause(actor), key).await;
    let view = placed.map_err(|it| rejected(it, problem))?;
    let location = format!("/orders/{}", view.order_id);
    let headers = [(header::LOCATION, location), (header::ETAG, etag(&view))];
    Ok((StatusCode::CREATED, headers, axum::Json(view)).into_response())
}

/// The key, and a digest of what is asked under it.
fn idempotency_key(headers: &HeaderMap, order: &NewOrder) -> Result<Option<IdempotencyKey>, Problem> {
    let mut keys = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(key) = keys.next() else { return Ok(None) };
    let usable = |it: &&str| (1..=200).contains(&it.len()) && it.bytes().all(|byte| byte.is_ascii_graphic());
    let (Some(key), None) = (key.to_str().ok().filter(usable), keys.next()) else {
        return Err(Problem::bad_request(
            "the header Idempotency-Key must be given once, as 1 to 200 visible ASCII characters",
        ));
    };
    let body = serde_json::to_vec(order).map_err(anyhow::Error::new)?;
    // Version 5 of a UUID is a SHA-1 of what it is made from: enough to tell a mistake.
    let fingerprint = Uuid::new_v5(&Uuid::NAMESPACE_OID, &body).as_bytes().to_vec();
    Ok(Some(IdempotencyKey { key: format!("place:{key}"), fingerprint }))
}

fn etag(view: &OrderView) -> String {
    format!("\"{}\"", view.version)
}

fn problem(refusal: Refusal) -> Problem {
    match refusal {
        Refusal::Invalid(wrong) => {
            let error = |(pointer, detail)| FieldError { pointer, detail };
            Problem::invalid(wrong.into_iter().map(error).collect())
        }
        Refusal::UnknownOrder => unknown_order(),
        Refusal::TooLateToCancel => Problem::conflict("the order has been shipped and cannot be cancelled"),
        Refusal::NotWhole => Problem::conflict(
            "the order's events have a gap or cannot be read: no row can be written from them",
        ),
    }
}

fn unknown_order() -> Problem {
    Problem::not_found("there is no such order")
}

/// Show an order.
#[utoipa::path(get, path = "/orders/{order_id}", tag = "orders", params(("order_id" = Uuid, Path)),
    responses((status = 200, body = OrderView, headers(("ETag" = String, description = "Its version.")))))]
async fn get_order(State(api): State<Api<Orders>>, Path(order_id): Path<Uuid>) -> Result<Response, Problem> {
    let view = store::order(&api.pool, OrderId(order_id)).await.map_err(unreadable)?;
    let view = view.ok_or_else(unknown_order)?;
    Ok(([(header::ETAG, etag(&view))], axum::Json(view)).into_response())
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListParams {
    /// Only this customer's.
    customer_id: Option<String>,
    /// Only those that stand so.
    status: Option<Status>,
    /// The `next_cursor` of the page before.
    cursor: Option<Uuid>,
    /// 1 to 100; 20 when absent.
    limit: Option<i64>,
}

/// A page of orders, newest first.
#[derive(Debug, Serialize, ToSchema)]
struct OrderPage {
    orders: Vec<OrderView>,
    /// Absent on the last page.
    next_cursor: Option<Uuid>,
}

/// List orders, newest first.
#[utoipa::path(get, path = "/orders", tag = "orders", params(ListParams),
    responses((status = 200, body = OrderPage)))]
async fn list_orders(
    State(api): State<Api<Orders>>,
    Query(params): Query<ListParams>,
) -> Result<axum::Json<OrderPage>, Problem> {
    let limit = params.limit.unwrap_or(20);
    if !(1..=100).contains(&limit) {
        return Err(Problem::bad_request("the parameter limit must be from 1 to 100"));
    }
    if params.customer_id.as_deref().is_some_and(|it| it.contains('\0')) {
        return Err(Problem::bad_request("the parameter customer_id holds a NUL"));
    }
    let wanted = Wanted {
        customer: params.customer_id.as_deref(),
        status: params.status,
        before: params.cursor.map(OrderId),
        limit: limit + 1,
    };
    let mut orders = store::orders(&api.pool, &wanted).await.map_err(unreadable)?;
    let more = orders.len() as i64 > limit;
    orders.truncate(limit as usize);
    let next_cursor = more.then(|| orders.last().map(|it| it.order_id.0)).flatten();
    Ok(axum::Json(OrderPage { orders, next_cursor }))
}

/// A stored event of an order.
#[derive(Debug, Serialize, ToSchema)]
struct HistoryEntry {
    version: i64,
    event_id: Uuid,
    /// Name and version of the stored form: `confirmed.v1`.
    r#type: String,
    #[schema(value_type = Object)]
    data: serde_json::Value,
    #[serde(with = "events::timestamp")]
    #[schema(value_type = String, format = DateTime)]
    recorded_at: Timestamp,
    /// The same for all that follows from one request.
    correlation_id: Uuid,
    /// The id of the event, the command or the call that this follows from.
    causation_id: Uuid,
    actor: String,
}

#[derive(Debug, Serialize, ToSchema)]
struct History {
    order_id: Uuid,
    events: Vec<HistoryEntry>,
}

/// Show what has happened to an order, oldest first.
#[utoipa::path(get, path = "/orders/{order_id}/history", tag = "orders", params(("order_id" = Uuid, Path)),
    responses((status = 200, body = History)))]
async fn get_history(
    State(api): State<Api<Orders>>,
    Path(order_id): Path<Uuid>,
) -> Result<axum::Json<History>, Problem> {
    let rows = store::history(&api.pool, OrderId(order_id)).await.map_err(unreadable)?;
    if rows.is_empty() {
        return Err(unknown_order());
    }
    let events = rows.iter().map(entry).collect::<sqlx::Result<_>>().map_err(unreadable)?;
    Ok(axum::Json(History { order_id, events }))
}

fn entry(row: &PgRow) -> sqlx::Result<HistoryEntry> {
    let data =
        serde_json::from_str(row.try_get("data")?).map_err(|error| sqlx::Error::Decode(error.into()))?;
    Ok(HistoryEntry {
        version: row.try_get("version")?,
        event_id: row.try_get("event_id")?,
        r#type: row.try_get("type")?,
        data,
        recorded_at: row.try_get("recorded_at")?,
        correlation_id: row.try_get("correlation_id")?,
        causation_id: row.try_get("causation_id")?,
        actor: row.try_get("actor")?,
    })
}

/// Cancel an order.
///
/// Before confirmation it is cancelled at once. After it shipping is asked to stop the parcel: the order is
/// then still `confirmed` in the answer (202), with `cancelling`, and is cancelled when shipping has stopped it. An
/// order that is cancelled already, or about to be, is answered as it is. A reason is kept in the history.
#[utoipa::path(post, path = "/orders/{order_id}/cancel", tag = "orders", params(("order_id" = Uuid, Path)),
    request_body = Option<CancelOrder>,
    responses((status = 200, body = OrderView, description = "Cancelled."),
        (status = 202, body = OrderView, description = "Shipping has been asked to stop the parcel.")))]
async fn cancel_order(
    State(api): State<Api<Orders>>,
    context: RequestContext,
    Path(order_id): Path<Uuid>,
    body: Option<Json<CancelOrder>>,
) -> Result<Response, Problem> {
    let note = body.map_or(Ok(None), |Json(it)| it.validated())?;
    let input = Input::Cancel(OrderId(order_id), note);
    let cancelled = api.commands.submit(input, context.cause("customer"), None).await;
    let view = cancelled.map_err(|it| rejected(it, problem))?;
    let status = match view.status {
        Status::Cancelled => StatusCode::OK,
        _ => StatusCode::ACCEPTED,
    };
    Ok((status, [(header::ETAG, etag(&view))], axum::Json(view)).into_response())
}

/// Write an order's row in the read model anew from its events.
///
/// For a row that is not what the events fold to, or that is gone. Nothing happens to the order, and nobody is told.
/// Doing it again changes nothing.
#[utoipa::path(post, path = "/orders/{order_id}/refold", tag = "orders", params(("order_id" = Uuid, Path)),
    responses((status = 200, body = OrderView)))]
async fn refold_order(
    State(api): State<Api<Orders>>,
    context: RequestContext,
    Path(order_id): Path<Uuid>,
) -> Result<axum::Json<OrderView>, Problem> {
    let cause = context.cause("operator");
    let actor = cause.actor.clone();
    let refolded = api.commands.submit(Input::Refold(OrderId(order_id)), cause, None).await;
    let view = refolded.map_err(|it| rejected(it, problem))?;
    tracing::info!(order.id = %order_id, %actor, "an order's row was written anew from its events");
    Ok(axum::Json(view))
}
