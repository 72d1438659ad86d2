//! An order's events, and what inventory makes of them.

use events::{Aggregate, OrderPlacedV1};
use expect_test::{Expect, expect};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    rig::{CORRELATION, FOR_GOOD, Published, Rig},
    told::{cancelled, confirmed, dispatched, order, placed},
};

/// Waits for `count` events of reservations and compares them all, those of one order in their order.
async fn trace(rig: &Rig, count: usize, expected: Expect) {
    let events = rig.published(Aggregate::Inventory, count).await;
    let line = |it: &Published| {
        let number = it.subject.parse::<Uuid>().unwrap().as_u128();
        let mut data = it.data.clone();
        data.as_object_mut().unwrap().remove("order_id");
        format!("order {number}: {} {} {data}\n", it.sequence, it.name)
    };
    let mut lines: Vec<_> = events.iter().map(line).collect();
    lines.sort();
    expected.assert_eq(&lines.concat());
}

#[tokio::test]
async fn stock_is_reserved_kept_and_deducted() {
    let rig = Rig::start(FOR_GOOD).await;
    rig.stock("MUG", 10).await;
    rig.stock("CUP", 1).await;

    let cause = rig.tell(&placed(1, &[("MUG", 2), ("CUP", 1), ("MUG", 1)])).await;
    let reservation = rig.reservation_is(1, "reserved").await;
    let items = json!([{"sku": "CUP", "quantity": 1}, {"sku": "MUG", "quantity": 3}]);
    let shown = json!({"order_id": order(1), "status": "reserved", "items": items, "expires_at": null});
    assert_eq!(reservation, shown);
    assert_eq!((rig.level("MUG").await, rig.level("CUP").await), ([10, 3, 7], [1, 1, 0]));

    rig.tell(&confirmed(1)).await;
    rig.reservation_is(1, "kept").await;
    assert_eq!(rig.level("MUG").await, [10, 3, 7]);

    rig.tell(&dispatched(1)).await;
    rig.reservation_is(1, "deducted").await;
    assert_eq!((rig.level("MUG").await, rig.level("CUP").await), ([7, 0, 7], [0, 0, 0]));

    trace(
        &rig,
        2,
        expect![[r#"
        order 1: 1 inventory.stock-reserved {"items":[{"quantity":1,"sku":"CUP"},{"quantity":3,"sku":"MUG"}]}
        order 1: 2 inventory.stock-deducted {"items":[{"quantity":1,"sku":"CUP"},{"quantity":3,"sku":"MUG"}]}
    "#]],
    )
    .await;
    let first = &rig.published(Aggregate::Inventory, 2).await[0];
    assert_eq!((first.causation_id, first.correlation_id), (cause, CORRELATION));
    assert_eq!(first.actor, "service:inventory");
    // What orders do to a product's stock is not told as a change of the product.
    assert_eq!(rig.published(Aggregate::Product, 4).await.len(), 4);
    rig.finish().await;
}

#[tokio::test]
async fn too_little_of_one_product_rejects_all() {
    let rig = Rig::start(FOR_GOOD).await;
    rig.stock("MUG", 10).await;
    rig.stock("CUP", 1).await;

    rig.tell(&placed(1, &[("MUG", 2), ("CUP", 1), ("CUP", 1), ("NONE", 1)])).await;
    rig.reservation_is(1, "rejected").await;
    assert_eq!((rig.level("MUG").await, rig.level("CUP").await), ([10, 0, 10], [1, 0, 1]));
    // As the order service answers a rejection.
    rig.tell(&cancelled(1)).await;

    rig.tell(&placed(2, &[("CUP", 1)])).await;
    rig.reservation_is(2, "reserved").await;
    rig.tell(&cancelled(2)).await;
    rig.reservation_is(2, "released").await;
    trace(&rig, 3, expect![[r#"
        order 1: 1 inventory.stock-rejected {"shortages":[{"available":1,"requested":2,"sku":"CUP"},{"available":0,"requested":1,"sku":"NONE"}]}
        order 2: 1 inventory.stock-reserved {"items":[{"quantity":1,"sku":"CUP"}]}
        order 2: 2 inventory.stock-released {"items":[{"quantity":1,"sku":"CUP"}]}
    "#]]).await;
    rig.finish().await;
}

#[tokio::test]
async fn a_cancelled_order_gives_back_its_stock_in_every_state() {
    let rig = Rig::start(FOR_GOOD).await;
    rig.stock("MUG", 10).await;
    for number in 1..=3 {
        rig.tell(&placed(number, &[("MUG", 3)])).await;
        rig.reservation_is(number, "reserved").await;
    }
    rig.tell(&confirmed(2)).await;
    rig.reservation_is(2, "kept").await;
    rig.tell(&dispatched(3)).await;
    rig.reservation_is(3, "deducted").await;

    for number in 1..=3 {
        rig.tell(&cancelled(number)).await;
    }

    rig.reservation_is(1, "released").await;
    rig.reservation_is(2, "released").await;
    rig.counts("select count(*) from engine.inbox", 8).await;
    rig.reservation_is(3, "deducted").await;
    assert_eq!(rig.level("MUG").await, [7, 0, 7]);
    trace(
        &rig,
        6,
        expect![[r#"
        order 1: 1 inventory.stock-reserved {"items":[{"quantity":3,"sku":"MUG"}]}
        order 1: 2 inventory.stock-released {"items":[{"quantity":3,"sku":"MUG"}]}
        order 2: 1 inventory.stock-reserved {"items":[{"quantity":3,"sku":"MUG"}]}
        order 2: 2 inventory.stock-released {"items":[{"quantity":3,"sku":"MUG"}]}
        order 3: 1 inventory.stock-reserved {"items":[{"quantity":3,"sku":"MUG"}]}
        order 3: 2 inventory.stock-deducted {"items":[{"quantity":3,"sku":"MUG"}]}
    "#]],
    )
    .await;
    rig.finish().await;
}

#[tokio::test]
async fn a_cancellation_before_the_order_leaves_a_tombstone() {
    let rig = Rig::start(FOR_GOOD).await;
    rig.stock("MUG", 10).await;
    rig.tell(&cancelled(1)).await;
    let tombstone = rig.reservation_is(1, "cancelled").await;
    assert_eq!(tombstone["items"], json!([]));

    rig.tell(&placed(1, &[("MUG", 2)])).await;

    rig.counts("select count(*) from engine.inbox", 2).await;
    rig.reservation_is(1, "cancelled").await;
    assert_eq!(rig.level("MUG").await, [10, 0, 10]);
    rig.counts("select count(*) from engine.outbox", 0).await;
    trace(&rig, 0, expect![""]).await;
    rig.finish().await;
}

#[tokio::test]
async fn duplicates_and_repetitions_have_no_effect() {
    let rig = Rig::start(FOR_GOOD).await;
    rig.stock("MUG", 10).await;
    let (first, left) = (placed(1, &[("MUG", 2)]), dispatched(1));
    let id = rig.tell(&first).await;
    rig.reservation_is(1, "reserved").await;
    let left_id = rig.tell(&left).await;
    rig.reservation_is(1, "deducted").await;

    // The same events again, then the same facts as other events.
    rig.tell_as(id, &first).await;
    rig.tell_as(left_id, &left).await;
    rig.tell(&first).await;
    rig.tell(&left).await;
    rig.tell(&confirmed(1)).await;

    rig.counts("select count(*) from engine.inbox", 5).await;
    assert_eq!(rig.level("MUG").await, [8, 0, 8]);
    trace(
        &rig,
        2,
        expect![[r#"
        order 1: 1 inventory.stock-reserved {"items":[{"quantity":2,"sku":"MUG"}]}
        order 1: 2 inventory.stock-deducted {"items":[{"quantity":2,"sku":"MUG"}]}
    "#]],
    )
    .await;
    rig.finish().await;
}

#[tokio::test]
async fn a_parcel_that_left_without_a_reservation_is_a_dead_letter() {
    let rig = Rig::start(FOR_GOOD).await;
    rig.stock("MUG", 10).await;
    rig.tell(&placed(1, &[("MUG", 2)])).await;
    rig.reservation_is(1, "reserved").await;
    rig.tell(&cancelled(1)).await;
    rig.reservation_is(1, "released").await;

    rig.tell(&dispatched(1)).await;
    rig.counts("select count(*) from engine.dead_letter where cause = 'impossible'", 1).await;

    // Other orders go on.
    rig.tell(&placed(2, &[("MUG", 1)])).await;
    rig.reservation_is(2, "reserved").await;
    assert_eq!(rig.level("MUG").await, [10, 1, 9]);
    rig.finish_with_dead_letters(1).await;
}

#[tokio::test]
async fn the_first_version_of_an_order_is_read() {
    let rig = Rig::start(FOR_GOOD).await;
    rig.stock("MUG", 10).await;
    let mut old: Value = serde_json::to_value(placed(1, &[("MUG", 2)])).unwrap();
    old["total"] = json!(1000);
    old["lines"][0]["unit_price"] = json!(500);
    rig.tell(&serde_json::from_value::<OrderPlacedV1>(old).unwrap()).await;
    rig.reservation_is(1, "reserved").await;
    assert_eq!(rig.level("MUG").await, [10, 2, 8]);
    rig.finish().await;
}
