//! The engine's instruments, as they are counted in this process: by all tests together.

use std::sync::LazyLock;

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
