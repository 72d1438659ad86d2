//! The auditor on a suite of processes under load: clean, and not blind.

mod command;
mod consumed;
mod found;
mod in_flight;
mod sound;

use std::collections::BTreeSet;

use ::load::{Load, PLAIN, Pace};
use audit::{Law, Options, Report, Sources, Violation};
use bus::{CloudEvent, Trace, topics};
use saga_tests::{Processes, processes::PROVIDER};
use serde_json::Value;
use sqlx::{Connection, PgConnection, PgPool, Row};
use testkit::eventually;
use uuid::Uuid;

use crate::PATIENCE;

async fn look(sources: &Sources) -> Report {
    audit::audit(sources, &Options { patience: PATIENCE }).await.expect("everything can be looked at")
}

/// Suite, load and time enough that orders are in every state.
async fn under_load() -> (Processes, Load) {
    let suite = Processes::start().await;
    PLAIN.stock(&suite.target(), 0).await.expect("stock");
    let load = Load::begin(&suite.target(), PLAIN, Pace::Clients(16), usize::MAX).expect("a load");
    eventually(PATIENCE, "orders are delivered", async || {
        match suite.count("order", "order_view where status = 'delivered'").await {
            0..100 => Err("fewer than 100"),
            _ => Ok(()),
        }
    })
    .await;
    (suite, load)
}

/// Whether there were orders that had not come to an end.
fn under_way(report: &Report) -> bool {
    ["placed", "confirmed", "shipped"].iter().any(|it| report.orders.contains_key(*it))
}

async fn delivered(suite: &Processes) -> Uuid {
    let query = "select order_id from order_view where status = 'delivered' and paid limit 1";
    sqlx::query_scalar(query).fetch_one(&suite.pools["order"]).await.expect("an order")
}

