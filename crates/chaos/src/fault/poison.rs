use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use anyhow::ensure;
use audit::number;
use bus::{Header, Progress, Record, topics};
use events::Aggregate;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tokio::time::sleep;
use uuid::Uuid;

use crate::{SERVICES, canary, suite::Suite, watch::progress};

/// What a message can be like that nobody can apply.
const KINDS: [&str; 10] = [
    "no headers",
    "no id",
    "an id that is none",
    "no JSON",
    "JSON of another shape",
    "an unknown word",
    "bytes that are no text",
    "an unknown version",
    "version 0",
    "no value",
];
/// Orders that get poison.
const ORDERS: usize = 3;
/// A service that has just been thawed may have to join its group again first.
const PARKED: Duration = Duration::from_secs(60);

/// Puts all kinds on all topics, under keys of their own and under those of orders, waits until each is a dead letter,
/// and throws them away as an operator would. What waited behind them is run then, in its order.
pub(super) async fn poison(suite: &Suite) -> anyhow::Result<String> {
    let mut keys = BTreeSet::new();
    let mut records = Vec::new();
    for aggregate in Aggregate::ALL {
        for kind in KINDS {
            let key = format!("poison-{}", Uuid::now_v7().simple());
            records.push(record(suite, aggregate, kind, &key));
            keys.insert(key);
        }
    }
    // While inventory stands still an order waits for its stock, and what comes for it parks behind the poison.
    suite.signal("inventory-1", Signal::SIGSTOP).await?;
    let orders = orders(suite).await;
    suite.signal("inventory-1", Signal::SIGCONT).await?;
    let orders = orders?;
    keys.extend(orders.iter().cloned());
    let count = records.len() + orders.len();
    suite.ground.bus.producer()?.enqueue(records).acknowledged().await?;
    let parked = parked(suite, &keys, &orders).await?;
    let letters: usize = parked.iter().map(|it| it.1).sum();
    let parked: Vec<String> = parked.iter().map(|(service, count)| format!("{count} at {service}")).collect();
    for service in SERVICES {
        discard(suite, service, &keys).await?;
    }
    Ok(format!(
        "{count} records on all topics, {} of them on orders' keys; {} ({}), all thrown away or run again",
        orders.len(),
        number(letters, "dead letter"),
        parked.join(", ")
    ))
}

/// Orders with poison in their way, between payment and order.
async fn orders(suite: &Suite) -> anyhow::Result<BTreeSet<String>> {
    let mut keys = BTreeSet::new();
    for _ in 0..ORDERS {
        keys.insert(canary::place(suite).await?);
    }
    let records: Vec<_> = keys.iter().map(|key| record(suite, Aggregate::Payment, "no JSON", key)).collect();
    suite.ground.bus.producer()?.enqueue(records).acknowledged().await?;
    Ok(keys)
}

/// Good but for one word, where the type has one of a few.
fn with_unknown_word(aggregate: Aggregate) -> Value {
    match aggregate {
        Aggregate::Product => json!({
            "sku": "POISON", "name": "poison", "price": {"amount": 1, "currency": "???"}, "on_hand": 1
        }),
        _ => {
            json!({"order_id": Uuid::now_v7(), "reason": "boredom", "amount": {"amount": 1, "currency": "???"}})
        }
    }
}

/// A type that is read by somebody on each topic.
fn handled(aggregate: Aggregate, kind: &str) -> &'static str {
    match aggregate {
        Aggregate::Order if kind == "an unknown word" => "waybill.order.cancelled",
        Aggregate::Order => "waybill.order.placed",
        Aggregate::Inventory => "waybill.inventory.stock-reserved",
        Aggregate::Payment => "waybill.payment.captured",
        Aggregate::Shipping => "waybill.shipping.dispatched",
        Aggregate::Product => "waybill.product.changed",
    }
}

fn record(suite: &Suite, aggregate: Aggregate, kind: &str, key: &str) -> Record<'static> {
    let version = match kind {
        "an unknown version" => 99,
        "version 0" => 0,
        _ if aggregate == Aggregate::Order && kind != "an unknown word" => 2,
        _ => 1,
    };
    let id = if kind == "an id that is none" { "seven".to_owned() } else { Uuid::now_v7().to_string() };
    let mut headers = vec![
        ("ce_specversion", "1.0".to_owned()),
        ("ce_id", id),
        ("ce_source", "/elsewhere".to_owned()),
        ("ce_type", format!("{}.v{version}", handled(aggregate, kind))),
        ("content-type", "application/json".to_owned()),
    ];
    headers.retain(|it| kind != "no headers" && !(kind == "no id" && it.0 == "ce_id"));
    let payload: Option<Vec<u8>> = match kind {
        "no value" => None,
        "no JSON" => Some(b"{not json".to_vec()),
        "bytes that are no text" => Some(vec![0xff, 0xfe, 0x00, 0x9f]),
        "an unknown word" => Some(with_unknown_word(aggregate).to_string().into_bytes()),
        _ => Some(json!({"order_id": 7, "sku": true}).to_string().into_bytes()),
    };
    let header = |(name, value): (&'static str, String)| -> Header<'static> {
        (name.into(), Some(value.into_bytes().into()))
    };
    Record {
        topic: topics::name(&suite.prefix, aggregate.name()).into(),
        key: Some(key.as_bytes().to_vec().into()),
        headers: headers.into_iter().map(header).collect(),
        payload: payload.map(Into::into),
    }
}

