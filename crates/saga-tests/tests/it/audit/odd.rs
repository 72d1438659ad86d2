//! What no service writes into a row is told of that row, and hides nothing else.

use audit::Law;
use uuid::Uuid;

use super::{Processes, at_least, consumed::place, look};
use ::load::PLAIN;

/// Each order has one row changed, and so have some products.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_no_service_writes_hides_nothing_else() {
    let suite = Processes::start().await;
    PLAIN.stock(&suite.target(), 0).await.expect("stock");
    let mut orders = Vec::new();
    for _ in 0..5 {
        orders.push(place(&suite).await);
    }
    at_least(&suite, 5, "order", "order_view where status = 'delivered' and paid").await;
    let before = look(&suite.sources()).await;
    let (payment, shipping, inventory) = ("payment", "shipping", "inventory");

    change(&suite, payment, &format!("payment set sequence = -1 where order_id = '{}'", orders[0])).await;
    change(&suite, payment, &format!("payment set currency = 'XXQ' where order_id = '{}'", orders[1])).await;
    change(&suite, shipping, &format!("shipment set sequence = 100000000 where order_id = '{}'", orders[2]))
        .await;
    let items = r#"reservation set items = jsonb_set(items, '{0,quantity}', '"lots"') where order_id"#;
    change(&suite, inventory, &format!("{items} = '{}'", orders[3])).await;
    change(
        &suite,
        "order",
        &format!("order_view set placed_at = 'infinity' where order_id = '{}'", orders[4]),
    )
    .await;
    change(&suite, "order", "price set currency = 'QQQ' where sku = 'LOAD-CUP'").await;
    change(&suite, inventory, "product set on_hand = 9223372036854775807 where sku = 'LOAD-MUG'").await;
    let after = look(&suite.sources()).await;
    suite.clear().await;

    assert!(before.is_clean(), "{before:#?}");
    let told = |law, order: Option<Uuid>, sku: Option<&str>, words: &str| {
        let is_it = |it: &&audit::Violation| {
            (it.law, it.order_id, it.sku.as_deref()) == (law, order, sku) && it.text.contains(words)
        };
        assert!(after.violations.iter().any(|it| is_it(&it)), "{words}: {:#?}", after.violations);
    };
    told(Law::Published, Some(orders[0]), None, "has counted -1 events");
    told(Law::Amounts, Some(orders[1]), None, "\"XXQ\", which is no currency");
    told(Law::Published, Some(orders[2]), None, "to 100000000 are neither on ");
    told(Law::Stock, Some(orders[3]), None, "\"lots\"");
    told(Law::Fold, Some(orders[4]), None, "placed at another time");
    told(Law::Prices, None, Some("LOAD-CUP"), "\"QQQ\", which is no currency");
    told(Law::Stock, None, Some("LOAD-MUG"), "on hand 9223372036854775807");
    assert!(serde_json::to_string(&after).expect("JSON").len() < 100_000, "it takes little room");
}

async fn change(suite: &Processes, service: &str, change: &str) {
    let update = sqlx::query(sqlx::AssertSqlSafe(format!("update {change}")));
    let updated = update.execute(&suite.pools[service]).await.expect("an update");
    assert_eq!(updated.rows_affected(), 1, "{change}");
}
