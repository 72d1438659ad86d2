//! The parts alone: relay and consumer, each on an engine in this process, and each part beside its ceiling.

mod ceilings;
mod consume;
mod counter;
mod machine;
mod published;
mod relay;

pub use self::{ceilings::Ceilings, consume::Consume, relay::Relay};
pub(crate) use self::{ceilings::run as ceilings, consume::run as consume, relay::run as relay};
