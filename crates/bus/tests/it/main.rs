//! The log: one contract, kept by Kafka and by the log in memory, and the codec.

mod codec;
mod contract;
mod kafka;
mod log;
