//! Rows of the read model that somebody has changed by hand, written anew from the events.

use events::OrderId;
use reqwest::Method;
use sqlx::AssertSqlSafe;

use crate::{
    answer::Answer,
    rig::Rig,
    words::{captured, delivered, dispatched, mugs},
};

/// A service with an address for the operator.
async fn rig() -> (Rig, String) {
    let admin = testkit::free_addr().to_string();
    let rig = Rig::with(&["--admin-addr", &admin]).await;
    (rig, format!("http://{admin}"))
}

async fn refold(admin: &str, order_id: OrderId) -> Answer {
    let post = reqwest::Client::new().post(format!("{admin}/orders/{order_id}/refold"));
    Answer::of(post.header("x-actor", "operator:jane")).await
}

async fn by_hand(rig: &Rig, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&rig.pool).await.unwrap();
}

#[tokio::test]
async fn a_row_that_was_changed_or_removed_becomes_what_the_events_say_and_the_order_goes_on() {
    let (rig, admin) = rig().await;
    let [changed, removed] = [rig.place(&mugs()).await, rig.place(&mugs()).await];
    for id in [changed, removed] {
        rig.confirm(id).await;
        rig.told(&captured(id)).await;
    }
    let before = [rig.order(changed).await, rig.order(removed).await];
    rig.drained().await;
    let written = rig.written().await;
    let other = "version = 9, sequence = 9, status = 'cancelled', customer_id = 'c-9', total_amount = 1, currency = 'JPY',
        cancel_reason = 'customer', tracking_number = 'WB9', paid = false, placed_at = now(),
        stock_compensation = 'done', payment_compensation = 'done'";
    by_hand(&rig, &format!("update order_view set {other} where order_id = '{changed}'")).await;
    by_hand(&rig, &format!("delete from order_view where order_id = '{removed}'")).await;

    let answers = [refold(&admin, changed).await, refold(&admin, removed).await];
    let again = refold(&admin, changed).await;

    assert_eq!(answers.clone().map(|it| (it.status, it.body)), before.clone().map(|it| (200, it)));
    assert_eq!((again.status, again.body), (200, before[0].clone()));
    rig.drained().await;
    assert_eq!(rig.written().await, written, "nothing has happened to the orders");
    for id in [changed, removed] {
        rig.told(&dispatched(id)).await;
        rig.told(&delivered(id)).await;
        rig.reaches(id, "delivered").await;
    }
    rig.finish().await;
}

#[tokio::test]
async fn rows_that_are_written_anew_while_their_orders_move_are_never_behind() {
    let (rig, admin) = rig().await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(rig.place(&mugs()).await);
    }
    let removed = ids[0];
    by_hand(&rig, &format!("delete from order_view where order_id = '{removed}'")).await;

    let refolding = async {
        for _ in 0..20 {
            for answer in futures::future::join_all(ids.iter().map(|id| refold(&admin, *id))).await {
                assert_eq!(answer.status, 200, "{}", answer.body);
            }
        }
    };
    let moving = async {
        for id in &ids[1..] {
            rig.confirm(*id).await;
            rig.told(&captured(*id)).await;
            rig.told(&dispatched(*id)).await;
            rig.told(&delivered(*id)).await;
        }
    };
    tokio::join!(refolding, moving);

    for id in &ids[1..] {
        rig.reaches(*id, "delivered").await;
    }
    assert_eq!(rig.order(removed).await["status"], "placed");
    rig.finish().await;
}

#[tokio::test]
async fn no_row_is_written_from_events_that_are_not_whole_or_not_there() {
    let (rig, admin) = rig().await;
    let (gap, unreadable) = (rig.place(&mugs()).await, rig.place(&mugs()).await);
    let nobody = OrderId::new();
    for id in [gap, unreadable] {
        rig.confirm(id).await;
    }
    by_hand(&rig, &format!("update order_event set version = 9 where version = 2 and order_id = '{gap}'"))
        .await;
    let rename = |from, to| {
        format!("update order_event set type = '{to}' where type = '{from}' and order_id = '{unreadable}'")
    };
    by_hand(&rig, &rename("stock-noted.v1", "stock-noted.v9")).await;

    let refused = [refold(&admin, gap).await, refold(&admin, unreadable).await, refold(&admin, nobody).await];
    let elsewhere = Answer::of(rig.request(Method::POST, &format!("/orders/{gap}/refold"))).await;

    assert_eq!(refused.map(|it| it.status), [409, 409, 404]);
    assert_eq!(elsewhere.status, 404, "it is the operator's alone");
    by_hand(&rig, &format!("update order_event set version = 2 where version = 9 and order_id = '{gap}'"))
        .await;
    by_hand(&rig, &rename("stock-noted.v9", "stock-noted.v1")).await;
    rig.finish().await;
}
