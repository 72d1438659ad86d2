//! The tables of an earlier version, with rows in them, become those of this one.

use std::borrow::Cow;

use sqlx::migrate::Migrator;
use testkit::TestDatabase;

static MIGRATIONS: Migrator = sqlx::migrate!();

/// What a process of the first version writes.
const FIRST: &str = "insert into shipment (order_id, sequence, status, captured, cancellation_refused,
        tracking_number, dispatched_at, delivered_at, ship_to)
    values (gen_random_uuid(), 0, 'captured', true, false, null, null, null, null),
        (gen_random_uuid(), 1, 'scheduled', false, false, null, null, null, '{}'),
        (gen_random_uuid(), 1, 'scheduled', true, false, null, null, null, '{}'),
        (gen_random_uuid(), 2, 'dispatched', true, false, 'WB1', now(), null, '{}'),
        (gen_random_uuid(), 3, 'delivered', true, false, 'WB1', now(), now(), '{}'),
        (gen_random_uuid(), 2, 'cancelled', true, false, null, null, null, '{}'),
        (gen_random_uuid(), 0, 'barred', false, false, null, null, null, null)";

#[tokio::test]
async fn rows_of_the_first_version_are_valid_and_wait_for_no_stock() {
    let database = TestDatabase::create_owned().await;
    let pool = database.pool().await;
    let first = MIGRATIONS.iter().filter(|it| it.version == 1).cloned().collect::<Vec<_>>();
    let first = Migrator { migrations: Cow::Owned(first), ..Migrator::DEFAULT };
    first.run(&pool).await.unwrap();
    sqlx::query(FIRST).execute(&pool).await.unwrap();

    MIGRATIONS.run(&pool).await.unwrap();

    // One that has not been replaced yet goes on writing.
    sqlx::query(FIRST).execute(&pool).await.unwrap();
    let certain = "select count(*) from shipment where not kept and not awaits_stock";
    assert_eq!(sqlx::query_scalar::<_, i64>(certain).fetch_one(&pool).await.unwrap(), 14);
    pool.close().await;
    database.close().await;
}
