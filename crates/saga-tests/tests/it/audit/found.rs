//! What stands still is found, and is no violation; and letters that were applied out of their order are one.

use std::{collections::BTreeSet, time::Duration};

use ::load::PLAIN;
use audit::{Kind, Law, Options};
use events::{Event as _, PaymentAuthorized};
use saga_tests::processes::Setup;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::{
    Processes, at_least,
    consumed::{authorized, place},
    hold_relay, look, publish,
};

/// Places an order; it is back once its stock is known to be reserved.
async fn place_and_reserve(suite: &Processes) -> Uuid {
    let id = place(suite).await;
    at_least(suite, 1, "order", &format!("order_event where order_id = '{id}' and type like 'stock-noted%'"))
        .await;
    id
}

/// The provider refuses payment's key; an order whose time is over is locked by somebody; nobody publishes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_in_vain_an_overdue_order_and_a_relay_that_stands_still_are_found() {
    let env = vec![("payment", "PROVIDER_API_KEY", "sk_test_other".to_owned())];
    let suite = Processes::start_with(Setup { env, ..Setup::default() }).await;
    PLAIN.stock(&suite.target(), 0).await.expect("stock");
    let id = place_and_reserve(&suite).await;
    at_least(&suite, 1, "payment", "engine.effect where attempt >= 5").await;
    let holder = hold_relay(&suite.pools["order"]).await;
    place(&suite).await;
    let mut locker =
        PgConnection::connect_with(&suite.pools["order"].connect_options()).await.expect("a connection");
    let mut locker = locker.begin().await.expect("a transaction");
    let lock = sqlx::query("select from order_view where order_id = $1 for update").bind(id);
    lock.execute(&mut *locker).await.expect("the lock");
    let due = sqlx::query("update engine.deadline set due_at = due_at - interval '1 day' where key = $1");
    let due = due.bind(id.to_string()).execute(&suite.pools["order"]).await.expect("an update");
    assert_eq!(due.rows_affected(), 1, "it has a deadline");

    let options = Options { patience: Duration::from_secs(3), ..Options::default() };
    let report = audit::audit(&suite.sources(), &options).await.expect("everything can be looked at");
    locker.rollback().await.expect("the lock is given back");
    holder.close().await.expect("the lock is given back");
    suite.clear().await;

    assert!(report.violations.is_empty(), "{:#?}", report.violations);
    assert_eq!(report.in_flight, 2, "{report:#?}");
    let found: BTreeSet<_> =
        report.findings.iter().map(|it| (it.kind, it.service.as_str(), it.key.clone())).collect();
    let key = Some(id.to_string());
    let expected = [
        (Kind::Overdue, "order", key.clone()),
        (Kind::Failing, "payment", key),
        (Kind::Relay, "order", None),
    ];
    assert_eq!(found, BTreeSet::from(expected), "{report:#?}");
    let text = |kind| report.findings.iter().find(|it| it.kind == kind).map_or("", |it| it.text.as_str());
    assert!(text(Kind::Overdue).starts_with("its confirmation was due 8"), "{report:#?}");
    assert!(text(Kind::Failing).contains("401"), "{report:#?}");
    assert!(text(Kind::Relay).starts_with("its relay does not move: 1 event waits"), "{report:#?}");
}

/// Payment is frozen with a call to make, for longer than a call may take.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_nobody_makes_is_found() {
    let env = vec![("payment", "PROVIDER_API_KEY", "sk_test_other".to_owned())];
    let mut suite = Processes::start_with(Setup { env, ..Setup::default() }).await;
    PLAIN.stock(&suite.target(), 0).await.expect("stock");
    let id = place_and_reserve(&suite).await;
    at_least(&suite, 1, "payment", "engine.effect").await;
    suite.kill("payment").await;
    // Long before another may make the call that was under way.
    let options = Options { patience: Duration::from_secs(1), ..Options::default() };
    let sources = suite.sources();
    let look = async || audit::audit(&sources, &options).await.expect("everything can be looked at");
    let before = look().await;
    let due = async |at: &str| {
        let update = format!("update engine.effect set due_at = {at}, attempt = 1");
        let updated = sqlx::query(sqlx::AssertSqlSafe(update)).execute(&suite.pools["payment"]).await;
        assert_eq!(updated.expect("an update").rows_affected(), 1, "it has a call to make");
    };
    due("clock_timestamp() - interval '45 s'").await;
    let after = look().await;
    due("'-infinity'").await;
    let for_ever = look().await;
    due("'infinity'").await;
    let never = look().await;
    suite.clear().await;

    let late = |it: &audit::Report| {
        let late = it.findings.iter().filter(|it| it.kind == Kind::Overdue);
        late.map(|it| (it.service.clone(), it.key.clone(), it.text.clone())).collect::<Vec<_>>()
    };
    assert_eq!(late(&before), [], "{before:#?}");
    let [(service, key, text)] = late(&after).try_into().expect("one is late");
    assert_eq!((service.as_str(), key), ("payment", Some(id.to_string())), "{after:#?}");
    assert!(text.starts_with("its call to the outside was due 4"), "{text}");
    let [(_, _, text)] = late(&for_ever).try_into().expect("one is late");
    assert!(text.starts_with("its call to the outside was due inf s ago"), "{text}");
    let found: Vec<_> = never.findings.iter().map(|it| (it.kind, it.key.clone(), it.text.as_str())).collect();
    let put_off = (Kind::PutOff, Some(id.to_string()), "its call to the outside is put off for ever");
    assert!(found.contains(&put_off), "{never:#?}");
}

