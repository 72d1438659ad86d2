//! The engine's instruments, as they are counted in this process: by all tests together.

use std::{collections::BTreeMap, sync::LazyLock};

use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::Registry;

static REGISTRY: LazyLock<Registry> = LazyLock::new(|| {
    let registry = Registry::new();
    let exporter = opentelemetry_prometheus::exporter().with_registry(registry.clone()).build().unwrap();
    opentelemetry::global::set_meter_provider(SdkMeterProvider::builder().with_reader(exporter).build());
    registry
});

/// To be called before an engine is made.
pub(crate) fn install() {
    LazyLock::force(&REGISTRY);
}

/// How many events of unknown types were skipped.
pub(crate) fn skipped() -> f64 {
    let families = REGISTRY.gather();
    let of_skipped = families.iter().filter(|it| it.name() == "waybill_events_skipped_total");
    of_skipped.flat_map(|it| it.get_metric()).map(|it| it.get_counter().get_value()).sum()
}

/// A gauge of the service `service`, with all labels that it has besides that.
pub(crate) fn gauge(service: &str, name: &str) -> BTreeMap<String, f64> {
    let mut seen = BTreeMap::new();
    for metric in REGISTRY.gather().iter().filter(|it| it.name() == name).flat_map(|it| it.get_metric()) {
        let labels = metric.get_label().iter().filter(|it| !it.name().starts_with("otel_scope"));
        let (ours, others): (Vec<_>, Vec<_>) = labels.partition(|it| it.name() == "service");
        if ours.iter().any(|it| it.value() == service) {
            let named: Vec<&str> = others.iter().map(|it| it.value()).collect();
            seen.insert(named.join(" "), metric.get_gauge().get_value());
        }
    }
    seen
}
