//! Duplicates, replays, and what can never be.

use events::{Money, OrderPlaced};

use crate::{order::TOTAL, rig::Rig};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_twice_under_its_id_and_under_another() {
    let rig = Rig::start().await;
    let order = rig.order("pm_card_visa");

    for _ in 0..2 {
        let id = rig.send(&order.placed()).await;
        rig.send_as(id, &order.placed()).await;
        let id = rig.send(&order.reserved()).await;
        rig.send_as(id, &order.reserved()).await;
    }
    rig.reaches(&order, "authorized").await;
    for _ in 0..2 {
        let id = rig.send(&order.confirmed()).await;
        rig.send_as(id, &order.confirmed()).await;
    }
    rig.reaches(&order, "captured").await;
    for _ in 0..2 {
        let id = rig.send(&order.cancelled()).await;
        rig.send_as(id, &order.cancelled()).await;
    }
    rig.reaches(&order, "refunded").await;

    assert_eq!(rig.ledger(&order).await.len(), 3);
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_of_everything_has_no_effect_also_when_the_inbox_has_forgotten() {
    let rig = Rig::start().await;
    let kept = rig.placed("pm_card_visa").await;
    let given_back = rig.placed("pm_card_visa").await;
    let declined = rig.placed("pm_card_chargeDeclined").await;
    for order in [&kept, &given_back] {
        rig.reaches(order, "authorized").await;
        rig.send(&order.confirmed()).await;
        rig.reaches(order, "captured").await;
    }
    rig.send(&given_back.cancelled()).await;
    rig.reaches(&given_back, "refunded").await;
    rig.reaches(&declined, "declined").await;

    for forgotten in [false, true] {
        if forgotten {
            sqlx::query("delete from engine.inbox").execute(&rig.pool).await.unwrap();
        }
        rig.rewind().await;
        // The whole log is fewer records than a batch takes, so that the last one comes with all others.
        let last = rig.placed("pm_card_visa").await;
        rig.reaches(&last, "authorized").await;
    }

    rig.reaches(&kept, "captured").await;
    rig.reaches(&given_back, "refunded").await;
    rig.reaches(&declined, "declined").await;
    assert_eq!(rig.published(&kept).await.len(), 2);
    assert_eq!(rig.published(&given_back).await.len(), 3);
    assert_eq!(rig.published(&declined).await.len(), 1);
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_total_below_nothing_is_parked_and_others_are_not_held_up() {
    let rig = Rig::start().await;
    let (wrong, right) = (rig.order("pm_card_visa"), rig.placed("pm_card_visa").await);

    let total = Money { amount: -1, ..TOTAL };
    rig.send(&OrderPlaced { total, ..wrong.placed() }).await;
    rig.send(&wrong.reserved()).await;
    rig.reaches(&right, "authorized").await;
    testkit::eventually(crate::rig::SOON, "the message is parked", async || {
        match rig.count("select count(*) from engine.dead_letter where status = 'poison'").await {
            1 => Ok(()),
            other => Err(format!("{other} are poison")),
        }
    })
    .await;

    assert!(rig.ledger(&wrong).await.is_empty());
    let letters = rig.count("select count(*) from engine.dead_letter").await;
    assert!((1..=2).contains(&letters), "{letters}: the poison, and what came behind it");
    rig.finish_with(letters, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_from_before_currencies_is_paid_in_dollars() {
    let rig = Rig::start().await;
    let order = rig.order("pm_card_visa");
    let placed = order.placed();
    let lines = placed.lines.into_iter().map(|it| events::LineV1 {
        sku: it.sku,
        name: it.name,
        quantity: it.quantity,
        unit_price: it.unit_price.amount,
    });
    let old = events::OrderPlacedV1 {
        order_id: placed.order_id,
        customer: placed.customer,
        lines: lines.collect(),
        total: placed.total.amount,
        ship_to: placed.ship_to,
        payment_method: placed.payment_method,
        placed_at: placed.placed_at,
    };

    rig.send(&old).await;
    rig.send(&order.reserved()).await;
    rig.reaches(&order, "authorized").await;

    assert_eq!(rig.ledger(&order).await, ["authorize 3998 usd"]);
    rig.finish().await;
}
