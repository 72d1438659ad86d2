//! Many at once: on one product, on several instances.

use futures::future::join_all;
use reqwest::Method;
use serde_json::json;

use crate::{
    rig::{FOR_GOOD, Request, Rig},
    told::{cancelled, confirmed, dispatched, placed},
};

/// Four consumers in small batches on one product, of which there is enough for half of the orders: they contend
/// for it for as long as there is some.
#[tokio::test]
async fn no_more_is_promised_than_there_is() {
    let small = [&["--workers", "2", "--batch-size", "2"], FOR_GOOD].concat();
    let mut rig = Rig::start(&small).await;
    rig.add_instance(&small).await;
    rig.stock("MUG", 100).await;

    let orders: Vec<_> = (1..=200).map(|number| placed(number, &[("MUG", 1)])).collect();
    join_all(orders.iter().map(|it| rig.tell(it))).await;

    rig.counts("select count(*) from reservation", 200).await;
    assert_eq!(rig.count("select count(*) from reservation where status = 'reserved'").await, 100);
    assert_eq!(rig.count("select count(*) from reservation where status = 'rejected'").await, 100);
    assert_eq!(rig.level("MUG").await, [100, 100, 0]);
    rig.finish().await;
}

/// Orders that name the same products in opposite orders, their further events and adjustments by hand, on two
/// instances at once: nobody waits in a circle, and nothing is lost.
#[tokio::test]
async fn hot_products_are_shared_without_deadlocks() {
    const ORDERS: u128 = 120;
    let mut rig = Rig::start(&["--workers", "2", "--batch-size", "7"]).await;
    rig.add_instance(&["--workers", "2", "--batch-size", "5"]).await;
    rig.stock("CUP", 1_000).await;
    rig.stock("MUG", 1_000).await;

    let orders = async {
        for number in 1..=ORDERS {
            let lines = if number % 2 == 0 { [("MUG", 1), ("CUP", 2)] } else { [("CUP", 2), ("MUG", 1)] };
            rig.tell(&placed(number, &lines)).await;
            match number % 4 {
                0 => drop(rig.tell(&cancelled(number)).await),
                _ => drop(rig.tell(&confirmed(number)).await),
            }
        }
    };
    let by_hand = async {
        for (number, sku) in (0..60).zip(["MUG", "CUP"].into_iter().cycle()) {
            let body = json!({"delta": 1, "reason": "found"}).to_string();
            let path = format!("/products/{sku}/adjustments");
            let headers = [("content-type", "application/json")];
            let request = Request { method: Method::POST, path: &path, headers: &headers, body: Some(&body) };
            assert_eq!(rig.ask(number % 2, request).await.0, 200);
        }
    };
    tokio::join!(orders, by_hand);
    rig.counts("select count(*) from reservation where status = 'kept'", 90).await;
    rig.counts("select count(*) from reservation where status = 'released'", 30).await;
    for number in (1..=ORDERS).filter(|it| it % 4 != 0) {
        rig.tell(&dispatched(number)).await;
    }

    rig.counts("select count(*) from reservation where status = 'deducted'", 90).await;
    assert_eq!((rig.level("CUP").await, rig.level("MUG").await), ([850, 0, 850], [940, 0, 940]));
    rig.finish().await;
}

#[tokio::test]
async fn of_two_who_create_a_product_one_does() {
    let mut rig = Rig::start(FOR_GOOD).await;
    rig.add_instance(FOR_GOOD).await;
    for number in 0..20 {
        let path = format!("/products/MUG-{number}");
        let body = json!({"name": "Mug", "price": {"amount": 5, "currency": "USD"}}).to_string();
        let headers = [("content-type", "application/json")];
        let put = |instance| {
            let request = Request { method: Method::PUT, path: &path, headers: &headers, body: Some(&body) };
            rig.ask(instance, request)
        };
        let (one, other) = tokio::join!(put(0), put(1));
        let mut statuses = [one.0, other.0];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 201], "{path}");
    }
    rig.finish().await;
}
