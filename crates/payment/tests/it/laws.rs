//! What must hold at the end of every test.

use std::collections::BTreeMap;

use serde_json::Value;
use sqlx::{PgPool, Row as _};

/// Per order and in sum: what our table says is what the provider's ledger says, and nothing twice.
pub(crate) async fn hold(pool: &PgPool, ledger: &[Value]) {
    let mut theirs: BTreeMap<String, [i64; 3]> = BTreeMap::new();
    for entry in ledger {
        let moved = theirs.entry(entry["order_id"].as_str().unwrap().to_owned()).or_default();
        let column = match entry["kind"].as_str().unwrap() {
            "authorize" => 0,
            "capture" => 1,
            "refund" => 2,
            _ => continue,
        };
        assert_eq!(moved[column], 0, "twice: {entry}");
        moved[column] = entry["amount"].as_i64().unwrap();
    }
    let sql = "select order_id::text, authorized, captured, refunded from payment where authorized > 0";
    let rows = sqlx::query(sql).fetch_all(pool).await.unwrap();
    let ours: BTreeMap<String, [i64; 3]> =
        rows.iter().map(|it| (it.get(0), [it.get(1), it.get(2), it.get(3)])).collect();
    assert_eq!(ours, theirs);
    let sum = "select coalesce(sum(captured - refunded), 0)::bigint from payment";
    let kept: i64 = sqlx::query_scalar(sum).fetch_one(pool).await.unwrap();
    assert_eq!(kept, theirs.values().map(|it| it[1] - it[2]).sum::<i64>());
}
