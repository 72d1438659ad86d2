//! The routes, and what is refused.

use serde_json::{Value, json};

use crate::rig::Rig;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_wrongly_is_a_problem() {
    let rig = Rig::start().await;
    let unknown = rig.order("pm_card_visa");
    for (method, path, status) in [
        ("GET", format!("/payments/{unknown}"), 404),
        ("GET", "/payments/1".to_owned(), 400),
        ("GET", "/payments".to_owned(), 404),
        ("POST", format!("/payments/{unknown}"), 405),
    ] {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let answer = rig.client.request(method, format!("{}{path}", rig.base)).send().await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json", "{path}");
        assert_eq!(answer.json::<Value>().await.unwrap()["status"], status, "{path}");
    }
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_describes_itself() {
    let rig = Rig::start().await;

    let url = format!("{}/openapi.json", rig.base);
    let described: Value = rig.client.get(url).send().await.unwrap().json().await.unwrap();

    let view = &described["components"]["schemas"]["PaymentView"]["properties"];
    let named = ["order_id", "status", "authorized", "captured", "refunded", "provider_reference", "code"];
    let open = ["asking", "attempts", "last_error"];
    assert!(named.iter().chain(&open).all(|it| view[it].is_object()), "{view}");
    assert!(described["paths"]["/payments/{order_id}"]["get"].is_object());
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_is_shown_with_all_that_clients_rely_on() {
    let rig = Rig::start().await;
    let order = rig.placed("pm_card_visa").await;

    let payment = rig.reaches(&order, "authorized").await;

    let usd = |amount: i64| json!({"amount": amount, "currency": "USD"});
    let expected = json!({
        "order_id": order.id,
        "status": "authorized",
        "authorized": usd(3_998),
        "captured": usd(0),
        "refunded": usd(0),
        "provider_reference": payment["provider_reference"],
        "code": null,
        "asking": null,
        "attempts": null,
        "last_error": null,
    });
    assert_eq!(payment, expected);
    assert!(payment["provider_reference"].is_string());
    rig.finish().await;
}
