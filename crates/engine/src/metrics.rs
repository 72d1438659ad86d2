use opentelemetry::{
    KeyValue, global,
    metrics::{Counter, Gauge, Histogram},
};

/// The engine's instruments, on the global meter. All carry the label `service`.
#[derive(Clone)]
pub(crate) struct Metrics {
    pub(crate) service: KeyValue,
    pub(crate) consumed: Counter<u64>,
    pub(crate) skipped: Counter<u64>,
    pub(crate) duplicates: Counter<u64>,
    pub(crate) published: Counter<u64>,
    pub(crate) commands: Counter<u64>,
    pub(crate) parked: Counter<u64>,
    pub(crate) redriven: Counter<u64>,
    pub(crate) retries: Counter<u64>,
    pub(crate) effects: Counter<u64>,
    pub(crate) batch_size: Histogram<u64>,
    pub(crate) transaction: Histogram<f64>,
    pub(crate) outbox_pending: Gauge<u64>,
    pub(crate) outbox_oldest_age: Gauge<f64>,
    pub(crate) dead_letters: Gauge<u64>,
    pub(crate) parked_keys: Gauge<u64>,
    pub(crate) effects_pending: Gauge<u64>,
    pub(crate) effects_failing: Gauge<u64>,
    pub(crate) effects_oldest_age: Gauge<f64>,
    pub(crate) breaker_open: Gauge<u64>,
    pub(crate) deadlines_unknown: Gauge<u64>,
    pub(crate) deadlines_overdue: Gauge<f64>,
    pub(crate) shedding: Gauge<u64>,
    pub(crate) relay_leads: Gauge<u64>,
}

impl Metrics {
    pub(crate) fn new(service: &'static str) -> Self {
        let meter = global::meter("waybill");
        let counter = |name, description| meter.u64_counter(name).with_description(description).build();
        let gauge = |name, description| meter.u64_gauge(name).with_description(description).build();
        let seconds = |name, description| meter.f64_gauge(name).with_description(description).build();
        Self {
            service: KeyValue::new("service", service),
            consumed: counter("waybill_events_consumed", "Events applied, by type."),
            skipped: counter("waybill_events_skipped", "Events of types that this service does not handle."),
            duplicates: counter("waybill_events_duplicate", "Events dropped by the inbox."),
            published: counter("waybill_events_published", "Events that the log has acknowledged, by type."),
            commands: counter("waybill_commands", "Commands, by outcome."),
            parked: counter("waybill_dead_letters_parked", "Messages parked, by cause."),
            redriven: counter(
                "waybill_dead_letters_redriven",
                "Dead letters run again, by what they came to.",
            ),
            retries: counter("waybill_batch_retries", "Batches begun again, by reason."),
            effects: counter("waybill_effects", "Calls to the outside, by outcome."),
            batch_size: meter
                .u64_histogram("waybill_batch_size")
                .with_description("Inputs of a transaction.")
                .with_boundaries(vec![1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0])
                .build(),
            transaction: meter
                .f64_histogram("waybill_transaction_seconds")
                .with_description("From begin to commit.")
                .with_boundaries(vec![0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0])
                .build(),
            outbox_pending: gauge("waybill_outbox_pending", "Rows to be relayed; counted up to 100,000."),
            outbox_oldest_age: seconds(
                "waybill_outbox_oldest_age_seconds",
                "Age of the oldest row to be relayed.",
            ),
            dead_letters: gauge("waybill_dead_letters", "Dead letters, by status and cause."),
            parked_keys: gauge("waybill_parked_keys", "Keys whose messages wait behind a dead letter."),
            effects_pending: gauge("waybill_effects_pending", "Calls decided and not answered yet."),
            effects_failing: gauge("waybill_effects_failing", "Calls made five times or more in vain."),
            effects_oldest_age: seconds(
                "waybill_effects_oldest_age_seconds",
                "Age of the oldest call without an answer.",
            ),
            breaker_open: gauge("waybill_breaker_open", "1 while calls to the outside are held back."),
            deadlines_unknown: gauge(
                "waybill_deadlines_unknown",
                "Deadlines that are due, of kinds that this service does not know.",
            ),
            deadlines_overdue: seconds(
                "waybill_deadlines_overdue_seconds",
                "How long ago the oldest deadline was due that is not taken.",
            ),
            shedding: gauge("waybill_shedding", "1 while new work is refused because the outbox is full."),
            relay_leads: gauge("waybill_relay_leads", "1 in the process whose relay is active."),
        }
    }
}
