//! What the database bars, whatever the code does.

use crate::rig::{NO_CARRIER, Rig};

/// A row that is in order, with one column changed.
async fn check(rig: &Rig, given: &'static str, change: &'static str, constraint: Option<&str>) {
    let mut tx = rig.pool.begin().await.unwrap();
    sqlx::raw_sql(given).execute(&mut *tx).await.expect("a row that is in order");
    let changed = sqlx::raw_sql(change).execute(&mut *tx).await;
    let barred = changed.as_ref().err().map(|error| {
        let error = error.as_database_error().expect("an answer of the database");
        error.constraint().expect("a constraint").to_owned()
    });
    assert_eq!(barred.as_deref(), constraint, "{change}");
    tx.rollback().await.unwrap();
}

const SCHEDULED: &str =
    "insert into shipment (order_id, sequence, status, captured, cancellation_refused, ship_to)
    values (gen_random_uuid(), 1, 'scheduled', false, false, '{}')";
const DISPATCHED: &str = "insert into shipment
    values (gen_random_uuid(), 2, 'dispatched', true, true, 'WB1', now(), null, '{}')";
const KEPT: &str = "insert into shipment (order_id, sequence, status, captured, cancellation_refused, kept)
    values (gen_random_uuid(), 0, 'kept', false, false, true)";
const BARRED: &str = "insert into shipment (order_id, sequence, status, captured, cancellation_refused)
    values (gen_random_uuid(), 0, 'barred', false, false)";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_must_never_be_cannot_be_written() {
    let rig = Rig::start(NO_CARRIER).await;
    for (given, change, constraint) in [
        (SCHEDULED, "update shipment set captured = true", None),
        (SCHEDULED, "update shipment set status = 'cancelled'", None),
        (DISPATCHED, "update shipment set status = 'delivered', delivered_at = now()", None),
        (SCHEDULED, "update shipment set awaits_stock = true", None),
        (KEPT, "update shipment set status = 'captured', captured = true", None),
        (KEPT, "update shipment set status = 'scheduled', ship_to = '{}'", None),
        (KEPT, "update shipment set captured = true", Some("shipment_kept")),
        (KEPT, "update shipment set kept = false", Some("shipment_kept")),
        (KEPT, "update shipment set ship_to = '{}'", Some("shipment_addressed")),
        (KEPT, "update shipment set awaits_stock = true", Some("shipment_certain")),
        (DISPATCHED, "update shipment set awaits_stock = true", Some("shipment_certain")),
        (SCHEDULED, "update shipment set status = 'unknown'", Some("shipment_status")),
        (
            SCHEDULED,
            "update shipment set status = 'dispatched', tracking_number = 'WB1', dispatched_at = now()",
            Some("shipment_paid"),
        ),
        (DISPATCHED, "update shipment set captured = false", Some("shipment_paid")),
        (BARRED, "update shipment set status = 'captured'", Some("shipment_paid")),
        (SCHEDULED, "update shipment set ship_to = null", Some("shipment_addressed")),
        (BARRED, "update shipment set ship_to = '{}'", Some("shipment_addressed")),
        (
            SCHEDULED,
            "update shipment set tracking_number = 'WB1', dispatched_at = now()",
            Some("shipment_tracked"),
        ),
        (
            DISPATCHED,
            "update shipment set tracking_number = null, dispatched_at = null",
            Some("shipment_tracked"),
        ),
        (DISPATCHED, "update shipment set dispatched_at = null", Some("shipment_dispatched")),
        (DISPATCHED, "update shipment set delivered_at = now()", Some("shipment_delivered")),
        (DISPATCHED, "update shipment set status = 'delivered'", Some("shipment_delivered")),
        (SCHEDULED, "update shipment set cancellation_refused = true", Some("shipment_refused")),
        (SCHEDULED, "update shipment set sequence = -1", Some("shipment_sequence")),
    ] {
        check(&rig, given, change, constraint).await;
    }
    rig.finish().await;
}