/// Waits until each service has read past all poison on its topics, each key has a dead letter somewhere, and behind those
/// of `orders` two more wait in the order service (for the stock and for the money); how many there are, by service.
async fn parked(
    suite: &Suite,
    keys: &BTreeSet<String>,
    orders: &BTreeSet<String>,
) -> anyhow::Result<Vec<(&'static str, usize)>> {
    let begun = Instant::now();
    // A service that has not come so far may have no letter yet, and would get one when nobody looks any more.
    for service in SERVICES {
        let marks = progress(suite, service).await?;
        while !is_past(&marks, &progress(suite, service).await?) {
            ensure!(begun.elapsed() < PARKED, "{service} has not read past the poison in {PARKED:?}");
            sleep(Duration::from_millis(200)).await;
        }
    }
    loop {
        let (mut open, mut counts) = (keys.clone(), Vec::new());
        for service in SERVICES {
            let there = letters(suite, service, keys).await?;
            counts.push((service, there.len()));
            open.retain(|it| !there.contains(it));
        }
        let behind = letters(suite, "order", orders).await?.len();
        if open.is_empty() && behind >= 3 * orders.len() {
            return Ok(counts);
        }
        ensure!(
            begun.elapsed() < PARKED,
            "after {PARKED:?}: {} of orders, none of {}",
            number(behind, "dead letter"),
            listed(&open)
        );
        sleep(Duration::from_millis(200)).await;
    }
}

/// Whether a group has done all that its partitions held at the time of `marks`.
fn is_past(marks: &[Progress], now: &[Progress]) -> bool {
    marks.iter().all(|mark| {
        let of = |it: &&Progress| (it.partition, &it.topic) == (mark.partition, &mark.topic);
        let done = now.iter().find(of).and_then(|it| it.committed).unwrap_or(0);
        done >= mark.end
    })
}

fn listed(keys: &BTreeSet<String>) -> String {
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    if keys.is_empty() { "no other key".to_owned() } else { keys.join(", ") }
}

/// The keys of a service's dead letters among `keys`, one for each letter.
async fn letters(suite: &Suite, service: &str, keys: &BTreeSet<String>) -> sqlx::Result<Vec<String>> {
    let keys: Vec<&[u8]> = keys.iter().map(|it| it.as_bytes()).collect();
    let letters: Vec<Vec<u8>> =
        sqlx::query_scalar("select record_key from engine.dead_letter where record_key = any($1)")
            .bind(keys)
            .fetch_all(&suite.pools[service])
            .await?;
    Ok(letters.iter().map(|it| String::from_utf8_lossy(it).into_owned()).collect())
}

/// As an operator would: key by key, for as long as they become fewer, until none is left.
async fn discard(suite: &Suite, service: &str, keys: &BTreeSet<String>) -> anyhow::Result<()> {
    let url = suite.admin_url(&format!("{service}-1"), "/dead-letters/discard").await?;
    let (mut least, mut since) = (usize::MAX, Instant::now());
    loop {
        let letters = letters(suite, service, keys).await?;
        if letters.is_empty() {
            return Ok(());
        }
        if letters.len() < least {
            (least, since) = (letters.len(), Instant::now());
        }
        let left: BTreeSet<String> = letters.into_iter().collect();
        ensure!(
            since.elapsed() < PARKED,
            "{service} still has dead letters after {PARKED:?}: {}",
            listed(&left)
        );
        for key in &left {
            let body = json!({"key": key, "reason": "put there to be thrown away"});
            let post = suite.http.post(&url).header("x-actor", "chaos").json(&body);
            let (status, answer) = suite.json(post).await?;
            ensure!(matches!(status, 200 | 404 | 503), "discarding {key} at {service}: {status} {answer}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Partitions of a topic, as committed and end.
    #[track_caller]
    fn check(marks: &[(Option<i64>, i64)], now: &[(Option<i64>, i64)], expected: bool) {
        let progress = |all: &[(Option<i64>, i64)]| -> Vec<Progress> {
            let one = |(partition, (committed, end)): (i32, &(Option<i64>, i64))| Progress {
                topic: "order".into(),
                partition,
                committed: *committed,
                low: 0,
                end: *end,
            };
            (0..).zip(all).map(one).collect()
        };
        assert_eq!(is_past(&progress(marks), &progress(now)), expected);
    }

    #[test]
    fn a_service_is_past_the_poison_when_each_partition_is_done_up_to_where_it_ended() {
        check(&[(Some(3), 5), (None, 0)], &[(Some(5), 5), (None, 0)], true);
        check(&[(Some(3), 5), (None, 0)], &[(Some(5), 9), (None, 2)], true);
    }

    #[test]
    fn a_service_that_has_done_some_of_it_or_nothing_is_not() {
        check(&[(Some(3), 5), (Some(4), 6)], &[(Some(5), 5), (Some(5), 6)], false);
        check(&[(None, 5)], &[(None, 5)], false);
        check(&[(None, 5)], &[], false);
    }
}
