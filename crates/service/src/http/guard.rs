use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt as _;
use opentelemetry::KeyValue;
use opentelemetry::metrics::Histogram;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::field::Empty;
use tracing::{Instrument as _, Span};
use uuid::Uuid;

use super::{BODY_LIMIT, Limits};
use crate::context::{self, CORRELATION_ID, Correlation};
use crate::extract::too_large;
use crate::supervise::panic_message;
use crate::{Problem, telemetry};

/// Around every route of the API: one middleware rather than a stack of them, as each costs every request.
pub(super) struct Guard {
    limits: Limits,
    in_flight: Semaphore,
    duration: Histogram<f64>,
    service: KeyValue,
}

impl Guard {
    pub(super) fn new(service: &'static str, limits: Limits) -> Self {
        let duration = telemetry::meter("service")
            .f64_histogram("http.server.request.duration")
            .with_unit("s")
            .with_description("From the request's headers to its response.")
            .with_boundaries(vec![
                0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
            ])
            .build();
        let service = KeyValue::new("service", service);
        Self { limits, in_flight: Semaphore::new(limits.in_flight), duration, service }
    }

    /// The handler's response, or the problem that kept it from giving one.
    async fn answer(&self, request: Request, next: Next) -> Response {
        let Ok(_in_flight) = self.in_flight.try_acquire() else {
            return Problem::unavailable("too many requests at once", 1).into_response();
        };
        if announced_length(request.headers()).is_some_and(|length| length > BODY_LIMIT as u64) {
            return too_large().into_response();
        }
        let handled = AssertUnwindSafe(next.run(request)).catch_unwind();
        match timeout(self.limits.request_timeout, handled).await {
            Ok(Ok(response)) => response,
            Ok(Err(panic)) => {
                tracing::error!(panic = panic_message(&*panic), "a handler panicked");
                Problem::internal().into_response()
            }
            Err(_) => {
                tracing::warn!("a request took too long");
                let detail = "the request took too long; what it asked for may still happen";
                Problem::unavailable(detail, 1).into_response()
            }
        }
    }

    fn record(&self, method: &'static str, route: &str, status: u16, started: Instant) {
        let labels = [
            self.service.clone(),
            KeyValue::new("http.request.method", method),
            KeyValue::new("http.route", route.to_owned()),
            KeyValue::new("http.response.status_code", i64::from(status)),
        ];
        self.duration.record(started.elapsed().as_secs_f64(), &labels);
    }
}

pub(super) async fn guard(State(guard): State<Arc<Guard>>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let (method, route) =
        (method_label(request.method()), request.extensions().get::<MatchedPath>().cloned());
    let route = route.as_ref().map_or("", MatchedPath::as_str);
    let (correlation_id, refused) = match context::correlation_id(request.headers()) {
        Ok(id) => (id, None),
        Err(problem) => (Uuid::now_v7(), Some(problem)),
    };
    request.extensions_mut().insert(Correlation(correlation_id));
    let span = request_span(method, route, correlation_id, request.headers());
    let mut response = match refused {
        Some(problem) => problem.into_response(),
        None => guard.answer(request, next).instrument(span.clone()).await,
    };
    let status = response.status().as_u16();
    close(&span, status, started);
    guard.record(method, route, status, started);
    let mut text = Uuid::encode_buffer();
    let text = correlation_id.hyphenated().encode_lower(&mut text);
    if let Ok(value) = HeaderValue::from_str(text) {
        response.headers_mut().insert(CORRELATION_ID, value);
    }
    response
}

fn request_span(method: &'static str, route: &str, correlation_id: Uuid, headers: &HeaderMap) -> Span {
    let span = tracing::info_span!(
        "request",
        otel.name = Empty,
        otel.kind = Empty,
        otel.status_code = Empty,
        http.request.method = method,
        http.route = route,
        http.response.status_code = Empty,
        correlation.id = %correlation_id,
    );
    telemetry::continue_trace(&span, headers, format_args!("{method} {route}"));
    span
}

fn close(span: &Span, status: u16, started: Instant) {
    span.record("http.response.status_code", status);
    if status >= 500 {
        span.record("otel.status_code", "ERROR");
    }
    let duration_ms = started.elapsed().as_secs_f64() * 1000.0;
    tracing::debug!(parent: span, duration_ms, "answered");
}

/// A closed set, as labels of a metric must be.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "_OTHER",
    }
}

fn announced_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
