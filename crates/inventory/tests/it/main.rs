//! The service as it runs, on a real Postgres and a log in memory: events and HTTP in, events and HTTP out.

mod concurrency;
mod http;
mod laws;
mod rig;
mod saga;
mod storage;
