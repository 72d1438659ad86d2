//! From the order to the money, and how the provider says no.

use events::{Money, OrderPlaced};
use serde_json::json;

use crate::{
    order::TOTAL,
    rig::{Options, Rig},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_is_authorised_when_the_stock_is_there_and_captured_when_the_order_is_confirmed() {
    let rig = Rig::start().await;
    let order = rig.order("pm_card_visa");

    rig.send(&order.placed()).await;
    let awaiting = rig.reaches(&order, "awaiting").await;
    rig.send(&order.reserved()).await;
    let authorized = rig.reaches(&order, "authorized").await;
    assert_eq!(rig.ledger(&order).await, ["authorize 3998 usd"]);
    rig.send(&order.confirmed()).await;
    let captured = rig.reaches(&order, "captured").await;

    let nothing = json!({"amount": 0, "currency": "USD"});
    let all = json!({"amount": 3_998, "currency": "USD"});
    let amounts =
        |it: &serde_json::Value| ["authorized", "captured", "refunded"].map(|name| it[name].clone());
    assert_eq!(amounts(&awaiting), [&nothing, &nothing, &nothing].map(Clone::clone));
    assert_eq!(amounts(&authorized), [&all, &nothing, &nothing].map(Clone::clone));
    assert_eq!(amounts(&captured), [&all, &all, &nothing].map(Clone::clone));
    assert!(captured["provider_reference"].as_str().unwrap().starts_with("pi_"));
    assert_eq!(captured["provider_reference"], authorized["provider_reference"]);
    assert_eq!(awaiting["provider_reference"], json!(null));
    assert_eq!(rig.published(&order).await, ["1 payment.authorized", "2 payment.captured"]);
    assert_eq!(rig.ledger(&order).await, ["authorize 3998 usd", "capture 3998 usd"]);
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stock_may_be_there_before_the_order_is_seen() {
    let rig = Rig::start().await;
    let order = rig.order("pm_card_visa");

    rig.send(&order.reserved()).await;
    let awaiting = rig.reaches(&order, "awaiting").await;
    rig.send(&order.placed()).await;
    rig.reaches(&order, "authorized").await;

    assert_eq!(awaiting["authorized"], json!(null), "the currency is not known yet");
    assert_eq!(rig.published(&order).await, ["1 payment.authorized"]);
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_confirmation_that_comes_early_is_remembered() {
    let rig = Rig::start_with(Options { latency_ms: 500, ..Options::default() }).await;
    let (first, during) = (rig.order("pm_card_visa"), rig.placed("pm_card_visa").await);

    rig.send(&first.confirmed()).await;
    rig.reaches(&first, "awaiting").await;
    rig.send(&first.placed()).await;
    rig.send(&first.reserved()).await;
    rig.reaches(&during, "authorizing").await;
    rig.send(&during.confirmed()).await;

    for order in [first, during] {
        rig.reaches(&order, "captured").await;
        assert_eq!(rig.published(&order).await, ["1 payment.authorized", "2 payment.captured"]);
    }
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_declined_card_is_the_end_of_its_payment() {
    let rig = Rig::start().await;
    for (token, code) in [
        ("pm_card_chargeDeclined", "generic_decline"),
        ("pm_card_chargeDeclinedInsufficientFunds", "insufficient_funds"),
        // No card of this name: asked again, the answer would be the same for ever.
        ("pm_card_of_nobody", "resource_missing"),
    ] {
        let order = rig.placed(token).await;
        let declined = rig.reaches(&order, "declined").await;
        rig.send(&order.cancelled()).await;
        rig.send(&order.confirmed()).await;

        assert_eq!((&declined["code"], &declined["authorized"]["amount"]), (&json!(code), &json!(0)));
        assert_eq!(rig.published(&order).await, ["1 payment.declined"]);
        assert!(rig.ledger(&order).await.is_empty());
    }
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_amount_that_the_provider_does_not_take_is_declined() {
    let rig = Rig::start().await;
    let order = rig.order("pm_card_visa");

    rig.send(&order.reserved()).await;
    rig.send(&OrderPlaced { total: Money { amount: 0, ..TOTAL }, ..order.placed() }).await;
    let declined = rig.reaches(&order, "declined").await;

    assert_eq!(declined["code"], "parameter_invalid_integer");
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_capture_is_told_and_what_was_held_is_let_go() {
    let rig = Rig::start().await;
    let order = rig.placed("pm_card_captureFails").await;
    rig.reaches(&order, "authorized").await;

    rig.send(&order.confirmed()).await;
    let voided = rig.reaches(&order, "voided").await;
    rig.send(&order.cancelled()).await;

    assert_eq!((&voided["code"], &voided["captured"]["amount"]), (&json!("expired_card"), &json!(0)));
    let told = ["1 payment.authorized", "2 payment.capture-failed", "3 payment.voided"];
    assert_eq!(rig.published(&order).await, told);
    assert_eq!(rig.ledger(&order).await, ["authorize 3998 usd", "cancel 3998 usd"]);
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_capture_of_what_was_let_go_at_the_desk_is_refused_and_not_guessed() {
    let rig = Rig::start().await;
    let order = rig.placed("pm_card_visa").await;
    let authorized = rig.reaches(&order, "authorized").await;

    rig.at_the_desk(&authorized, "cancel").await;
    rig.send(&order.confirmed()).await;
    let voided = rig.reaches(&order, "voided").await;

    assert_eq!(voided["code"], "canceled");
    let told = ["1 payment.authorized", "2 payment.capture-failed", "3 payment.voided"];
    assert_eq!(rig.published(&order).await, told);
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_capture_of_what_was_taken_at_the_desk_is_done() {
    let rig = Rig::start().await;
    let order = rig.placed("pm_card_visa").await;
    let authorized = rig.reaches(&order, "authorized").await;

    rig.at_the_desk(&authorized, "capture").await;
    rig.send(&order.confirmed()).await;
    rig.reaches(&order, "captured").await;

    assert_eq!(rig.ledger(&order).await, ["authorize 3998 usd", "capture 3998 usd"]);
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_orders_at_once_with_two_workers_that_meet_at_the_same_payments() {
    let rig = Rig::start_with(Options { workers: Some("2"), ..Options::default() }).await;
    let orders: Vec<_> = (0..200).map(|_| rig.order("pm_card_visa")).collect();

    for order in &orders {
        rig.send(&order.placed()).await;
        rig.send(&order.reserved()).await;
    }
    for order in &orders {
        rig.reaches(order, "authorized").await;
        rig.send(&order.confirmed()).await;
    }

    for order in &orders {
        rig.reaches(order, "captured").await;
    }
    assert_eq!(rig.count("select sum(captured)::bigint from payment").await, 200 * 3_998);
    assert_eq!(rig.count("select count(*) from payment where sequence <> 2").await, 0);
    rig.finish().await;
}
