//! What hands have changed in one place is found there, by its own laws alone.

use std::collections::{BTreeMap, BTreeSet};

use ::load::PLAIN;
use audit::{Law, Violation};
use events::{Event as _, PaymentAuthorized};
use saga_tests::processes::{PROVIDER, Setup};
use serde_json::Value;
use sqlx::{Connection as _, Row};
use testkit::eventually;
use uuid::Uuid;

use super::{
    PATIENCE, Processes, at_least,
    consumed::{TakenIn, place},
    hold_relay, look, publish, under_load, under_way,
};

/// Clean before, and afterwards each fault breaks its own laws and no others, each of its own order or SKU.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_changed_by_hand_is_found() {
    let (suite, load) = under_load().await;
    let [changed, charged, gap, read] = delivered(&suite).await;
    let (nobody, taken_in) = (Uuid::now_v7(), TakenIn::publish(&suite, read).await);
    // The marks of what was taken in are passed with it: the offsets are committed.
    let (before, accepted) = (look(&suite.sources()).await, load.accepted());

    update(&suite, "inventory", "product set on_hand = on_hand + 1 where sku = 'LOAD-MUG'").await;
    update(&suite, "order", "price set amount = amount + 1 where sku = 'LOAD-CUP'").await;
    let total = format!("order_view set total_amount = total_amount + 1 where order_id = '{changed}'");
    update(&suite, "order", &total).await;
    hold_money(&suite, nobody).await;
    charge_again(&suite, charged).await;
    taken_in.forget(&suite).await;
    // Nobody reads it, so that nothing but the topic is disturbed.
    publish(&suite, "order", gap, (Uuid::now_v7(), "waybill.order.praised.v1", Some(9), b"{}".to_vec()))
        .await;
    let unpublished = delete_unpublished(&suite).await;
    let after = look(&suite.sources()).await;
    assert!(load.accepted() > accepted, "no order was placed meanwhile");
    load.stop().await;
    suite.clear().await;

    assert!(before.is_clean() && under_way(&before), "{before:#?}");
    let found = by_subject(after.violations);
    breaks(&found, "LOAD-MUG", &[Law::Stock], "");
    breaks(&found, "LOAD-CUP", &[Law::Prices], "");
    breaks(&found, changed, &[Law::Fold], "total_amount");
    breaks(&found, nobody, &[Law::Known], "ledger authorize 1999");
    breaks(&found, charged, &[Law::ChargedOnce, Law::Provider, Law::Delivered], "ledger capture");
    breaks(&found, gap, &[Law::Sequence], "praised");
    breaks(&found, unpublished, &[Law::Published, Law::Ends], ".shipping sequence 3");
    breaks(&found, read, &[Law::Consumed], "order read past it");
    assert_eq!(found.len(), 8, "and nothing else: {found:#?}");

    let captures = |it: &Violation| it.events.iter().filter(|it| it.starts_with("ledger capture")).count();
    assert!(found[&charged.to_string()].iter().all(|it| captures(it) == 2), "{found:#?}");
    assert!(found[&gap.to_string()][0].events.iter().any(|it| it.contains('@')), "where it is: {found:#?}");
    // What may have been dropped with its day is no loss.
    let [lost] = found[&read.to_string()].as_slice() else { panic!("{found:#?}") };
    assert!(lost.events[0].ends_with(&format!("{} {}", PaymentAuthorized::TYPE, taken_in.lost)), "{lost:#?}");
}

