//! The published language of Waybill: one struct per event, and the words that events are made of.
//!
//! A service publishes what happened as one of these structs and reads what others published into one.
//! Each type knows its own name, version, topic and record key, so no caller spells them out.
//! Published versions never change: a version that was on a topic stays readable through its upcaster,
//! and its JSON Schema (`schemas/<name>.v<n>.json`) is generated from the struct and compared by a test.
//!
//! Readers ignore fields that they do not know, so a producer may add some. Identifiers, SKUs and money are
//! parsed here once; past this crate a wrong one cannot be written down. No error repeats what it refuses:
//! payloads carry personal data, and errors end up in logs and dead letters.
//!
//! Deliberately absent: I/O, topics' prefixes, envelopes and headers (see `bus`), and what an event means
//! to anybody. The clock is read for fresh ids only.

mod catalogue;
mod event;
mod examples;
mod id;
pub mod inventory;
mod money;
pub mod order;
pub mod payment;
pub mod product;
mod schema;
pub mod shipping;
pub mod timestamp;

pub use catalogue::{Published, catalogue};
pub use event::{Aggregate, Event, EventType, NotAType, Unreadable, dataschema};
pub use id::{CustomerId, EventId, Malformed, OrderId, Sku};
pub use inventory::{
    Item, ReservationExpired, Shortage, StockDeducted, StockKept, StockRejected, StockReleased, StockReserved,
};
pub use money::{Currency, Money, MoneyError};
pub use order::{
    Address, CancelReason, Customer, Line, LineV1, OrderCancellationRequested, OrderCancelled,
    OrderConfirmed, OrderDelivered, OrderPaid, OrderPlaced, OrderPlacedV1, OrderShipped,
};
pub use payment::{
    CaptureFailed, PaymentAuthorized, PaymentCancelled, PaymentCaptured, PaymentDeclined, PaymentRefunded,
    PaymentVoided,
};
pub use product::ProductChanged;
pub use shipping::{
    CancellationRefused, ShipmentCancelled, ShipmentDelivered, ShipmentDispatched, ShipmentScheduled,
};
pub use timestamp::Timestamp;
