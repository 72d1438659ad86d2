//! Every route, every refusal, and what is told on the log.

use events::Aggregate;
use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::Row;

use crate::{
    rig::{FOR_GOOD, Request, Rig},
    told::{order, placed},
};

fn product(name: &str, amount: i64) -> Value {
    json!({"name": name, "price": {"amount": amount, "currency": "USD"}})
}

#[tokio::test]
async fn a_product_is_created_replaced_and_counted() {
    let rig = Rig::start(FOR_GOOD).await;
    let (status, created) = rig.put("/products/MUG-01", &product("Mug", 1999)).await;
    let shown = json!({"sku": "MUG-01", "name": "Mug", "price": {"amount": 1999, "currency": "USD"},
        "on_hand": 0, "reserved": 0, "available": 0});
    assert_eq!((status, &created), (201, &shown));

    let headers = [("x-actor", "jane")];
    let received = json!({"delta": 10, "reason": "goods received"});
    let (status, counted) = rig.post("/products/MUG-01/adjustments", &headers, &received).await;
    assert_eq!((status, &counted["on_hand"], &counted["available"]), (200, &json!(10), &json!(10)));
    let broken = json!({"delta": -1, "reason": "broken"});
    assert_eq!(rig.post("/products/MUG-01/adjustments", &[], &broken).await.0, 200);

    let (status, replaced) = rig.put("/products/MUG-01", &product("Blue mug", 0)).await;
    let shown = json!({"sku": "MUG-01", "name": "Blue mug", "price": {"amount": 0, "currency": "USD"},
        "on_hand": 9, "reserved": 0, "available": 9});
    assert_eq!((status, &replaced), (200, &shown));
    assert_eq!(rig.get("/products/MUG-01").await, (200, shown));

    let told = rig.published(Aggregate::Product, 4).await;
    let told: Vec<_> = told
        .iter()
        .map(|it| (it.sequence, it.name.as_str(), it.actor.as_str(), it.data["on_hand"].as_i64().unwrap()))
        .collect();
    assert_eq!(
        told,
        [
            (1, "product.changed", "operator", 0),
            (2, "product.changed", "jane", 10),
            (3, "product.changed", "operator", 9),
            (4, "product.changed", "operator", 9),
        ]
    );
    let kept = sqlx::query("select delta, reason, actor from adjustment order by adjustment_id");
    let kept: Vec<(i32, String, String)> = kept
        .map(|row: sqlx::postgres::PgRow| (row.get(0), row.get(1), row.get(2)))
        .fetch_all(&rig.pool)
        .await
        .unwrap();
    let entry = |delta, reason: &str, actor: &str| (delta, reason.to_owned(), actor.to_owned());
    assert_eq!(kept, [entry(10, "goods received", "jane"), entry(-1, "broken", "operator")]);
    rig.finish().await;
}

#[tokio::test]
async fn the_same_product_put_again_is_told_again_and_is_not_new() {
    let rig = Rig::start(FOR_GOOD).await;
    let statuses = [
        rig.put("/products/MUG", &product("Mug", 5)).await.0,
        rig.put("/products/MUG", &product("Mug", 5)).await.0,
    ];
    assert_eq!(statuses, [201, 200]);
    let told = rig.published(Aggregate::Product, 2).await;
    assert_eq!(told[0].data, told[1].data);
    assert_eq!(
        told[1].data,
        json!({"sku": "MUG", "name": "Mug", "price": {"amount": 5, "currency": "USD"}, "on_hand": 0})
    );
    rig.finish().await;
}

#[tokio::test]
async fn products_are_listed_in_pages() {
    let rig = Rig::start(FOR_GOOD).await;
    assert_eq!(rig.get("/products").await, (200, json!({"products": [], "next_cursor": null})));
    // Bytewise, whatever the locale of the server.
    for sku in ["B_1", "A.1", "A-1", "B-1", "A1"] {
        rig.put(&format!("/products/{sku}"), &product(sku, 5)).await;
    }
    let (mut pages, mut path) = (Vec::new(), "/products?limit=2".to_owned());
    loop {
        let (status, page) = rig.get(&path).await;
        assert_eq!(status, 200, "{page}");
        let skus = page["products"].as_array().unwrap().iter();
        pages.push(skus.map(|it| it["sku"].as_str().unwrap().to_owned()).collect::<Vec<_>>());
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/products?limit=2&cursor={cursor}");
    }
    assert_eq!(pages, [vec!["A-1", "A.1"], vec!["A1", "B-1"], vec!["B_1"]]);
    rig.finish().await;
}

