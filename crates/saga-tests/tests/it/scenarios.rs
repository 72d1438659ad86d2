//! Orders, from POST to their end.

use std::collections::BTreeSet;

use saga_tests::{Suite, suite::an_order};
use serde_json::{Value, json};
use testkit::eventually;

use crate::PATIENCE;

/// The types of an order's own events, oldest first.
async fn history(suite: &Suite, order_id: &str) -> Vec<String> {
    let history = suite.get("order", &format!("/orders/{order_id}/history")).await;
    let events = history["events"].as_array().expect("events").iter();
    events
        .map(|it| it["type"].as_str().expect("a type").split('.').next().expect("a name").to_owned())
        .collect()
}

async fn shelf(suite: &Suite, sku: &str) -> (i64, i64) {
    let product = suite.get("inventory", &format!("/products/{sku}")).await;
    (product["on_hand"].as_i64().expect("on_hand"), product["reserved"].as_i64().expect("reserved"))
}

/// Orders of seven products, at the same time on one suite.
#[tokio::test]
async fn orders_come_to_their_ends() {
    let suite = Suite::start().await;
    tokio::join!(
        an_order_is_delivered(&suite),
        an_order_for_more_than_there_is_ends_cancelled_and_costs_nothing(&suite),
        a_declined_payment_gives_the_stock_back(&suite),
        a_failed_capture_undoes_everything(&suite),
        a_shipped_order_cannot_be_cancelled(&suite),
        an_unsure_provider_charges_once(&suite),
    );
    records_are_valid_by_their_schema(&suite).await;
    suite.finish().await;
}

