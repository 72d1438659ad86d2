//! The chassis of a service: everything that a process needs around its business, and none of the business.
//!
//! A service's `main.rs` calls [`main`] with its `run(config, shutdown)`; `run` hands its [`Parts`] to [`host`], which
//! binds the address, spawns HTTP and the engine's loops on [`Tasks`], and waits for their end.
//!
//! Invariants:
//! - Every error that leaves over HTTP is an RFC 9457 [`Problem`]: also a 404, a panic, a timeout, a shed request.
//! - No request body, and no value out of one, is echoed, logged or put on a span.
//! - A task never ends unnoticed: it stops the process, which then exits non-zero.
//! - Operator's routes, which ask nobody who they are, are on an address of their own, and off unless it is set.
//! - A stop has a deadline at every stage. What is cut off by it must be safe by design, not by luck.
//!
//! Deliberately absent: business words and SQL. Only `host` names the engine; readiness looks at progress that others
//! record.

mod admin;
mod config;
mod context;
mod extract;
pub mod health;
mod healthcheck;
mod host;
pub mod http;
mod problem;
mod run;
mod supervise;
pub mod telemetry;

pub use config::Config;
pub use context::RequestContext;
pub use extract::{Json, Path, Query};
pub use health::Readiness;
pub use healthcheck::healthcheck;
pub use host::{Api, Parts, host, rejected, unreadable};
pub use problem::{FieldError, PROBLEM_JSON, Problem};
pub use run::main;
pub use supervise::Tasks;
pub use telemetry::metrics_text;