/// `expected`: the status, then the faults' pointers, or else the detail.
async fn check(rig: &Rig, method: Method, path: &str, body: &str, expected: &str) {
    let headers = [("content-type", "application/json")];
    let body = (!body.is_empty()).then_some(body);
    let (status, problem) = rig.ask(0, Request { method, path, headers: &headers, body }).await;
    let faults = problem["errors"].as_array().map(|it| {
        let faults = it
            .iter()
            .map(|it| format!("{} {}", it["pointer"].as_str().unwrap(), it["detail"].as_str().unwrap()));
        faults.collect::<Vec<_>>().join("; ")
    });
    let shown = faults.unwrap_or_else(|| problem["detail"].as_str().unwrap().to_owned());
    assert_eq!(format!("{status} {shown}"), expected, "{path} {body:?}");
}

#[tokio::test]
async fn a_product_that_is_not_valid_is_refused() {
    let rig = Rig::start(FOR_GOOD).await;
    let long = "x".repeat(201);
    let body = |name: &str, amount: i64| product(name, amount).to_string();
    for (body, expected) in [
        (body("", 5), "422 /name must not be empty"),
        (body(" \t", 5), "422 /name must not be empty"),
        (body(&long, 5), "422 /name must not be longer than 200 characters"),
        (body("Mug\0", 5), "422 /name must not contain control characters"),
        (body("Mug", -1), "422 /price/amount must be from 0 to 1000000000"),
        (body("", 1_000_000_001), "422 /name must not be empty; /price/amount must be from 0 to 1000000000"),
        (r#"{"name": "Mug"}"#.into(), "422 /price is required"),
        (
            r#"{"name": "Mug", "price": {"amount": 1.5, "currency": "USD"}}"#.into(),
            "422 /price/amount expected i64",
        ),
        (
            r#"{"name": "Mug", "price": {"amount": 1, "currency": "usd"}}"#.into(),
            "422 /price/currency not the code of an ISO 4217 currency with minor units",
        ),
        (
            r#"{"name": "Mug", "price": {"amount": 1, "currency": "USD"}, "on_hand": 5}"#.into(),
            "422 /on_hand is not a known field",
        ),
    ] {
        check(&rig, Method::PUT, "/products/MUG", &body, expected).await;
    }
    check(
        &rig,
        Method::PUT,
        "/products/mug",
        &body("Mug", 5),
        "400 a path parameter is not valid: a SKU is 1 to 40 of A-Z 0-9 . _ - and begins with a letter or a digit",
    )
    .await;
    let not_json = "400 the request body is not JSON: key must be a string at line 1 column 2";
    check(&rig, Method::PUT, "/products/MUG", "{x", not_json).await;
    let headers = [("content-type", "text/plain")];
    let text = Request { method: Method::PUT, path: "/products/MUG", headers: &headers, body: Some("{}") };
    assert_eq!(rig.ask(0, text).await.0, 415);
    assert_eq!(rig.count("select count(*) from product").await, 0);

    // The limits themselves are fine.
    assert_eq!(rig.put("/products/MUG", &product(&"ü".repeat(200), 1_000_000_000)).await.0, 201);
    rig.finish().await;
}

#[tokio::test]
async fn the_currency_of_a_product_stays() {
    let rig = Rig::start(FOR_GOOD).await;
    rig.put("/products/MUG", &product("Mug", 5)).await;
    let body = json!({"name": "Mug", "price": {"amount": 5, "currency": "EUR"}}).to_string();
    let expected = "409 the product is sold in USD, which cannot be changed";
    check(&rig, Method::PUT, "/products/MUG", &body, expected).await;
    rig.finish().await;
}

#[tokio::test]
async fn an_adjustment_that_is_not_valid_is_refused() {
    let rig = Rig::start(FOR_GOOD).await;
    rig.stock("MUG", 3).await;
    let path = "/products/MUG/adjustments";
    for (body, expected) in [
        (r#"{"delta": 0, "reason": "none"}"#, "422 /delta must not be 0"),
        (r#"{"delta": 0, "reason": ""}"#, "422 /delta must not be 0; /reason must not be empty"),
        (r#"{"delta": 2147483648, "reason": "x"}"#, "422 /delta expected i32"),
        (r#"{"delta": "1", "reason": "x"}"#, "422 /delta expected i32"),
        (r#"{"delta": 1, "reason": "a\u0000b"}"#, "422 /reason must not contain control characters"),
        (r#"{"delta": 1}"#, "422 /reason is required"),
        (r#"{"delta": 1, "reason": "x", "actor": "me"}"#, "422 /actor is not a known field"),
    ] {
        check(&rig, Method::POST, path, body, expected).await;
    }
    let one = r#"{"delta": 1, "reason": "x"}"#;
    check(&rig, Method::POST, "/products/NONE/adjustments", one, "404 there is no such product").await;
    assert_eq!(rig.level("MUG").await, [3, 0, 3]);
    rig.finish().await;
}

#[tokio::test]
async fn what_is_reserved_cannot_be_taken_away() {
    let rig = Rig::start(FOR_GOOD).await;
    rig.stock("MUG", 5).await;
    rig.tell(&placed(1, &[("MUG", 3)])).await;
    rig.reservation_is(1, "reserved").await;

    let too_many = json!({"delta": -3, "reason": "broken"});
    let (status, problem) = rig.post("/products/MUG/adjustments", &[], &too_many).await;

    assert_eq!((status, &problem["available"]), (409, &json!(2)));
    assert_eq!(problem["type"], "/problems/stock-is-reserved");
    let enough = json!({"delta": -2, "reason": "broken"});
    assert_eq!(rig.post("/products/MUG/adjustments", &[], &enough).await.0, 200);
    assert_eq!(rig.level("MUG").await, [3, 3, 0]);
    rig.finish().await;
}

#[tokio::test]
async fn a_read_that_makes_no_sense_is_refused() {
    let rig = Rig::start(FOR_GOOD).await;
    let limits = "400 the parameter limit must be from 1 to 100";
    check(&rig, Method::GET, "/products?limit=0", "", limits).await;
    check(&rig, Method::GET, "/products?limit=101", "", limits).await;
    for path in ["/products?limit=ten", "/products?cursor=no%20sku", "/products?page=2"] {
        assert_eq!(rig.get(path).await.0, 400, "{path}");
    }
    check(&rig, Method::GET, "/products/NONE", "", "404 there is no such product").await;
    assert_eq!(rig.get("/products/%00").await.0, 400);
    let unknown = format!("/reservations/{}", order(1));
    check(&rig, Method::GET, &unknown, "", "404 there is no such reservation").await;
    assert_eq!(rig.get("/reservations/1").await.0, 400);
    rig.finish().await;
}

#[tokio::test]
async fn an_adjustment_under_one_key_is_made_once() {
    let rig = Rig::start(FOR_GOOD).await;
    rig.stock("MUG", 5).await;
    rig.stock("CUP", 5).await;
    let (path, key) = ("/products/MUG/adjustments", [("idempotency-key", "delivery-17")]);
    let received = json!({"delta": 10, "reason": "goods received"});

    let asked = (0..8).map(|_| rig.post(path, &key, &received));
    let answers = join_all(asked).await;

    assert!(answers.iter().all(|it| it == &answers[0]), "{answers:?}");
    assert_eq!((answers[0].0, &answers[0].1["on_hand"]), (200, &json!(15)));
    assert_eq!(rig.level("MUG").await, [15, 0, 15]);
    // Answered as it was, not as it would be now.
    rig.post(path, &[], &received).await;
    assert_eq!(rig.post(path, &key, &received).await, answers[0]);

    let other = json!({"delta": 11, "reason": "goods received"});
    assert_eq!(rig.post(path, &key, &other).await.0, 422);
    assert_eq!(rig.post("/products/CUP/adjustments", &key, &received).await.0, 422);
    assert_eq!(rig.post(path, &[("idempotency-key", "a b")], &received).await.0, 400);
    assert_eq!(rig.count("select count(*) from adjustment").await, 4);
    rig.finish().await;
}

#[tokio::test]
async fn a_refused_attempt_does_not_use_up_its_key() {
    let rig = Rig::start(FOR_GOOD).await;
    let (path, key) = ("/products/MUG/adjustments", [("idempotency-key", "delivery-18")]);
    let received = json!({"delta": 10, "reason": "goods received"});
    assert_eq!(rig.post(path, &key, &received).await.0, 404);
    rig.put("/products/MUG", &product("Mug", 5)).await;
    assert_eq!(rig.post(path, &key, &received).await.0, 200);
    assert_eq!(rig.level("MUG").await, [10, 0, 10]);
    rig.finish().await;
}

#[tokio::test]
async fn the_api_describes_itself() {
    let rig = Rig::start(FOR_GOOD).await;
    let (status, description) = rig.get("/openapi.json").await;
    assert_eq!(status, 200);
    let paths: Vec<_> = description["paths"]
        .as_object()
        .unwrap()
        .keys()
        .filter(|it| it.starts_with("/prod") || it.starts_with("/res"))
        .cloned()
        .collect();
    assert_eq!(
        paths,
        ["/products", "/products/{sku}", "/products/{sku}/adjustments", "/reservations/{order_id}"]
    );
    rig.finish().await;
}
