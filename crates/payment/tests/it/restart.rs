//! What is open goes on by itself: after a restart, after the provider was away, and without new traffic.

use std::path::PathBuf;

use serde_json::{Value, json};
use testkit::eventually;

use crate::{
    order::Order,
    rig::{Options, Rig, SOON},
};

fn journal() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}.jsonl", uuid::Uuid::now_v7()))
}

/// A service whose provider is not there yet.
async fn start() -> (Rig, PathBuf) {
    let absent_provider = Some(testkit::free_addr().to_string());
    let rig = Rig::start_with(Options { absent_provider, kafka: true, ..Options::default() }).await;
    (rig, journal())
}

/// Waits until a call about the order was made in vain, and returns what is shown of that.
async fn failing(rig: &Rig, order: &Order) -> Value {
    eventually(SOON, "a call was made in vain", async || match rig.get(order).await {
        Some(payment) if payment["last_error"].is_string() => Ok(payment),
        other => Err(format!("{other:?}")),
    })
    .await
}

/// What is shown of a payment whose call fails because nobody is there.
#[track_caller]
fn check(payment: &Value, status: &str, asking: &str) {
    assert_eq!((&payment["status"], &payment["asking"]), (&json!(status), &json!(asking)));
    assert_eq!(payment["last_error"], format!("{asking}: no connection"));
    assert!(payment["attempts"].as_i64() >= Some(1), "{payment}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_open_call_is_shown_and_goes_on_after_a_restart_without_new_traffic() {
    let (mut rig, journal) = start().await;
    rig.start_provider(&journal).await;
    let [authorizing, capturing, voiding, refunding] = [(); 4].map(|()| rig.order("pm_card_visa"));
    for order in [&capturing, &voiding, &refunding] {
        rig.send(&order.placed()).await;
        rig.send(&order.reserved()).await;
        rig.reaches(order, "authorized").await;
    }
    rig.send(&refunding.confirmed()).await;
    rig.reaches(&refunding, "captured").await;

    rig.stop_provider().await;
    rig.send(&authorizing.placed()).await;
    rig.send(&authorizing.reserved()).await;
    rig.send(&capturing.confirmed()).await;
    rig.send(&voiding.cancelled()).await;
    rig.send(&refunding.cancelled()).await;
    check(&failing(&rig, &authorizing).await, "authorizing", "authorize");
    check(&failing(&rig, &capturing).await, "capturing", "capture");
    check(&failing(&rig, &voiding).await, "voiding", "void");
    let shown = failing(&rig, &refunding).await;
    check(&shown, "refunding", "refund");
    assert_eq!(shown["refunded"]["amount"], 0);
    assert_eq!(rig.published(&refunding).await.len(), 2);

    rig.stop_service().await;
    rig.start_provider(&journal).await;
    rig.start_service().await;
    for (order, status) in [
        (&authorizing, "authorized"),
        (&capturing, "captured"),
        (&voiding, "voided"),
        (&refunding, "refunded"),
    ] {
        let reached = rig.reaches(order, status).await;
        assert_eq!((&reached["asking"], &reached["attempts"]), (&json!(null), &json!(null)));
    }
    rig.finish().await;
    std::fs::remove_file(journal).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_order_asks_while_the_provider_is_away_from_the_beginning_is_done_when_it_is_there() {
    let (mut rig, journal) = start().await;
    let [kept, paid, cancelled, paid_and_cancelled] = [(); 4].map(|()| rig.order("pm_card_visa"));
    for order in [&kept, &paid, &cancelled, &paid_and_cancelled] {
        rig.send(&order.placed()).await;
        rig.send(&order.reserved()).await;
        check(&failing(&rig, order).await, "authorizing", "authorize");
    }
    rig.send(&paid.confirmed()).await;
    rig.send(&cancelled.cancelled()).await;
    rig.send(&paid_and_cancelled.confirmed()).await;
    rig.send(&paid_and_cancelled.cancelled()).await;
    eventually(SOON, "the orders' wishes are known", async || {
        let known =
            "select count(*) filter (where confirmed) + 10 * count(*) filter (where cancelled) from payment";
        match rig.count(known).await {
            21 => Ok(()),
            other => Err(other.to_string()),
        }
    })
    .await;

    rig.start_provider(&journal).await;
    for (order, status, moved) in [
        (&kept, "authorized", &["authorize 3998 usd"][..]),
        (&paid, "captured", &["authorize 3998 usd", "capture 3998 usd"]),
        (&cancelled, "voided", &["authorize 3998 usd", "cancel 3998 usd"]),
        (&paid_and_cancelled, "voided", &["authorize 3998 usd", "cancel 3998 usd"]),
    ] {
        rig.reaches(order, status).await;
        assert_eq!(rig.ledger(order).await, moved);
    }
    rig.finish().await;
    std::fs::remove_file(journal).unwrap();
}
