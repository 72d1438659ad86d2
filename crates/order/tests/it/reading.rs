//! What is read: one order, pages of orders, what has happened.

use std::collections::HashSet;

use events::OrderId;
use expect_test::expect;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    answer::Answer,
    rig::Rig,
    words::{captured, dispatched, mugs, order_of},
};

#[tokio::test]
async fn an_order_is_answered_with_its_place_and_version() {
    let rig = Rig::new().await;

    let answer =
        rig.post(&order_of(json!([{"sku": "PEN-01", "quantity": 10}, {"sku": "GIFT", "quantity": 1}]))).await;

    let order_id = answer.order_id();
    assert_eq!((answer.status, answer.content_type.as_str()), (201, "application/json"));
    assert_eq!(answer.location, Some(format!("/orders/{order_id}")));
    assert_eq!(answer.etag.as_deref(), Some("\"1\""));
    let mut shown = answer.body.clone();
    assert_eq!(shown["order_id"].take(), order_id.to_string());
    assert!(shown["placed_at"].take().as_str().unwrap().ends_with('Z'));
    assert_eq!(
        shown,
        json!({
            "order_id": null, "status": "placed", "version": 1, "placed_at": null,
            "customer": {"id": "c-1", "name": "Ada Lovelace", "email": "ada@example.com"},
            "lines": [
                {"sku": "PEN-01", "name": "Product PEN-01", "quantity": 10, "unit_price": {"amount": 250, "currency": "USD"}},
                {"sku": "GIFT", "name": "Product GIFT", "quantity": 1, "unit_price": {"amount": 0, "currency": "USD"}},
            ],
            "total": {"amount": 2500, "currency": "USD"},
            "paid": false, "cancel_reason": null, "tracking_number": null,
        })
    );
    // Its own answer, from the read model.
    let read = rig.get(&answer.location.clone().unwrap()).await;
    assert_eq!((read.status, &read.body, read.etag), (200, &answer.body, answer.etag));

    rig.confirm(order_id).await;
    assert_eq!(rig.get(&format!("/orders/{order_id}")).await.etag.as_deref(), Some("\"4\""));
    rig.finish().await;
}

/// The ids on all pages of a list, read with `limit` to the page.
async fn listed(rig: &Rig, filter: &str, limit: usize) -> Vec<OrderId> {
    let mut ids = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = rig.get(&format!("/orders?limit={limit}{filter}{cursor}")).await;
        assert_eq!(page.status, 200, "{}", page.body);
        let orders = page.body["orders"].as_array().unwrap();
        assert!(orders.len() <= limit);
        ids.extend(orders.iter().map(|it| it["order_id"].as_str().unwrap().parse::<OrderId>().unwrap()));
        match page.body["next_cursor"].as_str() {
            Some(next) => {
                assert_eq!(orders.len(), limit, "a page before the last is full");
                cursor = format!("&cursor={next}");
            }
            None => return ids,
        }
    }
}

#[tokio::test]
async fn orders_are_listed_newest_first_page_by_page() {
    let rig = Rig::new().await;
    let of = |customer: &str| {
        let mut order = mugs();
        order["customer"]["id"] = customer.into();
        order
    };
    let (ada, bob) = (of("ada"), of("bob"));
    let mut all = Vec::new();
    for index in 0..7 {
        all.push(rig.place(if index % 3 == 0 { &bob } else { &ada }).await);
    }
    all.reverse();
    let of_bob: Vec<OrderId> =
        all.iter().copied().enumerate().filter(|(at, _)| (6 - at) % 3 == 0).map(|it| it.1).collect();
    rig.confirm(of_bob[1]).await;
    rig.confirm(all[1]).await;

    for limit in [1, 2, 3, 6, 7, 8, 100] {
        assert_eq!(listed(&rig, "", limit).await, all, "{limit} to the page");
        assert_eq!(listed(&rig, "&customer_id=bob", limit).await, of_bob, "{limit} to the page");
        assert_eq!(listed(&rig, "&status=confirmed", limit).await, [all[1], of_bob[1]]);
        assert_eq!(listed(&rig, "&status=confirmed&customer_id=bob", limit).await, [of_bob[1]]);
        assert_eq!(listed(&rig, "&status=delivered", limit).await, []);
        assert_eq!(listed(&rig, "&customer_id=nobody", limit).await, []);
    }
    // The same as one by one; twenty to the page unless said.
    let page = rig.get("/orders").await.body;
    for order in page["orders"].as_array().unwrap() {
        assert_eq!(*order, rig.get(&format!("/orders/{}", order["order_id"].as_str().unwrap())).await.body);
    }
    rig.finish().await;
}

