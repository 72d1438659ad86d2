//! Logs, traces and metrics of a process, from the environment alone, so that they stand before anything is parsed.
//!
//! `RUST_LOG` filters (default `info`, less for OpenTelemetry itself), `LOG_FORMAT` is `text` or `json`. Spans leave the process over OTLP/HTTP only
//! where `OTEL_EXPORTER_OTLP_ENDPOINT` is set; the SDK reads that and the rest of `OTEL_*` itself. Metrics are always
//! collected, in one registry of the process, and read by Prometheus from `/metrics`.

use std::env;
use std::io::IsTerminal as _;
use std::sync::{Mutex, OnceLock, PoisonError};

use anyhow::{Context as _, bail};
use axum::http::HeaderMap;
use opentelemetry::metrics::Meter;
use opentelemetry::propagation::{Extractor, TextMapCompositePropagator};
use opentelemetry::trace::{TraceContextExt as _, TracerProvider as _};
use opentelemetry::{Context, global};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};
use opentelemetry_sdk::trace::SdkTracerProvider;
use prometheus::{Registry, TextEncoder};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, fmt};

/// Flushes the spans that are still in memory when dropped. Keep it until the process has nothing left to say.
#[must_use = "spans are flushed when this is dropped"]
pub struct Telemetry(());

impl Drop for Telemetry {
    fn drop(&mut self) {
        // Flushed and not shut down: another service of this process may still be at work.
        if let Some(Err(error)) = exporting().map(SdkTracerProvider::force_flush) {
            tracing::warn!(%error, "the last spans were not exported");
        }
    }
}

static TRACES: OnceLock<Option<SdkTracerProvider>> = OnceLock::new();
static SETTING_UP: Mutex<()> = Mutex::new(());

/// Sets up the process, once: later calls (several services in one process, tests) find it done.
pub fn init(service_name: &'static str) -> anyhow::Result<Telemetry> {
    let _alone = SETTING_UP.lock().unwrap_or_else(PoisonError::into_inner);
    if TRACES.get().is_none() {
        let provider = tracer_provider(service_name)?;
        subscribe(provider.as_ref())?;
        global::set_text_map_propagator(TextMapCompositePropagator::new(vec![
            Box::new(TraceContextPropagator::new()),
            Box::new(BaggagePropagator::new()),
        ]));
        // The lock is held: nobody else can have set it.
        let _ = TRACES.set(provider);
    }
    registry();
    Ok(Telemetry(()))
}

fn subscribe(provider: Option<&SdkTracerProvider>) -> anyhow::Result<()> {
    let filter = match env::var("RUST_LOG") {
        Ok(directives) if !directives.is_empty() => {
            EnvFilter::try_new(directives).context("reading RUST_LOG")?
        }
        _ => EnvFilter::new("info,opentelemetry=warn"),
    };
    let lines = match env::var("LOG_FORMAT").as_deref() {
        Ok("json") => fmt::layer().json().flatten_event(true).boxed(),
        Ok("text" | "") | Err(env::VarError::NotPresent) => {
            fmt::layer().with_ansi(std::io::stdout().is_terminal()).boxed()
        }
        _ => bail!("LOG_FORMAT must be text or json"),
    };
    let spans = provider.map(|it| tracing_opentelemetry::layer().with_tracer(it.tracer("waybill")));
    // A test harness may have installed a subscriber of its own: then that one stays.
    let _ = tracing_subscriber::registry().with(filter).with(lines).with(spans).try_init();
    Ok(())
}

/// `None` unless an endpoint is set: then a span costs no more than its log context.
fn tracer_provider(service_name: &'static str) -> anyhow::Result<Option<SdkTracerProvider>> {
    let set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    if !set("OTEL_EXPORTER_OTLP_ENDPOINT") {
        return Ok(None);
    }
    // Without one the exporter's client panics; if there is one already, it serves.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .build()
        .context("reading OTEL_EXPORTER_OTLP_ENDPOINT")?;
    let mut resource = Resource::builder();
    if !set("OTEL_SERVICE_NAME") {
        resource = resource.with_service_name(service_name);
    }
    let provider =
        SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource.build()).build();
    global::set_tracer_provider(provider.clone());
    Ok(Some(provider))
}

fn exporting() -> Option<&'static SdkTracerProvider> {
    TRACES.get().and_then(Option::as_ref)
}

/// Whether spans leave this process. Asked before instruments are made, it also sets the registry up.
pub fn traced() -> bool {
    registry();
    exporting().is_some()
}

/// The process's one registry. The first call makes it what the global meter provider feeds.
fn registry() -> &'static Registry {
    static REGISTRY: OnceLock<Registry> = OnceLock::new();
    REGISTRY.get_or_init(|| {
        let registry = Registry::new();
        let exporter =
            opentelemetry_prometheus::exporter().with_registry(registry.clone()).without_target_info();
        match exporter.scope_info_enabled(false).build() {
            Ok(reader) => {
                global::set_meter_provider(SdkMeterProvider::builder().with_reader(reader).build());
            }
            Err(error) => tracing::error!(%error, "no metrics: cannot register the exporter"),
        }
        registry
    })
}

/// A meter of the process's registry, whether or not [`init`] was called.
pub fn meter(name: &'static str) -> Meter {
    registry();
    global::meter(name)
}

/// All metrics of the process in Prometheus's text format.
pub fn metrics_text() -> String {
    TextEncoder::new().encode_to_string(&registry().gather()).unwrap_or_else(|error| {
        tracing::error!(%error, "cannot encode the metrics");
        String::new()
    })
}

/// Makes a span the child of the trace that the headers carry, and names it for the trace's readers.
pub(crate) fn continue_trace(span: &Span, headers: &HeaderMap, name: std::fmt::Arguments<'_>) {
    if exporting().is_none() {
        return;
    }
    let parent =
        global::get_text_map_propagator(|it| it.extract_with_context(&Context::new(), &Headers(headers)));
    if let Err(error) = span.set_parent(parent) {
        tracing::debug!(?error, "a request's trace does not continue");
    }
    span.record("otel.name", name).record("otel.kind", "server");
}

/// The current span as a `traceparent`; `None` unless it is part of a trace that is exported.
pub(crate) fn current_traceparent() -> Option<String> {
    exporting()?;
    let context = Span::current().context();
    let span = context.span().span_context().clone();
    let flags = span.trace_flags().to_u8();
    span.is_valid().then(|| format!("00-{}-{}-{flags:02x}", span.trace_id(), span.span_id()))
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(|name| name.as_str()).collect()
    }
}
