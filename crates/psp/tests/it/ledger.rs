//! What those who run the tests read: the ledger and the probes.

use reqwest::StatusCode;

use crate::start;

#[tokio::test]
async fn the_ledger_tells_all_orders_in_order_or_one() {
    let (_running, api) = start().await;
    for (key, order) in [("k1", "a"), ("k2", "b"), ("k3", "a")] {
        let answer = api.authorize("pm_card_visa", order, key).await;
        assert_eq!(answer.status, StatusCode::OK);
    }
    let all = api.get("/ledger").await.json();
    let orders: Vec<_> =
        all["entries"].as_array().into_iter().flatten().map(|e| e["order_id"].clone()).collect();
    assert_eq!(orders, ["a", "b", "a"]);
    assert_eq!(api.movements("a").await.len(), 2);
    assert_eq!(api.movements("none").await.len(), 0);
}

#[tokio::test]
async fn the_probes_answer() {
    let (_running, api) = start().await;
    assert_eq!(api.get("/livez").await.text, "ok");
    assert_eq!(api.get("/readyz").await.text, "ready");
}
