//! The outbox: what a transaction has decided to publish, written with it.

use std::borrow::Cow;

use bus::Trace;
use events::Timestamp;
use uuid::Uuid;

use crate::writes::Writes;

/// Larger events are refused when they are decided: a record that the broker refuses would hold up its key
/// for good. The broker's limit is 1 MiB for a record with its headers.
pub(crate) const MAX_EVENT_BYTES: usize = 900_000;

/// A row of the outbox.
#[derive(Debug)]
pub(crate) struct OutboxRow {
    pub(crate) event_id: Uuid,
    /// The topic, without its prefix.
    pub(crate) aggregate_type: Cow<'static, str>,
    pub(crate) aggregate_id: String,
    pub(crate) r#type: Cow<'static, str>,
    pub(crate) sequence: Option<i64>,
    pub(crate) occurred_at: Timestamp,
    pub(crate) correlation_id: Option<Uuid>,
    pub(crate) causation_id: Option<Uuid>,
    pub(crate) actor: Option<Cow<'static, str>>,
    pub(crate) trace: Trace<'static>,
    /// For a record that is mirrored as it came.
    pub(crate) headers: Option<String>,
    pub(crate) payload: Option<Vec<u8>>,
}

/// Appends rows in their order. The aggregate's row lock is held by then, so that the ids of one aggregate's
/// rows follow its versions, whatever transactions run beside. (One that is new is nobody else's yet: who creates it
/// as well fails on its key, with all that was written.)
pub(crate) fn append(writes: &mut Writes, rows: &[OutboxRow]) {
    if rows.is_empty() {
        return;
    }
    fn column<'a, T>(rows: &'a [OutboxRow], get: impl Fn(&'a OutboxRow) -> T) -> Vec<T> {
        rows.iter().map(get).collect()
    }
    writes.add(
        "insert into engine.outbox (event_id, aggregate_type, aggregate_id, type, sequence, occurred_at,
             correlation_id, causation_id, actor, traceparent, tracestate, baggage, headers, payload)
         select event_id, aggregate_type, aggregate_id, type, sequence, occurred_at,
             correlation_id, causation_id, actor, traceparent, tracestate, baggage, headers, payload
         from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::timestamptz[],
             $7::uuid[], $8::uuid[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::bytea[])
             with ordinality as it (event_id, aggregate_type, aggregate_id, type, sequence, occurred_at,
             correlation_id, causation_id, actor, traceparent, tracestate, baggage, headers, payload, position)
         order by position",
    )
    .bind(column(rows, |it| it.event_id))
    .bind(column(rows, |it| it.aggregate_type.as_ref()))
    .bind(column(rows, |it| it.aggregate_id.as_str()))
    .bind(column(rows, |it| it.r#type.as_ref()))
    .bind(column(rows, |it| it.sequence))
    .bind(column(rows, |it| it.occurred_at))
    .bind(column(rows, |it| it.correlation_id))
    .bind(column(rows, |it| it.causation_id))
    .bind(column(rows, |it| it.actor.as_deref()))
    .bind(column(rows, |it| it.trace.parent.as_deref()))
    .bind(column(rows, |it| it.trace.state.as_deref()))
    .bind(column(rows, |it| it.trace.baggage.as_deref()))
    .bind(column(rows, |it| it.headers.as_deref()))
    .bind(column(rows, |it| it.payload.as_deref()));
}
