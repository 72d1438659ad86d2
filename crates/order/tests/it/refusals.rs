//! What is refused: a problem that says what and where, and nothing written.

use expect_test::expect;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::{
    answer::Answer,
    rig::Rig,
    words::{mugs, order_of},
};

/// The answer in a line: status, detail, and each fault with its pointer.
fn shown(answer: &Answer) -> String {
    assert_eq!(answer.content_type, "application/problem+json", "{answer:?}");
    assert_eq!(answer.body["status"], answer.status, "{answer:?}");
    for member in ["type", "title"] {
        assert!(answer.body[member].is_string(), "{answer:?}");
    }
    let mut shown = format!("{} {}", answer.status, answer.body["detail"].as_str().unwrap());
    for error in answer.body["errors"].as_array().into_iter().flatten() {
        let text = |name: &str| error[name].as_str().unwrap().to_owned();
        shown.push_str(&format!("\n    {}: {}", text("pointer"), text("detail")));
    }
    shown
}

/// Sends the requests and returns what each is answered with; none of them may write anything.
pub(crate) async fn refused(rig: &Rig, requests: Vec<(&str, RequestBuilder)>) -> String {
    rig.drained().await;
    let before = rig.written().await;
    let mut table = String::new();
    for (name, request) in requests {
        let answer = Answer::of(request).await;
        assert!((400..500).contains(&answer.status), "{name}: {answer:?}");
        table.push_str(&format!("{name} -> {}\n", shown(&answer)));
        assert_eq!(rig.written().await, before, "{name} has written something");
    }
    table
}

/// A good order with the value at `pointer` replaced.
pub(crate) fn with(pointer: &str, value: impl Into<Value>) -> Value {
    let mut order = mugs();
    let (parent, member) = pointer.rsplit_once('/').unwrap();
    match order.pointer_mut(parent).unwrap() {
        Value::Object(members) => drop(members.insert(member.to_owned(), value.into())),
        Value::Array(entries) => entries[member.parse::<usize>().unwrap()] = value.into(),
        other => panic!("{other}"),
    }
    order
}

fn without(pointer: &str) -> Value {
    let mut order = mugs();
    let (parent, member) = pointer.rsplit_once('/').unwrap();
    order.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(member).unwrap();
    order
}

fn orders<'n>(rig: &Rig, cases: Vec<(&'n str, Value)>) -> Vec<(&'n str, RequestBuilder)> {
    cases.into_iter().map(|(name, order)| (name, rig.request(Method::POST, "/orders").json(&order))).collect()
}

