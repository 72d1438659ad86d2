//! Under load every statement goes by an index, and a page costs what is on it.

use futures::{StreamExt, stream};
use sqlx::Row;

use testkit::eventually;

use crate::{
    rig::{Rig, SOON},
    words::{authorized, captured, mugs, stock_reserved},
};

const ORDERS: usize = 300;

#[tokio::test]
async fn no_statement_reads_a_table_from_end_to_end() {
    let mut rig = Rig::new().await;
    // The migration scans the tables for their indexes.
    let before = reads(&mut rig).await;
    let order = mugs();
    let placed: Vec<_> =
        stream::iter(0..ORDERS).map(|_| rig.place(&order)).buffer_unordered(64).collect().await;
    for order_id in &placed {
        rig.tell(&stock_reserved(*order_id)).await;
        rig.tell(&authorized(*order_id)).await;
    }
    rig.settled().await;
    for order_id in &placed {
        rig.tell(&captured(*order_id)).await;
    }
    rig.settled().await;
    let read_by_writing = reads(&mut rig).await;

    // Often enough for the statements to get plans that do not look at their parameters.
    for _ in 0..10 {
        for path in [
            "/orders?limit=5",
            "/orders?limit=5&customer_id=c-1",
            "/orders?limit=5&customer_id=c-1&status=confirmed",
        ] {
            assert_eq!(rig.get(path).await.body["orders"].as_array().unwrap().len(), 5);
        }
    }
    let read = reads(&mut rig).await;
    let by_listing = read.tuples - read_by_writing.tuples;
    // Six orders to the page of five, each with its row and its first event.
    assert!(by_listing <= 30 * 6 * 2, "30 pages of 5 took {by_listing} tuples out of {ORDERS} orders");
    assert_eq!(read.scans, before.scans, "{read:?}");
    rig.finish().await;
}

#[derive(Debug)]
struct Reads {
    scans: i64,
    tuples: i64,
}

/// What the service has read so far; its connections tell when they end, for which it is started anew.
async fn reads(rig: &mut Rig) -> Reads {
    rig.stop().await;
    eventually(SOON, "the service's connections are gone", async || {
        match rig
            .count("pg_stat_activity where datname = current_database() and application_name = 'order'")
            .await
        {
            0 => Ok(()),
            left => Err(format!("{left} left")),
        }
    })
    .await;
    let row = sqlx::query(
        "select sum(seq_scan)::bigint as scans, sum(idx_tup_fetch)::bigint as tuples from pg_stat_user_tables
         where relname in ('order_event', 'order_view')",
    )
    .fetch_one(&rig.pool)
    .await
    .unwrap();
    rig.start(&[]).await;
    rig.settled().await;
    Reads { scans: row.get("scans"), tuples: row.get("tuples") }
}
