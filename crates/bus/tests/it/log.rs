//! A test's own topic, on either log.

use std::time::Duration;

use bus::{Bus, Consumer, Received, Record, TopicSpec};
use testkit::eventually;
use uuid::Uuid;

/// For whatever is expected to happen: long, because it costs time only when it does not.
pub(crate) const SOON: Duration = Duration::from_secs(30);
pub(crate) const PARTITIONS: i32 = 4;

pub(crate) struct Log {
    pub(crate) bus: Bus,
    pub(crate) topic: String,
    pub(crate) group: String,
}

impl Log {
    pub(crate) async fn on(bus: Bus) -> Self {
        let prefix = testkit::topic_prefix();
        let topic = format!("{prefix}.thing");
        let spec =
            TopicSpec { name: topic.clone(), partitions: PARTITIONS, replication: 1, config: Vec::new() };
        assert_eq!(bus.create_topics(std::slice::from_ref(&spec)).await.unwrap().len(), 1);
        assert_eq!(bus.create_topics(&[spec]).await.unwrap(), [""; 0], "it was there");
        Self { bus, topic, group: format!("{prefix}.readers") }
    }

    pub(crate) async fn kafka() -> Self {
        Self::on(Bus::kafka(&testkit::bootstrap_servers()).unwrap()).await
    }

    pub(crate) async fn memory() -> Self {
        Self::on(Bus::memory()).await
    }

    /// A record of this test's topic.
    pub(crate) fn record(&self, key: &str, value: impl ToString) -> Record<'static> {
        Record {
            topic: self.topic.clone().into(),
            key: Some(key.as_bytes().to_vec().into()),
            headers: Vec::new(),
            payload: Some(value.to_string().into_bytes().into()),
        }
    }

    pub(crate) async fn write(&self, records: impl IntoIterator<Item = Record<'static>>) {
        let producer = self.bus.producer().unwrap();
        producer.enqueue(records).acknowledged().await.unwrap();
    }

    /// `count` records over so many keys, each value a number that grows.
    pub(crate) async fn fill(&self, count: usize, keys: usize) {
        self.write((0..count).map(|it| self.record(&format!("key-{}", it % keys), it)).collect::<Vec<_>>())
            .await;
    }

    pub(crate) fn member(&self) -> Consumer {
        self.named_member(None)
    }

    pub(crate) fn named_member(&self, instance: Option<&str>) -> Consumer {
        self.bus.consumer(&self.group, std::slice::from_ref(&self.topic), instance).unwrap()
    }

    /// The offsets that the group has committed, summed up, and those of the log's end.
    pub(crate) async fn progress(&self) -> (i64, i64) {
        let progress = self.bus.progress(&self.group, std::slice::from_ref(&self.topic)).await.unwrap();
        assert_eq!(progress.len(), PARTITIONS as usize);
        progress.iter().fold((0, 0), |(done, end), it| (done + it.committed.unwrap_or(0), end + it.end))
    }

    #[track_caller]
    pub(crate) fn committed(&self, count: i64) -> impl Future<Output = ()> {
        eventually(SOON, "the group has committed", async move || match self.progress().await {
            (committed, _) if committed == count => Ok(()),
            seen => Err(format!("{seen:?}")),
        })
    }

    pub(crate) async fn close(self) {
        self.bus.delete_topics(&[&self.topic]).await.unwrap();
        let missing = self.bus.delete_topics(&[&format!("gone-{}", Uuid::now_v7())]).await;
        missing.unwrap();
    }
}

/// Polls until there are `count` records.
pub(crate) async fn read(consumer: &mut Consumer, count: usize) -> Vec<Received> {
    let mut records = Vec::new();
    while records.len() < count {
        let polled = tokio::time::timeout(SOON, consumer.poll(count - records.len(), Duration::ZERO)).await;
        records.extend(polled.unwrap_or_else(|_| panic!("{} of {count} records", records.len())).unwrap());
    }
    records
}

/// What a record says, as a number.
pub(crate) fn value(record: &Received) -> usize {
    std::str::from_utf8(record.payload.as_deref().unwrap()).unwrap().parse().unwrap()
}

pub(crate) fn sorted(records: &[Received]) -> Vec<usize> {
    let mut values: Vec<usize> = records.iter().map(value).collect();
    values.sort_unstable();
    values
}
