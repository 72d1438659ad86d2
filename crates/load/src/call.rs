//! One request and what became of it.

use std::time::Duration;

use reqwest::{Client, RequestBuilder};
use serde_json::Value;

/// Longer than any deadline of the services' own.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(20);

/// What became of a request that was not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unanswered {
    /// Nobody took the connection.
    Refused,
    /// The connection was taken, and closed before the answer was complete.
    Cut(String),
    TimedOut,
}

/// Sends a request once; status and body of the answer, null if that is not JSON.
pub async fn call(request: RequestBuilder) -> Result<(u16, Value), Unanswered> {
    let unanswered = |error: reqwest::Error| match () {
        () if error.is_timeout() => Unanswered::TimedOut,
        () if error.is_connect() => Unanswered::Refused,
        () => Unanswered::Cut(innermost(&error)),
    };
    let answer = request.send().await.map_err(unanswered)?;
    let (status, body) = (answer.status().as_u16(), answer.bytes().await.map_err(unanswered)?);
    Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
}

/// What has really happened, below what the client's layers make of it.
fn innermost(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), innermost)
}

/// A client that uses each connection once, so that whatever goes wrong on one is not due to its age.
pub fn one_connection_a_request() -> reqwest::Result<Client> {
    Client::builder().pool_max_idle_per_host(0).timeout(TIMEOUT).build()
}

/// A client that uses its connections again, as browsers and gateways do.
pub(crate) fn keeping_connections() -> reqwest::Result<Client> {
    Client::builder().timeout(TIMEOUT).build()
}
