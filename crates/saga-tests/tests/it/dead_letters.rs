//! Poison under a running suite: it holds up its own order, nobody else's, until somebody sees to it.

use std::borrow::Cow;

use bus::{Record, topics};
use saga_tests::{Suite, suite::an_order};
use serde_json::{Value, json};
use testkit::eventually;

use crate::PATIENCE;

/// Puts a record that claims to be an event on a topic, as somebody who is none of the services.
pub(crate) async fn inject(suite: &Suite, aggregate: &str, key: &str, ce_type: &str, data: &[u8]) {
    let id = uuid::Uuid::now_v7().to_string();
    let header = |name: &'static str, value: &str| (name.into(), Some(value.as_bytes().to_vec().into()));
    let record = Record {
        topic: topics::name(&suite.prefix, aggregate).into(),
        key: Some(key.as_bytes().into()),
        headers: vec![
            header("ce_specversion", "1.0"),
            header("ce_id", &id),
            header("ce_source", "/somebody/else"),
            header("ce_type", ce_type),
            header("ce_time", "2026-01-01T00:00:00Z"),
        ],
        payload: Some(Cow::Owned(data.to_vec())),
    };
    let producer = suite.bus.producer().expect("a producer");
    producer.enqueue(vec![record]).acknowledged().await.expect("it is on the topic");
}

/// Waits until a service has so many dead letters or more, and returns them.
pub(crate) async fn letters(suite: &Suite, service: &str, count: usize) -> Vec<Value> {
    let url = suite.admin_url(service, "/dead-letters");
    eventually(PATIENCE, "there are dead letters", async || {
        let answer = suite.http.get(&url).send().await.map_err(|it| it.to_string())?;
        let mut page: Value = answer.json().await.map_err(|it| it.to_string())?;
        match page["dead_letters"].take() {
            Value::Array(letters) if letters.len() >= count => Ok(letters),
            other => Err(other.to_string()),
        }
    })
    .await
}

pub(crate) async fn post(suite: &Suite, service: &str, path: &str, body: Value) -> Value {
    let post = suite.http.post(suite.admin_url(service, path)).header("x-actor", "operator:jane").json(&body);
    let answer = post.send().await.expect("an answer");
    assert_eq!(answer.status(), 200, "{path}");
    answer.json().await.expect("JSON")
}

/// An order that waits for payment, which is not running.
async fn waiting_for_payment(suite: &mut Suite) -> String {
    suite.stop_service("payment").await;
    let id = suite.place(&an_order("MUG-01", 1, "pm_card_visa")).await;
    eventually(PATIENCE, "the stock is reserved", async || {
        let history = suite.get("order", &format!("/orders/{id}/history")).await;
        if history["events"][1]["type"] == "stock-noted.v1" { Ok(()) } else { Err(history.to_string()) }
    })
    .await;
    id
}

/// Others, as many as fill every partition, are delivered.
async fn others_are_delivered(suite: &Suite) {
    let mut others = Vec::new();
    for _ in 0..20 {
        others.push(suite.place(&an_order("MUG-01", 1, "pm_card_visa")).await);
    }
    for other in others {
        suite.reaches(&other, "delivered").await;
    }
}

#[tokio::test]
async fn garbage_for_one_order_holds_up_that_order_alone_until_it_is_discarded() {
    let mut suite = Suite::start().await;
    suite.stock("MUG-01", 1999, 100).await;
    let id = waiting_for_payment(&mut suite).await;

    inject(&suite, "payment", &id, "waybill.payment.authorized.v1", &[0xff, 0x1b, 0x00]).await;
    let garbage = letters(&suite, "order", 1).await.remove(0);
    suite.start_service("payment");
    suite.ready("payment").await;
    others_are_delivered(&suite).await;
    let parked = letters(&suite, "order", 2).await;

    assert_eq!(suite.get("order", &format!("/orders/{id}")).await["status"], "placed");
    let told: Vec<_> = parked.iter().map(|it| (&it["status"], &it["type"], &it["key"])).collect();
    let authorized = json!("waybill.payment.authorized.v1");
    assert_eq!(
        told,
        [(&json!("poison"), &authorized, &json!(id)), (&json!("waiting"), &authorized, &json!(id))]
    );
    let shown = suite.admin_url("order", &format!("/dead-letters/{}", garbage["dead_letter_id"]));
    let shown: Value = suite.http.get(shown).send().await.expect("it").json().await.expect("JSON");
    assert_eq!(shown["payload"], json!({"base64": "/xsA"}));
    let done = post(
        &suite,
        "order",
        "/dead-letters/discard",
        json!({
            "id": garbage["dead_letter_id"], "reason": "not an event of payment's"
        }),
    )
    .await;
    assert_eq!((&done["discarded"], &done["applied"]), (&json!(1), &json!(1)));
    suite.reaches(&id, "delivered").await;
    suite.finish().await;
}

#[tokio::test]
async fn once_the_cause_is_gone_a_redrive_completes_the_order_and_a_second_one_does_nothing() {
    let mut suite = Suite::start().await;
    suite.stock("MUG-01", 1999, 100).await;
    let id = waiting_for_payment(&mut suite).await;
    // The database refuses whatever happens to this order.
    let refuse =
        format!("alter table order_event add constraint refused check (order_id <> '{id}') not valid");
    sqlx::raw_sql(sqlx::AssertSqlSafe(refuse)).execute(&suite.pools["order"]).await.expect("a constraint");

    suite.start_service("payment");
    letters(&suite, "order", 1).await;
    inject(&suite, "payment", &id, "waybill.payment.renamed.v1", b"{}").await;
    others_are_delivered(&suite).await;
    let redrive = async || {
        let body = json!({"key": id, "reason": "the constraint is gone"});
        let done = post(&suite, "order", "/dead-letters/redrive", body).await;
        ["applied", "failed"].map(|it| done[it].as_i64().expect("a number"))
    };
    let in_vain = redrive().await;
    sqlx::raw_sql("alter table order_event drop constraint refused")
        .execute(&suite.pools["order"])
        .await
        .expect("it is dropped");
    let redriven = redrive().await;
    suite.reaches(&id, "delivered").await;
    let again = redrive().await;

    assert_eq!((in_vain, redriven, again), ([0, 1], [1, 0], [0, 0]));
    let actions = suite.admin_url("order", "/dead-letters/actions");
    let actions: Value = suite.http.get(actions).send().await.expect("it").json().await.expect("JSON");
    let told: Vec<_> = actions["actions"].as_array().expect("actions").iter().collect();
    assert_eq!(told.len(), 2);
    assert_eq!((&told[0]["outcome"], &told[1]["outcome"]), (&json!("applied"), &json!("failed")));
    assert_eq!(
        (&told[0]["actor"], &told[0]["reason"]),
        (&json!("operator:jane"), &json!("the constraint is gone"))
    );
    suite.finish().await;
}
