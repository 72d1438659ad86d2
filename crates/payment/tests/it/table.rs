//! What the table does not take, whatever the code wants.

use crate::rig::Rig;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_that_moves_twice_or_out_of_nothing_cannot_be_written_down() {
    let rig = Rig::start().await;
    let kept = rig.placed("pm_card_visa").await;
    rig.reaches(&kept, "authorized").await;
    rig.send(&kept.confirmed()).await;
    rig.reaches(&kept, "captured").await;

    let cancelled = rig.order("pm_card_visa");
    rig.send(&cancelled.placed()).await;
    rig.send(&cancelled.cancelled()).await;
    rig.reaches(&cancelled, "cancelled").await;

    for (change, constraint) in [
        ("captured = 2 * captured", "payment_captured_once"),
        ("captured = captured - 1", "payment_captured_once"),
        ("captured = 0", "payment_taken"),
        ("authorized = 2 * authorized", "payment_authorized_once"),
        ("refunded = refunded + 1", "payment_refunded_once"),
        ("refunded = 2 * captured", "payment_refunded_once"),
        ("status = 'refunded'", "payment_given_back"),
        ("status = 'voided'", "payment_kept"),
        ("status = 'cancelled', reference = null", "payment_kept"),
        ("status = 'declined'", "payment_authorized_by"),
        ("reference = null", "payment_authorized_by"),
        ("currency = null", "payment_amount"),
        ("amount = -1, authorized = -1, captured = -1", "payment_amount"),
        ("amount = null, currency = null, authorized = 0, captured = 0", "payment_amount_known"),
        ("payment_method = 'pm_card_visa'", "payment_token"),
    ] {
        check(&rig, "captured", change, constraint).await;
    }
    check(&rig, "cancelled", "status = 'paid'", "payment_status").await;
    rig.finish().await;
}

/// Of several constraints in the way of a change Postgres tells the first by name.
async fn check(rig: &Rig, status: &str, change: &str, constraint: &str) {
    let sql = sqlx::AssertSqlSafe(format!("update payment set {change} where status = '{status}'"));
    let refused = sqlx::query(sql).execute(&rig.pool).await.unwrap_err();
    let named = refused.as_database_error().and_then(|it| it.constraint()).map(str::to_owned);
    assert_eq!(named.as_deref(), Some(constraint), "{change}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_token_is_forgotten_when_the_provider_has_answered() {
    let rig = Rig::start().await;
    let waiting = rig.order("pm_card_visa");
    rig.send(&waiting.placed()).await;
    rig.reaches(&waiting, "awaiting").await;
    let sql = "select count(*) from payment where payment_method is not null";
    assert_eq!(rig.count(sql).await, 1);

    rig.send(&waiting.reserved()).await;
    rig.reaches(&waiting, "authorized").await;

    assert_eq!(rig.count(sql).await, 0);
    rig.finish().await;
}
