//! What every event knows about itself, and how its type travels.

use std::fmt;

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

/// What an event is about. Each has a topic of its own, keyed so that one aggregate's events stay in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Aggregate {
    Order,
    Inventory,
    Payment,
    Shipping,
    Product,
}

impl Aggregate {
    /// All of them: what topics are created from.
    pub const ALL: [Self; 5] = [Self::Order, Self::Inventory, Self::Payment, Self::Shipping, Self::Product];

    /// The suffix of its topic, and the outbox's `aggregate_type`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Order => "order",
            Self::Inventory => "inventory",
            Self::Payment => "payment",
            Self::Shipping => "shipping",
            Self::Product => "product",
        }
    }
}

impl fmt::Display for Aggregate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A fact that one service publishes for others.
pub trait Event: Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// What happened, without the version: `order.placed`.
    const NAME: &'static str;
    /// The version that this struct is the shape of.
    const VERSION: u32;
    /// Name and version as they travel in `ce_type`: `waybill.order.placed.v2`.
    const TYPE: &'static str;
    /// The topic it belongs to.
    const AGGREGATE: Aggregate;

    /// The record key: events with one key keep their order. The order's id, for products the SKU.
    fn key(&self) -> String;

    /// Reads any version that was ever published, older ones through their upcaster.
    fn decode(version: u32, data: &[u8]) -> Result<Self, Unreadable> {
        if version == Self::VERSION { parse(data) } else { Self::upcast(version, data) }
    }

    /// Reads an older version as this one. An event that has only ever had one version keeps the default.
    fn upcast(version: u32, _data: &[u8]) -> Result<Self, Unreadable> {
        Err(Unreadable::Version { name: Self::NAME, version })
    }
}

/// Writes down what an event knows about itself; the types' texts are put together at compile time.
macro_rules! event {
    ($event:ident, $name:literal, $version:literal, $aggregate:ident, $key:ident $(, upcast $upcast:path)?) => {
        impl $crate::Event for $event {
            const NAME: &'static str = $name;
            const VERSION: u32 = $version;
            const TYPE: &'static str = concat!("waybill.", $name, ".v", $version);
            const AGGREGATE: $crate::Aggregate = $crate::Aggregate::$aggregate;

            fn key(&self) -> String {
                self.$key.to_string()
            }

            $(fn upcast(version: u32, data: &[u8]) -> Result<Self, $crate::Unreadable> {
                $upcast(version, data)
            })?
        }
    };
}
pub(crate) use event;

/// Why an event's data could not be read. Trying again does not help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Published by somebody newer than this reader, or never published.
    #[error("{name} has no version {version} that can be read here")]
    Version { name: &'static str, version: u32 },
    /// What the parser had against the data, and where; without any of the data itself.
    #[error("unreadable data: {0}")]
    Data(String),
}

/// Reads JSON as `T`. Fields that `T` does not have are skipped.
pub(crate) fn parse<T: DeserializeOwned>(data: &[u8]) -> Result<T, Unreadable> {
    serde_json::from_slice(data).map_err(|error| Unreadable::Data(without_data(&error.to_string())))
}

/// Cuts what was found out of serde's "invalid type: found, expected what": it is the sender's text, and the
/// sender's text may be an address. What was expected, and the position, are ours.
fn without_data(error: &str) -> String {
    match error.rsplit_once(", expected ") {
        Some((_, expected)) => format!("expected {expected}"),
        None => error.to_owned(),
    }
}

/// The parts of a `ce_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EventType<'a> {
    /// What happened: `order.placed`. Not necessarily a name that anybody here knows.
    pub name: &'a str,
    /// From 1 upwards.
    pub version: u32,
}

/// Why a `ce_type` is not one of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAType<'a> {
    /// Somebody else's event: to be skipped.
    #[error("not a type of Waybill's")]
    Foreign,
    /// Claims to be ours and does not end in `.v1`, `.v2`, ...: unreadable to whoever handles this name.
    #[error("{name} without a version")]
    Version { name: &'a str },
}

impl<'a> EventType<'a> {
    /// Takes `waybill.order.placed.v2` apart. A version has one spelling: no sign, no leading zero, not 0.
    pub fn parse(text: &'a str) -> Result<Self, NotAType<'a>> {
        let rest = text.strip_prefix("waybill.").ok_or(NotAType::Foreign)?;
        let (name, digits) = rest.rsplit_once(".v").ok_or(NotAType::Version { name: rest })?;
        let version = match digits.as_bytes() {
            [b'1'..=b'9', ..] => digits.parse().ok(),
            _ => None,
        };
        version.map(|version| Self { name, version }).ok_or(NotAType::Version { name })
    }
}

impl fmt::Display for EventType<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "waybill.{}.v{}", self.name, self.version)
    }
}

/// Where the schema of this type is: its path in the repository, and the `ce_dataschema` of its events.
pub fn dataschema(ty: &EventType<'_>) -> String {
    format!("/schemas/{}.v{}.json", ty.name, ty.version)
}
