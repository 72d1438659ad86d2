use std::borrow::Cow;
use std::collections::BTreeMap;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// The content type of every error, RFC 9457.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// An error as a client sees it (RFC 9457): what kind, which status, and what to do about it.
///
/// Never holds what the client sent, nor what went wrong inside.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Problem {
    /// URI reference of the kind of problem; `about:blank` where the status says it all.
    #[serde(rename = "type")]
    #[schema(value_type = String, format = "uri-reference", example = "/problems/invalid-request")]
    kind: &'static str,
    /// The kind in a few words, the same for all of its occurrences.
    #[schema(value_type = String, example = "Unprocessable Entity")]
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What is wrong with this request.
    #[serde(skip_serializing_if = "str::is_empty")]
    #[schema(value_type = String)]
    detail: Cow<'static, str>,
    /// URI reference of this occurrence.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "uri-reference")]
    instance: Option<Box<str>>,
    /// Each fault of the request body.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
    #[serde(flatten)]
    #[schema(ignore)]
    extensions: Option<Box<Extensions>>,
    #[serde(skip)]
    retry_after_secs: Option<u32>,
}

type Extensions = BTreeMap<&'static str, serde_json::Value>;

/// One fault of a request body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// Where: a JSON pointer (RFC 6901), empty for the whole body.
    #[schema(example = "/lines/0/quantity")]
    pub pointer: String,
    /// What is expected there.
    pub detail: String,
}

const INVALID: &str = "/problems/invalid-request";

impl Problem {
    /// A problem of a status that has no constructor of its own.
    pub fn new(status: StatusCode, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: detail.into(),
            instance: None,
            errors: Vec::new(),
            extensions: None,
            retry_after_secs: None,
        }
    }

    /// 400: the request cannot be read.
    pub fn bad_request(detail: impl Into<Cow<'static, str>>) -> Self {
        let problem = Self::new(StatusCode::BAD_REQUEST, detail);
        Self { kind: INVALID, ..problem }
    }

    /// 404: there is no such thing.
    pub fn not_found(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// 409: not in the state that things are in.
    pub fn conflict(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }

    /// 422: readable, and refused as a whole. For faults of single fields see [`Problem::invalid`].
    pub fn unprocessable(detail: impl Into<Cow<'static, str>>) -> Self {
        let problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail);
        Self { kind: INVALID, ..problem }
    }

    /// 422: the body is well-formed and these fields are not valid.
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        Self { errors, ..Self::unprocessable("the request body is not valid") }
    }

    /// 400: these parts of the body cannot be read.
    pub fn malformed(errors: Vec<FieldError>) -> Self {
        Self { errors, ..Self::bad_request("the request body is malformed") }
    }

    /// 503: try again after so many seconds.
    pub fn unavailable(detail: impl Into<Cow<'static, str>>, retry_after_secs: u32) -> Self {
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, detail);
        Self { kind: "/problems/unavailable", retry_after_secs: Some(retry_after_secs), ..problem }
    }

    /// 500, without details: whoever makes it has logged the cause. `?` on an [`anyhow::Error`] does both.
    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "the service failed on this request")
    }

    /// Names the kind of problem, for clients that act upon it: a URI reference and its fixed title.
    #[must_use]
    pub fn with_type(self, uri: &'static str, title: &'static str) -> Self {
        Self { kind: uri, title, ..self }
    }

    /// Names this occurrence by a URI reference.
    #[must_use]
    pub fn with_instance(self, uri: impl Into<Box<str>>) -> Self {
        Self { instance: Some(uri.into()), ..self }
    }

    /// Adds a member that clients of this kind of problem rely on, such as the state that was in the way.
    #[must_use]
    pub fn with_extension(mut self, name: &'static str, value: impl Into<serde_json::Value>) -> Self {
        self.extensions.get_or_insert_default().insert(name, value.into());
        self
    }

    /// The HTTP status, for a caller that branches on it.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let content_type = [(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON))];
        let mut response = match serde_json::to_vec(&self) {
            Ok(body) => (self.status(), content_type, body).into_response(),
            Err(error) => {
                tracing::error!(%error, "cannot serialise a problem");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        };
        if let Some(seconds) = self.retry_after_secs {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// Infrastructure failed: the cause goes to the log, here and nowhere else, and the client sees a bare 500.
impl From<anyhow::Error> for Problem {
    fn from(error: anyhow::Error) -> Self {
        tracing::error!(error = format!("{error:#}"), "a request failed");
        Self::internal()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(problem: Problem, expected: serde_json::Value) {
        assert_eq!(serde_json::to_value(&problem).unwrap(), expected);
    }

    #[test]
    fn a_problem_says_kind_status_and_detail() {
        check(
            Problem::not_found("no such order"),
            serde_json::json!({"type": "about:blank", "title": "Not Found", "status": 404, "detail": "no such order"}),
        );
    }

    #[test]
    fn faults_of_fields_are_listed() {
        let fault = FieldError { pointer: "/lines/0/quantity".into(), detail: "expected 1 to 999".into() };
        check(
            Problem::invalid(vec![fault]),
            serde_json::json!({
                "type": "/problems/invalid-request", "title": "Unprocessable Entity", "status": 422,
                "detail": "the request body is not valid",
                "errors": [{"pointer": "/lines/0/quantity", "detail": "expected 1 to 999"}],
            }),
        );
    }

    #[test]
    fn a_kind_of_its_own_carries_members_of_its_own() {
        check(
            Problem::conflict("the order is shipped")
                .with_type("/problems/too-late", "Too late")
                .with_instance("/orders/7")
                .with_extension("order_status", "shipped"),
            serde_json::json!({
                "type": "/problems/too-late", "title": "Too late", "status": 409,
                "detail": "the order is shipped", "instance": "/orders/7", "order_status": "shipped",
            }),
        );
    }

    #[test]
    fn unavailable_says_when_to_come_back() {
        let response = Problem::unavailable("the queue is full", 2).into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[header::RETRY_AFTER], "2");
        assert_eq!(response.headers()[header::CONTENT_TYPE], PROBLEM_JSON);
    }

    #[test]
    fn an_inner_cause_is_not_shown() {
        let shown = Problem::from(anyhow::anyhow!("password=hunter2"));
        assert!(!serde_json::to_string(&shown).unwrap().contains("hunter2"));
        assert_eq!(shown.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
}
