//! The shipping service over HTTP.

use axum::extract::State;
use events::OrderId;
use serde::Deserialize;
use service::{Api, Json, Path, Problem, RequestContext, rejected, unreadable};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use crate::{
    decider::{Input, Shipments},
    shipment::{Awaited, Refusal},
    store,
    view::ShipmentView,
};

pub(crate) fn routes(api: Api<Shipments>) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(get_shipment))
        .routes(routes!(dispatch_shipment))
        .routes(routes!(deliver_shipment))
        .with_state(api)
}

/// Show an order's shipment.
///
/// There is none before the order is confirmed.
#[utoipa::path(get, path = "/shipments/{order_id}", tag = "shipments", params(("order_id" = Uuid, Path)),
    responses((status = 200, body = ShipmentView),
        (status = 404, body = Problem, content_type = "application/problem+json")))]
async fn get_shipment(
    State(api): State<Api<Shipments>>,
    Path(order_id): Path<Uuid>,
) -> Result<Json<ShipmentView>, Problem> {
    let shipment = store::shipment(&api.pool, OrderId(order_id)).await.map_err(unreadable)?;
    shipment.as_ref().and_then(ShipmentView::of).map(Json).ok_or_else(unknown_shipment)
}

/// Nothing is to be said beyond that it has happened.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NoDetails {}

/// Say that the carrier has the parcel.
///
/// A shipment that was dispatched before is answered as it is.
#[utoipa::path(post, path = "/shipments/{order_id}/dispatch", tag = "shipments",
    params(("order_id" = Uuid, Path), RequestContext), request_body = Option<NoDetails>,
    responses((status = 200, body = ShipmentView),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json",
            description = "Cancelled, or not ready yet: `missing` lists what has to happen first, `capture` or `stock`.")))]
async fn dispatch_shipment(
    State(api): State<Api<Shipments>>,
    context: RequestContext,
    Path(order_id): Path<Uuid>,
    _: Option<Json<NoDetails>>,
) -> Result<Json<ShipmentView>, Problem> {
    carry_out(&api, Input::Dispatch(OrderId(order_id)), context).await
}

/// Say that the recipient has the parcel.
///
/// A shipment that was delivered before is answered as it is.
#[utoipa::path(post, path = "/shipments/{order_id}/deliver", tag = "shipments",
    params(("order_id" = Uuid, Path), RequestContext), request_body = Option<NoDetails>,
    responses((status = 200, body = ShipmentView),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json",
            description = "Cancelled, or not dispatched yet: `missing` lists what has to happen first.")))]
async fn deliver_shipment(
    State(api): State<Api<Shipments>>,
    context: RequestContext,
    Path(order_id): Path<Uuid>,
    _: Option<Json<NoDetails>>,
) -> Result<Json<ShipmentView>, Problem> {
    carry_out(&api, Input::Deliver(OrderId(order_id)), context).await
}

async fn carry_out(
    api: &Api<Shipments>,
    command: Input,
    context: RequestContext,
) -> Result<Json<ShipmentView>, Problem> {
    let done = api.commands.submit(command, context.cause("operator"), None).await;
    done.map(Json).map_err(|it| rejected(it, problem))
}

fn problem(refusal: Refusal) -> Problem {
    match refusal {
        Refusal::Unknown => unknown_shipment(),
        Refusal::Cancelled => Problem::conflict("the shipment is cancelled")
            .with_type("/problems/shipment-cancelled", "Shipment cancelled"),
        Refusal::NotReady(awaited) => not_ready(awaited, false),
        Refusal::NotDispatched(awaited) => not_ready(awaited, true),
    }
}

/// What is missing comes by itself, or by another request: trying again later makes sense.
fn not_ready(awaited: Awaited, dispatch: bool) -> Problem {
    let missing = [
        (awaited.capture, "capture", "the payment is not captured"),
        (awaited.stock, "stock", "the stock is not kept"),
        (dispatch, "dispatch", "the parcel is not dispatched"),
    ];
    let missing = missing.into_iter().filter(|it| it.0);
    let (names, details): (Vec<_>, Vec<_>) = missing.map(|it| (it.1, it.2)).unzip();
    Problem::conflict(format!("{} yet", details.join(" and ")))
        .with_type("/problems/shipment-not-ready", "Shipment not ready")
        .with_extension("missing", names)
}

fn unknown_shipment() -> Problem {
    Problem::not_found("there is no shipment of this order")
}
