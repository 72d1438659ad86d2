//! `waybill repair` on a running suite: what is wrong is mended by commands, and nothing is sent unasked.

use std::process::Stdio;

use saga_tests::{Suite, processes::program, suite::an_order};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, ConnectOptions};
use testkit::eventually;
use uuid::Uuid;

use crate::{
    PATIENCE,
    dead_letters::{inject, letters, post},
};

/// Runs the command without a terminal; its exit code, and what it says as JSON.
async fn repair(suite: &Suite, args: &[&str]) -> (Option<i32>, Value) {
    let mut command = tokio::process::Command::new(program("waybill"));
    command
        .args(["repair", "--json", "--patience", "60s", "--unknown-orders"])
        .args(args)
        .stdin(Stdio::null());
    command.args(["--bootstrap-servers", &testkit::bootstrap_servers(), "--topic-prefix", &suite.prefix]);
    command.args(["--psp-url", &suite.sources().provider_url, "--order-url", &suite.url("order", "")]);
    command.env_remove("PROVIDER_API_KEY").env_remove("PSP_API_KEY").env("USER", "operator:jane");
    for (service, pool) in &suite.pools {
        let url = pool.connect_options().to_url_lossy().to_string();
        command.env(format!("{}_DATABASE_URL", service.to_uppercase()), url);
        command.env(format!("{}_ADMIN_URL", service.to_uppercase()), suite.admin_url(service, ""));
    }
    let output = command.output().await.expect("the command runs");
    let said = serde_json::from_slice(&output.stdout);
    (output.status.code(), said.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr))))
}

/// What was proposed, and what was sent with which answer.
fn told(report: &Value) -> (Vec<&Value>, Vec<(&Value, &Value, &Value)>) {
    let list = |name: &str| report[name].as_array().expect("a list");
    let proposed = list("proposals").iter().map(|it| &it["what"]).collect();
    (proposed, list("sent").iter().map(|it| (&it["what"], &it["done"], &it["answer"])).collect())
}

async fn delivered(suite: &Suite) -> String {
    let id = suite.place(&an_order("MUG-01", 1, "pm_card_visa")).await;
    suite.reaches(&id, "delivered").await;
    id
}

/// An intent at the provider that none of the services knows of.
async fn intent(suite: &Suite, order_id: &str, capture: bool) -> String {
    let provider = suite.sources().provider_url;
    let ask = async |path: &str, form: &[(&str, &str)]| -> Value {
        let post = suite.http.post(format!("{provider}{path}")).bearer_auth("sk_test_waybill").form(form);
        post.send().await.expect("the provider").json().await.expect("JSON")
    };
    let form = [
        ("amount", "1999"),
        ("currency", "usd"),
        ("payment_method", "pm_card_visa"),
        ("capture_method", "manual"),
        ("confirm", "true"),
        ("metadata[order_id]", order_id),
    ];
    let intent = ask("/v1/payment_intents", &form).await;
    let id = intent["id"].as_str().unwrap_or_else(|| panic!("{intent}")).to_owned();
    if capture {
        assert_eq!(ask(&format!("/v1/payment_intents/{id}/capture"), &[]).await["status"], "succeeded");
    }
    id
}

/// The provider's books on an order, without the intent that payment knows.
async fn others(suite: &Suite, order_id: &str, own: &Value) -> Vec<(String, i64)> {
    let url = format!("{}/ledger?order_id={order_id}", suite.sources().provider_url);
    let ledger: Value = suite.http.get(url).send().await.expect("psp").json().await.expect("JSON");
    let entries =
        ledger["entries"].as_array().expect("entries").iter().filter(|it| it["payment_intent"] != *own);
    entries
        .map(|it| (it["kind"].as_str().expect("kind").to_owned(), it["amount"].as_i64().expect("amount")))
        .collect()
}

fn books(entries: &[(&str, i64)]) -> Vec<(String, i64)> {
    entries.iter().map(|(kind, amount)| ((*kind).to_owned(), *amount)).collect()
}

