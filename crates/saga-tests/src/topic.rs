//! What is on the topics, as any reader would see it.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use bus::{Bus, Envelope, Received, topics};
use events::Aggregate;
use sqlx::{PgPool, Row};
use uuid::Uuid;

/// Reads all that is on a topic now.
pub async fn read(bus: &Bus, topic: &str) -> Vec<Received> {
    let info = bus.topics(topic).await.expect("topics").into_iter().find(|it| it.name == topic);
    let expected: i64 = info.expect("the topic").partitions.iter().map(|it| it.high - it.low).sum();
    let group = format!("{topic}.{}", Uuid::now_v7());
    let mut consumer = bus.consumer(&group, &[topic.to_owned()], None).expect("a consumer");
    let mut records = Vec::new();
    while (records.len() as i64) < expected {
        let polled =
            tokio::time::timeout(Duration::from_secs(30), consumer.poll(1_000, Duration::ZERO)).await;
        records.extend(polled.expect("records in time").expect("records"));
    }
    consumer.close().await;
    records
}

/// The sequences and ids of one key's events, in the order of the topic.
type Seen = HashMap<String, Vec<(i64, Uuid)>>;

fn seen(records: &[Received]) -> Seen {
    let mut seen = Seen::new();
    for record in records {
        // What others have put there, poison for one, is not the relay's.
        let Ok(event) = Envelope::open(record).and_then(Envelope::read) else { continue };
        let (Some(key), Some(sequence)) = (&record.key, event.sequence) else { continue };
        let key = String::from_utf8_lossy(key).into_owned();
        seen.entry(key).or_default().push((sequence, event.id));
    }
    seen
}

/// What is wrong with the order of one key's events: first occurrences have to be 1, 2, 3, ..; every other
/// occurrence repeats one of them under its id.
pub fn disorder(events: &[(i64, Uuid)]) -> Option<String> {
    let mut first: Vec<Uuid> = Vec::new();
    for (sequence, id) in events {
        match usize::try_from(*sequence - 1).ok().and_then(|at| first.get(at)) {
            Some(known) if known == id => {}
            Some(known) => return Some(format!("{sequence} is both {known} and {id}")),
            None if *sequence == first.len() as i64 + 1 => first.push(*id),
            None => return Some(format!("{sequence} comes after {}", first.len())),
        }
    }
    None
}

/// The promise of the relay, and that nothing was lost on the way: per aggregate, the first occurrences of
/// its events are in order and gapless, and the last is the one that its row has counted.
pub async fn check_sequences(bus: &Bus, prefix: &str, pools: &BTreeMap<&'static str, PgPool>) {
    for aggregate in Aggregate::ALL {
        let seen = seen(&read(bus, &topics::name(prefix, aggregate.name())).await);
        for (key, events) in &seen {
            if let Some(disorder) = disorder(events) {
                panic!("{aggregate} {key}: {disorder}: {events:?}");
            }
        }
        let (service, query) = counted(aggregate);
        for row in sqlx::query(query).fetch_all(&pools[service]).await.expect("rows") {
            let (key, count): (String, i64) = (row.get(0), row.get(1));
            let last =
                seen.get(&key).and_then(|it| it.iter().map(|(sequence, _)| *sequence).max()).unwrap_or(0);
            assert_eq!(
                last, count,
                "{aggregate} {key}: the topic ends at {last}, the row has counted {count}"
            );
        }
    }
}

/// Where an aggregate counts the events that it has published.
fn counted(aggregate: Aggregate) -> (&'static str, &'static str) {
    match aggregate {
        Aggregate::Order => ("order", "select order_id::text, sequence from order_view"),
        Aggregate::Inventory => ("inventory", "select order_id::text, sequence from reservation"),
        Aggregate::Payment => ("payment", "select order_id::text, sequence from payment"),
        Aggregate::Shipping => ("shipping", "select order_id::text, sequence from shipment"),
        Aggregate::Product => ("inventory", "select sku, sequence from product"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disorder_is_seen() {
        let id = |n: u128| Uuid::from_u128(n);
        let check = |events: &[(i64, u128)]| {
            let events: Vec<_> = events.iter().map(|(sequence, it)| (*sequence, id(*it))).collect();
            disorder(&events).is_none()
        };
        assert!(check(&[]));
        assert!(check(&[(1, 1), (2, 2), (3, 3)]));
        assert!(check(&[(1, 1), (2, 2), (1, 1), (2, 2), (3, 3)]), "a relay has begun again");
        assert!(!check(&[(2, 2), (1, 1)]), "reordered");
        assert!(!check(&[(1, 1), (3, 3)]), "a gap");
        assert!(!check(&[(1, 1), (1, 9)]), "one number for two events");
        assert!(!check(&[(0, 1)]));
    }
}
