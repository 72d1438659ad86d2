//! An order is cancelled, at each point of its payment's way.

use crate::rig::{Options, Rig};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn before_anything_else_was_heard() {
    let rig = Rig::start().await;
    let order = rig.order("pm_card_visa");

    rig.send(&order.cancelled()).await;
    rig.reaches(&order, "cancelled").await;
    // What comes late finds the order cancelled.
    rig.send(&order.placed()).await;
    rig.send(&order.reserved()).await;
    rig.send(&order.confirmed()).await;
    let later = rig.placed("pm_card_visa").await;
    rig.reaches(&later, "authorized").await;

    rig.reaches(&order, "cancelled").await;
    assert_eq!(rig.published(&order).await, ["1 payment.cancelled"]);
    assert!(rig.ledger(&order).await.is_empty());
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn before_the_stock_is_reserved() {
    let rig = Rig::start().await;
    let order = rig.order("pm_card_visa");

    rig.send(&order.placed()).await;
    rig.reaches(&order, "awaiting").await;
    rig.send(&order.cancelled()).await;
    let cancelled = rig.reaches(&order, "cancelled").await;
    rig.send(&order.reserved()).await;
    let later = rig.placed("pm_card_visa").await;
    rig.reaches(&later, "authorized").await;

    assert_eq!(cancelled["authorized"]["amount"], 0);
    assert_eq!(rig.published(&order).await, ["1 payment.cancelled"]);
    assert!(rig.ledger(&order).await.is_empty());
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_it_is_being_authorised() {
    let rig = Rig::start().await;
    let order = rig.placed("pm_card_slow").await;

    // The provider has done its work, and its answer is on the way.
    rig.ledger_of(&order, 1).await;
    rig.reaches(&order, "authorizing").await;
    rig.send(&order.cancelled()).await;
    rig.reaches(&order, "voided").await;

    assert_eq!(rig.published(&order).await, ["1 payment.authorized", "2 payment.voided"]);
    assert_eq!(rig.ledger(&order).await, ["authorize 3998 usd", "cancel 3998 usd"]);
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_it_is_being_declined() {
    let rig = Rig::start_with(Options { latency_ms: 700, ..Options::default() }).await;
    let order = rig.placed("pm_card_chargeDeclined").await;

    rig.reaches(&order, "authorizing").await;
    rig.send(&order.cancelled()).await;
    rig.reaches(&order, "declined").await;

    assert_eq!(rig.published(&order).await, ["1 payment.declined"]);
    assert!(rig.ledger(&order).await.is_empty());
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_it_is_authorised() {
    let rig = Rig::start().await;
    let order = rig.placed("pm_card_visa").await;
    rig.reaches(&order, "authorized").await;

    rig.send(&order.cancelled()).await;
    rig.reaches(&order, "voided").await;
    rig.send(&order.confirmed()).await;

    assert_eq!(rig.published(&order).await, ["1 payment.authorized", "2 payment.voided"]);
    assert_eq!(rig.ledger(&order).await, ["authorize 3998 usd", "cancel 3998 usd"]);
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_it_is_being_captured() {
    let rig = Rig::start().await;
    let order = rig.placed("pm_card_slow").await;
    rig.reaches(&order, "authorized").await;
    rig.send(&order.confirmed()).await;

    rig.ledger_of(&order, 2).await;
    rig.reaches(&order, "capturing").await;
    rig.send(&order.cancelled()).await;
    let refunded = rig.reaches(&order, "refunded").await;

    assert_eq!(
        (&refunded["captured"], &refunded["refunded"]),
        (&refunded["authorized"], &refunded["authorized"])
    );
    let told = ["1 payment.authorized", "2 payment.captured", "3 payment.refunded"];
    assert_eq!(rig.published(&order).await, told);
    let moved = ["authorize 3998 usd", "capture 3998 usd", "refund 3998 usd"];
    assert_eq!(rig.ledger(&order).await, moved);
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_its_capture_is_being_refused() {
    let rig = Rig::start_with(Options { latency_ms: 700, ..Options::default() }).await;
    let order = rig.placed("pm_card_captureFails").await;
    rig.reaches(&order, "authorized").await;

    rig.send(&order.confirmed()).await;
    rig.reaches(&order, "capturing").await;
    rig.send(&order.cancelled()).await;
    rig.reaches(&order, "voided").await;

    let told = ["1 payment.authorized", "2 payment.capture-failed", "3 payment.voided"];
    assert_eq!(rig.published(&order).await, told);
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_it_is_captured() {
    let rig = Rig::start().await;
    let order = rig.placed("pm_card_visa").await;
    rig.reaches(&order, "authorized").await;
    rig.send(&order.confirmed()).await;
    rig.reaches(&order, "captured").await;

    rig.send(&order.cancelled()).await;
    rig.reaches(&order, "refunded").await;

    let told = ["1 payment.authorized", "2 payment.captured", "3 payment.refunded"];
    assert_eq!(rig.published(&order).await, told);
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_it_was_captured_at_the_desk() {
    let rig = Rig::start().await;
    let order = rig.placed("pm_card_visa").await;
    let authorized = rig.reaches(&order, "authorized").await;

    rig.at_the_desk(&authorized, "capture").await;
    rig.send(&order.cancelled()).await;
    rig.reaches(&order, "refunded").await;

    let told = ["1 payment.authorized", "2 payment.captured", "3 payment.refunded"];
    assert_eq!(rig.published(&order).await, told);
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_it_was_let_go_at_the_desk() {
    let rig = Rig::start().await;
    let order = rig.placed("pm_card_visa").await;
    let authorized = rig.reaches(&order, "authorized").await;

    rig.at_the_desk(&authorized, "cancel").await;
    rig.send(&order.cancelled()).await;
    rig.reaches(&order, "voided").await;

    assert_eq!(rig.ledger(&order).await, ["authorize 3998 usd", "cancel 3998 usd"]);
    rig.finish().await;
}