async fn an_order_is_delivered(suite: &Suite) {
    suite.stock("MUG-01", 1999, 10).await;

    let id = suite.place(&an_order("MUG-01", 2, "pm_card_visa")).await;
    let order = suite.reaches(&id, "delivered").await;

    assert_eq!(order["total"], json!({"amount": 3998, "currency": "USD"}));
    assert_eq!(order["lines"][0]["unit_price"]["amount"], 1999);
    let shipment = suite.get("shipping", &format!("/shipments/{id}")).await;
    assert_eq!(shipment["status"], "delivered");
    assert_eq!(shipment["tracking_number"], order["tracking_number"]);
    let payment = suite.settled(&id, "captured").await;
    assert_eq!(payment["captured"]["amount"], 3998);
    assert_eq!(suite.ledger(&id).await, [("authorize".to_owned(), 3998), ("capture".to_owned(), 3998)]);
    eventually(PATIENCE, "the stock is deducted", async || match shelf(suite, "MUG-01").await {
        (8, 0) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    eventually(PATIENCE, "the metrics count no dead letters", async || {
        let answer =
            suite.http.get(suite.url("order", "/metrics")).send().await.map_err(|it| it.to_string())?;
        let metrics = answer.text().await.map_err(|it| it.to_string())?;
        let counts =
            |line: &&str| line.starts_with("waybill_dead_letters{") && line.contains(r#"service="order""#);
        let counted: Vec<&str> = metrics.lines().filter(counts).collect();
        let none = !counted.is_empty() && counted.iter().all(|it| it.ends_with(" 0"));
        if none { Ok(()) } else { Err(counted.concat()) }
    })
    .await;
    let told: BTreeSet<String> = history(suite, &id).await.into_iter().collect();
    let expected = ["placed", "stock-noted", "payment-noted", "confirmed", "paid", "shipped", "delivered"]
        .map(str::to_owned);
    assert_eq!(told, BTreeSet::from(expected));
}

async fn an_order_for_more_than_there_is_ends_cancelled_and_costs_nothing(suite: &Suite) {
    suite.stock("MUG-02", 1999, 3).await;

    let id = suite.place(&an_order("MUG-02", 4, "pm_card_visa")).await;
    let order = suite.reaches(&id, "cancelled").await;

    assert_eq!(order["cancel_reason"], "out-of-stock");
    assert_eq!(shelf(suite, "MUG-02").await, (3, 0));
    eventually(PATIENCE, "payment was not begun", async || {
        let told = history(suite, &id).await;
        if told == ["placed", "cancelled", "nothing-held"] { Ok(()) } else { Err(told.join(", ")) }
    })
    .await;
    assert!(suite.ledger(&id).await.is_empty());
}

async fn a_declined_payment_gives_the_stock_back(suite: &Suite) {
    suite.stock("MUG-03", 1999, 3).await;

    let id = suite.place(&an_order("MUG-03", 3, "pm_card_chargeDeclined")).await;
    let order = suite.reaches(&id, "cancelled").await;

    assert_eq!(order["cancel_reason"], "payment-declined");
    eventually(PATIENCE, "the stock is back", async || match shelf(suite, "MUG-03").await {
        (3, 0) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    assert!(suite.ledger(&id).await.is_empty());
}

async fn a_failed_capture_undoes_everything(suite: &Suite) {
    suite.stock("MUG-04", 1999, 3).await;

    let id = suite.place(&an_order("MUG-04", 1, "pm_card_captureFails")).await;
    let order = suite.reaches(&id, "cancelled").await;

    assert_eq!(order["cancel_reason"], "capture-failed");
    suite.settled(&id, "voided").await;
    assert_eq!(suite.ledger(&id).await, [("authorize".to_owned(), 1999), ("cancel".to_owned(), 1999)]);
    // Shipping reads the order's topic at its own pace: scheduled first, then cancelled.
    let shipment = suite.url("shipping", &format!("/shipments/{id}"));
    eventually(PATIENCE, "the shipment is cancelled", async || {
        let answer = suite.http.get(&shipment).send().await.map_err(|error| error.to_string())?;
        let shipment: Value = answer.json().await.map_err(|error| error.to_string())?;
        if shipment["status"] == "cancelled" { Ok(()) } else { Err(shipment.to_string()) }
    })
    .await;
}

#[tokio::test]
async fn a_cancelled_order_is_refunded_or_was_never_charged() {
    // A carrier that takes its time leaves room to cancel in.
    let suite = Suite::start_with(saga_tests::Options {
        flags: vec![("shipping", "--carrier-delay-ms", "600000")],
        ..Default::default()
    })
    .await;
    suite.stock("MUG-01", 1999, 100).await;
    let cancel = async |id: &str| {
        let url = suite.url("order", &format!("/orders/{id}/cancel"));
        suite.http.post(url).send().await.expect("order").status().as_u16()
    };

    let at_once = suite.place(&an_order("MUG-01", 1, "pm_card_visa")).await;
    assert!([200, 202].contains(&cancel(&at_once).await));
    let captured = suite.place(&an_order("MUG-01", 1, "pm_card_visa")).await;
    suite.settled(&captured, "captured").await;
    assert_eq!(cancel(&captured).await, 202);
    assert!([200, 202].contains(&cancel(&captured).await), "asking twice is harmless");

    for id in [&at_once, &captured] {
        assert_eq!(suite.reaches(id, "cancelled").await["cancel_reason"], "customer");
    }
    suite.settled(&captured, "refunded").await;
    let kinds: Vec<String> = suite.ledger(&captured).await.into_iter().map(|it| it.0).collect();
    assert_eq!(kinds, ["authorize", "capture", "refund"]);
    assert_eq!(cancel(&captured).await, 200);
    suite.finish().await;
}

async fn a_shipped_order_cannot_be_cancelled(suite: &Suite) {
    suite.stock("MUG-05", 1999, 1).await;
    let id = suite.place(&an_order("MUG-05", 1, "pm_card_visa")).await;
    suite.reaches(&id, "delivered").await;

    let url = suite.url("order", &format!("/orders/{id}/cancel"));
    let answer = suite.http.post(url).send().await.expect("order");

    assert_eq!(answer.status(), 409);
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
}

/// The provider answers late, wrongly or not at all, before or after the work: asked again, it works once.
async fn an_unsure_provider_charges_once(suite: &Suite) {
    suite.stock("MUG-06", 1999, 100).await;
    let tokens = [
        "pm_card_serverErrorFirst",
        "pm_card_serverErrorAfterWork",
        "pm_card_cutConnection",
        "pm_card_wrongJson",
        "pm_card_slow",
    ];
    let mut orders = Vec::new();
    for token in tokens {
        orders.push((token, suite.place(&an_order("MUG-06", 1, token)).await));
    }
    for (token, id) in orders {
        suite.reaches(&id, "delivered").await;
        suite.settled(&id, "captured").await;
        let kinds: Vec<String> = suite.ledger(&id).await.into_iter().map(|it| it.0).collect();
        assert_eq!(kinds, ["authorize", "capture"], "{token}");
    }
}

#[tokio::test]
async fn fifty_requests_with_one_key_are_one_order() {
    let suite = Suite::start().await;
    suite.stock("MUG-01", 1999, 100).await;
    let order = an_order("MUG-01", 1, "pm_card_visa");
    let post = |body: &Value| {
        let post = suite.http.post(suite.url("order", "/orders")).header("idempotency-key", "k-1").json(body);
        async move {
            let answer = post.send().await.expect("order");
            let (status, location) = (answer.status().as_u16(), answer.headers().get("location").cloned());
            (status, location, answer.text().await.expect("a body"))
        }
    };

    let mut posting = tokio::task::JoinSet::new();
    for _ in 0..50 {
        posting.spawn(post(&order));
    }
    let answers = posting.join_all().await;

    assert_eq!(answers[0].0, 201);
    assert!(answers.iter().all(|it| *it == answers[0]), "{answers:?}");
    assert_eq!(post(&an_order("MUG-01", 2, "pm_card_visa")).await.0, 422, "another body under the same key");
    let placed: i64 = sqlx::query_scalar("select count(*) from order_view")
        .fetch_one(&suite.pools["order"])
        .await
        .expect("a count");
    assert_eq!(placed, 1);
    suite.finish().await;
}

#[tokio::test]
async fn what_follows_from_a_request_carries_its_correlation_and_trace() {
    let suite = Suite::start().await;
    suite.stock("MUG-01", 1999, 100).await;
    let (correlation, trace) = ("018f3b5c-1111-7222-8333-444455556666", "4bf92f3577b34da6a3ce929d0e0e4736");
    let post = suite.http.post(suite.url("order", "/orders")).json(&an_order("MUG-01", 1, "pm_card_visa"));
    let post = post
        .header("x-correlation-id", correlation)
        .header("traceparent", format!("00-{trace}-00f067aa0ba902b7-01"));
    let order: Value = post.send().await.expect("order").json().await.expect("JSON");
    suite.reaches(order["order_id"].as_str().expect("an id"), "delivered").await;

    for topic in ["order", "inventory", "payment", "shipping"] {
        let records = saga_tests::topic::read(&suite.bus, &bus::topics::name(&suite.prefix, topic)).await;
        assert!(!records.is_empty());
        for record in records {
            assert_eq!(record.header("ce_correlationid"), Some(correlation.as_bytes()), "{topic}");
            let parent =
                String::from_utf8_lossy(record.header("traceparent").expect("a traceparent")).into_owned();
            assert!(parent.contains(trace), "{topic}: {parent}");
        }
    }
    suite.finish().await;
}

/// Whatever is on a topic fits the schema that its header names.
async fn records_are_valid_by_their_schema(suite: &Suite) {
    suite.stock("MUG-07", 1999, 5).await;
    for (quantity, token) in
        [(1, "pm_card_visa"), (9, "pm_card_visa"), (1, "pm_card_chargeDeclined"), (1, "pm_card_captureFails")]
    {
        suite.place(&an_order("MUG-07", quantity, token)).await;
    }
    let all_ended = "select count(*) from order_view where status not in ('delivered', 'cancelled')";
    eventually(PATIENCE, "all orders end", async || {
        match sqlx::query_scalar::<_, i64>(all_ended).fetch_one(&suite.pools["order"]).await {
            Ok(0) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;

    let mut types = BTreeSet::new();
    for aggregate in events::Aggregate::ALL {
        for record in
            saga_tests::topic::read(&suite.bus, &bus::topics::name(&suite.prefix, aggregate.name())).await
        {
            let schema =
                String::from_utf8(record.header("ce_dataschema").expect("a schema").to_vec()).expect("UTF-8");
            let path = format!("{}/../..{schema}", env!("CARGO_MANIFEST_DIR"));
            let schema: Value =
                serde_json::from_slice(&std::fs::read(path).expect("the schema's file")).expect("JSON");
            let data: Value =
                serde_json::from_slice(record.payload.as_deref().expect("a value")).expect("JSON");
            if let Err(error) = jsonschema::validate(&schema, &data) {
                panic!("{error}: {data}");
            }
            types.insert(String::from_utf8_lossy(record.header("ce_type").expect("a type")).into_owned());
        }
    }
    assert!(types.len() >= 14, "the orders have told: {types:?}");
}
