//! Ends that nobody hopes for: time that runs out while others are still at work.

use saga_tests::{Options, Suite, suite::an_order};
use serde_json::json;
use testkit::eventually;

use crate::{
    PATIENCE,
    dead_letters::{inject, letters, post},
};

#[tokio::test]
async fn an_order_whose_time_runs_out_while_the_provider_is_unsure_gets_its_late_money_back() {
    let flags = vec![("order", "--confirm-within-secs", "4")];
    let suite = Suite::start_with(Options { flags, ..Default::default() }).await;
    suite.stock("MUG-01", 1999, 10).await;

    // The provider does the work and stays silent; the client waits for five seconds. Time runs out before that, and
    // after the provider was asked, also where it takes seconds until it is.
    let id = suite.place(&an_order("MUG-01", 1, "pm_card_timeoutAfterWork")).await;
    let order = suite.reaches(&id, "cancelled").await;
    assert_eq!(order["cancel_reason"], "timed-out");
    assert_eq!(order["compensation"]["payment"], "pending");
    assert!(suite.get("payment", &format!("/payments/{id}")).await["status"] == "authorizing");
    suite.settled(&id, "voided").await;

    assert_eq!(suite.ledger(&id).await, [("authorize".to_owned(), 1999), ("cancel".to_owned(), 1999)]);
    eventually(PATIENCE, "the order knows that all is back", async || {
        let order = suite.get("order", &format!("/orders/{id}")).await;
        let done = json!({"stock": "done", "payment": "done"});
        if order["compensation"] == done { Ok(()) } else { Err(order.to_string()) }
    })
    .await;
    suite.finish().await;
}

#[tokio::test]
async fn a_reservation_that_runs_out_across_its_confirmation_ends_cancelled_and_refunded() {
    let flags = vec![("inventory", "--reservation-ttl-secs", "15"), ("shipping", "--carrier-delay-ms", "0")];
    let mut suite = Suite::start_with(Options { flags, ..Default::default() }).await;
    suite.stock("MUG-01", 1999, 10).await;
    suite.stop_service("payment").await;
    let id = suite.place(&an_order("MUG-01", 1, "pm_card_visa")).await;
    // Inventory does not hear of the confirmation: something of the order's is in its way, and in its way alone.
    inject(&suite, "shipping", &id, "waybill.shipping.dispatched.v9", b"{}").await;
    letters(&suite, "inventory", 1).await;
    letters(&suite, "order", 1).await;
    let discard = json!({"key": id, "reason": "not an event of shipping's"});
    post(&suite, "order", "/dead-letters/discard", discard.clone()).await;
    suite.start_service("payment");

    suite.reaches(&id, "confirmed").await;
    suite.settled(&id, "captured").await;
    let order = suite.reaches(&id, "cancelled").await;

    assert_eq!(order["cancel_reason"], "reservation-expired");
    suite.settled(&id, "refunded").await;
    assert_eq!(suite.get("shipping", &format!("/shipments/{id}")).await["status"], "cancelled");
    post(&suite, "inventory", "/dead-letters/discard", discard).await;
    suite.finish().await;
}
