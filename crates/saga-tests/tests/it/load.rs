//! Orders in numbers: to every end, and past a service that stands still.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use load::{EVERYTHING, Load, Mix, PLAIN, Pace};
use saga_tests::{Processes, processes::Setup};
use sqlx::Row;
use testkit::eventually;
use tokio::time::sleep;
use uuid::Uuid;

use crate::{PATIENCE, all_have_ended, setting};

/// How each order has ended.
async fn ends(suite: &Processes) -> BTreeMap<Uuid, String> {
    let rows = sqlx::query("select order_id, status from order_view").fetch_all(&suite.pools["order"]).await;
    rows.expect("orders").iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// Every payment method that the provider knows, products that run out, and customers who cancel at any moment.
/// More by `ORDERS=20000`; other orders by `SEED=2`; cancelled ones in a thousand by `CANCELS=50`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_exit_keeps_the_laws() {
    // A carrier that takes a moment leaves one in which a confirmed order can be cancelled.
    let delay = ("shipping", "CARRIER_DELAY_MS", "200".to_owned());
    let suite = Processes::start_with(Setup { env: vec![delay], ..Setup::default() }).await;
    let orders = setting("ORDERS", 400);
    let mix = Mix { seed: setting("SEED", 1) as u64, cancels: setting("CANCELS", 50) as u32, ..EVERYTHING };
    mix.stock(&suite.target(), orders).await.expect("stock");

    let begun = Instant::now();
    let tally = Load::begin(&suite.target(), mix, Pace::Clients(32), orders).expect("a load").done().await;
    let accepted = begun.elapsed();
    all_have_ended(&suite, &tally, 10 * PATIENCE).await;

    let ended = begun.elapsed();
    let reasons = "select coalesce(cancel_reason, status) as ending, count(*) from order_view group by 1";
    let reasons = sqlx::query(reasons).fetch_all(&suite.pools["order"]).await.expect("orders");
    let reasons: BTreeMap<String, i64> = reasons.iter().map(|row| (row.get(0), row.get(1))).collect();
    eprintln!("every exit: {tally}; all accepted after {accepted:.1?}, ended after {ended:.1?}: {reasons:?}");
    assert!(tally.failed.is_empty(), "{:?}", tally.failed);
    assert!(tally.repeated > 0, "some are asked for again");
    for reason in ["delivered", "out-of-stock", "payment-declined", "capture-failed", "customer"] {
        assert!(reasons.contains_key(reason), "no order has come to {reason}: {reasons:?}");
    }
    promises_are_kept(&tally, &ends(&suite).await);
    cancelling_what_has_ended_changes_nothing(&suite).await;
    suite.finish().await;
}

/// Who was told that the order is cancelled finds it so, and who was told that it is too late gets the parcel.
fn promises_are_kept(tally: &load::Tally, ends: &BTreeMap<Uuid, String>) {
    for (id, status) in &tally.cancels {
        let end = ends[id].as_str();
        let kept = match status {
            200 => end == "cancelled",
            409 => end == "delivered",
            _ => true,
        };
        assert!(kept, "order {id}: its cancellation was answered with {status}, and it is {end}");
    }
}

async fn cancelling_what_has_ended_changes_nothing(suite: &Processes) {
    let before = ends(suite).await;
    let cancel = async |id: Uuid| {
        let post = suite.http.post(suite.url("order", &format!("/orders/{id}/cancel")));
        load::call(post).await.expect("an answer").0
    };
    for (end, expected) in [("delivered", 409), ("cancelled", 200)] {
        for (id, _) in before.iter().filter(|it| it.1 == end).take(20) {
            assert_eq!(cancel(*id).await, expected, "order {id}, {end}");
        }
    }
    assert_eq!(cancel(Uuid::now_v7()).await, 404);
    assert_eq!(ends(suite).await, before);
}

/// Every order is asked for two or three times under its key, side by side and later, also across a kill of the order
/// service: all answers name one order, and it is there once. It is away for longer by `OUTAGE_SECS=70`; more orders by
/// `ORDERS=5000`, `RATE=100` a second.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_is_asked_for_again_is_the_same_one() {
    let mut suite = Processes::start().await;
    let orders = setting("ORDERS", 150);
    let mix = Mix { repeats: 1_000, ..PLAIN };
    mix.stock(&suite.target(), orders).await.expect("stock");

    let pace = Pace::PerSecond(setting("RATE", 50) as u32);
    let load = Load::begin(&suite.target(), mix, pace, orders).expect("a load");
    eventually(PATIENCE, "orders come in", async || match load.accepted() {
        count if count >= orders / 4 => Ok(()),
        count => Err(format!("{count} accepted")),
    })
    .await;
    suite.kill("order").await;
    sleep(Duration::from_secs(setting("OUTAGE_SECS", 0) as u64)).await;
    suite.restart("order");
    let tally = load.done().await;

    eprintln!("asked again: {tally}");
    assert_eq!(tally.accepted.len(), orders);
    // `repeated` tells that every answer which came for a second request was looked at.
    assert!(tally.repeated >= orders, "{} answers to what was asked again", tally.repeated);
    all_have_ended(&suite, &tally, 4 * PATIENCE).await;
    suite.finish().await;
}

/// Payment is frozen (SIGSTOP: it takes connections and events, and answers nothing) while orders come in:
/// their customers do not notice. For longer by `FROZEN_SECS=20`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_stands_still_does_not_slow_acceptance() {
    let mut suite = Processes::start().await;
    PLAIN.stock(&suite.target(), 0).await.expect("stock");
    let time = Duration::from_secs(setting("FROZEN_SECS", 4) as u64);

    let load = Load::begin(&suite.target(), PLAIN, Pace::PerSecond(setting("RATE", 40) as u32), usize::MAX)
        .expect("a load");
    let begun = Instant::now();
    sleep(time).await;
    suite.freeze("payment").await;
    let frozen = Instant::now();
    let paid = suite.count("order", "order_view where status <> 'placed'").await;
    sleep(time).await;
    let thawed = Instant::now();
    let paid_meanwhile = suite.count("order", "order_view where status <> 'placed'").await - paid;
    suite.thaw("payment");
    let tally = load.stop().await;
    all_have_ended(&suite, &tally, 4 * PATIENCE).await;

    let (before, during) = (tally.latency(begun, frozen), tally.latency(frozen, thawed));
    eprintln!("payment frozen for {time:?}: POST before {before}; meanwhile {during}; {tally}");
    assert!(tally.failed.is_empty(), "{:?}", tally.failed);
    assert!(
        during.count > 0 && paid_meanwhile < during.count as i64 / 2,
        "payment went on: {paid_meanwhile}"
    );
    // Whoever waits for payment waits for seconds; the rest is what a busy machine may do to a few requests.
    assert!(during.p50 < 10 * before.p50 + time / 8, "{during} after {before}");
    assert!(during.p99 < 10 * before.p99 + time / 4, "{during} after {before}");
    suite.finish().await;
}
