//! The copy of a dead letter on the topic `<prefix>.<consumer>.dead`.

use std::borrow::Cow;

use bus::{Header, Received, Record};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{
    Letter,
    bytes::{Bytes, StoredHeaders, headers, stored_headers, to_json},
    parking_key,
};
use crate::outbox::{MAX_EVENT_BYTES, OutboxRow};

#[derive(Serialize, Deserialize)]
struct Mirrored {
    key: Option<Bytes>,
    headers: StoredHeaders,
}

/// The record as it came, and headers that say what became of it.
pub(crate) fn mirror(consumer: &'static str, letter: &Letter<'_>) -> OutboxRow {
    let record = letter.record;
    let told = [
        ("waybill-dead-consumer", consumer.to_owned()),
        ("waybill-dead-status", letter.status().to_owned()),
        ("waybill-dead-cause", letter.cause().to_owned()),
        ("waybill-dead-error", letter.error().to_owned()),
        ("waybill-dead-topic", record.topic.to_string()),
        ("waybill-dead-partition", record.partition.to_string()),
        ("waybill-dead-offset", record.offset.to_string()),
        ("waybill-dead-attempt", "1".to_owned()),
    ];
    let told = told.into_iter().map(|(name, value)| (name.into(), Some(value.into_bytes().into())));
    let mut told: Vec<Header<'static>> = told.collect();
    // A compressed record may be larger than one that the broker takes from us. The whole of it is in the table.
    let size = size_of(record);
    let fits = size <= MAX_EVENT_BYTES;
    if fits {
        told.splice(0..0, record.headers.iter().cloned());
    } else {
        told.push(("waybill-dead-omitted-bytes".into(), Some(size.to_string().into_bytes().into())));
    }
    let key = fits.then_some(record.key.as_deref()).flatten().map(Bytes::of);
    let mirrored = Mirrored { key, headers: stored_headers(&told) };
    OutboxRow {
        event_id: letter.event_id,
        aggregate_type: format!("{consumer}.dead").into(),
        aggregate_id: String::from_utf8_lossy(&parking_key(record)).replace('\0', "\u{fffd}"),
        r#type: "waybill.dead-letter".into(),
        sequence: None,
        occurred_at: OffsetDateTime::now_utc(),
        correlation_id: None,
        causation_id: None,
        actor: None,
        trace: bus::Trace::default(),
        headers: Some(to_json(&mirrored)),
        payload: record.payload.clone().filter(|_| fits),
    }
}

/// What a record takes on its way, roughly.
fn size_of(record: &Received) -> usize {
    let of = |it: Option<&[u8]>| it.map_or(0, <[u8]>::len);
    let headers = record.headers.iter().map(|(name, value)| name.len() + of(value.as_deref()));
    of(record.key.as_deref()) + of(record.payload.as_deref()) + headers.sum::<usize>()
}

/// A row of the outbox that is to be published as it is.
pub(crate) fn mirrored_record<'r>(
    topic: Cow<'r, str>,
    stored: &str,
    payload: Option<Cow<'r, [u8]>>,
) -> Result<Record<'r>, serde_json::Error> {
    let mirrored: Mirrored = serde_json::from_str(stored)?;
    let key = mirrored.key.and_then(Bytes::into_bytes).map(Cow::Owned);
    Ok(Record { topic, key, headers: headers(mirrored.headers), payload })
}
