//! The service with a defence taken out, in a process that was started with the defect.

use engine::Mutant;
use events::Aggregate;
use serde_json::json;
use testkit::{eventually, run_again};

use crate::{
    expiry::FOR_AN_HOUR,
    rig::{Rig, SOON},
    told::{confirmed, placed},
};

impl Rig {
    /// Waits until so many connections of the service wait for a lock.
    async fn blocked(&self, count: i64) {
        eventually(SOON, "the service waits for locks", async || {
            let waiting = "select count(*) from pg_stat_activity where datname = current_database()
                and application_name = 'inventory' and wait_event_type = 'Lock'";
            match self.count(waiting).await {
                it if it >= count => Ok(()),
                it => Err(format!("{it} of {count}")),
            }
        })
        .await;
    }
}

/// A reservation is due while its confirmation has locked it and waits for the product. What is published of it, with
/// the sequence of each.
async fn an_expiry_crosses_the_confirmation(rig: &Rig) -> Vec<(String, i64)> {
    rig.stock("MUG", 10).await;
    rig.tell(&placed(1, &[("MUG", 2)])).await;
    rig.reservation_is(1, "reserved").await;
    let mut held = rig.pool.begin().await.unwrap();
    sqlx::query("select from product for update").execute(&mut *held).await.unwrap();
    rig.tell(&confirmed(1)).await;
    rig.blocked(1).await;
    rig.an_hour_passes().await;
    rig.blocked(2).await;
    held.rollback().await.unwrap();
    // It is carried out behind the deadline, one after the other.
    let adjustment = json!({"delta": 1, "reason": "found"});
    assert_eq!(rig.post("/products/MUG/adjustments", &[], &adjustment).await.0, 200);
    rig.counts("select count(*) from engine.outbox", 0).await;
    let told = rig.published(Aggregate::Inventory, 2).await;
    told.into_iter().map(|it| (it.name, it.sequence)).collect()
}

#[tokio::test]
async fn an_expiry_without_a_lock_overwrites_the_confirmation() {
    let rig = Rig::start(FOR_AN_HOUR).await;
    let told = an_expiry_crosses_the_confirmation(&rig).await;
    let [reserved, kept, expired] = [("stock-reserved", 1), ("stock-kept", 2), ("reservation-expired", 2)]
        .map(|(name, sequence)| (format!("inventory.{name}"), sequence));
    if Mutant::ExpiryWithoutLock.is_on() {
        assert_eq!(told, [reserved, kept, expired]);
        return drop(rig.reservation_is(1, "expired").await);
    }
    assert_eq!(told, [reserved, kept]);
    rig.finish().await;
    let this = "mutants::an_expiry_without_a_lock_overwrites_the_confirmation";
    run_again(this, "WAYBILL_MUTANT", "expiry-without-lock");
}