/// The carrier forgets one parcel, and moves the next.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parcel_whose_deadline_is_gone_is_found() {
    let env = vec![("shipping", "CARRIER_DELAY_MS", "5000".to_owned())];
    let suite = Processes::start_with(Setup { env, ..Setup::default() }).await;
    PLAIN.stock(&suite.target(), 0).await.expect("stock");
    let (id, other) = (place(&suite).await, place(&suite).await);
    let due = format!("engine.deadline where kind = 'dispatch' and key = '{id}'");
    at_least(&suite, 1, "shipping", &due).await;
    let forget = sqlx::query("delete from engine.deadline where key = $1").bind(id.to_string());
    assert_eq!(forget.execute(&suite.pools["shipping"]).await.expect("a delete").rows_affected(), 1);
    let arrived = format!("order_view where status = 'delivered' and paid and order_id = '{other}'");
    at_least(&suite, 1, "order", &arrived).await;
    let report = look(&suite.sources()).await;
    suite.clear().await;

    assert!(report.violations.is_empty(), "{:#?}", report.violations);
    let found: Vec<_> = report.findings.iter().map(|it| (it.kind, it.key.clone())).collect();
    assert_eq!(found, [(Kind::Carrier, Some(id.to_string()))], "{report:#?}");
    assert_eq!((report.in_flight, report.awaiting_person), (1, 0), "{report:#?}");
}

/// Two letters of an order, and a service that runs them again in the reverse order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letters_that_are_applied_in_the_reverse_order_are_found() {
    let admin = testkit::free_addr().to_string();
    let env = vec![
        ("order", "WAYBILL_MUTANT", "redrive-out-of-order".to_owned()),
        ("order", "ADMIN_ADDR", admin.clone()),
    ];
    let mut suite = Processes::start_with(Setup { env, ..Setup::default() }).await;
    PLAIN.stock(&suite.target(), 0).await.expect("stock");
    suite.kill("payment").await;
    let id = place_and_reserve(&suite).await;
    // The database refuses whatever happens to this order.
    let refuse =
        format!("alter table order_event add constraint refused check (order_id <> '{id}') not valid");
    sqlx::raw_sql(sqlx::AssertSqlSafe(refuse)).execute(&suite.pools["order"]).await.expect("a constraint");
    suite.restart("payment");
    at_least(&suite, 1, "order", "engine.dead_letter").await;
    let again = (Uuid::now_v7(), PaymentAuthorized::TYPE, None, authorized(id));
    publish(&suite, "payment", id, again).await;
    at_least(&suite, 2, "order", "engine.dead_letter").await;
    let before = look(&suite.sources()).await;
    let allow = sqlx::raw_sql("alter table order_event drop constraint refused");
    allow.execute(&suite.pools["order"]).await.expect("it is dropped");

    let redrive = suite.http.post(format!("http://{admin}/dead-letters/redrive"));
    let redrive = redrive.header("x-actor", "operator:jane");
    let redrive = redrive.json(&json!({"key": id, "reason": "the constraint is gone"})).send().await;
    let redriven: Value = redrive.expect("an answer").json().await.expect("JSON");
    at_least(&suite, 1, "order", "order_view where status = 'delivered' and paid").await;
    let after = look(&suite.sources()).await;
    suite.clear().await;

    assert!(before.violations.is_empty(), "{before:#?}");
    let parked = |it: &audit::Finding| it.kind == Kind::Parked && it.key == Some(id.to_string());
    assert!(before.findings.iter().all(parked) && before.findings.len() == 1, "{before:#?}");
    assert_eq!(redriven["applied"], 2, "{redriven}");
    let told: Vec<_> = after.violations.iter().map(|it| (it.law, it.order_id)).collect();
    assert_eq!(told, [(Law::Redriven, Some(id))], "{after:#?}");
}
