//! Rows of the read model that somebody has changed by hand, written anew from the events.

use events::OrderId;
use futures::future;
use reqwest::Method;
use sqlx::AssertSqlSafe;

use testkit::eventually;

use crate::{
    answer::Answer,
    rig::{Rig, SOON},
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

/// Writes one more event of an order and its row, in one transaction, and refolds the order before that commits.
async fn refold_behind(rig: &Rig, admin: &str, order_id: OrderId, row: &str) {
    let mut tx = rig.pool.begin().await.unwrap();
    let sql = format!(
        "insert into order_event (order_id, version, event_id, type, data, recorded_at, correlation_id, causation_id,
             actor)
         select order_id, 5, gen_random_uuid(), 'stock-noted.v1', '{{}}', now(), correlation_id, causation_id, actor
         from order_event where order_id = '{order_id}' and version = 4;
         {row};
         update order_view set version = 5 where order_id = '{order_id}'"
    );
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *tx).await.unwrap();
    let (admin, waiting) = (
        admin.to_owned(),
        "pg_stat_activity where wait_event_type = 'Lock'
        and datname = current_database()",
    );
    let refolding = tokio::spawn(async move { refold(&admin, order_id).await });
    eventually(SOON, "it waits for the transaction", async || match rig.count(waiting).await {
        0 if !refolding.is_finished() => Err("nobody waits"),
        _ => Ok(()),
    })
    .await;
    tx.commit().await.unwrap();
    let answer = refolding.await.unwrap();
    assert_eq!((answer.status, &answer.body["version"]), (200, &5.into()), "{}", answer.body);
}

#[tokio::test]
async fn a_row_that_is_written_anew_while_its_order_moves_is_not_behind() {
    let (rig, admin) = rig().await;
    let [there, gone] = [rig.place(&mugs()).await, rig.place(&mugs()).await];
    for id in [there, gone] {
        rig.confirm(id).await;
    }
    let row: String = sqlx::query_scalar("select to_jsonb(v)::text from order_view v where order_id = $1")
        .bind(gone.0)
        .fetch_one(&rig.pool)
        .await
        .unwrap();
    by_hand(&rig, &format!("delete from order_view where order_id = '{gone}'")).await;

    refold_behind(&rig, &admin, there, "").await;
    // Somebody else is just writing the row that is gone, and the order goes on with it.
    let write = format!(
        "select from order_event where order_id = '{gone}' and version = 1 for update;
         insert into order_view select * from jsonb_populate_record(null::order_view, '{row}')"
    );
    refold_behind(&rig, &admin, gone, &write).await;

    rig.finish().await;
}

#[tokio::test]
async fn orders_that_are_cancelled_while_their_rows_are_written_anew_are_cancelled() {
    let (rig, admin) = rig().await;
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(rig.place(&mugs()).await);
    }

    // All at once: they share transactions, and the same order is in one twice.
    let both = ids.iter().map(|id| future::join(refold(&admin, *id), rig.cancel(*id)));
    let answers = future::join_all(both).await;

    for (refolded, cancelled) in answers {
        assert_eq!((refolded.status, cancelled.status), (200, 200), "{} {}", refolded.body, cancelled.body);
        assert_eq!(cancelled.body["status"], "cancelled");
    }
    let cancelled = "order_view where status = 'cancelled' and version = 2";
    assert_eq!(rig.count(cancelled).await, 20);
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