#[tokio::test]
async fn money_that_no_order_is_entitled_to_goes_back_once_and_the_orders_own_stays() {
    let suite = Suite::start().await;
    suite.stock("MUG-01", 1999, 100).await;
    let id = delivered(&suite).await;
    let own = suite.settled(&id, "captured").await["provider_reference"].clone();
    let nobody = Uuid::now_v7().to_string();
    let twice = intent(&suite, &id, true).await;
    let held = intent(&suite, &nobody, false).await;

    let proposed = repair(&suite, &[]).await;
    let untouched = [others(&suite, &id, &own).await, suite.ledger(&nobody).await];
    let sent = repair(&suite, &["--yes"]).await;
    let after = [others(&suite, &id, &own).await, suite.ledger(&nobody).await];
    let again = repair(&suite, &["--yes"]).await;

    assert_eq!((proposed.0, sent.0, again.0), (Some(1), Some(0), Some(0)), "{sent:?}, {again:?}");
    let (proposals, nothing) = told(&proposed.1);
    assert_eq!((proposals, nothing.len()), (vec![&json!("cancel-intent"), &json!("refund")], 0));
    let [cancel, refund] = [0, 1].map(|it| &proposed.1["proposals"][it]);
    assert_eq!(cancel["path"], format!("/v1/payment_intents/{held}/cancel"));
    assert_eq!(refund["body"]["payment_intent"], twice);
    assert_eq!(refund["idempotency_key"], format!("waybill-repair-refund-{twice}-1999"));
    let [charged, authorised] = [("capture", 1999), ("authorize", 1999)];
    assert_eq!(untouched, [books(&[authorised, charged]), books(&[authorised])], "nothing was sent unasked");
    assert_eq!(
        after,
        [books(&[authorised, charged, ("refund", 1999)]), books(&[authorised, ("cancel", 1999)])]
    );
    assert_eq!(told(&again.1), (vec![], vec![]));
    assert_eq!([others(&suite, &id, &own).await, suite.ledger(&nobody).await], after, "once");
    assert_eq!(suite.settled(&id, "captured").await["provider_reference"], own);
    suite.finish().await;
}

#[tokio::test]
async fn an_order_that_stands_still_is_cancelled() {
    let mut suite = Suite::start().await;
    suite.stock("MUG-01", 1999, 100).await;
    suite.stop_service("inventory").await;
    let id = suite.place(&an_order("MUG-01", 1, "pm_card_visa")).await;
    // Inventory takes the order for one that it has seen, and nobody looks at the time any more.
    let lose = format!(
        "insert into engine.inbox (consumer, event_id) values ('inventory', '{}')",
        suite.get("order", &format!("/orders/{id}/history")).await["events"][0]["event_id"]
            .as_str()
            .expect("an id")
    );
    sqlx::raw_sql(AssertSqlSafe(lose)).execute(&suite.pools["inventory"]).await.expect("an insert");
    let ended = sqlx::query("delete from engine.deadline").execute(&suite.pools["order"]).await;
    assert_eq!(ended.expect("a delete").rows_affected(), 1);
    suite.start_service("inventory");
    suite.ready("inventory").await;

    let proposed = repair(&suite, &[]).await;
    let before = suite.get("order", &format!("/orders/{id}")).await;
    let sent = repair(&suite, &["--yes"]).await;

    assert_eq!((proposed.0, &before["status"]), (Some(1), &json!("placed")), "{}", proposed.1);
    assert_eq!(told(&proposed.1), (vec![&json!("cancel-order")], vec![]));
    assert_eq!(sent.0, Some(0), "{}", sent.1);
    let cancelled = suite.reaches(&id, "cancelled").await;
    assert_eq!(cancelled["cancel_reason"], "customer");
    let history = suite.get("order", &format!("/orders/{id}/history")).await;
    assert_eq!(history["events"][1]["actor"], "operator:jane", "{history}");
    suite.finish().await;
}

