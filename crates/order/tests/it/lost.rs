//! Messages that can never be right: parked, with their order's later ones, while others go on.

use bus::{Record, topics};
use events::{Event as _, OrderId, StockReserved};
use uuid::Uuid;

use crate::{
    rig::Rig,
    words::{authorized, mugs, product, stock_reserved},
};

#[tokio::test]
async fn an_event_of_an_order_that_was_never_placed_here_is_parked() {
    let mut rig = Rig::new().await;
    let order_id = rig.place(&mugs()).await;
    let stranger = OrderId(Uuid::now_v7());

    rig.tell(&stock_reserved(stranger)).await;
    rig.tell(&authorized(stranger)).await;
    rig.confirm(order_id).await;

    let letters: Vec<(String, String)> =
        sqlx::query_as("select cause, error from engine.dead_letter").fetch_all(&rig.pool).await.unwrap();
    assert_eq!(letters.len(), 2, "{letters:?}");
    assert!(
        letters.contains(&("impossible".into(), "the order was never placed here".into())),
        "{letters:?}"
    );
    rig.dead_letters = 2;
    rig.finish().await;
}

#[tokio::test]
async fn an_event_that_cannot_be_read_is_parked() {
    let mut rig = Rig::new().await;
    let order_id = rig.place(&mugs()).await;
    let topic = topics::name(&rig.prefix, "inventory");
    let header = |name: &'static str, value: String| (name.into(), Some(value.into_bytes().into()));
    let record = Record {
        topic: topic.into(),
        key: Some(b"somebody-else".as_slice().into()),
        headers: vec![
            header("ce_specversion", "1.0".into()),
            header("ce_id", Uuid::now_v7().to_string()),
            header("ce_source", "/waybill/inventory".into()),
            header("ce_type", StockReserved::TYPE.into()),
        ],
        payload: Some(br#"{"order_id": "not one"}"#.as_slice().into()),
    };
    rig.bus.producer().unwrap().enqueue([record]).acknowledged().await.unwrap();
    rig.confirm(order_id).await;

    let cause: String =
        sqlx::query_scalar("select cause from engine.dead_letter").fetch_one(&rig.pool).await.unwrap();
    assert_eq!(cause, "undecodable");
    rig.dead_letters = 1;
    rig.finish().await;
}

#[tokio::test]
async fn a_price_below_zero_does_not_get_into_the_list() {
    let mut rig = Rig::new().await;
    rig.told(&product("MUG-01", -1, "USD")).await;
    let order_id = rig.place(&mugs()).await;
    assert_eq!(rig.order(order_id).await["total"]["amount"], 3998);
    rig.dead_letters = 1;
    rig.finish().await;
}

#[tokio::test]
async fn what_the_database_refuses_is_parked_alone() {
    let mut rig = Rig::new().await;
    let order_id = rig.place(&mugs()).await;
    rig.confirm(order_id).await;
    let mut named = product("MUG-02", 100, "USD");
    named.name = "a\u{0}b".into();

    rig.tell(&product("MUG-03", 300, "USD")).await;
    rig.tell(&named).await;
    rig.told(&product("MUG-04", 400, "USD")).await;

    assert_eq!(rig.count("price where sku in ('MUG-03', 'MUG-04')").await, 2);
    assert_eq!(rig.count("engine.dead_letter where cause = 'refused-by-database'").await, 1);
    rig.dead_letters = 1;
    rig.finish().await;
}
