use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use utoipa::IntoParams;
use uuid::Uuid;

use crate::{Problem, telemetry};

pub(crate) const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
const ACTOR: HeaderName = HeaderName::from_static("x-actor");

/// W3C Baggage, limits: what is longer may be dropped by any hop, and ours ends up in a row.
const BAGGAGE_LIMIT: usize = 8192;
/// W3C Trace Context, 3.3.1.5: at least 512 characters are to be passed on.
const TRACESTATE_LIMIT: usize = 512;

/// Who asked, and as part of what: recorded with everything that the request sets off.
#[derive(Debug, Clone, PartialEq, Eq, IntoParams)]
#[into_params(parameter_in = Header)]
pub struct RequestContext {
    /// Ties together all that follows from this request; a new one if absent. The response repeats it.
    #[param(rename = "X-Correlation-Id", required = false)]
    pub correlation_id: Uuid,
    /// Who asks, as the caller says: up to 64 visible ASCII characters. Recorded, never trusted.
    #[param(rename = "X-Actor", required = false, max_length = 64)]
    pub actor: Option<String>,
    /// W3C trace context. An invalid one is ignored, as the standard demands.
    #[param(rename = "traceparent", required = false)]
    pub traceparent: Option<String>,
    #[param(ignore)]
    #[doc(hidden)]
    pub tracestate: Option<String>,
    #[param(ignore)]
    #[doc(hidden)]
    pub baggage: Option<String>,
}

/// The correlation id that the chassis settled on before the handler ran.
#[derive(Clone, Copy)]
pub(crate) struct Correlation(pub(crate) Uuid);

impl<S: Sync> FromRequestParts<S> for RequestContext {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let correlation_id = match parts.extensions.get() {
            Some(Correlation(id)) => *id,
            None => correlation_id(&parts.headers)?,
        };
        let actor = actor(&parts.headers)?;
        let theirs = traceparent(&parts.headers);
        // The state belongs to the parent: without a valid one it means nothing.
        let tracestate = theirs.as_ref().and_then(|_| list(&parts.headers, "tracestate", TRACESTATE_LIMIT));
        let traceparent = telemetry::current_traceparent().or(theirs).unwrap_or_else(fresh_traceparent);
        let baggage = list(&parts.headers, "baggage", BAGGAGE_LIMIT);
        Ok(Self { correlation_id, actor, traceparent: Some(traceparent), tracestate, baggage })
    }
}

/// The caller's correlation id, or a new one.
pub(crate) fn correlation_id(headers: &HeaderMap) -> Result<Uuid, Problem> {
    match headers.get(CORRELATION_ID) {
        None => Ok(Uuid::now_v7()),
        Some(value) => Uuid::try_parse_ascii(value.as_bytes())
            .map_err(|_| Problem::bad_request("the header X-Correlation-Id must be a UUID")),
    }
}

fn actor(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(ACTOR) else { return Ok(None) };
    match value.to_str() {
        Ok(actor) if (1..=64).contains(&actor.len()) && actor.bytes().all(|b| b.is_ascii_graphic()) => {
            Ok(Some(actor.to_owned()))
        }
        _ => Err(Problem::bad_request("the header X-Actor must be 1 to 64 visible ASCII characters")),
    }
}

/// A header that may be given in several lines, joined; `None` if absent, beyond the limit or not text.
fn list(headers: &HeaderMap, name: &str, limit: usize) -> Option<String> {
    let mut joined = String::new();
    for value in headers.get_all(name) {
        let value = value.to_str().ok()?;
        if !joined.is_empty() {
            joined.push(',');
        }
        joined.push_str(value);
        if joined.len() > limit {
            return None;
        }
    }
    (!joined.is_empty()).then_some(joined)
}

