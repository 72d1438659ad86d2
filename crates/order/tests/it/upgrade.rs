//! Tables that an earlier version has filled are carried over: their rows say what their events fold to.

use std::borrow::Cow;

use events::{Event as _, OrderId, OrderPlaced, catalogue};
use order::{Order, OrderEvent, OrderView};
use sqlx::{PgPool, Row, migrate::Migrator};
use testkit::TestDatabase;
use time::OffsetDateTime;
use uuid::Uuid;

/// What the earlier version has recorded of an order after `placed`, in the forms that it stored.
const LIVES: [&[(&str, &str)]; 10] = [
    &[],
    &[STOCK],
    &[STOCK, PAYMENT, CONFIRMED],
    &[PAYMENT, STOCK, CONFIRMED, PAID, REQUESTED],
    &[STOCK, PAYMENT, CONFIRMED, REQUESTED, SHIPPED],
    &[("cancelled.v1", r#"{"reason":"out-of-stock"}"#)],
    &[STOCK, ("cancelled.v1", r#"{"reason":"payment-declined"}"#)],
    &[STOCK, ("cancelled.v1", r#"{"reason":"reservation-expired"}"#)],
    &[STOCK, PAYMENT, CONFIRMED, PAID, REQUESTED, ("cancelled.v1", r#"{"reason":"customer"}"#)],
    &[
        STOCK,
        PAYMENT,
        CONFIRMED,
        ("cancellation-requested.v1", r#"{"reason":"reservation-expired"}"#),
        ("cancelled.v1", r#"{"reason":"capture-failed"}"#),
    ],
];
const STOCK: (&str, &str) = ("stock-noted.v1", "{}");
const PAYMENT: (&str, &str) = ("payment-noted.v1", "{}");
const CONFIRMED: (&str, &str) = ("confirmed.v1", r#"{"at":"2025-08-19T09:30:00Z"}"#);
const PAID: (&str, &str) = ("paid.v1", "{}");
const REQUESTED: (&str, &str) = ("cancellation-requested.v1", r#"{"reason":"customer"}"#);
const SHIPPED: (&str, &str) = ("shipped.v1", r#"{"tracking_number":"WB1"}"#);

#[tokio::test]
async fn rows_from_before_compensation_was_shown_stay_true() {
    let database = TestDatabase::create_owned().await;
    let pool = database.pool().await;
    let all = sqlx::migrate!();
    let first: Vec<_> = all.iter().take(1).cloned().collect();
    Migrator { migrations: Cow::Owned(first), ..Migrator::DEFAULT }.run(&pool).await.unwrap();
    let mut orders = Vec::new();
    for life in LIVES {
        orders.push(live(&pool, life).await);
    }

    all.run(&pool).await.unwrap();

    for order in &orders {
        let row = sqlx::query(
            "select cancelling, stock_compensation, payment_compensation from order_view where order_id = $1",
        );
        let row = row.bind(order.placed.order_id.0).fetch_one(&pool).await.unwrap();
        let shown = serde_json::to_value(OrderView::of(order)).unwrap();
        assert_eq!(row.get::<bool, _>("cancelling"), shown.get("cancelling").is_some(), "{shown}");
        for (column, held) in [("stock_compensation", "stock"), ("payment_compensation", "payment")] {
            let stored: Option<&str> = row.get(column);
            assert_eq!(stored, shown["compensation"][held].as_str(), "{held} of {shown}");
        }
    }
    pool.close().await;
    database.close().await;
}

/// Writes an order as the earlier version did, and returns what its events fold to now.
async fn live(pool: &PgPool, life: &[(&str, &str)]) -> Order {
    let published =
        catalogue().into_iter().find(|it| it.name == OrderPlaced::NAME && it.version == 2).unwrap();
    let mut placed = OrderPlaced::decode(2, published.example.to_string().as_bytes()).unwrap();
    placed.order_id = OrderId(Uuid::now_v7());
    let first = serde_json::to_string(&placed).unwrap();
    let mut order = Order::begin(placed);
    for (stored_type, data) in life {
        order.evolve(&OrderEvent::from_stored(stored_type, data).unwrap());
    }
    let stored = [("placed.v2", first.as_str())].into_iter().chain(life.iter().copied());
    for (version, (stored_type, data)) in (1_i64..).zip(stored) {
        sqlx::query("insert into order_event values ($1, $2, $3, $4, $5, $6, $7, $7, 'customer')")
            .bind(order.placed.order_id.0)
            .bind(version)
            .bind(Uuid::now_v7())
            .bind(stored_type)
            .bind(data)
            .bind(OffsetDateTime::now_utc())
            .bind(Uuid::now_v7())
            .execute(pool)
            .await
            .unwrap();
    }
    let shown = serde_json::to_value(OrderView::of(&order)).unwrap();
    sqlx::query(
        "insert into order_view (order_id, version, sequence, status, customer_id, total_amount, currency,
             cancel_reason, tracking_number, paid, placed_at)
         values ($1, $2, $3, $4, 'c-1', 1, 'USD', $5, $6, $7, now())",
    )
    .bind(order.placed.order_id.0)
    .bind(order.version)
    .bind(order.sequence)
    .bind(shown["status"].as_str())
    .bind(shown["cancel_reason"].as_str())
    .bind(shown["tracking_number"].as_str())
    .bind(shown["paid"].as_bool())
    .execute(pool)
    .await
    .unwrap();
    order
}

/// What must never be in the read model is barred there too.
#[tokio::test]
async fn the_read_model_bars_what_cannot_be() {
    let database = TestDatabase::create_owned().await;
    let pool = database.pool().await;
    sqlx::migrate!().run(&pool).await.unwrap();
    let confirmed = row(&pool, "confirmed", None).await;
    let cancelled = row(&pool, "cancelled", Some("customer")).await;
    for (order_id, change, constraint) in [
        (cancelled, "cancelling = true", "order_view_cancelling"),
        (confirmed, "stock_compensation = 'pending'", "order_view_compensates"),
        (confirmed, "payment_compensation = 'done'", "order_view_compensates"),
        (cancelled, "stock_compensation = 'lost'", "order_view_compensation"),
        (cancelled, "paid = true", "order_view_refund"),
    ] {
        let sql = format!("update order_view set {change} where order_id = '{order_id}'");
        let refused = sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&pool).await.unwrap_err();
        let refused = refused.as_database_error().and_then(|it| it.constraint()).map(str::to_owned);
        assert_eq!(refused.as_deref(), Some(constraint), "{change}");
    }
    pool.close().await;
    database.close().await;
}

async fn row(pool: &PgPool, status: &str, cancel_reason: Option<&str>) -> Uuid {
    let order_id = Uuid::now_v7();
    sqlx::query(
        "insert into order_view (order_id, version, sequence, status, customer_id, total_amount, currency,
             cancel_reason, paid, placed_at)
         values ($1, 1, 1, $2, 'c-1', 1, 'USD', $3, false, now())",
    )
    .bind(order_id)
    .bind(status)
    .bind(cancel_reason)
    .execute(pool)
    .await
    .unwrap();
    order_id
}
