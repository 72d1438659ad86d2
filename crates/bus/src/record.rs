use std::{borrow::Cow, sync::Arc};

/// A header of a record. Kafka allows a header without a value.
pub type Header<'a> = (Cow<'a, str>, Option<Cow<'a, [u8]>>);

/// A record to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct Record<'a> {
    pub topic: Cow<'a, str>,
    /// Decides the partition: records of one key keep their order.
    pub key: Option<Cow<'a, [u8]>>,
    pub headers: Vec<Header<'a>>,
    pub payload: Option<Cow<'a, [u8]>>,
}

/// A record as it was read, with nothing of it interpreted.
#[derive(Debug, Clone, PartialEq)]
pub struct Received {
    pub topic: Arc<str>,
    pub partition: i32,
    pub offset: i64,
    pub key: Option<Vec<u8>>,
    pub headers: Vec<Header<'static>>,
    pub payload: Option<Vec<u8>>,
    /// Which assignment of partitions it came with: its offset is stored only while that lasts.
    pub(crate) generation: u64,
}

impl Received {
    /// A record that was not read from a log just now: a dead letter that is run again.
    pub fn replayed(
        (topic, partition, offset): (&str, i32, i64),
        key: Option<Vec<u8>>,
        headers: Vec<Header<'static>>,
        payload: Option<Vec<u8>>,
    ) -> Self {
        Self { topic: topic.into(), partition, offset, key, headers, payload, generation: 0 }
    }

    /// Where it was read, without what it says: enough to store its offset.
    pub fn position(&self) -> Self {
        let (key, headers, payload) = (None, Vec::new(), None);
        Self { topic: self.topic.clone(), key, headers, payload, ..*self }
    }

    /// The value of the first header called `name`; `None` when it is absent or has no value.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|(it, _)| it == name).and_then(|(_, value)| value.as_deref())
    }
}