#[tokio::test]
async fn parked_keys_are_redriven_and_what_is_poison_still_is_named() {
    let mut suite = Suite::start().await;
    suite.stock("MUG-01", 1999, 100).await;
    suite.stop_service("payment").await;
    let [mended, poisoned] = [
        suite.place(&an_order("MUG-01", 1, "pm_card_visa")).await,
        suite.place(&an_order("MUG-01", 1, "pm_card_visa")).await,
    ];
    let refuse =
        format!("alter table order_event add constraint refused check (order_id <> '{mended}') not valid");
    sqlx::raw_sql(AssertSqlSafe(refuse)).execute(&suite.pools["order"]).await.expect("a constraint");
    inject(&suite, "payment", &poisoned, "waybill.payment.authorized.v1", b"{").await;
    letters(&suite, "order", 1).await;
    suite.start_service("payment");
    eventually(PATIENCE, "both keys are parked", async || {
        let letters = letters(&suite, "order", 2).await;
        match letters.iter().any(|it| it["key"] == mended) {
            true => Ok(()),
            false => Err(format!("{letters:?}")),
        }
    })
    .await;
    let allow = "alter table order_event drop constraint refused";
    sqlx::raw_sql(allow).execute(&suite.pools["order"]).await.expect("it is dropped");

    let sent = repair(&suite, &["--yes"]).await;
    suite.reaches(&mended, "delivered").await;
    let discard = json!({"key": poisoned, "reason": "not an event of payment's"});
    post(&suite, "order", "/dead-letters/discard", discard).await;
    suite.reaches(&poisoned, "delivered").await;

    assert_eq!(sent.0, Some(1), "{}", sent.1);
    let (proposed, answers) = told(&sent.1);
    assert_eq!(proposed, vec![&json!({"redrive": "order"}); 2], "{}", sent.1);
    let answers: Vec<_> = answers.iter().map(|it| (it.1, it.2.as_str().expect("text"))).collect();
    assert!(answers.iter().any(|(done, _)| **done == json!(true)), "{answers:?}");
    let named = format!("waybill dead-letters discard --service order --key {poisoned}");
    assert!(
        answers.iter().any(|(done, text)| **done == json!(false) && text.contains(&named)),
        "{answers:?}"
    );
    suite.finish().await;
}

#[tokio::test]
async fn a_row_of_the_read_model_is_written_anew_and_stock_changed_by_hand_is_named() {
    let suite = Suite::start().await;
    suite.stock("MUG-01", 1999, 100).await;
    let id = delivered(&suite).await;
    suite.settled(&id, "captured").await;
    let change = format!("update order_view set total_amount = 1, paid = false where order_id = '{id}'");
    sqlx::raw_sql(AssertSqlSafe(change)).execute(&suite.pools["order"]).await.expect("an update");
    let steal =
        |by: i64| AssertSqlSafe(format!("update product set on_hand = on_hand + {by} where sku = 'MUG-01'"));
    sqlx::raw_sql(steal(-1)).execute(&suite.pools["inventory"]).await.expect("an update");

    let sent = repair(&suite, &["--yes"]).await;
    sqlx::raw_sql(steal(1)).execute(&suite.pools["inventory"]).await.expect("an update");
    let clean = repair(&suite, &["--yes"]).await;

    assert_eq!((sent.0, clean.0), (Some(1), Some(0)), "{}", sent.1);
    assert_eq!(told(&sent.1).0, vec![&json!("refold")]);
    assert!(
        sent.1["unmended"][0]["wrong"][0].as_str().expect("text").starts_with("stock, SKU MUG-01"),
        "{}",
        sent.1
    );
    let left = sent.1["left"]["violations"].as_array().expect("violations");
    assert_eq!(left.iter().map(|it| &it["law"]).collect::<Vec<_>>(), [&json!("stock")], "{left:?}");
    assert_eq!(told(&clean.1), (vec![], vec![]));
    suite.finish().await;
}

/// What mends a row takes a table away from the look that follows.
#[tokio::test]
async fn what_was_sent_is_told_also_if_nothing_can_be_seen_after_it() {
    let suite = Suite::start().await;
    suite.stock("MUG-01", 1999, 100).await;
    let id = delivered(&suite).await;
    suite.settled(&id, "captured").await;
    let order = &suite.pools["order"];
    let change = AssertSqlSafe(format!("update order_view set paid = false where order_id = '{id}'"));
    sqlx::raw_sql(change).execute(order).await.expect("an update");
    let away = "create function away() returns trigger language plpgsql as
            'begin alter table price rename to price_away; return null; end';
        create trigger away after update on order_view execute function away()";
    sqlx::raw_sql(away).execute(order).await.expect("a trigger");

    let (code, said) = repair(&suite, &["--yes"]).await;

    let back = "drop trigger away on order_view; alter table price_away rename to price";
    sqlx::raw_sql(back).execute(order).await.expect("the table");
    assert_eq!((code, said.get("left")), (Some(2), Some(&Value::Null)), "{said}");
    let (proposed, sent) = told(&said);
    assert_eq!((proposed, sent.len()), (vec![&json!("refold")], 1), "{said}");
    assert_eq!((sent[0].0, sent[0].1), (&json!("refold"), &json!(true)), "{said}");
    suite.finish().await;
}
