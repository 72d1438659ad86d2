//! What is to undo a payment does not succeed at once: it is asked for until it does, is seen to be, and is not
//! reported as done before.

use serde_json::json;

use crate::{order::Order, rig::Rig};

const GIVEN_BACK: [&str; 3] = ["authorize 3998 usd", "capture 3998 usd", "refund 3998 usd"];
const TOLD: [&str; 3] = ["1 payment.authorized", "2 payment.captured", "3 payment.refunded"];

async fn captured(rig: &Rig, token: &str) -> Order {
    let order = rig.placed(token).await;
    rig.reaches(&order, "authorized").await;
    rig.send(&order.confirmed()).await;
    rig.reaches(&order, "captured").await;
    order
}

/// The statuses of the order's refunds at the provider, the newest first.
async fn refunds(rig: &Rig, order: &Order) -> Vec<String> {
    let payment = rig.get(order).await.unwrap();
    let reference = payment["provider_reference"].as_str().unwrap().to_owned();
    let list = rig.at_the_provider(&format!("/v1/refunds?payment_intent={reference}")).await;
    list["data"].as_array().unwrap().iter().map(|it| it["status"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_that_is_pending_is_waited_for_and_asked_for_once() {
    let rig = Rig::start().await;
    rig.watch_calls().await;
    let order = captured(&rig, "pm_card_pendingRefund").await;

    rig.send(&order.cancelled()).await;
    rig.ledger_of(&order, 3).await;
    let refunded = rig.reaches(&order, "refunded").await;

    assert_eq!(rig.reasons(&order).await, ["refund: pending"]);
    assert_eq!(refunds(&rig, &order).await, ["succeeded"]);
    assert_eq!((&refunded["asking"], &refunded["last_error"]), (&json!(null), &json!(null)));
    assert_eq!(rig.published(&order).await, TOLD);
    assert_eq!(rig.ledger(&order).await, GIVEN_BACK);
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_that_failed_is_asked_for_anew() {
    let rig = Rig::start().await;
    let order = captured(&rig, "pm_card_refundFail").await;

    rig.send(&order.cancelled()).await;
    rig.reaches(&order, "refunded").await;

    assert_eq!(refunds(&rig, &order).await, ["succeeded", "failed"]);
    assert_eq!(rig.published(&order).await, TOLD);
    assert_eq!(rig.ledger(&order).await, GIVEN_BACK);
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_that_somebody_made_at_the_desk_is_found() {
    let rig = Rig::start().await;
    let [whole, parts] = [captured(&rig, "pm_card_visa").await, captured(&rig, "pm_card_visa").await];
    rig.refund_at_the_desk(&whole, 3_998).await;
    rig.refund_at_the_desk(&parts, 1_000).await;
    rig.refund_at_the_desk(&parts, 2_998).await;

    for order in [&whole, &parts] {
        rig.send(&order.cancelled()).await;
        rig.reaches(order, "refunded").await;
        assert_eq!(rig.published(order).await, TOLD);
    }

    assert_eq!(rig.ledger(&whole).await, GIVEN_BACK);
    assert_eq!(refunds(&rig, &parts).await, ["succeeded", "succeeded"]);
    // Two refunds of one order are no fault here: they were not ours.
    rig.clear_away().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_that_is_pending_at_the_desk_is_not_taken_for_done() {
    let rig = Rig::start().await;
    rig.watch_calls().await;
    let order = captured(&rig, "pm_card_pendingRefund").await;
    rig.refund_at_the_desk(&order, 3_998).await;

    rig.send(&order.cancelled()).await;
    rig.reaches(&order, "refunded").await;

    // It says that all is refunded while a refund is pending. How far that one is by then, is a matter of time.
    let reasons = rig.reasons(&order).await;
    assert!(reasons.is_empty() || reasons == ["refund: pending"], "{reasons:?}");
    assert_eq!(refunds(&rig, &order).await, ["succeeded"]);
    assert_eq!(rig.ledger(&order).await, GIVEN_BACK);
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_void_whose_failure_is_kept_under_its_key_is_asked_for_under_another() {
    let rig = Rig::start().await;
    rig.watch_calls().await;
    let order = rig.placed("pm_card_voidFailsFirst").await;
    rig.reaches(&order, "authorized").await;

    rig.send(&order.cancelled()).await;
    rig.reaches(&order, "voided").await;

    assert_eq!(rig.reasons(&order).await, ["void: 500 api_error unspecified"]);
    assert_eq!(rig.published(&order).await, ["1 payment.authorized", "2 payment.voided"]);
    assert_eq!(rig.ledger(&order).await, ["authorize 3998 usd", "cancel 3998 usd"]);
    rig.finish().await;
}