/// Paid orders wait for a person who moves their parcels; of each something is taken away that nobody asks for again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_taken_from_an_order_that_waits_is_found() {
    let env = vec![("shipping", "CARRIER_SIMULATED", "false".to_owned())];
    let suite = Processes::start_with(Setup { env, ..Setup::default() }).await;
    PLAIN.stock(&suite.target(), 0).await.expect("stock");
    let (money, stock, items) = (place(&suite).await, place(&suite).await, place(&suite).await);
    let intent = place(&suite).await;
    at_least(&suite, 4, "order", "order_view where status = 'confirmed' and paid").await;
    at_least(&suite, 4, "shipping", "shipment where status = 'scheduled' and captured").await;
    let before = look(&suite.sources()).await;

    let reference = format!("select reference from payment where order_id = '{money}'");
    let reference =
        sqlx::query_scalar(sqlx::AssertSqlSafe(reference)).fetch_one(&suite.pools["payment"]).await;
    let reference: String = reference.expect("its intent");
    let refund = ask_provider(&suite, "/v1/refunds", &[("payment_intent", &reference)]).await;
    assert_eq!(refund["status"], "succeeded", "{refund}");
    let released = format!("reservation set status = 'released' where order_id = '{stock}'");
    update(&suite, "inventory", &released).await;
    let more = r#"[{"sku": "LOAD-MUG", "quantity": 3}]"#;
    update(&suite, "inventory", &format!("reservation set items = '{more}' where order_id = '{items}'"))
        .await;
    // One less for the order without, two more for the other: the shelf itself balances.
    update(&suite, "inventory", "product set reserved = reserved + 1 where sku = 'LOAD-MUG'").await;
    update(&suite, "payment", &format!("payment set reference = 'pi_2' where order_id = '{intent}'")).await;
    let after = look(&suite.sources()).await;
    suite.clear().await;

    assert!(before.is_clean(), "{before:#?}");
    assert_eq!(before.awaiting_person, 4, "{before:#?}");
    let found = by_subject(after.violations);
    breaks(&found, money, &[Law::Provider], "ledger refund 1999");
    breaks(&found, stock, &[Law::Caused], "its stock is not held");
    breaks(&found, items, &[Law::Caused], "of other items");
    breaks(&found, intent, &[Law::Provider], "another payment intent");
    assert_eq!(found.len(), 4, "and nothing else: {found:#?}");
}

/// By order or SKU.
pub(super) type Found = BTreeMap<String, Vec<Violation>>;

/// Whatever is broken of an order is shown by its events.
pub(super) fn by_subject(violations: Vec<Violation>) -> Found {
    let mut found = Found::new();
    for violation in violations {
        let subject = violation.order_id.map(|it| it.to_string()).or(violation.sku.clone());
        assert!(
            matches!(violation.law, Law::Stock | Law::Prices) || !violation.events.is_empty(),
            "{violation:#?}"
        );
        found.entry(subject.expect("an order or a SKU")).or_default().push(violation);
    }
    found
}

/// Of the subject these laws are broken and no others, and the first of them is told with `words`.
#[track_caller]
pub(super) fn breaks(found: &Found, subject: impl ToString, laws: &[Law], words: &str) {
    let of = found.get(&subject.to_string()).unwrap_or_else(|| panic!("{laws:?} are kept: {found:#?}"));
    let broken: BTreeSet<Law> = of.iter().map(|it| it.law).collect();
    assert_eq!(broken, laws.iter().copied().collect(), "{of:#?}");
    let first = of.iter().find(|it| it.law == laws[0]).expect("it is broken");
    let told = first.text.contains(words) || first.events.iter().any(|it| it.contains(words));
    assert!(told, "{words} in {first:#?}");
}

/// Orders that are at their end.
async fn delivered<const N: usize>(suite: &Processes) -> [Uuid; N] {
    let query = "select order_id from order_view where status = 'delivered' and paid limit $1";
    let ids = sqlx::query_scalar(query).bind(N as i64).fetch_all(&suite.pools["order"]).await;
    ids.expect("orders").try_into().expect("as many as that")
}

pub(super) async fn update(suite: &Processes, service: &str, change: &str) {
    let update = sqlx::AssertSqlSafe(format!("update {change}"));
    let updated = sqlx::query(update).execute(&suite.pools[service]).await.expect("an update");
    assert_eq!(updated.rows_affected(), 1, "{change}");
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

async fn charge_again(suite: &Processes, order: Uuid) {
    let reference = hold_money(suite, order).await;
    let captured = ask_provider(suite, &format!("/v1/payment_intents/{reference}/capture"), &[]).await;
    assert_eq!(captured["status"], "succeeded", "{captured}");
}

/// Deletes the last event of some order from shipping's outbox; returns the order, of which nothing will ever follow.
async fn delete_unpublished(suite: &Processes) -> Uuid {
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
    // All that others have to say of it is said.
    let shipped = format!("order_view where status = 'shipped' and paid and order_id = '{id}'");
    at_least(suite, 1, "order", &shipped).await;
    let deducted = format!("reservation where status = 'deducted' and order_id = '{id}'");
    at_least(suite, 1, "inventory", &deducted).await;
    id.parse().expect("an id")
}
