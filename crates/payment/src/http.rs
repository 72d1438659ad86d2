//! The payment service over HTTP: reading only. A payment follows its order's events.

use axum::extract::State;
use events::OrderId;
use service::{Api, Path, Problem, unreadable};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use crate::{decider::Payments, store, view::PaymentView};

pub(crate) fn routes(api: Api<Payments>) -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(get_payment)).with_state(api)
}

/// Show the payment of an order.
#[utoipa::path(get, path = "/payments/{order_id}", tag = "payments", params(("order_id" = Uuid, Path)),
    responses((status = 200, body = PaymentView)))]
async fn get_payment(
    State(api): State<Api<Payments>>,
    Path(order_id): Path<Uuid>,
) -> Result<axum::Json<PaymentView>, Problem> {
    let view = store::payment(&api.pool, OrderId(order_id)).await.map_err(unreadable)?;
    view.map(axum::Json).ok_or_else(|| Problem::not_found("there is no payment for this order"))
}
