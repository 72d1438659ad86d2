//! Two that want an order at the same moment. They come over different connections, so that nothing but the row's
//! lock is between them: a test holds it until both wait, and whoever waited first has to win.

use events::{OrderId, ShipmentCancelled};
use expect_test::expect;
use sqlx::{Postgres, Transaction};
use testkit::eventually;

use crate::{
    rig::{Rig, SOON},
    words::{authorized, captured, delivered, dispatched, expired, mugs, stock_reserved},
};

impl Rig {
    /// Holds an order's lock until the transaction ends.
    async fn hold(&self, order_id: OrderId) -> Transaction<'static, Postgres> {
        let mut tx = self.pool.begin().await.unwrap();
        let lock = sqlx::query("select from order_view where order_id = $1 for update").bind(order_id.0);
        assert_eq!(lock.execute(&mut *tx).await.unwrap().rows_affected(), 1);
        tx
    }

    /// Waits until so many of the service's transactions wait for an order's lock.
    #[track_caller]
    fn waiting(&self, count: i64) -> impl Future<Output = ()> {
        eventually(SOON, "the service waits for the lock", async move || {
            let waiting = "pg_stat_activity where datname = current_database() and application_name = 'order'
                and wait_event_type = 'Lock' and query like '%from order_view%'";
            match self.count(waiting).await {
                waiting if waiting == count => Ok(()),
                waiting => Err(format!("{waiting} wait")),
            }
        })
    }

    /// Lets both wait for an order's lock, `second` behind `first`, and then have it.
    async fn race<A, B>(
        &self,
        order_id: OrderId,
        first: impl Future<Output = A>,
        second: impl Future<Output = B>,
    ) -> (A, B) {
        let lock = self.hold(order_id).await;
        let behind = async {
            self.waiting(1).await;
            let released = async {
                self.waiting(2).await;
                lock.rollback().await.unwrap();
            };
            tokio::join!(second, released).0
        };
        let both = tokio::join!(first, behind);
        self.settled().await;
        both
    }

    /// Lets an order's time run out now, as far as the database knows.
    async fn run_out(&self, order_id: OrderId) {
        let moved = sqlx::query("update engine.deadline set due_at = clock_timestamp() where key = $1")
            .bind(order_id.to_string());
        assert_eq!(moved.execute(&self.pool).await.unwrap().rows_affected(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_that_is_before_the_confirmation_is_at_once() {
    let rig = Rig::new().await;
    let by_payment = rig.place(&mugs()).await;
    rig.told(&stock_reserved(by_payment)).await;
    let (answer, _) = rig.race(by_payment, rig.cancel(by_payment), rig.tell(&authorized(by_payment))).await;
    assert_eq!((answer.status, &answer.body["status"]), (200, &"cancelled".into()));
    expect![[r#"
        1 placed.v2 -> order.placed.v2 #1
        2 stock-noted.v1
        3 cancelled.v1 -> order.cancelled.v1 #2
    "#]]
    .assert_eq(&rig.trace(by_payment).await);

    let by_stock = rig.place(&mugs()).await;
    rig.told(&authorized(by_stock)).await;
    let (answer, _) = rig.race(by_stock, rig.cancel(by_stock), rig.tell(&stock_reserved(by_stock))).await;
    assert_eq!(answer.status, 200);
    expect![[r#"
        1 placed.v2 -> order.placed.v2 #1
        2 payment-noted.v1
        3 cancelled.v1 -> order.cancelled.v1 #2
        4 stock-noted.v1
    "#]]
    .assert_eq(&rig.trace(by_stock).await);
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_that_is_behind_the_confirmation_asks_shipping() {
    let rig = Rig::new().await;
    let by_payment = rig.place(&mugs()).await;
    rig.told(&stock_reserved(by_payment)).await;
    let (_, answer) = rig.race(by_payment, rig.tell(&authorized(by_payment)), rig.cancel(by_payment)).await;
    assert_eq!((answer.status, &answer.body["cancelling"]), (202, &true.into()));
    rig.told(&ShipmentCancelled { order_id: by_payment }).await;
    expect![[r#"
        1 placed.v2 -> order.placed.v2 #1
        2 stock-noted.v1
        3 payment-noted.v1
        4 confirmed.v1 -> order.confirmed.v1 #2
        5 cancellation-requested.v1 -> order.cancellation-requested.v1 #3
        6 cancelled.v1 -> order.cancelled.v1 #4
    "#]]
    .assert_eq(&rig.trace(by_payment).await);

    let by_stock = rig.place(&mugs()).await;
    rig.told(&authorized(by_stock)).await;
    let (_, answer) = rig.race(by_stock, rig.tell(&stock_reserved(by_stock)), rig.cancel(by_stock)).await;
    assert_eq!(answer.status, 202);
    rig.told(&ShipmentCancelled { order_id: by_stock }).await;
    expect![[r#"
        1 placed.v2 -> order.placed.v2 #1
        2 payment-noted.v1
        3 stock-noted.v1
        4 confirmed.v1 -> order.confirmed.v1 #2
        5 cancellation-requested.v1 -> order.cancellation-requested.v1 #3
        6 cancelled.v1 -> order.cancelled.v1 #4
    "#]]
    .assert_eq(&rig.trace(by_stock).await);
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parcel_that_leaves_as_the_customer_cancels_is_delivered() {
    let rig = Rig::new().await;
    for cancel_is_first in [true, false] {
        let order_id = rig.place(&mugs()).await;
        rig.confirm(order_id).await;
        rig.told(&captured(order_id)).await;
        let parcel = dispatched(order_id);
        let (cancel, leave) = (rig.cancel(order_id), rig.tell(&parcel));
        let answer = match cancel_is_first {
            true => rig.race(order_id, cancel, leave).await.0,
            false => rig.race(order_id, leave, cancel).await.1,
        };
        assert_eq!(answer.status, if cancel_is_first { 202 } else { 409 });
        rig.told(&delivered(order_id)).await;
        let order = rig.order(order_id).await;
        assert_eq!((&order["status"], order.get("cancelling")), (&"delivered".into(), None));
    }
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reservation_that_runs_out_as_the_customer_cancels_is_one_request() {
    let rig = Rig::new().await;
    for (cancel_is_first, reason) in [(true, "customer"), (false, "reservation-expired")] {
        let order_id = rig.place(&mugs()).await;
        rig.confirm(order_id).await;
        let over = expired(order_id);
        let (cancel, expire) = (rig.cancel(order_id), rig.tell(&over));
        let answer = match cancel_is_first {
            true => rig.race(order_id, cancel, expire).await.0,
            false => rig.race(order_id, expire, cancel).await.1,
        };
        assert_eq!((answer.status, &answer.body["cancelling"]), (202, &true.into()));
        rig.told(&ShipmentCancelled { order_id }).await;
        let order = rig.order(order_id).await;
        assert_eq!((&order["status"], &order["cancel_reason"]), (&"cancelled".into(), &reason.into()));
        assert_eq!(order["compensation"]["stock"], "done");
    }
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_deadline_and_the_awaited_payment_have_one_winner() {
    let rig = Rig::new().await;

    let late = rig.place(&mugs()).await;
    rig.told(&stock_reserved(late)).await;
    rig.race(late, rig.run_out(late), rig.tell(&authorized(late))).await;
    assert_eq!(rig.order(late).await["cancel_reason"], "timed-out");
    expect![[r#"
        1 placed.v2 -> order.placed.v2 #1
        2 stock-noted.v1
        3 cancelled.v1 -> order.cancelled.v1 #2
    "#]]
    .assert_eq(&rig.trace(late).await);

    let in_time = rig.place(&mugs()).await;
    rig.told(&stock_reserved(in_time)).await;
    rig.race(in_time, rig.tell(&authorized(in_time)), rig.run_out(in_time)).await;
    rig.waiting(0).await;
    assert_eq!(rig.order(in_time).await["status"], "confirmed");
    expect![[r#"
        1 placed.v2 -> order.placed.v2 #1
        2 stock-noted.v1
        3 payment-noted.v1
        4 confirmed.v1 -> order.confirmed.v1 #2
    "#]]
    .assert_eq(&rig.trace(in_time).await);
    rig.finish().await;
}

/// Both are taken by the same task: whoever comes second waits for the first one's batch.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_deadline_and_a_cancel_have_one_winner() {
    let rig = Rig::new().await;

    let late = rig.place(&mugs()).await;
    let lock = rig.hold(late).await;
    rig.run_out(late).await;
    rig.waiting(1).await;
    let (answer, released) = tokio::join!(rig.cancel(late), lock.rollback());
    released.unwrap();
    assert_eq!((answer.status, &answer.body["cancel_reason"]), (200, &"timed-out".into()));

    let in_time = rig.place(&mugs()).await;
    let lock = rig.hold(in_time).await;
    let (answer, ()) = tokio::join!(rig.cancel(in_time), async {
        rig.waiting(1).await;
        rig.run_out(in_time).await;
        lock.rollback().await.unwrap();
    });
    assert_eq!((answer.status, &answer.body["cancel_reason"]), (200, &"customer".into()));

    for order_id in [late, in_time] {
        expect![[r#"
            1 placed.v2 -> order.placed.v2 #1
            2 cancelled.v1 -> order.cancelled.v1 #2
        "#]]
        .assert_eq(&rig.trace(order_id).await);
    }
    rig.finish().await;
}

/// As another process of the service would have written it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_process_has_written_meanwhile_is_followed() {
    let rig = Rig::new().await;
    let order_id = rig.place(&mugs()).await;
    let written = "with row as (update order_view set version = 2 where order_id = $1)
        insert into order_event (order_id, version, event_id, type, data, recorded_at, correlation_id, causation_id, actor)
        select order_id, 2, uuidv7(), 'payment-noted.v1', '{}', recorded_at, correlation_id, causation_id, actor
        from order_event where order_id = $1";
    sqlx::query(written).bind(order_id.0).execute(&rig.pool).await.unwrap();
    rig.told(&stock_reserved(order_id)).await;
    expect![[r#"
        1 placed.v2 -> order.placed.v2 #1
        2 payment-noted.v1
        3 stock-noted.v1
        4 confirmed.v1 -> order.confirmed.v1 #2
    "#]]
    .assert_eq(&rig.trace(order_id).await);
    rig.finish().await;
}
