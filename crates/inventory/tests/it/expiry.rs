//! Reservations that run out, unless their order is confirmed in time; which others are told.

use events::Aggregate;
use serde_json::{Value, json};

use crate::{
    rig::{CORRELATION, FOR_GOOD, Rig},
    told::{cancelled, confirmed, dispatched, order, placed},
};

pub(crate) const FOR_AN_HOUR: &[&str] = &["--reservation-ttl-secs", "3600"];

impl Rig {
    /// Lets the time of every reservation be over.
    pub(crate) async fn an_hour_passes(&self) {
        let passed = sqlx::query("update engine.deadline set due_at = clock_timestamp()");
        passed.execute(&self.pool).await.unwrap();
    }
}

#[tokio::test]
async fn a_confirmation_in_time_keeps_the_stock_and_says_so() {
    let rig = Rig::start(FOR_AN_HOUR).await;
    rig.stock("MUG", 10).await;
    rig.tell(&placed(1, &[("MUG", 2)])).await;
    rig.reservation_is(1, "reserved").await;

    let cause = rig.tell(&confirmed(1)).await;

    assert_eq!(rig.reservation_is(1, "kept").await["expires_at"], Value::Null);
    let events = rig.published(Aggregate::Inventory, 2).await;
    assert_eq!((events[1].name.as_str(), events[1].sequence), ("inventory.stock-kept", 2));
    let items = json!([{"sku": "MUG", "quantity": 2}]);
    assert_eq!(events[1].data, json!({"order_id": order(1), "items": items}));
    assert_eq!((events[1].causation_id, events[1].correlation_id), (cause, CORRELATION));
    // Once, whatever is told again.
    rig.tell(&confirmed(1)).await;
    rig.tell(&dispatched(1)).await;
    rig.reservation_is(1, "deducted").await;
    rig.tell(&confirmed(1)).await;
    rig.counts("select count(*) from engine.inbox", 5).await;
    assert_eq!(rig.published(Aggregate::Inventory, 3).await.len(), 3);
    rig.finish().await;
}

#[tokio::test]
async fn a_confirmation_that_comes_too_late_keeps_nothing() {
    let rig = Rig::start(FOR_AN_HOUR).await;
    rig.stock("MUG", 10).await;
    rig.tell(&placed(1, &[("MUG", 2)])).await;
    rig.reservation_is(1, "reserved").await;
    rig.an_hour_passes().await;
    rig.reservation_is(1, "expired").await;

    rig.tell(&confirmed(1)).await;
    rig.tell(&cancelled(1)).await;

    rig.counts("select count(*) from engine.inbox", 3).await;
    rig.reservation_is(1, "expired").await;
    assert_eq!(rig.level("MUG").await, [10, 0, 10]);
    let names: Vec<_> = rig.published(Aggregate::Inventory, 2).await.into_iter().map(|it| it.name).collect();
    assert_eq!(names, ["inventory.stock-reserved", "inventory.reservation-expired"]);
    rig.finish().await;
}

#[tokio::test]
async fn a_reservation_with_a_time_runs_out() {
    let rig = Rig::start(&["--reservation-ttl-secs", "1"]).await;
    rig.stock("MUG", 10).await;
    rig.tell(&placed(1, &[("MUG", 2)])).await;
    let reserved = rig.published(Aggregate::Inventory, 1).await;
    assert!(reserved[0].data["expires_at"].is_string(), "{reserved:?}");

    let expired = rig.reservation_is(1, "expired").await;

    assert_eq!(expired["expires_at"], Value::Null);
    assert_eq!(rig.level("MUG").await, [10, 0, 10]);
    let events = rig.published(Aggregate::Inventory, 2).await;
    assert_eq!(events[1].name, "inventory.reservation-expired");
    assert_eq!(events[1].data["items"], json!([{"sku": "MUG", "quantity": 2}]));
    assert_eq!(events[1].correlation_id, CORRELATION);
    rig.finish().await;
}

#[tokio::test]
async fn what_is_settled_in_time_does_not_run_out() {
    let rig = Rig::start(FOR_AN_HOUR).await;
    rig.stock("MUG", 10).await;
    for number in 1..=4 {
        rig.tell(&placed(number, &[("MUG", 1)])).await;
        rig.reservation_is(number, "reserved").await;
    }
    rig.counts("select count(*) from engine.deadline where kind = 'reservation'", 4).await;
    rig.tell(&confirmed(1)).await;
    rig.tell(&cancelled(2)).await;
    rig.tell(&dispatched(3)).await;
    for (number, status) in [(1, "kept"), (2, "released"), (3, "deducted")] {
        rig.reservation_is(number, status).await;
    }
    rig.counts("select count(*) from engine.deadline", 1).await;
    // The one that is left becomes due.
    rig.an_hour_passes().await;
    rig.reservation_is(4, "expired").await;
    assert_eq!(rig.level("MUG").await, [9, 1, 8]);
    rig.finish().await;
}

/// The time of a reservation is in the database: it passes also while the service is away.
#[tokio::test]
async fn a_reservation_runs_out_while_nobody_is_there() {
    let mut rig = Rig::start(FOR_AN_HOUR).await;
    rig.stock("MUG", 10).await;
    rig.tell(&placed(1, &[("MUG", 2)])).await;
    rig.reservation_is(1, "reserved").await;
    rig.stop_instance().await;
    rig.an_hour_passes().await;

    // The setting is for new reservations.
    rig.add_instance(FOR_GOOD).await;

    rig.reservation_is(1, "expired").await;
    rig.finish().await;
}
