//! The provider's answer does not come, or is not one. Asked again under the same key, and never charged twice.

use std::path::Path;

use crate::{
    order::Order,
    rig::{Options, Rig},
};

const CAPTURED: [&str; 2] = ["authorize 3998 usd", "capture 3998 usd"];

async fn captured(rig: &Rig, order: &Order) {
    rig.reaches(order, "authorized").await;
    rig.send(&order.confirmed()).await;
    rig.reaches(order, "captured").await;
    assert_eq!(rig.ledger(order).await, CAPTURED, "{order}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_fails_before_or_after_the_work_is_done_once() {
    let rig = Rig::start().await;

    tokio::join!(
        all_calls(&rig, "pm_card_serverErrorFirst"),
        all_calls(&rig, "pm_card_serverErrorAfterWork"),
        all_calls(&rig, "pm_card_cutConnection"),
        all_calls(&rig, "pm_card_wrongJson"),
    );

    rig.finish().await;
}

async fn all_calls(rig: &Rig, token: &str) {
    let (paid, held) = (rig.placed(token).await, rig.placed(token).await);
    rig.reaches(&held, "authorized").await;
    rig.send(&held.cancelled()).await;
    captured(rig, &paid).await;
    rig.send(&paid.cancelled()).await;
    rig.reaches(&paid, "refunded").await;
    rig.reaches(&held, "voided").await;

    let told = ["1 payment.authorized", "2 payment.captured", "3 payment.refunded"];
    assert_eq!(rig.published(&paid).await, told);
    let moved = ["authorize 3998 usd", "capture 3998 usd", "refund 3998 usd"];
    assert_eq!(rig.ledger(&paid).await, moved, "{token}");
    assert_eq!(rig.published(&held).await, ["1 payment.authorized", "2 payment.voided"]);
    assert_eq!(rig.ledger(&held).await, ["authorize 3998 usd", "cancel 3998 usd"], "{token}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_is_not_answered_in_time_is_done_once() {
    let rig = Rig::start().await;
    let orders = [
        rig.placed("pm_card_timeoutAfterWork").await,
        rig.placed("pm_card_timeoutBeforeWork").await,
        rig.placed("pm_card_slow").await,
    ];

    let said = rig.unanswered(&orders[0]).await;
    tokio::join!(captured(&rig, &orders[0]), captured(&rig, &orders[1]), captured(&rig, &orders[2]));

    assert_eq!(said, "authorize: no answer in time");
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_lost_with_the_process_is_asked_for_under_the_same_key() {
    let mut rig = Rig::start().await;
    let order = rig.placed("pm_card_timeoutAfterWork").await;
    rig.ledger_of(&order, 1).await;

    rig.stop_service().await;
    assert_eq!(rig.count("select count(*) from engine.effect").await, 1, "the call was under way");
    rig.start_service().await;
    // The end of the lease, of half a minute, that the first process had on the call.
    sqlx::query("update engine.effect set due_at = clock_timestamp()").execute(&rig.pool).await.unwrap();
    rig.reaches(&order, "authorized").await;

    assert_eq!(rig.ledger(&order).await, ["authorize 3998 usd"]);
    assert_eq!(rig.published(&order).await, ["1 payment.authorized"]);
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_is_away_is_waited_for_and_the_wait_is_visible() {
    let journal = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}.jsonl", uuid::Uuid::now_v7()));
    let absent_provider = Some(testkit::free_addr().to_string());
    let mut rig = Rig::start_with(Options { absent_provider, ..Options::default() }).await;

    let order = rig.placed("pm_card_visa").await;
    assert_eq!(rig.unanswered(&order).await, "authorize: no connection");
    rig.start_provider(&journal).await;
    rig.reaches(&order, "authorized").await;
    rig.send(&order.confirmed()).await;
    rig.reaches(&order, "captured").await;

    // A refund that cannot be made is not reported as made.
    rig.stop_provider().await;
    rig.send(&order.cancelled()).await;
    assert_eq!(rig.unanswered(&order).await, "refund: no connection");
    let refunding = rig.reaches(&order, "refunding").await;
    assert_eq!(refunding["refunded"]["amount"], 0);
    assert_eq!(rig.published(&order).await.len(), 2);
    rig.start_provider(&journal).await;
    rig.reaches(&order, "refunded").await;

    assert_eq!(rig.ledger(&order).await.len(), 3);
    rig.finish().await;
    std::fs::remove_file(journal).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_the_provider_refuses_is_nobodys_decline_and_is_not_shown() {
    let rig = Rig::start_with(Options { wrong_key: Some("sk_live_wrong"), ..Options::default() }).await;
    let order = rig.placed("pm_card_visa").await;

    let said = rig.unanswered(&order).await;

    assert_eq!(said, "authorize: 401 invalid_request_error unspecified");
    rig.reaches(&order, "authorizing").await;
    assert!(rig.published(&order).await.is_empty());
    rig.finish_with(0, 1).await;
}
