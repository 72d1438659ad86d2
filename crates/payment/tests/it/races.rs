//! The cancellation meets each call to the provider, and answers come late or twice: on Kafka, with every way that
//! the provider can be unsure.

use events::{CancelReason, OrderCancelled};
use testkit::eventually;

use crate::{
    order::Order,
    rig::{Options, Rig, SOON},
};

const UNSURE: [&str; 10] = [
    "pm_card_slow",
    "pm_card_timeoutAfterWork",
    "pm_card_timeoutBeforeWork",
    "pm_card_serverErrorFirst",
    "pm_card_serverErrorAfterWork",
    "pm_card_cutConnection",
    "pm_card_wrongJson",
    "pm_card_pendingRefund",
    "pm_card_refundFail",
    "pm_card_voidFailsFirst",
];

/// When an order is cancelled.
#[derive(Debug, Clone, Copy)]
enum When {
    Authorizing,
    /// With its confirmation, which comes before the authorisation's answer too.
    Confirmed,
    Authorized,
    Capturing,
    Captured,
}

const ALL: [When; 5] =
    [When::Authorizing, When::Confirmed, When::Authorized, When::Capturing, When::Captured];

/// Cancels orders then. Returns how many of the payments learnt of it while a call was under way.
async fn cancel(rig: &Rig, orders: &[Order], when: When) -> usize {
    if let When::Authorized | When::Capturing | When::Captured = when {
        for order in orders {
            rig.reaches(order, "authorized").await;
        }
    }
    if let When::Captured = when {
        for order in orders {
            rig.send(&order.confirmed()).await;
        }
        for order in orders {
            rig.reaches(order, "captured").await;
        }
    }
    let mut met = 0;
    for order in orders {
        match when {
            When::Authorizing => rig.leaves(order, "awaiting").await,
            When::Confirmed => {
                rig.leaves(order, "awaiting").await;
                rig.send(&order.confirmed()).await;
            }
            When::Capturing => {
                rig.send(&order.confirmed()).await;
                rig.leaves(order, "authorized").await;
            }
            When::Authorized | When::Captured => {}
        }
        rig.send(&timed_out(order)).await;
        met += usize::from(waits_for_an_answer(rig, order).await);
    }
    met
}

fn timed_out(order: &Order) -> OrderCancelled {
    OrderCancelled { order_id: order.id, reason: CancelReason::TimedOut }
}

/// Whether a cancellation is kept until the call that is under way is answered; waits until it is known.
async fn waits_for_an_answer(rig: &Rig, order: &Order) -> bool {
    eventually(SOON, "the cancellation is known", async || {
        let sql = "select cancelled, status from payment where order_id = $1";
        let (cancelled, status): (bool, String) =
            sqlx::query_as(sql).bind(order.id.0).fetch_one(&rig.pool).await.unwrap();
        match (cancelled, status.as_str()) {
            (true, _) => Ok(true),
            (false, "voiding" | "voided" | "refunding" | "refunded") => Ok(false),
            (false, other) => Err(other.to_owned()),
        }
    })
    .await
}

/// One authorisation, one capture at most, and all of it let go or given back, once. Returns what was to be told.
async fn undone(rig: &Rig, order: &Order, when: When) -> &'static [&'static str] {
    let ended = eventually(SOON, "the payment is undone", async || match rig.get(order).await {
        Some(payment) if payment["status"] == "voided" || payment["status"] == "refunded" => Ok(payment),
        other => Err(format!("{other:?}")),
    })
    .await;
    let is_let_go = match when {
        When::Authorizing | When::Authorized => true,
        When::Capturing | When::Captured => false,
        // The answer may have come between the confirmation and the cancellation.
        When::Confirmed => ended["status"] == "voided",
    };
    let (moved, told): (&[&str], &[&str]) = match is_let_go {
        true => (&["authorize 3998 usd", "cancel 3998 usd"], &["1 payment.authorized", "2 payment.voided"]),
        false => (
            &["authorize 3998 usd", "capture 3998 usd", "refund 3998 usd"],
            &["1 payment.authorized", "2 payment.captured", "3 payment.refunded"],
        ),
    };
    assert_eq!(rig.ledger(order).await, moved, "{when:?}, {}", order.payment_method);
    told
}

