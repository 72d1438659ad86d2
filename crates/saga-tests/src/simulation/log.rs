//! The log: an order of its own for every key of every topic, and none between them.

use events::{Aggregate, OrderId};
use uuid::Uuid;

use super::{Broken, NODES};

/// How many orders a run can have.
pub(super) const ORDERS: u8 = 4;
/// The last one is not known when the shop opens.
pub(super) const SKUS: [&str; 3] = ["MUG-01", "TEA-02", "NEW-03"];
const TOPICS: [Aggregate; 4] =
    [Aggregate::Order, Aggregate::Inventory, Aggregate::Payment, Aggregate::Shipping];

/// An event on the log.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) id: Uuid,
    pub(super) aggregate: Aggregate,
    pub(super) key: String,
    pub(super) r#type: &'static str,
    pub(super) sequence: i64,
    pub(super) data: Vec<u8>,
}

/// A key of a topic, with what there is and how far each service has stored its offset.
#[derive(Debug, Default)]
pub(super) struct Stream {
    pub(super) messages: Vec<Message>,
    positions: [usize; NODES],
    /// Which services handle each message: what one does not handle costs it nothing, nor a step.
    handled: Vec<[bool; NODES]>,
}

#[derive(Debug)]
pub(super) struct Log(pub(super) Vec<Stream>);

/// Where a service has something to read: its index and the stream's.
pub(super) type Unread = (usize, usize);

/// Orders are numbered, so that a schedule means the same ones when others are left out.
pub(super) fn order_id(order: u8) -> OrderId {
    OrderId(Uuid::from_u128(u128::from(order) + 1))
}

pub(super) fn number(key: &str) -> Option<u8> {
    let id: OrderId = key.parse().ok()?;
    (0..ORDERS).find(|it| order_id(*it) == id)
}

impl Log {
    pub(super) fn new() -> Self {
        let streams = usize::from(ORDERS) * TOPICS.len() + SKUS.len();
        Self((0..streams).map(|_| Stream::default()).collect())
    }

    /// The order that a stream is about; the others are about products.
    pub(super) fn order(stream: usize) -> Option<u8> {
        u8::try_from(stream / TOPICS.len()).ok().filter(|it| *it < ORDERS)
    }

    /// Which topic of an order's it is.
    pub(super) fn topic(stream: usize) -> Option<usize> {
        Self::order(stream).map(|_| stream % TOPICS.len())
    }

    pub(super) fn aggregate(stream: usize) -> Aggregate {
        Self::topic(stream).map_or(Aggregate::Product, |it| TOPICS[it])
    }

    /// All that was told of an order.
    pub(super) fn about(&self, order: u8) -> impl Iterator<Item = &Message> {
        let first = usize::from(order) * TOPICS.len();
        self.0[first..first + TOPICS.len()].iter().flat_map(|it| &it.messages)
    }

    pub(super) fn append(&mut self, message: Message, handled: [bool; NODES]) -> Result<(), Broken> {
        let product = || SKUS.iter().position(|it| *it == message.key);
        let order = || Some((number(&message.key)?, TOPICS.iter().position(|it| *it == message.aggregate)?));
        let stream = match message.aggregate {
            Aggregate::Product => product().map(|it| usize::from(ORDERS) * TOPICS.len() + it),
            _ => order().map(|(order, topic)| usize::from(order) * TOPICS.len() + topic),
        };
        let stream = stream.ok_or_else(|| Broken::new("a key of nobody's", message.key.clone()))?;
        self.0[stream].messages.push(message);
        self.0[stream].handled.push(handled);
        Ok(())
    }

    pub(super) fn unread(&self) -> Vec<Unread> {
        let all = (0..self.0.len()).flat_map(|stream| (0..NODES).map(move |service| (service, stream)));
        all.filter(|it| self.next(*it).is_some()).collect()
    }

    /// The next message that a service handles, with its offset.
    pub(super) fn next(&self, (service, stream): Unread) -> Option<(usize, &Message)> {
        let stream = &self.0[stream];
        let offset =
            (stream.positions[service]..stream.messages.len()).find(|it| stream.handled[*it][service])?;
        Some((offset, &stream.messages[offset]))
    }

    /// Where a service has stored an offset that it can be put back from.
    pub(super) fn read(&self) -> Vec<Unread> {
        let all = (0..self.0.len()).flat_map(|stream| (0..NODES).map(move |service| (service, stream)));
        all.filter(|(service, stream)| self.0[*stream].positions[*service] > 0).collect()
    }

    /// Stores an offset; whether it was another before.
    pub(super) fn store(&mut self, (service, stream): Unread, offset: usize) -> bool {
        std::mem::replace(&mut self.0[stream].positions[service], offset) != offset
    }
}
