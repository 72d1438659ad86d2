//! What goes wrong around the suite while orders are under way.

use std::collections::BTreeMap;

use bus::{Bus, Record, topics};
use saga_tests::{Options, Suite, suite::an_order};
use testkit::eventually;

use crate::PATIENCE;

async fn put(suite: &Suite, topic: &str, key: &str, headers: &[(&str, &str)], payload: Option<&[u8]>) {
    let record = Record {
        topic: topics::name(&suite.prefix, topic).into(),
        key: Some(key.as_bytes().into()),
        headers: headers
            .iter()
            .map(|(name, value)| ((*name).into(), Some(value.as_bytes().into())))
            .collect(),
        payload: payload.map(Into::into),
    };
    suite.bus.producer().expect("a producer").enqueue([record]).acknowledged().await.expect("it is written");
}

/// Poison on an order's key parks that order; the others of its partition are delivered meanwhile.
#[tokio::test]
async fn poison_holds_up_its_own_order_alone() {
    let suite = Suite::start().await;
    suite.stock("MUG-01", 1999, 1_000).await;
    let id = "018f3b5c-1111-7222-8333-444455556666";
    let attributes = [
        ("ce_specversion", "1.0"),
        ("ce_id", "018f3b5c-2222-7222-8333-444455556666"),
        ("ce_source", "/elsewhere"),
        ("ce_type", "waybill.order.placed.v2"),
        ("content-type", "application/json"),
    ];

    put(&suite, "order", id, &attributes, Some(b"{not json")).await;
    put(&suite, "order", id, &[], Some(b"no headers at all")).await;
    // Nobody knows this type: producers may add some.
    let unknown = attributes
        .map(|(name, value)| (name, if name == "ce_type" { "waybill.order.praised.v1" } else { value }));
    put(&suite, "order", "praised", &unknown, Some(b"{}")).await;
    let mut orders = Vec::new();
    for _ in 0..20 {
        orders.push(suite.place(&an_order("MUG-01", 1, "pm_card_visa")).await);
    }
    for order in orders {
        suite.reaches(&order, "delivered").await;
    }

    suite
        .finish_with(|letters| {
            // Whoever handles `order.placed` has both; shipping handles neither, but cannot tell for the second.
            assert_eq!(
                *letters,
                BTreeMap::from([("order", 0), ("inventory", 2), ("payment", 2), ("shipping", 1)])
            );
        })
        .await;
}

/// Services that stop and come back, one by one and all at once, finish what was begun.
#[tokio::test]
async fn services_that_are_killed_and_started_again_lose_nothing() {
    let mut suite = Suite::start().await;
    suite.stock("MUG-01", 1999, 10_000).await;
    let mut orders = Vec::new();
    for service in ["inventory", "payment", "shipping", "order"] {
        for _ in 0..10 {
            orders.push(suite.place(&an_order("MUG-01", 1, "pm_card_visa")).await);
        }
        suite.abort_service(service).await;
        if service != "order" {
            for _ in 0..10 {
                orders.push(suite.place(&an_order("MUG-01", 1, "pm_card_visa")).await);
            }
        }
        suite.start_service(service);
        suite.ready(service).await;
    }
    for order in orders {
        suite.reaches(&order, "delivered").await;
    }
    suite.finish().await;
}

/// The broker goes away under orders and comes back: they are accepted meanwhile and delivered afterwards.
#[tokio::test]
async fn orders_are_accepted_while_kafka_is_away() {
    let scratch = local::Scratch::new().expect("a directory");
    let mut kafka = local::Kafka::start(&scratch.path().join("kafka"), None).await.expect("Kafka");
    let bus = Bus::kafka(&kafka.bootstrap_servers()).expect("a client");
    let suite = Suite::start_with(Options { bus, ..Options::default() }).await;
    suite.stock("MUG-01", 1999, 1_000).await;
    let before = suite.place(&an_order("MUG-01", 1, "pm_card_visa")).await;

    kafka.kill().await.expect("the broker is killed");
    let mut orders = vec![before];
    for _ in 0..20 {
        orders.push(suite.place(&an_order("MUG-01", 1, "pm_card_visa")).await);
    }
    // Twice in a row, so that members that are still coming back are cut off again: static ones get fenced.
    kafka.restart().await.expect("the broker is back");
    kafka.kill().await.expect("the broker is killed again");
    for _ in 0..20 {
        orders.push(suite.place(&an_order("MUG-01", 1, "pm_card_visa")).await);
    }
    let waiting: i64 = sqlx::query_scalar("select count(*) from engine.outbox")
        .fetch_one(&suite.pools["order"])
        .await
        .expect("a count");
    assert!(waiting >= 20, "the outbox holds what cannot be published, and holds {waiting}");
    kafka.restart().await.expect("the broker is back");

    for order in orders {
        suite.reaches(&order, "delivered").await;
    }
    suite.finish().await;
    kafka.stop().await.expect("the broker stops");
}

/// Postgres is killed under orders: 503 meanwhile, and what was accepted is delivered afterwards.
#[tokio::test]
async fn orders_are_refused_while_postgres_is_away_and_none_is_lost() {
    let scratch = local::Scratch::new().expect("a directory");
    let mut postgres =
        local::Postgres::start(&scratch.path().join("postgres"), None).await.expect("Postgres");
    let pool = sqlx::PgPool::connect(&postgres.url("postgres")).await.expect("Postgres answers");
    for database in ["order", "inventory", "payment", "shipping"] {
        let create = sqlx::AssertSqlSafe(format!("create database \"waybill_{database}\""));
        sqlx::raw_sql(create).execute(&pool).await.expect("a database");
    }
    pool.close().await;
    let url = |service: &'static str| (service, postgres.url(&format!("waybill_{service}")));
    let databases = Some(saga_tests::suite::SERVICES.into_iter().map(url).collect());
    let suite = Suite::start_with(Options { databases, ..Options::default() }).await;
    suite.stock("MUG-01", 1999, 1_000).await;
    let mut orders = Vec::new();
    for _ in 0..10 {
        orders.push(suite.place(&an_order("MUG-01", 1, "pm_card_visa")).await);
    }

    postgres.kill().await.expect("Postgres is killed");
    let post =
        || suite.http.post(suite.url("order", "/orders")).json(&an_order("MUG-01", 1, "pm_card_visa")).send();
    let refused = post().await.expect("an answer");
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"));
    postgres.restart().await.expect("Postgres is back");

    eventually(PATIENCE, "orders are accepted again", async || {
        let answer = post().await.map_err(|error| error.to_string())?;
        if answer.status() == 201 { Ok(()) } else { Err(answer.status().to_string()) }
    })
    .await;
    for order in orders {
        suite.reaches(&order, "delivered").await;
    }
    suite.finish().await;
    postgres.stop().await.expect("Postgres stops");
}
