//! What is on the topics, as any reader would see it.

use std::time::Duration;

use bus::{Bus, Received};
use tokio::time::timeout;

/// Reads all that is on a topic now.
pub async fn read(bus: &Bus, topic: &str) -> Vec<Received> {
    let info = bus.topics(topic).await.expect("topics").into_iter().find(|it| it.name == topic);
    let info = info.expect("the topic");
    let expected: i64 = info.partitions.iter().map(|it| it.high - it.low).sum();
    let from: Vec<_> = info.partitions.iter().map(|it| (topic, it.id, it.low)).collect();
    let mut reader = bus.reader(&from).expect("a reader");
    let mut records = Vec::new();
    while (records.len() as i64) < expected {
        let polled = timeout(Duration::from_secs(30), reader.poll(1_000, Duration::ZERO)).await;
        records.extend(polled.expect("records in time").expect("records"));
    }
    reader.close().await;
    records
}