#[tokio::test]
async fn lines_that_cannot_be_sold() {
    let rig = Rig::new().await;
    let line = |sku: &str, quantity: i64| json!({"sku": sku, "quantity": quantity});
    let cases = vec![
        ("unknown SKU", order_of(json!([line("MUG-01", 1), line("NONE", 1)]))),
        ("malformed SKU", order_of(json!([line("mug 1", 1)]))),
        ("two faults", order_of(json!([line("NONE", 1), line("TEA", 1)]))),
        ("quantity 0", order_of(json!([line("MUG-01", 0)]))),
        ("negative quantity", order_of(json!([line("MUG-01", -1)]))),
        ("huge quantity", order_of(json!([line("MUG-01", i64::MAX)]))),
        ("quantity beyond 64 bits", with("/lines/0/quantity", 1e30)),
        ("half a mug", with("/lines/0/quantity", 0.5)),
        ("quantity as text", with("/lines/0/quantity", "2")),
        ("no lines", order_of(json!([]))),
        ("101 lines", order_of((0..101).map(|it| line(&format!("S{it}"), 1)).collect())),
        ("a SKU twice", order_of(json!([line("MUG-01", 1), line("PEN-01", 1), line("MUG-01", 2)]))),
        ("wrong currency", with("/currency", "EUR")),
        ("unknown currency", with("/currency", "ZZZ")),
        ("currency in lower case", with("/currency", "usd")),
        ("total beyond 64 bits", order_of(json!([line("GOLD", 2)]))),
        ("sum beyond 64 bits", order_of(json!([line("GOLD", 1), line("SILVER", 1)]))),
        ("nothing to pay", order_of(json!([line("GIFT", 2)]))),
        ("a price of the client's", with("/lines/0/unit_price", json!({"amount": 1, "currency": "USD"}))),
    ];
    expect![[r#"
        unknown SKU -> 422 the request body is not valid
            /lines/1/sku: there is no product NONE
        malformed SKU -> 422 the request body is not valid
            /lines/0/sku: a SKU is 1 to 40 of A-Z 0-9 . _ - and begins with a letter or a digit
        two faults -> 422 the request body is not valid
            /lines/0/sku: there is no product NONE
            /lines/1/sku: TEA is sold in JPY, not in USD
        quantity 0 -> 422 the request body is not valid
            /lines/0/quantity: must be from 1 to 10000
        negative quantity -> 422 the request body is not valid
            /lines/0/quantity: must be from 1 to 10000
        huge quantity -> 422 the request body is not valid
            /lines/0/quantity: must be from 1 to 10000
        quantity beyond 64 bits -> 422 the request body is not valid
            /lines/0/quantity: expected i64
        half a mug -> 422 the request body is not valid
            /lines/0/quantity: expected i64
        quantity as text -> 422 the request body is not valid
            /lines/0/quantity: expected i64
        no lines -> 422 the request body is not valid
            /lines: must have 1 to 100 entries
        101 lines -> 422 the request body is not valid
            /lines: must have 1 to 100 entries
        a SKU twice -> 422 the request body is not valid
            /lines/2/sku: is in an earlier line already: add up the quantities
        wrong currency -> 422 the request body is not valid
            /lines/0/sku: MUG-01 is sold in USD, not in EUR
        unknown currency -> 422 the request body is not valid
            /currency: not the code of an ISO 4217 currency with minor units
        currency in lower case -> 422 the request body is not valid
            /currency: not the code of an ISO 4217 currency with minor units
        total beyond 64 bits -> 422 the request body is not valid
            /lines: the total is more than an amount can be
        sum beyond 64 bits -> 422 the request body is not valid
            /lines: the total is more than an amount can be
        nothing to pay -> 422 the request body is not valid
            /lines: the total must be more than zero
        a price of the client's -> 422 the request body is not valid
            /lines/0/unit_price: is not a known field
    "#]]
    .assert_eq(&refused(&rig, orders(&rig, cases)).await);
    rig.finish().await;
}

#[tokio::test]
async fn people_and_places_that_cannot_be() {
    let rig = Rig::new().await;
    let cases = vec![
        ("no customer", without("/customer")),
        ("no city", without("/ship_to/city")),
        ("unknown field", with("/coupon", "HALF")),
        ("unknown field, nested", with("/customer/vip", true)),
        ("customer id with a space", with("/customer/id", "c 1")),
        ("customer id with a NUL", with("/customer/id", "c\u{0}1")),
        ("name empty", with("/customer/name", " ")),
        ("name too long", with("/customer/name", "ä".repeat(201))),
        ("name with a NUL", with("/customer/name", "Ada\u{0}")),
        ("name with a line break", with("/customer/name", "Ada\nLovelace")),
        ("name null", with("/customer/name", Value::Null)),
        ("no e-mail address", with("/customer/email", "ada.example.com")),
        ("e-mail address empty", with("/customer/email", "")),
        ("e-mail address with an escape", with("/customer/email", "a@b\u{1b}[31m")),
        ("line1 with a NUL", with("/ship_to/line1", "\u{0}")),
        ("line2 empty", with("/ship_to/line2", "")),
        ("postal code too long", with("/ship_to/postal_code", "1".repeat(21))),
        ("country in lower case", with("/ship_to/country", "gb")),
        ("country spelled out", with("/ship_to/country", "Great Britain")),
        ("card number", with("/payment_method", "4242424242424242")),
        ("card number with a prefix of its own", with("/payment_method", "card_4242424242424242")),
        ("card number in a token", with("/payment_method", "pm_4242424242424242")),
        ("token with a NUL", with("/payment_method", "pm_card\u{0}")),
        ("token without an end", with("/payment_method", format!("pm_{}", "x".repeat(101)))),
        ("several at once", {
            let mut order = with("/customer/name", "");
            order["ship_to"]["country"] = "UK1".into();
            order["lines"][0]["quantity"] = 0.into();
            order
        }),
    ];
    let table = refused(&rig, orders(&rig, cases)).await;
    assert!(!table.contains("4242"), "a card number is repeated: {table}");
    expect![[r#"
        no customer -> 422 the request body is not valid
            /customer: is required
        no city -> 422 the request body is not valid
            /ship_to/city: is required
        unknown field -> 422 the request body is not valid
            /coupon: is not a known field
        unknown field, nested -> 422 the request body is not valid
            /customer/vip: is not a known field
        customer id with a space -> 422 the request body is not valid
            /customer/id: a customer id is 1 to 64 visible ASCII characters without spaces
        customer id with a NUL -> 422 the request body is not valid
            /customer/id: a customer id is 1 to 64 visible ASCII characters without spaces
        name empty -> 422 the request body is not valid
            /customer/name: must not be empty
        name too long -> 422 the request body is not valid
            /customer/name: must not be longer than 200 characters
        name with a NUL -> 422 the request body is not valid
            /customer/name: must not contain control characters
        name with a line break -> 422 the request body is not valid
            /customer/name: must not contain control characters
        name null -> 422 the request body is not valid
            /customer/name: expected a string
        no e-mail address -> 422 the request body is not valid
            /customer/email: must be an e-mail address
        e-mail address empty -> 422 the request body is not valid
            /customer/email: must not be empty
        e-mail address with an escape -> 422 the request body is not valid
            /customer/email: must not contain control characters
        line1 with a NUL -> 422 the request body is not valid
            /ship_to/line1: must not contain control characters
        line2 empty -> 422 the request body is not valid
            /ship_to/line2: must not be empty
        postal code too long -> 422 the request body is not valid
            /ship_to/postal_code: must not be longer than 20 characters
        country in lower case -> 422 the request body is not valid
            /ship_to/country: must be an ISO 3166-1 alpha-2 code, such as US
        country spelled out -> 422 the request body is not valid
            /ship_to/country: must be an ISO 3166-1 alpha-2 code, such as US
        card number -> 422 the request body is not valid
            /payment_method: must be a token of the payment provider, such as pm_card_visa
        card number with a prefix of its own -> 422 the request body is not valid
            /payment_method: must be a token of the payment provider, such as pm_card_visa
        card number in a token -> 422 the request body is not valid
            /payment_method: must be a token of the payment provider, such as pm_card_visa
        token with a NUL -> 422 the request body is not valid
            /payment_method: must be a token of the payment provider, such as pm_card_visa
        token without an end -> 422 the request body is not valid
            /payment_method: must be a token of the payment provider, such as pm_card_visa
        several at once -> 422 the request body is not valid
            /customer/name: must not be empty
            /lines/0/quantity: must be from 1 to 10000
            /ship_to/country: must be an ISO 3166-1 alpha-2 code, such as US
    "#]]
    .assert_eq(&table);
    rig.finish().await;
}