/// The caller's trace context if it is valid (W3C Trace Context, 3.2), in the version that we know.
fn traceparent(headers: &HeaderMap) -> Option<String> {
    let mut values = headers.get_all("traceparent").iter();
    let value = values.next()?.to_str().ok()?;
    if values.next().is_some() {
        return None;
    }
    let (known, rest) = value.split_at_checked(55)?;
    let version = &known[..2];
    let complete = rest.is_empty() || (version != "00" && rest.starts_with('-'));
    let mut parts = known.split('-');
    let mut hex = |length: usize| {
        let part = parts.next()?;
        let lower = part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        (part.len() == length && lower).then_some(part)
    };
    let (_, trace_id, span_id, flags) = (hex(2)?, hex(32)?, hex(16)?, hex(2)?);
    let all_zero = |id: &str| id.bytes().all(|b| b == b'0');
    if !complete || version == "ff" || all_zero(trace_id) || all_zero(span_id) {
        return None;
    }
    Some(if version == "00" { known.to_owned() } else { format!("00-{trace_id}-{span_id}-{flags}") })
}

/// The beginning of a trace, marked as sampled: whoever comes later and records may begin to.
fn fresh_traceparent() -> String {
    let trace_id = Uuid::new_v4().simple();
    let (span_id, _) = Uuid::new_v4().as_u64_pair();
    format!("00-{trace_id}-{span_id:016x}-01")
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    async fn extract(headers: &[(&str, &str)]) -> Result<RequestContext, Problem> {
        let mut request = Request::builder();
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        RequestContext::from_request_parts(&mut parts, &()).await
    }

    #[tokio::test]
    async fn nothing_given_everything_needed_is_made() {
        let context = extract(&[]).await.unwrap();
        assert_eq!(context.correlation_id.get_version_num(), 7);
        assert_eq!((context.actor, context.tracestate, context.baggage), (None, None, None));
        let made = context.traceparent.unwrap();
        let headers = HeaderMap::from_iter([(HeaderName::from_static("traceparent"), made.parse().unwrap())]);
        assert_eq!(traceparent(&headers), Some(made));
    }

    #[tokio::test]
    async fn what_is_given_is_kept() {
        let id = "018f3b5c-1111-7222-8333-444455556666";
        let context = extract(&[
            ("x-correlation-id", id),
            ("x-actor", "clerk:7"),
            ("traceparent", VALID),
            ("tracestate", "a=1"),
            ("tracestate", "b=2"),
            ("baggage", "tenant=blue"),
        ])
        .await;
        let expected = RequestContext {
            correlation_id: id.parse().unwrap(),
            actor: Some("clerk:7".into()),
            traceparent: Some(VALID.into()),
            tracestate: Some("a=1,b=2".into()),
            baggage: Some("tenant=blue".into()),
        };
        assert_eq!(context.unwrap(), expected);
    }

    #[tokio::test]
    async fn wrong_ids_and_actors_are_refused() {
        let long = "x".repeat(65);
        for (name, value) in
            [("x-correlation-id", "42"), ("x-actor", "two words"), ("x-actor", ""), ("x-actor", &long)]
        {
            let refused = extract(&[(name, value)]).await.unwrap_err();
            assert_eq!(refused.status(), 400, "{name}: {value}");
        }
    }

    #[tokio::test]
    async fn an_invalid_trace_context_is_replaced_and_takes_its_state_along() {
        let zero_trace = "00-00000000000000000000000000000000-00f067aa0ba902b7-01";
        let zero_span = "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01";
        let (upper, longer) = (VALID.to_uppercase(), format!("{VALID}-00"));
        let forbidden = VALID.replacen("00", "ff", 1);
        for invalid in ["", "00-1-2-01", &VALID[..54], zero_trace, zero_span, &upper, &longer, &forbidden] {
            let context = extract(&[("traceparent", invalid), ("tracestate", "a=1")]).await.unwrap();
            let made = context.traceparent.unwrap();
            assert_ne!(made, invalid);
            assert_eq!((made.len(), context.tracestate), (55, None), "{invalid}");
        }
        let twice = extract(&[("traceparent", VALID), ("traceparent", VALID)]).await.unwrap();
        assert_ne!(twice.traceparent.unwrap(), VALID);
    }

    #[tokio::test]
    async fn a_later_version_is_read_as_ours() {
        let later = format!("{}-what-the-future-holds", VALID.replacen("00", "01", 1));
        assert_eq!(extract(&[("traceparent", &later)]).await.unwrap().traceparent.unwrap(), VALID);
    }

    #[tokio::test]
    async fn oversized_baggage_is_dropped() {
        let context = extract(&[("baggage", &"x".repeat(BAGGAGE_LIMIT + 1))]).await.unwrap();
        assert_eq!(context.baggage, None);
    }
}
