//! Every route and every error.

use events::OrderId;
use reqwest::Method;
use serde_json::{Value, json};
use testkit::eventually;
use uuid::Uuid;

use crate::rig::{Answer, NO_CARRIER, Rig, SOON, captured, confirmed, confirmed_until, kept, requested};

#[track_caller]
fn check_problem((status, body): &Answer, expected: u16, detail: &str) {
    assert_eq!((*status, body["detail"].as_str()), (expected, Some(detail)), "{body}");
    assert_eq!(body["status"], expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parcel_is_dispatched_and_delivered_by_hand() {
    let rig = Rig::start(NO_CARRIER).await;
    let order = OrderId::new();
    rig.deliver(&confirmed(order)).await;
    rig.deliver(&captured(order)).await;

    let dispatched = rig.dispatch(order).await;
    let again = rig.dispatch(order).await;
    let delivered = rig.deliver_parcel(order).await;
    let delivered_again = rig.deliver_parcel(order).await;
    let late = rig.dispatch(order).await;

    assert_eq!((dispatched.0, &dispatched.1["status"]), (200, &json!("dispatched")));
    assert_eq!(dispatched.1["captured"], true);
    assert_eq!(again, dispatched);
    assert_eq!((delivered.0, &delivered.1["status"]), (200, &json!("delivered")));
    assert_eq!(delivered.1["tracking_number"], dispatched.1["tracking_number"]);
    assert_eq!(delivered.1["ship_to"]["city"], "London");
    assert_eq!(delivered_again, delivered);
    assert_eq!(late, delivered, "it was dispatched, so that is done");
    assert_eq!(rig.shipment(order).await, delivered);
    assert_eq!(rig.trace(order).await, "shipment-scheduled.v1, dispatched.v1, delivered.v1");
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_missing_is_said() {
    let rig = Rig::start(NO_CARRIER).await;
    let order = OrderId::new();
    rig.deliver(&confirmed(order)).await;

    let unpaid = rig.dispatch(order).await;
    check_problem(&unpaid, 409, "the payment is not captured yet");
    assert_eq!(unpaid.1["type"], "/problems/shipment-not-ready");
    assert_eq!(unpaid.1["missing"], json!(["capture"]));
    let unsent = rig.deliver_parcel(order).await;
    check_problem(&unsent, 409, "the payment is not captured and the parcel is not dispatched yet");
    assert_eq!(unsent.1["missing"], json!(["capture", "dispatch"]));
    rig.deliver(&captured(order)).await;
    let unsent = rig.deliver_parcel(order).await;
    check_problem(&unsent, 409, "the parcel is not dispatched yet");
    assert_eq!(unsent.1["missing"], json!(["dispatch"]));
    rig.deliver(&requested(order)).await;
    for cancelled in [rig.dispatch(order).await, rig.deliver_parcel(order).await] {
        check_problem(&cancelled, 409, "the shipment is cancelled");
        assert_eq!(cancelled.1["type"], "/problems/shipment-cancelled");
        assert_eq!(cancelled.1["missing"], Value::Null);
    }
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stock_that_is_not_certain_is_missing() {
    let rig = Rig::start(NO_CARRIER).await;
    let order = OrderId::new();
    rig.deliver(&confirmed_until(order)).await;

    let neither = rig.dispatch(order).await;
    check_problem(&neither, 409, "the payment is not captured and the stock is not kept yet");
    assert_eq!(neither.1["missing"], json!(["capture", "stock"]));
    rig.deliver(&captured(order)).await;
    let unkept = rig.dispatch(order).await;
    check_problem(&unkept, 409, "the stock is not kept yet");
    assert_eq!(unkept.1["type"], "/problems/shipment-not-ready");
    assert_eq!(unkept.1["missing"], json!(["stock"]));
    assert_eq!(rig.deliver_parcel(order).await.1["missing"], json!(["stock", "dispatch"]));
    rig.deliver(&kept(order)).await;
    assert_eq!(rig.dispatch(order).await.1["status"], "dispatched");
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn there_is_no_shipment_of_an_unknown_order() {
    let rig = Rig::start(NO_CARRIER).await;
    let order = OrderId::new();
    let answers = [rig.shipment(order).await, rig.dispatch(order).await, rig.deliver_parcel(order).await];
    for answer in &answers {
        check_problem(answer, 404, "there is no shipment of this order");
    }
    assert_eq!(rig.count("select count(*) from shipment").await, 0);
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_cannot_be_read_are_refused() {
    let rig = Rig::start(NO_CARRIER).await;
    let order = OrderId::new();
    rig.deliver(&confirmed(order)).await;
    rig.deliver(&captured(order)).await;
    let path = format!("/shipments/{order}/dispatch");
    let post = |body: &'static str| {
        rig.build(Method::POST, &path).header("content-type", "application/json").body(body)
    };

    for (method, path) in [
        (Method::GET, "/shipments/MUG-01"),
        (Method::POST, "/shipments/MUG-01/dispatch"),
        (Method::POST, "/shipments/MUG-01/deliver"),
    ] {
        assert_eq!(rig.request(method, path).await.0, 400, "{path}");
    }
    assert_eq!(rig.answer(post("{")).await.0, 400);
    let unknown = rig.answer(post(r#"{"carrier": "me"}"#)).await;
    assert_eq!((unknown.0, &unknown.1["errors"][0]["pointer"]), (422, &json!("/carrier")));
    assert_eq!(rig.answer(rig.build(Method::POST, &path).body("{}")).await.0, 415);
    assert_eq!(rig.answer(post("{}").header("x-actor", "two words")).await.0, 400);
    assert_eq!(rig.answer(post("{}").header("x-correlation-id", "7")).await.0, 400);
    assert_eq!(rig.request(Method::GET, &path).await.0, 405);
    assert_eq!(rig.request(Method::GET, "/shipments").await.0, 404);
    assert_eq!(rig.shipment(order).await.1["status"], "scheduled", "none of them had an effect");

    assert_eq!(rig.answer(post("{}")).await.0, 200);
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asked_is_told_with_what_followed() {
    let rig = Rig::start(NO_CARRIER).await;
    let (order, correlation_id) = (OrderId::new(), Uuid::now_v7());
    rig.deliver(&confirmed(order)).await;
    rig.deliver(&captured(order)).await;

    let request = rig.build(Method::POST, &format!("/shipments/{order}/dispatch"));
    let request =
        request.header("x-actor", "operator:jane").header("x-correlation-id", correlation_id.to_string());
    assert_eq!(rig.answer(request).await.0, 200);
    assert_eq!(rig.deliver_parcel(order).await.0, 200);

    let published = rig.published().await;
    assert_eq!(published[1].actor, "operator:jane");
    assert_eq!(published[1].correlation_id, correlation_id);
    assert_eq!(published[2].actor, "operator");
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_gets_on_is_ready() {
    let rig = Rig::start(NO_CARRIER).await;
    eventually(SOON, "the service is ready", async || {
        let answer = rig.build(Method::GET, "/readyz").send().await.unwrap();
        match answer.status().as_u16() {
            200 => Ok(()),
            _ => Err(answer.text().await.unwrap()),
        }
    })
    .await;
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_routes_are_described() {
    let rig = Rig::start(NO_CARRIER).await;

    let (status, description) = rig.request(Method::GET, "/openapi.json").await;

    assert_eq!(status, 200);
    for (path, method) in [
        ("/shipments/{order_id}", "get"),
        ("/shipments/{order_id}/dispatch", "post"),
        ("/shipments/{order_id}/deliver", "post"),
    ] {
        let responses = &description["paths"][path][method]["responses"];
        let body = &responses["200"]["content"]["application/json"]["schema"]["$ref"];
        assert_eq!(body, "#/components/schemas/ShipmentView", "{path}");
        assert!(responses["404"].is_object(), "{path}");
    }
    let shown = &description["components"]["schemas"]["ShipmentView"]["properties"];
    for field in ["order_id", "status", "tracking_number", "captured", "awaits_stock", "ship_to"] {
        assert!(shown[field].is_object(), "{field}");
    }
    rig.finish().await;
}
