//! The inventory service over HTTP.

mod request;

use axum::{
    extract::State,
    http::{HeaderMap, HeaderName, StatusCode},
    response::{IntoResponse, Response},
};
use engine::IdempotencyKey;
use events::{OrderId, Sku};
use serde::{Deserialize, Serialize};
use service::{Api, Json, Path, Problem, Query, RequestContext, rejected, unreadable};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use self::request::{NewAdjustment, NewProduct};
use crate::{
    decider::{Input, Inventory},
    product::Refusal,
    store,
    view::{ProductView, ReservationView},
};

pub(crate) fn routes(api: Api<Inventory>) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(list_products))
        .routes(routes!(get_product, put_product))
        .routes(routes!(adjust_product))
        .routes(routes!(get_reservation))
        .with_state(api)
}

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListParams {
    /// The `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Sku>,
    /// 1 to 100; 20 when absent.
    limit: Option<i64>,
}

/// A page of products, in the order of their SKUs.
#[derive(Debug, Serialize, ToSchema)]
struct ProductPage {
    products: Vec<ProductView>,
    /// Absent on the last page.
    #[schema(value_type = Option<String>)]
    next_cursor: Option<Sku>,
}

/// List products, in the order of their SKUs.
#[utoipa::path(get, path = "/products", tag = "products", params(ListParams),
    responses((status = 200, body = ProductPage)))]
async fn list_products(
    State(api): State<Api<Inventory>>,
    Query(params): Query<ListParams>,
) -> Result<axum::Json<ProductPage>, Problem> {
    let limit = params.limit.unwrap_or(20);
    if !(1..=100).contains(&limit) {
        return Err(Problem::bad_request("the parameter limit must be from 1 to 100"));
    }
    let found = store::products(&api.pool, params.cursor.as_ref(), limit + 1).await;
    let mut products = found.map_err(unreadable)?;
    let more = products.len() as i64 > limit;
    products.truncate(limit as usize);
    let next_cursor = more.then(|| products.last().map(|it| it.sku.clone())).flatten();
    Ok(axum::Json(ProductPage { products, next_cursor }))
}

/// Show a product.
#[utoipa::path(get, path = "/products/{sku}", tag = "products", params(("sku" = String, Path)),
    responses((status = 200, body = ProductView)))]
async fn get_product(
    State(api): State<Api<Inventory>>,
    Path(sku): Path<Sku>,
) -> Result<axum::Json<ProductView>, Problem> {
    let product = store::product(&api.pool, &sku).await.map_err(unreadable)?;
    product.map(axum::Json).ok_or_else(unknown_product)
}

/// Set a product's name and price.
///
/// A new product begins with no stock. Either way all readers of products are told, also when nothing is new
/// to them. The currency of a known product cannot be changed.
#[utoipa::path(put, path = "/products/{sku}", tag = "products", params(("sku" = String, Path)),
    request_body = NewProduct,
    responses((status = 200, body = ProductView, description = "Replaced."),
        (status = 201, body = ProductView, description = "Created.")))]
async fn put_product(
    State(api): State<Api<Inventory>>,
    context: RequestContext,
    Path(sku): Path<Sku>,
    Json(product): Json<NewProduct>,
) -> Result<Response, Problem> {
    let (name, price) = product.validated()?;
    let input = Input::Describe { sku, name, price };
    let reply = api.commands.submit(input, context.cause("operator"), None).await;
    let reply = reply.map_err(|it| rejected(it, problem))?;
    let status = if reply.created { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, axum::Json(reply.product)).into_response())
}

/// Change a product's stock level.
///
/// With an `Idempotency-Key` the same request may be sent again: it is answered as the first time and changes
/// nothing more.
#[utoipa::path(post, path = "/products/{sku}/adjustments", tag = "products", request_body = NewAdjustment,
    params(("sku" = String, Path),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 200 visible ASCII characters.")),
    responses((status = 200, body = ProductView)))]
async fn adjust_product(
    State(api): State<Api<Inventory>>,
    context: RequestContext,
    Path(sku): Path<Sku>,
    headers: HeaderMap,
    Json(adjustment): Json<NewAdjustment>,
) -> Result<axum::Json<ProductView>, Problem> {
    let key = idempotency_key(&headers, &sku, &adjustment)?;
    let (delta, reason) = adjustment.validated()?;
    let input = Input::Adjust { sku, delta, reason };
    let reply = api.commands.submit(input, context.cause("operator"), key).await;
    Ok(axum::Json(reply.map_err(|it| rejected(it, problem))?.product))
}

/// The key, and a digest of what is asked under it.
fn idempotency_key(
    headers: &HeaderMap,
    sku: &Sku,
    adjustment: &NewAdjustment,
) -> Result<Option<IdempotencyKey>, Problem> {
    let Some(key) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let key = key
        .to_str()
        .ok()
        .filter(|it| (1..=200).contains(&it.len()) && it.bytes().all(|byte| byte.is_ascii_graphic()));
    let key = key.ok_or_else(|| {
        Problem::bad_request("the header Idempotency-Key must be 1 to 200 visible ASCII characters")
    })?;
    let asked = serde_json::to_vec(&(sku, adjustment)).map_err(anyhow::Error::new)?;
    // Version 5 of a UUID is a SHA-1 of what it is made from: enough to tell a mistake.
    let fingerprint = Uuid::new_v5(&Uuid::NAMESPACE_OID, &asked).as_bytes().to_vec();
    Ok(Some(IdempotencyKey { key: format!("adjust:{key}"), fingerprint }))
}

fn problem(refusal: Refusal) -> Problem {
    match refusal {
        Refusal::UnknownProduct => unknown_product(),
        Refusal::CurrencyIsFixed(currency) => {
            Problem::conflict(format!("the product is sold in {currency}, which cannot be changed"))
        }
        Refusal::BelowReserved { available } => {
            Problem::conflict(format!("{available} are not reserved and can be taken away"))
                .with_type("/problems/stock-is-reserved", "Stock is reserved")
                .with_extension("available", available)
        }
        Refusal::TooMany => Problem::conflict("there would be more of the product than can be counted"),
    }
}

fn unknown_product() -> Problem {
    Problem::not_found("there is no such product")
}

/// Show what is set aside for an order.
#[utoipa::path(get, path = "/reservations/{order_id}", tag = "reservations", params(("order_id" = Uuid, Path)),
    responses((status = 200, body = ReservationView)))]
async fn get_reservation(
    State(api): State<Api<Inventory>>,
    Path(order_id): Path<Uuid>,
) -> Result<axum::Json<ReservationView>, Problem> {
    let reservation = store::reservation(&api.pool, OrderId(order_id)).await.map_err(unreadable)?;
    reservation.map(axum::Json).ok_or_else(|| Problem::not_found("there is no such reservation"))
}