/// Clean before the fault, and after it these laws are broken and no others, each of this order or SKU.
async fn finds(fault: impl AsyncFnOnce(&Processes) -> String, laws: &[Law]) -> Vec<Violation> {
    let (suite, load) = under_load().await;
    let before = look(&suite.sources()).await;
    let accepted = load.accepted();
    let subject = fault(&suite).await;
    let after = look(&suite.sources()).await;
    assert!(load.accepted() > accepted, "no order was placed meanwhile");
    load.stop().await;
    suite.clear().await;

    assert!(before.is_clean() && under_way(&before), "{before:#?}");
    let broken: BTreeSet<Law> = after.violations.iter().map(|it| it.law).collect();
    assert_eq!(broken, laws.iter().copied().collect(), "{:#?}", after.violations);
    for violation in &after.violations {
        let told = violation.order_id.map(|it| it.to_string()).or(violation.sku.clone());
        assert_eq!(told.as_ref(), Some(&subject), "{violation:#?}");
        assert!(
            matches!(violation.law, Law::Stock | Law::Prices) || !violation.events.is_empty(),
            "{violation:#?}"
        );
    }
    after.violations
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stock_row_changed_by_hand_is_found() {
    let change = async |suite: &Processes| {
        let update = sqlx::query("update product set on_hand = on_hand + 1 where sku = 'LOAD-MUG'");
        update.execute(&suite.pools["inventory"]).await.expect("an update");
        "LOAD-MUG".to_owned()
    };
    finds(change, &[Law::Stock]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_price_changed_by_hand_is_found() {
    let change = async |suite: &Processes| {
        let update = sqlx::query("update price set amount = amount + 1 where sku = 'LOAD-MUG'");
        update.execute(&suite.pools["order"]).await.expect("an update");
        "LOAD-MUG".to_owned()
    };
    finds(change, &[Law::Prices]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_held_for_an_order_that_nobody_has_placed_is_found() {
    let authorize = async |suite: &Processes| {
        let id = Uuid::now_v7();
        hold_money(suite, id).await;
        id.to_string()
    };
    let found = finds(authorize, &[Law::Known]).await;
    assert!(found[0].events.iter().any(|it| it.starts_with("ledger authorize 1999")), "{found:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_model_row_changed_by_hand_is_found() {
    let change = async |suite: &Processes| {
        let id = delivered(suite).await;
        let update = sqlx::query("update order_view set total_amount = total_amount + 1 where order_id = $1");
        update.bind(id).execute(&suite.pools["order"]).await.expect("an update");
        id.to_string()
    };
    let found = finds(change, &[Law::Fold]).await;
    assert!(found[0].text.contains("total_amount"), "{found:#?}");
}

async fn ask_provider(suite: &Processes, path: &str, form: &[(&str, &str)]) -> Value {
    let post = suite.http.post(suite.url(PROVIDER, path)).bearer_auth("sk_test_waybill").form(form);
    post.send().await.expect("the provider").json().await.expect("JSON")
}

/// Has the provider authorise a payment that the payment service knows nothing of; returns its reference.
async fn hold_money(suite: &Processes, order: Uuid) -> String {
    let order = order.to_string();
    let form = [
        ("amount", "1999"),
        ("currency", "usd"),
        ("payment_method", "pm_card_visa"),
        ("payment_method_types[]", "card"),
        ("capture_method", "manual"),
        ("confirm", "true"),
        ("metadata[order_id]", &order),
    ];
    let intent = ask_provider(suite, "/v1/payment_intents", &form).await;
    intent["id"].as_str().unwrap_or_else(|| panic!("{intent}")).to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_captured_twice_at_the_provider_is_found() {
    let charge = async |suite: &Processes| {
        let id = delivered(suite).await;
        let reference = hold_money(suite, id).await;
        let captured = ask_provider(suite, &format!("/v1/payment_intents/{reference}/capture"), &[]).await;
        assert_eq!(captured["status"], "succeeded", "{captured}");
        id.to_string()
    };
    let found = finds(charge, &[Law::ChargedOnce, Law::Provider, Law::Delivered]).await;
    let captures = |it: &Violation| it.events.iter().filter(|it| it.starts_with("ledger capture")).count();
    assert!(found.iter().all(|it| captures(it) == 2), "{found:#?}");
}

/// "Waybill" and a number: what the active relay holds.
const RELAY: i64 = 0x5741_5942_494c_4c01;

/// Takes the relay's lock, for which it waits as the first: nobody publishes while the connection is there.
async fn hold_relay(pool: &PgPool) -> PgConnection {
    let mut holder = PgConnection::connect_with(&pool.connect_options()).await.expect("a connection");
    let waiting = tokio::spawn(async move {
        let lock = sqlx::query("select pg_advisory_lock($1)").bind(RELAY).execute(&mut holder).await;
        lock.expect("the lock");
        holder
    });
    eventually(PATIENCE, "the lock is waited for", async || {
        let end =
            "select count(pg_terminate_backend(pid)) from pg_locks where locktype = 'advisory' and granted
            and database = (select oid from pg_database where datname = current_database())
            and exists (select from pg_locks where locktype = 'advisory' and not granted
                and database = (select oid from pg_database where datname = current_database()))";
        match sqlx::query_scalar(end).fetch_one(pool).await {
            Ok(0_i64) => Err("nobody waits".to_owned()),
            other => other.map_err(|error| error.to_string()),
        }
    })
    .await;
    waiting.await.expect("the lock")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outbox_row_deleted_by_hand_is_found() {
    let delete = async |suite: &Processes| {
        let pool = &suite.pools["shipping"];
        let holder = hold_relay(pool).await;
        // The relay that was stopped may have published what it had read.
        let last = "select coalesce(max(outbox_id), 0) from engine.outbox";
        let last: i64 = sqlx::query_scalar(last).fetch_one(pool).await.expect("an id");
        let row = eventually(PATIENCE, "a row waits to be published", async || {
            let delete = "delete from engine.outbox where outbox_id =
                (select max(outbox_id) from engine.outbox where type like '%delivered%' and outbox_id > $1)
                returning aggregate_id";
            sqlx::query(delete).bind(last).fetch_optional(pool).await.expect("a delete").ok_or("none")
        })
        .await;
        holder.close().await.expect("the lock is given back");
        let id: String = row.get(0);
        // All that others have to say of it is said: nothing will ever follow.
        for (service, rest) in [
            ("order", "order_view where status = 'shipped' and paid"),
            ("inventory", "reservation where status = 'deducted'"),
        ] {
            eventually(PATIENCE, "the order has come as far as it can", async || {
                match suite.count(service, &format!("{rest} and order_id = '{id}'")).await {
                    1 => Ok(()),
                    _ => Err(service),
                }
            })
            .await;
        }
        id
    };
    let found = finds(delete, &[Law::Published, Law::Ends]).await;
    assert!(found[0].events[0].contains(".shipping sequence 3"), "{found:#?}");
}

/// Puts an event of an order on the topic of a service, as if that had published it: id, type, sequence and data.
async fn publish(
    suite: &Processes,
    service: &str,
    order: Uuid,
    (id, r#type, sequence, data): (Uuid, &str, Option<i64>, Vec<u8>),
) {
    let event = CloudEvent {
        id,
        source: format!("/waybill/{service}").into(),
        r#type: r#type.into(),
        subject: Some(order.to_string().into()),
        time: None,
        sequence,
        correlation_id: None,
        causation_id: None,
        actor: None,
        trace: Trace::default(),
        data: data.into(),
    };
    let record = event.into_record(topics::name(&suite.prefix, service).into(), order.to_string().into());
    let producer = suite.bus.producer().expect("a producer");
    producer.enqueue([record]).acknowledged().await.expect("it is written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gap_in_a_sequence_on_the_topic_is_found() {
    let forge = async |suite: &Processes| {
        let id = delivered(suite).await;
        // Nobody reads it, so that nothing but the topic is disturbed.
        let event = (Uuid::now_v7(), "waybill.order.praised.v1", Some(9), b"{}".to_vec());
        publish(suite, "order", id, event).await;
        id.to_string()
    };
    let found = finds(forge, &[Law::Sequence]).await;
    assert!(found[0].events[0].contains("@") && found[0].events[0].contains("praised"), "{found:#?}");
}
