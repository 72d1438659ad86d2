//! What the database itself refuses, and that the laws are worth asking.

use sqlx::AssertSqlSafe;

use crate::{
    laws,
    rig::{FOR_GOOD, Rig},
    told::{order, placed},
};

#[tokio::test]
async fn the_database_bars_what_must_never_be() {
    let rig = Rig::start(FOR_GOOD).await;
    rig.stock("MUG", 5).await;
    let id = order(1);
    let reservation = |status: &str, items: &str, expires_at: &str| {
        format!("insert into reservation values ('{id}', '{status}', '{items}', {expires_at}, 1)")
    };
    let items = r#"[{"sku": "MUG", "quantity": 1}]"#;
    for (statement, constraint) in [
        ("update product set reserved = 6".into(), "product_not_oversold"),
        ("update product set reserved = -1".into(), "product_not_oversold"),
        ("update product set on_hand = -1".into(), "product_not_oversold"),
        ("update product set deducted = -1".into(), "product_deducted"),
        ("update product set price_amount = -1".into(), "product_price"),
        ("update adjustment set delta = 0".into(), "adjustment_delta"),
        ("update adjustment set sku = 'NONE'".into(), "adjustment_sku"),
        (reservation("lost", items, "null"), "reservation_status"),
        (reservation("reserved", "[]", "null"), "reservation_items"),
        (reservation("rejected", items, "null"), "reservation_items"),
        (reservation("kept", items, "now()"), "reservation_expiry"),
    ] {
        let refused = sqlx::query(AssertSqlSafe(statement.clone())).execute(&rig.pool).await.unwrap_err();
        let named = refused.as_database_error().and_then(|it| it.constraint().map(str::to_owned));
        assert_eq!(named.as_deref(), Some(constraint), "{statement}: {refused}");
    }
    rig.finish().await;
}

#[tokio::test]
async fn the_laws_notice_what_breaks_them() {
    let rig = Rig::start(FOR_GOOD).await;
    rig.stock("MUG", 5).await;
    rig.tell(&placed(1, &[("MUG", 2)])).await;
    rig.reservation_is(1, "reserved").await;
    for (harm, undo, noticed) in [
        ("update product set on_hand = 6", "update product set on_hand = 5", "supply of MUG is 6, not 5"),
        ("update product set deducted = 1", "update product set deducted = 0", "supply of MUG is 6, not 5"),
        ("update product set reserved = 1", "update product set reserved = 2", "reserved of MUG is 1, not 2"),
        (
            "update reservation set status = 'released'",
            "update reservation set status = 'kept'",
            "reserved of MUG is 2, not 0",
        ),
    ] {
        sqlx::query(harm).execute(&rig.pool).await.unwrap();
        assert_eq!(laws::broken(&rig.pool).await, [noticed]);
        sqlx::query(undo).execute(&rig.pool).await.unwrap();
    }
    rig.finish().await;
}
