use axum::body::{Bytes, HttpBody as _};
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, OptionalFromRequest, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use serde_path_to_error::{Path as SerdePath, Segment};

use crate::{FieldError, Problem};

/// A JSON body, in or out.
///
/// In: 415 for another content type, 413 beyond the limit, 400 for what is not JSON, 422 with a JSON pointer for
/// what is not a `T`. No rejection repeats a value out of the body: it may be somebody's address or card.
#[derive(Debug, Clone, Copy)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            let detail = "the request body must be JSON: set Content-Type to application/json";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
        }
        let body =
            Bytes::from_request(request, state).await.map_err(|rejection| match rejection.status() {
                StatusCode::PAYLOAD_TOO_LARGE => too_large(),
                _ => Problem::bad_request("the request body ended early"),
            })?;
        parse(&body).map(Self)
    }
}

/// `None` for a request without a body.
impl<T: DeserializeOwned, S: Send + Sync> OptionalFromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Option<Self>, Problem> {
        if request.body().is_end_stream() {
            return Ok(None);
        }
        <Self as FromRequest<S>>::from_request(request, state).await.map(Some)
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

pub(crate) fn too_large() -> Problem {
    let detail = format!("the request body may have {} bytes", crate::http::BODY_LIMIT);
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(Ok(value)) = headers.get(header::CONTENT_TYPE).map(|it| it.to_str()) else {
        return false;
    };
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence
        .strip_prefix("application/")
        .is_some_and(|subtype| subtype == "json" || subtype.ends_with("+json"))
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    // Every body of ours is an object; serde would take a struct's fields from an array, too.
    if body.trim_ascii_start().first() == Some(&b'[') {
        let error = FieldError { pointer: String::new(), detail: "must be an object".to_owned() };
        return Err(Problem::invalid(vec![error]));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        match error.inner().classify() {
            Category::Data => Problem::invalid(vec![field_error(error.path(), error.inner())]),
            _ => malformed(error.inner()),
        }
    })?;
    deserializer.end().map_err(|error| malformed(&error))?;
    Ok(value)
}

/// serde_json's words for broken syntax are fixed: they hold a position, and nothing of the input.
fn malformed(error: &serde_json::Error) -> Problem {
    Problem::bad_request(format!("the request body is not JSON: {error}"))
}

fn field_error(path: &SerdePath, error: &serde_json::Error) -> FieldError {
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => push(&mut pointer, &index.to_string()),
            Segment::Map { key } | Segment::Enum { variant: key } => push(&mut pointer, key),
            Segment::Unknown => {}
        }
    }
    let message = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    let message = message.strip_suffix(&position).unwrap_or(&message);
    // These two are found out at the object, and mean one of its members.
    for (prefix, detail) in [("missing field `", "is required"), ("duplicate field `", "is given twice")] {
        if let Some(name) = message.strip_prefix(prefix) {
            push(&mut pointer, name.trim_end_matches('`'));
            return FieldError { pointer, detail: detail.to_owned() };
        }
    }
    FieldError { pointer, detail: without_values(message) }
}

/// A reference token, escaped as RFC 6901 has it.
fn push(pointer: &mut String, token: &str) {
    pointer.push('/');
    pointer.push_str(&token.replace('~', "~0").replace('/', "~1"));
}

/// serde quotes the offending value in these messages, always before what it expected instead.
fn without_values(message: &str) -> String {
    const QUOTING: [&str; 4] = ["invalid type: ", "invalid value: ", "invalid length ", "unknown variant "];
    if message.starts_with("unknown field ") {
        return "is not a known field".to_owned();
    }
    if !QUOTING.iter().any(|it| message.starts_with(it)) {
        return message.to_owned();
    }
    message.rfind(", expected ").map_or("is not valid", |at| &message[at + 2..]).to_owned()
}

/// Path parameters; 400 for those that do not parse.
#[derive(Debug, Clone, Copy)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(PathRejection::FailedToDeserializePathParams(error)) if error.status().is_client_error() => {
                Err(Problem::bad_request(format!("a path parameter is not valid: {}", error.kind())))
            }
            Err(rejection) => Err(anyhow::Error::new(rejection).context("extracting path parameters").into()),
        }
    }
}

/// The query string; 400 for one that does not parse.
#[derive(Debug, Clone, Copy)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        axum::extract::Query::<T>::from_request_parts(parts, state)
            .await
            .map(|axum::extract::Query(value)| Self(value))
            .map_err(|rejection: QueryRejection| Problem::bad_request(rejection.body_text()))
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only the refusals are looked at")]
    struct Order {
        lines: Vec<Line>,
        note: Option<String>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only the refusals are looked at")]
    struct Line {
        #[serde(rename = "a/b~c")]
        odd: Option<bool>,
        quantity: u32,
        unit: Option<Unit>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum Unit {
        Piece,
        Box,
    }

    /// `expected`: the status, then pointer and detail of the one fault, or the problem's own detail.
    #[track_caller]
    fn check(body: &str, expected: &str) {
        let problem = parse::<Order>(body.as_bytes()).map(drop).unwrap_err();
        let json = serde_json::to_value(&problem).unwrap();
        let shown = match &json["errors"][0] {
            serde_json::Value::Null => json["detail"].as_str().unwrap().to_owned(),
            fault => format!("{} {}", fault["pointer"].as_str().unwrap(), fault["detail"].as_str().unwrap()),
        };
        assert_eq!(format!("{} {shown}", json["status"]), expected, "{body}");
    }

    #[test]
    fn what_is_not_json_is_malformed() {
        check("", "400 the request body is not JSON: EOF while parsing a value at line 1 column 0");
        check("{\n  nope", "400 the request body is not JSON: key must be a string at line 2 column 3");
        check(
            r#"{"lines": []} x"#,
            "400 the request body is not JSON: trailing characters at line 1 column 15",
        );
    }

    #[test]
    fn a_wrong_shape_is_pointed_at() {
        check("[]", "422  must be an object");
        check("{}", "422 /lines is required");
        check(r#"{"lines": [{}]}"#, "422 /lines/0/quantity is required");
        check(r#"{"lines": [{"quantity": -1}]}"#, "422 /lines/0/quantity expected u32");
        check(r#"{"lines": [{"quantity": 1, "a/b~c": 0}]}"#, "422 /lines/0/a~1b~0c expected a boolean");
        check(r#"{"lines": [{"quantity": 1, "quantity": 1}]}"#, "422 /lines/0/quantity is given twice");
        check(r#"{"lines": [], "extra": 1}"#, "422 /extra is not a known field");
    }

    #[test]
    fn values_are_not_echoed() {
        check(r#"{"lines": "4242, expected 4242"}"#, "422 /lines expected a sequence");
        check(
            r#"{"lines": [{"quantity": 1, "unit": "secret"}]}"#,
            "422 /lines/0/unit expected `piece` or `box`",
        );
    }

    #[test]
    fn json_has_several_names() {
        for (value, expected) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/merge-patch+json", true),
            ("text/json", false),
            ("application/jsonp", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, value.parse().unwrap())]);
            assert_eq!(is_json(&headers), expected, "{value}");
        }
        assert!(!is_json(&HeaderMap::new()));
    }
}
