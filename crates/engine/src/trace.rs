//! W3C trace context: what came in goes out with what follows from it.

use bus::Trace;
use opentelemetry::{
    Context, KeyValue,
    global::{self, BoxedSpan},
    propagation::{Extractor, Injector},
    trace::{Link, Span, SpanKind, TraceContextExt, Tracer},
};

use crate::decider::Cause;

/// A trace context with a parent alone.
pub(crate) fn of_parent(parent: Option<String>) -> Trace<'static> {
    Trace { parent: parent.map(Into::into), ..Trace::default() }
}

/// Spans of a batch and of each of its inputs, where tracing is on; otherwise nothing.
pub(crate) struct Spans {
    inputs: Vec<Context>,
    _batch: Option<BoxedSpan>,
}

impl Spans {
    /// Starts a span per input, each a child of what caused it, and one for the batch that links them all:
    /// a batch mixes requests, so it is nobody's child.
    pub(crate) fn start<'c>(
        on: bool,
        service: &'static str,
        causes: impl Iterator<Item = &'c Cause>,
    ) -> Self {
        if !on {
            return Self { inputs: Vec::new(), _batch: None };
        }
        let tracer = global::tracer("waybill.engine");
        let input = |cause: &Cause| {
            let parent = global::get_text_map_propagator(|it| it.extract(&Carrier(cause.trace.clone())));
            let span = tracer
                .span_builder("process")
                .with_kind(SpanKind::Consumer)
                .with_attributes([
                    KeyValue::new("waybill.service", service),
                    KeyValue::new("waybill.correlation_id", cause.correlation_id.to_string()),
                ])
                .start_with_context(&tracer, &parent);
            parent.with_span(span)
        };
        let inputs: Vec<Context> = causes.map(input).collect();
        let links = inputs.iter().map(|it| Link::with_context(it.span().span_context().clone())).collect();
        let batch = tracer.span_builder("batch").with_links(links).start(&tracer);
        Self { inputs, _batch: Some(batch) }
    }

    /// The trace context for what follows from the `index`-th input.
    pub(crate) fn trace(&self, index: usize, cause: &Cause) -> Trace<'static> {
        let Some(context) = self.inputs.get(index) else { return cause.trace.clone() };
        let mut carrier = Carrier(cause.trace.clone());
        global::get_text_map_propagator(|it| it.inject_context(context, &mut carrier));
        carrier.0
    }
}

impl Drop for Spans {
    fn drop(&mut self) {
        for input in &self.inputs {
            input.span().end();
        }
        if let Some(batch) = &mut self._batch {
            batch.end();
        }
    }
}

struct Carrier(Trace<'static>);

impl Extractor for Carrier {
    fn get(&self, key: &str) -> Option<&str> {
        match key {
            "traceparent" => self.0.parent.as_deref(),
            "tracestate" => self.0.state.as_deref(),
            "baggage" => self.0.baggage.as_deref(),
            _ => None,
        }
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent", "tracestate", "baggage"]
    }
}

impl Injector for Carrier {
    fn set(&mut self, key: &str, value: String) {
        match key {
            "traceparent" => self.0.parent = Some(value.into()),
            "tracestate" if !value.is_empty() => self.0.state = Some(value.into()),
            "baggage" if !value.is_empty() => self.0.baggage = Some(value.into()),
            _ => {}
        }
    }
}
