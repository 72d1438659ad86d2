//! Requests that do not get as far as being an order: the same, whatever is wrong with them.

use expect_test::expect;
use reqwest::Method;

use crate::{
    refusals::{refused, with},
    rig::Rig,
    words::mugs,
};

#[tokio::test]
async fn requests_that_cannot_be_read() {
    let rig = Rig::new().await;
    let post = || rig.request(Method::POST, "/orders");
    let json = |body: &str| post().header("content-type", "application/json").body(body.to_owned());
    let keyed = |key: &[u8]| {
        let key = reqwest::header::HeaderValue::from_bytes(key).unwrap();
        post().header("idempotency-key", key).json(&mugs())
    };
    let large = with("/customer/name", "x".repeat(65 * 1024));
    let uuid = "0198c0de-0000-7000-8000-000000000001";
    let get = |path: &str| rig.request(Method::GET, path);
    let requests = vec![
        ("malformed JSON", json("{\"customer\": ")),
        ("empty body", json("")),
        ("not an object", json("[]")),
        ("two documents", json(&format!("{0}{0}", mugs()))),
        ("a field twice", json(&mugs().to_string().replacen('{', "{\"currency\": \"USD\", ", 1))),
        ("not UTF-8", post().header("content-type", "application/json").body(b"\"\xff\"".to_vec())),
        ("wrong content type", post().header("content-type", "text/plain").body(mugs().to_string())),
        ("no content type", post().body(mugs().to_string())),
        ("65 KiB", post().json(&large)),
        ("empty key", keyed(b"")),
        ("key with a space", keyed(b"a b")),
        ("key that is not ASCII", keyed("schlüssel".as_bytes())),
        ("key of 201 characters", keyed("k".repeat(201).as_bytes())),
        ("two keys", post().header("idempotency-key", "a").header("idempotency-key", "b").json(&mugs())),
        ("correlation id", post().header("x-correlation-id", "42").json(&mugs())),
        ("order id", get("/orders/42")),
        ("order id of a history", get("/orders/42/history")),
        ("order id to cancel", rig.request(Method::POST, "/orders/42/cancel")),
        ("unknown order", get(&format!("/orders/{uuid}"))),
        ("history of an unknown order", get(&format!("/orders/{uuid}/history"))),
        ("unknown order to cancel", rig.request(Method::POST, &format!("/orders/{uuid}/cancel"))),
        ("reason to cancel an unknown order", {
            rig.request(Method::POST, &format!("/orders/{uuid}/cancel"))
                .json(&serde_json::json!({"reason": "x"}))
        }),
        ("cursor", get("/orders?cursor=42")),
        ("status", get("/orders?status=lost")),
        ("limit 0", get("/orders?limit=0")),
        ("limit 101", get("/orders?limit=101")),
        ("limit", get("/orders?limit=many")),
        ("unknown parameter", get("/orders?custmer_id=c-1")),
        ("customer with a NUL", get("/orders?customer_id=c%001")),
        ("wrong method", rig.request(Method::DELETE, &format!("/orders/{uuid}"))),
        ("wrong path", get("/order")),
    ];
    expect![[r#"
        malformed JSON -> 400 the request body is not JSON: EOF while parsing a value at line 1 column 13
        empty body -> 400 the request body is not JSON: EOF while parsing a value at line 1 column 0
        not an object -> 422 the request body is not valid
            : must be an object
        two documents -> 400 the request body is not JSON: trailing characters at line 1 column 274
        a field twice -> 422 the request body is not valid
            /currency: is given twice
        not UTF-8 -> 400 the request body is not JSON: invalid unicode code point at line 1 column 2
        wrong content type -> 415 the request body must be JSON: set Content-Type to application/json
        no content type -> 415 the request body must be JSON: set Content-Type to application/json
        65 KiB -> 413 the request body may have 65536 bytes
        empty key -> 400 the header Idempotency-Key must be given once, as 1 to 200 visible ASCII characters
        key with a space -> 400 the header Idempotency-Key must be given once, as 1 to 200 visible ASCII characters
        key that is not ASCII -> 400 the header Idempotency-Key must be given once, as 1 to 200 visible ASCII characters
        key of 201 characters -> 400 the header Idempotency-Key must be given once, as 1 to 200 visible ASCII characters
        two keys -> 400 the header Idempotency-Key must be given once, as 1 to 200 visible ASCII characters
        correlation id -> 400 the header X-Correlation-Id must be a UUID
        order id -> 400 a path parameter is not valid: Cannot parse `order_id` with value `42`: UUID parsing failed: invalid length: found 2
        order id of a history -> 400 a path parameter is not valid: Cannot parse `order_id` with value `42`: UUID parsing failed: invalid length: found 2
        order id to cancel -> 400 a path parameter is not valid: Cannot parse `order_id` with value `42`: UUID parsing failed: invalid length: found 2
        unknown order -> 404 there is no such order
        history of an unknown order -> 404 there is no such order
        unknown order to cancel -> 404 there is no such order
        reason to cancel an unknown order -> 404 there is no such order
        cursor -> 400 Failed to deserialize query string: cursor: UUID parsing failed: invalid length: found 2
        status -> 400 Failed to deserialize query string: status: unknown variant `lost`, expected one of `placed`, `confirmed`, `shipped`, `delivered`, `cancelled`
        limit 0 -> 400 the parameter limit must be from 1 to 100
        limit 101 -> 400 the parameter limit must be from 1 to 100
        limit -> 400 Failed to deserialize query string: limit: invalid digit found in string
        unknown parameter -> 400 Failed to deserialize query string: custmer_id: unknown field `custmer_id`, expected one of `customer_id`, `status`, `cursor`, `limit`
        customer with a NUL -> 400 the parameter customer_id holds a NUL
        wrong method -> 405 this path does not have this method; see the Allow header
        wrong path -> 404 there is nothing at this path
    "#]].assert_eq(&refused(&rig, requests).await);
    rig.finish().await;
}
