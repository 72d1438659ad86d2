//! The published language as others see it: files, wire, versions.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod agreement;
mod compatibility;
mod decoding;
mod properties;
mod published;
mod types;
