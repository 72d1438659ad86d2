//! HTTP to the services, and what they answer, in words.

use std::{error::Error, time::Duration};

use anyhow::Context;
use reqwest::{RequestBuilder, StatusCode, Url};
use serde::{Deserialize, de::DeserializeOwned};

use crate::exit::Unreachable;

const CONNECT: Duration = Duration::from_secs(2);
/// A little more than a service gives itself.
const ANSWER: Duration = Duration::from_secs(15);

/// Where a service is. Parsed from the command line or the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BaseUrl(String);

impl std::str::FromStr for BaseUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| error.to_string())?;
        if !matches!(url.scheme(), "http" | "https") || url.query().is_some() || url.fragment().is_some() {
            return Err("expected http://host:port".into());
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }
}

impl std::fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl BaseUrl {
    /// On this machine.
    pub(crate) fn local(port: u16) -> Self {
        Self(format!("http://127.0.0.1:{port}"))
    }

    /// Whether it says more than where.
    pub(crate) fn is_on_this_machine(&self) -> bool {
        let host =
            Url::parse(&self.0).ok().and_then(|it| it.host_str().map(str::to_owned)).unwrap_or_default();
        let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
        host == "localhost" || ip.is_ok_and(|it| it.is_loopback())
    }

    pub(crate) fn has_path(&self) -> bool {
        self.0.splitn(4, '/').nth(3).is_some()
    }
}

/// An HTTP client for commands: few requests, each with a deadline.
pub(crate) struct Client(reqwest::Client);

impl Client {
    pub(crate) fn new() -> anyhow::Result<Self> {
        // An error says that somebody has installed one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // Proxies of the environment are meant for the world, and mostly do not know this machine's ports.
        let builder = reqwest::Client::builder().connect_timeout(CONNECT).timeout(ANSWER).no_proxy();
        Ok(Self(builder.build().context("setting up HTTP")?))
    }

    /// For what does its own requests.
    pub(crate) fn plain(&self) -> reqwest::Client {
        self.0.clone()
    }

    pub(crate) fn get(&self, base: &BaseUrl, path: &str) -> RequestBuilder {
        self.0.get(format!("{base}{path}"))
    }

    pub(crate) fn put(&self, base: &BaseUrl, path: &str) -> RequestBuilder {
        self.0.put(format!("{base}{path}"))
    }

    pub(crate) fn post(&self, base: &BaseUrl, path: &str) -> RequestBuilder {
        self.0.post(format!("{base}{path}"))
    }
}

/// An answer of success.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json<T: DeserializeOwned>(&self) -> anyhow::Result<T> {
        serde_json::from_str(&self.body)
            .context("the service's answer is not what this version of waybill expects")
    }
}

/// An answer of another kind: the status and the problem (RFC 9457) in one line.
#[derive(Debug, thiserror::Error)]
#[error("{} {text}", status.as_u16())]
pub(crate) struct Refused {
    pub(crate) status: StatusCode,
    pub(crate) text: String,
}

/// Sends a request. No answer is [`Unreachable`], an answer that is no success is [`Refused`].
pub(crate) async fn send(request: RequestBuilder) -> anyhow::Result<Answer> {
    let answer = request.send().await.map_err(no_answer)?;
    let status = answer.status();
    let body = answer.text().await.map_err(no_answer)?;
    if status.is_success() {
        return Ok(Answer { status, body });
    }
    Err(Refused { status, text: in_words(status, &body) }.into())
}

fn no_answer(error: reqwest::Error) -> Unreachable {
    let mut cause: &dyn Error = &error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let at = error.url().map(|url| url.origin().ascii_serialization()).unwrap_or_default();
    let perhaps_done = !error.is_connect();
    let what = if perhaps_done { "no answer from" } else { "nobody answers at" };
    Unreachable { text: format!("{what} {at}: {cause}"), perhaps_done }
}

#[derive(Deserialize)]
struct Problem {
    title: Option<String>,
    detail: Option<String>,
    #[serde(default)]
    errors: Vec<FieldError>,
    /// In the shape of the provider's.
    error: Option<ProviderError>,
}

#[derive(Deserialize)]
struct ProviderError {
    message: String,
}

#[derive(Deserialize)]
struct FieldError {
    pointer: String,
    detail: String,
}

/// `/lines/0/sku: there is no product X`, or the detail, or at least the status.
fn in_words(status: StatusCode, body: &str) -> String {
    let fallback = || status.canonical_reason().unwrap_or("an error without a description").to_owned();
    let Ok(problem) = serde_json::from_str::<Problem>(body) else { return fallback() };
    if let Some(error) = problem.error {
        return error.message;
    }
    if problem.errors.is_empty() {
        return problem.detail.or(problem.title).unwrap_or_else(fallback);
    }
    let faults = problem.errors.iter().map(|it| match it.pointer.as_str() {
        "" => it.detail.clone(),
        pointer => format!("{pointer}: {}", it.detail),
    });
    faults.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, expected: &str) {
        assert_eq!(in_words(StatusCode::UNPROCESSABLE_ENTITY, body), expected);
    }

    #[test]
    fn a_problem_is_told_by_its_faults_then_its_detail_then_its_status() {
        check(
            r#"{"title":"Unprocessable Entity","detail":"the request body is not valid","errors":[
                {"pointer":"/lines/0/sku","detail":"there is no product X"},{"pointer":"","detail":"too much"}]}"#,
            "/lines/0/sku: there is no product X; too much",
        );
        check(r#"{"title":"Conflict","detail":"the order has been shipped"}"#, "the order has been shipped");
        check(r#"{"title":"Conflict"}"#, "Conflict");
        check(r#"{"error":{"type":"invalid_request_error","message":"No such thing."}}"#, "No such thing.");
        check("<html>", "Unprocessable Entity");
    }

    #[test]
    fn a_base_url_is_of_http_and_loses_its_last_slash() {
        assert_eq!("http://127.0.0.1:8080/".parse::<BaseUrl>().unwrap().to_string(), "http://127.0.0.1:8080");
        for wrong in ["127.0.0.1:8080", "ftp://x", "http://", "http://x?y=1", ""] {
            assert!(wrong.parse::<BaseUrl>().is_err(), "{wrong}");
        }
    }
}
