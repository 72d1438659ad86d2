//! The log: one contract, kept by Kafka and by the log in memory, and the codec.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod codec;
mod contract;
mod gaps;
mod hollow;
mod kafka;
mod log;
