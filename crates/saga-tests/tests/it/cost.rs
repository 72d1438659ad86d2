//! What an order costs, counted and not timed, so that it is the same on every machine and at every load.
//!
//! With batches of one every input has a transaction of its own: the worst case, in which nothing depends on what
//! happens to come together. (Ends that depend on which of two topics is read first are not held: what a late input
//! writes differs.) With batches as they are set by default what depends on that has an upper bound.

mod counting;
mod meter;

use std::collections::BTreeMap;

use counting::Counting;
use expect_test::{ExpectFile, expect_file};
use meter::{Counted, Meter, Relayed};
use saga_tests::suite::SERVICES;

/// What all counts of a case are divided by; a count that is no multiple of it is shown as it is.
const ORDERS: i64 = 10;

/// Quantity and payment method of an order that comes to this end. There are a thousand pieces of the product.
const DELIVERED: (u32, &str) = (1, "pm_card_visa");
const OUT_OF_STOCK: (u32, &str) = (9_999, "pm_card_visa");
const DECLINED: (u32, &str) = (1, "pm_card_chargeDeclined");

/// Of one order: whole numbers, or the test has counted what it should not.
fn of_one(count: i64, orders: i64) -> String {
    if count % orders == 0 { (count / orders).to_string() } else { format!("{count}/{orders}") }
}

fn told(counted: &Counted, messages: &BTreeMap<String, i64>) -> String {
    let mut told = format!("messages {}\n", of_one(messages.values().sum(), ORDERS));
    for (name, count) in messages {
        told.push_str(&format!("  {} {name}\n", of_one(*count, ORDERS)));
    }
    for (service, relay) in &counted.relays {
        told.push_str(&format!("{service}: published {}\n", of_one(relay.rows, ORDERS)));
    }
    for (service, statements) in &counted.statements {
        told.push_str(&format!("{service}: round trips {}\n", of_one(statements.values().sum(), ORDERS)));
        for (name, count) in statements {
            told.push_str(&format!("  {} {name}\n", of_one(*count, ORDERS)));
        }
    }
    told
}

/// Each event is published once. In how many pages depends on timing, and how often a relay looks on the clock as well:
/// no more than a page for each event, a look for each page, and after it those that come to be rarer and rarer.
fn check_relays(counted: &Counted, messages: i64) {
    const LOOKS: i64 = 8;
    let by_the_clock = SERVICES.len() as i64 * (2 + 10 * counted.took.as_secs_f64().ceil() as i64);
    let sum = |of: fn(&Relayed) -> i64| counted.relays.values().map(of).sum::<i64>();
    for (what, now, most) in [
        ("pages", sum(|it| it.deletes), messages),
        ("looks at the outbox", sum(|it| it.reads), LOOKS * messages + by_the_clock),
    ] {
        assert!(
            now <= most,
            "the relays of {messages} messages take {now} {what}, held are {most}: {counted:#?}"
        );
    }
    assert_eq!(sum(|it| it.rows), messages, "rows read, and messages on the topics: {counted:#?}");
}

/// Holds the counts of one order exactly, and what it adds to the log of all databases: within a twentieth, as that
/// depends on how full the pages are that it meets.
async fn check(
    counting: &Counting,
    meter: &mut Meter,
    order: (u32, &str),
    wal: (i64, i64),
    expected: ExpectFile,
) {
    let (counted, messages) = counting.cost(meter, ORDERS, order).await;
    let (records, bytes) = (counted.wal_records / ORDERS, counted.wal_bytes / ORDERS);
    // The difference names what has moved; one that is meant is taken over by UPDATE_EXPECT=1.
    expected.assert_eq(&told(&counted, &messages));
    check_relays(&counted, messages.values().sum());
    for (what, now, held) in [("records", records, wal.0), ("bytes", bytes, wal.1)] {
        assert!(
            (now - held).abs() * 20 <= held,
            "an order {order:?} writes {now} WAL {what}, held are {held}; if that is meant, write {now} there"
        );
    }
}

#[tokio::test]
async fn an_order_alone_costs() {
    let mut meter = Meter::start().await;
    let counting = Counting::start(&mut meter, &[("--batch-size", "1")]).await;
    check(&counting, &mut meter, DELIVERED, (184, 20_000), expect_file!["cost/delivered.txt"]).await;
    check(&counting, &mut meter, OUT_OF_STOCK, (73, 7_650), expect_file!["cost/out-of-stock.txt"]).await;
    check(&counting, &mut meter, DECLINED, (107, 11_000), expect_file!["cost/declined.txt"]).await;
    counting.suite.finish().await;
}

/// How much comes together depends on timing, so that there are bounds: an eighth of the transactions and round trips
/// of as many orders one by one, and no more of the log.
#[tokio::test]
async fn orders_share_what_they_cost() {
    const MANY: i64 = 300;
    let mut meter = Meter::start().await;
    let counting = Counting::start(&mut meter, &[]).await;

    let (counted, messages) = counting.cost(&mut meter, MANY, DELIVERED).await;

    assert_eq!(messages.len(), 13, "{messages:?}");
    assert!(messages.values().all(|it| *it == MANY), "{messages:?}");
    check_relays(&counted, messages.values().sum());
    let commits: i64 = counted.statements.values().filter_map(|it| it.get("commit")).sum();
    let round_trips: i64 = counted.statements.values().flat_map(BTreeMap::values).sum();
    for (what, now, most) in [
        ("transactions", commits, 2 * MANY),
        ("round trips", round_trips, 10 * MANY),
        ("pages of the relays", counted.relays.values().map(|it| it.deletes).sum(), 3 * MANY),
        ("WAL records", counted.wal_records, 184 * MANY),
        ("WAL bytes", counted.wal_bytes, 20_500 * MANY),
    ] {
        assert!(
            now <= most,
            "{MANY} orders together take {now} {what}, held are {most}; see the others: {counted:#?}"
        );
    }
    counting.suite.finish().await;
}