async fn placed(rig: &Rig) -> Vec<Order> {
    let mut orders = Vec::new();
    for token in UNSURE {
        orders.push(rig.placed(token).await);
    }
    orders
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancellation_at_any_moment_undoes_all_once_whatever_the_provider_does() {
    let rig = Rig::start_with(Options { kafka: true, latency_ms: 700, ..Options::default() }).await;

    let mut cancelled = Vec::new();
    for when in ALL {
        let orders = placed(&rig).await;
        let met = cancel(&rig, &orders, when).await;
        if let When::Authorizing | When::Confirmed | When::Capturing = when {
            assert!(met > 0, "no cancellation met a call: {when:?}");
        }
        cancelled.extend(orders.into_iter().map(|it| (when, it)));
    }

    let mut expected = Vec::new();
    for (when, order) in &cancelled {
        expected.push((order.id.to_string(), undone(&rig, order, *when).await));
    }
    let published = rig.all_published().await;
    for (order, told) in expected {
        assert_eq!(published[&order], told, "{order}");
    }
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_confirmation_before_the_answer_is_captured_once_whatever_the_provider_does() {
    let rig = Rig::start_with(Options { kafka: true, latency_ms: 700, ..Options::default() }).await;
    let orders = placed(&rig).await;

    for order in &orders {
        rig.leaves(order, "awaiting").await;
        rig.send(&order.confirmed()).await;
    }

    for order in &orders {
        rig.reaches(order, "captured").await;
        assert_eq!(rig.ledger(order).await, ["authorize 3998 usd", "capture 3998 usd"]);
    }
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_comes_after_the_order_timed_out_is_followed_by_one_void_or_one_refund() {
    let rig = Rig::start_with(Options { kafka: true, ..Options::default() }).await;
    let [held, taken] = [rig.placed("pm_card_timeoutAfterWork").await, rig.placed("pm_card_slow").await];

    // The provider has authorised the first, and nobody here knows for some seconds.
    rig.ledger_of(&held, 1).await;
    rig.send(&timed_out(&held)).await;
    rig.reaches(&taken, "authorized").await;
    rig.send(&taken.confirmed()).await;
    rig.ledger_of(&taken, 2).await;
    rig.send(&timed_out(&taken)).await;

    rig.reaches(&held, "voided").await;
    rig.reaches(&taken, "refunded").await;
    assert_eq!(rig.ledger(&held).await, ["authorize 3998 usd", "cancel 3998 usd"]);
    assert_eq!(rig.ledger(&taken).await.len(), 3);
    rig.finish().await;
}

/// Waits until `done` calls are carried out, and has both processes make the last one, until it is answered. The
/// answer to the process that asked first takes two seconds; the other one is answered at once.
async fn answered_by_either(rig: &Rig, order: &Order, done: usize, status: &str) {
    rig.ledger_of(order, done).await;
    eventually(SOON, status, async || {
        rig.forget_leases().await;
        match rig.get(order).await {
            Some(payment) if payment["status"] == status => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_that_make_the_same_call_apply_its_answer_once() {
    let mut rig = Rig::start_with(Options { kafka: true, ..Options::default() }).await;
    rig.start_another_service().await;
    rig.watch_calls().await;
    let order = rig.placed("pm_card_slow").await;

    answered_by_either(&rig, &order, 1, "authorized").await;
    rig.send(&order.confirmed()).await;
    answered_by_either(&rig, &order, 2, "captured").await;
    rig.send(&order.cancelled()).await;
    answered_by_either(&rig, &order, 3, "refunded").await;

    eventually(SOON, "an answer came a second time", async || {
        match rig.count("select count(*) from answered_before").await {
            0 => Err("none did"),
            _ => Ok(()),
        }
    })
    .await;
    let told = ["1 payment.authorized", "2 payment.captured", "3 payment.refunded"];
    assert_eq!(rig.published(&order).await, told);
    assert_eq!(rig.ledger(&order).await.len(), 3);
    rig.finish().await;
}