#[tokio::test]
async fn a_list_has_twenty_orders_to_the_page_unless_said() {
    let rig = Rig::new().await;
    let mut placed = HashSet::new();
    for _ in 0..21 {
        placed.insert(rig.place(&mugs()).await.to_string());
    }
    let page = rig.get("/orders").await.body;
    assert_eq!(page["orders"].as_array().unwrap().len(), 20);
    let last = rig.get(&format!("/orders?cursor={}", page["next_cursor"].as_str().unwrap())).await.body;
    assert_eq!((last["orders"].as_array().unwrap().len(), &last["next_cursor"]), (1, &Value::Null));
    let seen =
        [page, last].iter().flat_map(|it| it["orders"].as_array().unwrap().clone()).collect::<Vec<_>>();
    assert_eq!(
        seen.iter().map(|it| it["order_id"].as_str().unwrap().to_owned()).collect::<HashSet<_>>(),
        placed
    );
    rig.finish().await;
}

#[tokio::test]
async fn the_history_says_what_happened_and_why() {
    let rig = Rig::new().await;
    let correlation_id = "0198c0de-0000-7000-8000-00000000c0de";
    let request =
        rig.request(Method::POST, "/orders").header("x-correlation-id", correlation_id).json(&mugs());
    let order_id = Answer::of(request).await.order_id();
    let cause = rig.tell(&dispatched(order_id)).await;
    rig.settled().await;
    rig.confirm(order_id).await;
    let cause_of_capture = rig.tell(&captured(order_id)).await;
    rig.settled().await;
    let request =
        rig.request(Method::POST, &format!("/orders/{order_id}/cancel")).header("x-actor", "operator:jane");
    assert_eq!(Answer::of(request).await.status, 202);

    let history = rig.get(&format!("/orders/{order_id}/history")).await.body;

    assert_eq!(history["order_id"], order_id.to_string());
    let events = history["events"].as_array().unwrap();
    let line = |it: &Value| {
        format!(
            "{} {} by {}: {}",
            it["version"],
            it["type"].as_str().unwrap(),
            it["actor"].as_str().unwrap(),
            match it["type"].as_str() {
                Some("placed.v2") => it["data"]["total"].to_string(),
                Some("confirmed.v1") => it["data"].as_object().unwrap().keys().cloned().collect::<String>(),
                _ => it["data"].to_string(),
            }
        )
    };
    expect![[r#"
        1 placed.v2 by customer:c-1: {"amount":3998,"currency":"USD"}
        2 stock-noted.v1 by service:order: {}
        3 payment-noted.v1 by service:order: {}
        4 confirmed.v1 by service:order: at
        5 paid.v1 by service:order: {}
        6 cancellation-requested.v1 by operator:jane: {"reason":"customer"}"#]]
    .assert_eq(&events.iter().map(line).collect::<Vec<_>>().join("\n"));
    assert_eq!(events[0]["correlation_id"], correlation_id);
    assert_eq!(events[4]["causation_id"], cause_of_capture.to_string());
    assert!(
        events.iter().all(|it| it["causation_id"] != cause.to_string()),
        "a parcel before the confirmation"
    );
    let recorded: Vec<&str> = events.iter().map(|it| it["recorded_at"].as_str().unwrap()).collect();
    assert!(recorded.is_sorted(), "{recorded:?}");
    rig.finish().await;
}

#[tokio::test]
async fn all_routes_are_described() {
    let rig = Rig::new().await;
    let openapi = rig.get("/openapi.json").await.body;
    let mut routes = Vec::new();
    for (path, item) in openapi["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let responses = operation["responses"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
            routes.push(format!("{method} {path}: {}", responses.join(" ")));
        }
    }
    expect![[r#"
        get /orders: 200 default
        post /orders: 201 default
        get /orders/{order_id}: 200 default
        post /orders/{order_id}/cancel: 200 202 default
        get /orders/{order_id}/history: 200 default"#]]
    .assert_eq(&routes.join("\n"));
    for schema in ["OrderView", "NewOrder", "OrderPage", "History", "Problem"] {
        assert!(openapi["components"]["schemas"][schema].is_object(), "{schema}");
    }
    rig.finish().await;
}
