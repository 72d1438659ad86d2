//! A cancellation and a departure at the same moment. They come over different connections, so that nothing but
//! the row's lock is between them: a test holds it until both wait, and whoever waited first has to win.

use events::OrderId;
use serde_json::json;
use sqlx::{Postgres, Transaction};
use testkit::eventually;

use crate::rig::{NO_CARRIER, Rig, SLOW, SOON, captured, confirmed, requested};

const SENT: &str = "shipment-scheduled.v1, dispatched.v1, cancellation-refused.v1";
const HELD_BACK: &str = "shipment-scheduled.v1, cancelled.v1";

async fn ready(rig: &Rig) -> OrderId {
    let order = OrderId::new();
    rig.deliver(&confirmed(order)).await;
    rig.deliver(&captured(order)).await;
    order
}

impl Rig {
    /// Holds a shipment's lock until the transaction ends.
    async fn hold(&self, order: OrderId) -> Transaction<'static, Postgres> {
        let mut tx = self.pool.begin().await.unwrap();
        let lock = sqlx::query("select from shipment where order_id = $1 for update").bind(order.0);
        assert_eq!(lock.execute(&mut *tx).await.unwrap().rows_affected(), 1);
        tx
    }

    /// Waits until so many of the service's transactions wait for a shipment's lock.
    #[track_caller]
    fn waiting(&self, count: i64) -> impl Future<Output = ()> {
        eventually(SOON, "the service waits for the lock", async move || {
            let waiting = "select count(*) from pg_stat_activity
                where datname = current_database() and wait_event_type = 'Lock' and query like '%from shipment%'";
            match self.count(waiting).await {
                waiting if waiting == count => Ok(()),
                waiting => Err(format!("{waiting} wait")),
            }
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dispatch_that_is_first_is_not_called_back() {
    let rig = Rig::start(NO_CARRIER).await;
    let order = ready(&rig).await;
    let lock = rig.hold(order).await;

    let ((status, shipment), request) = tokio::join!(rig.dispatch(order), async {
        rig.waiting(1).await;
        let request = rig.send(&requested(order)).await;
        rig.waiting(2).await;
        lock.rollback().await.unwrap();
        request
    });
    rig.taken_in(&[request]).await;

    assert_eq!((status, &shipment["status"]), (200, &json!("dispatched")));
    assert_eq!(rig.trace(order).await, SENT);
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancellation_that_is_first_lets_nothing_leave() {
    let rig = Rig::start(NO_CARRIER).await;
    let order = ready(&rig).await;
    let lock = rig.hold(order).await;

    let request = rig.send(&requested(order)).await;
    rig.waiting(1).await;
    let ((status, problem), ()) = tokio::join!(rig.dispatch(order), async {
        rig.waiting(2).await;
        lock.rollback().await.unwrap();
    });
    rig.taken_in(&[request]).await;

    assert_eq!((status, &problem["detail"]), (409, &json!("the shipment is cancelled")));
    assert_eq!(rig.trace(order).await, HELD_BACK);
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadline_that_is_first_is_not_called_back() {
    let rig = Rig::start(SLOW).await;
    let order = ready(&rig).await;
    let lock = rig.hold(order).await;

    rig.an_hour_passes().await;
    rig.waiting(1).await;
    let request = rig.send(&requested(order)).await;
    rig.waiting(2).await;
    lock.rollback().await.unwrap();
    rig.taken_in(&[request]).await;

    assert_eq!(rig.trace(order).await, SENT);
    assert_eq!(rig.deadlines(order).await, ["deliver"]);
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancellation_that_is_first_takes_the_deadline_with_it() {
    let rig = Rig::start(SLOW).await;
    let order = ready(&rig).await;
    let lock = rig.hold(order).await;

    let request = rig.send(&requested(order)).await;
    rig.waiting(1).await;
    rig.an_hour_passes().await;
    rig.waiting(2).await;
    lock.rollback().await.unwrap();
    rig.taken_in(&[request]).await;
    // A command takes its turn behind the deadline: when it is answered, the deadline has been carried out.
    assert_eq!(rig.dispatch(order).await.0, 409);

    assert_eq!(rig.trace(order).await, HELD_BACK);
    assert_eq!(rig.deadlines(order).await, [""; 0]);
    rig.finish().await;
}

/// Whoever wins, every request is answered, and in one way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_deadlines_and_cancellations_at_once_are_each_answered_once() {
    let rig = Rig::start(&["--carrier-simulated", "true", "--carrier-delay-ms", "60"]).await;
    let orders: Vec<OrderId> = (0..120).map(|_| OrderId::new()).collect();
    for order in &orders {
        rig.send(&confirmed(*order)).await;
        rig.send(&captured(*order)).await;
    }

    let mut requests = Vec::new();
    for order in &orders {
        requests.push(rig.send(&requested(*order)).await);
    }
    rig.taken_in(&requests).await;

    for order in &orders {
        let (_, shipment) = rig.shipment(*order).await;
        match shipment["status"].as_str() {
            Some("cancelled") => assert_eq!(shipment["tracking_number"], json!(null)),
            Some("dispatched" | "delivered") => assert_eq!(shipment["cancellation_refused"], true),
            other => panic!("{other:?}"),
        }
    }
    let published = rig.published().await;
    let answers = ["waybill.shipping.cancelled.v1", "waybill.shipping.cancellation-refused.v1"];
    assert_eq!(published.iter().filter(|it| answers.contains(&it.r#type.as_str())).count(), 120);
    rig.finish().await;
}
