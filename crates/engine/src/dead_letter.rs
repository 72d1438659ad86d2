//! Dead letters: poison, and the later messages of its key that wait behind it in their order.

use std::{borrow::Cow, collections::HashSet};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bus::{Header, Received, Record};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, Row};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::outbox::{MAX_EVENT_BYTES, OutboxRow};

/// Why a message is poison.
#[derive(Debug, Clone)]
pub(crate) struct Poison {
    pub(crate) cause: &'static str,
    pub(crate) error: String,
}

impl Poison {
    pub(crate) fn new(cause: &'static str, error: impl std::fmt::Display) -> Self {
        // Postgres stores no NUL in text; and an error need not carry a whole message with it.
        let error = error.to_string().replace('\0', "\u{fffd}");
        Self { cause, error: error.chars().take(2_000).collect() }
    }
}

/// A message on its way to `engine.dead_letter`.
pub(crate) struct Letter<'a> {
    pub(crate) record: &'a Received,
    pub(crate) event_id: Uuid,
    /// `None`: nothing is wrong with it, but its key is parked.
    pub(crate) poison: Option<Poison>,
}

impl Letter<'_> {
    fn status(&self) -> &'static str {
        if self.poison.is_some() { "poison" } else { "waiting" }
    }

    pub(crate) fn cause(&self) -> &'static str {
        self.poison.as_ref().map_or("key-parked", |it| it.cause)
    }

    pub(crate) fn error(&self) -> &str {
        self.poison.as_ref().map_or("an earlier message of this key is a dead letter", |it| &it.error)
    }
}

/// What a message parks under. One without a key has no order to keep: it parks alone. A key that is longer
/// than an index allows is no key of ours: a digest stands for it.
pub(crate) fn parking_key(record: &Received) -> Cow<'_, [u8]> {
    const LONGEST: usize = 1_024;
    match &record.key {
        Some(key) if key.len() > LONGEST => {
            Uuid::new_v5(&Uuid::NAMESPACE_OID, key).into_bytes().to_vec().into()
        }
        Some(key) => Cow::Borrowed(key),
        None => format!("{}/{}/{}", record.topic, record.partition, record.offset).into_bytes().into(),
    }
}

/// The id of a message that has none which can be read: the same whenever it is read again.
pub(crate) fn id_of_position(record: &Received) -> Uuid {
    let position = format!("{}/{}/{}", record.topic, record.partition, record.offset);
    Uuid::new_v5(&Uuid::NAMESPACE_URL, position.as_bytes())
}

/// Which of `keys` are parked. To be asked after the inbox has been claimed: a transaction that parks an
/// earlier message of the key has committed by then.
pub(crate) async fn parked(
    tx: &mut PgConnection,
    consumer: &str,
    keys: &[&[u8]],
) -> sqlx::Result<HashSet<Vec<u8>>> {
    if keys.is_empty() {
        return Ok(HashSet::new());
    }
    let rows = sqlx::query(
        "select distinct key from engine.dead_letter where consumer = $1 and key = any($2::bytea[])",
    )
    .bind(consumer)
    .bind(keys)
    .fetch_all(tx)
    .await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

/// Parks `letters` in their order.
pub(crate) async fn park(tx: &mut PgConnection, consumer: &str, letters: &[Letter<'_>]) -> sqlx::Result<()> {
    if letters.is_empty() {
        return Ok(());
    }
    fn column<'a, T>(letters: &'a [Letter<'a>], get: impl Fn(&'a Letter<'a>) -> T) -> Vec<T> {
        letters.iter().map(get).collect()
    }
    sqlx::query(
        "insert into engine.dead_letter
             (consumer, key, event_id, status, cause, error, type, topic, partition, \"offset\", record_key,
              headers, payload)
         select $1, key, event_id, status, cause, error, type, topic, partition, read_at, record_key, headers, payload
         from unnest($2::bytea[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
              $9::int[], $10::bigint[], $11::bytea[], $12::text[], $13::bytea[]) with ordinality
              it (key, event_id, status, cause, error, type, topic, partition, read_at, record_key, headers,
              payload, position)
         order by position",
    )
    .bind(consumer)
    .bind(column(letters, |it| parking_key(it.record).into_owned()))
    .bind(column(letters, |it| it.event_id))
    .bind(column(letters, Letter::status))
    .bind(column(letters, Letter::cause))
    .bind(column(letters, Letter::error))
    .bind(column(letters, |it| type_of(it.record)))
    .bind(column(letters, |it| it.record.topic.as_ref()))
    .bind(column(letters, |it| it.record.partition))
    .bind(column(letters, |it| it.record.offset))
    .bind(column(letters, |it| it.record.key.as_deref()))
    .bind(column(letters, |it| headers_to_json(&it.record.headers)))
    .bind(column(letters, |it| it.record.payload.as_deref()))
    .execute(tx)
    .await?;
    Ok(())
}

fn type_of(record: &Received) -> Option<String> {
    let value = String::from_utf8_lossy(record.header("ce_type")?);
    Some(value.replace('\0', "\u{fffd}").chars().take(200).collect())
}

/// The letter as it is mirrored to the topic `<prefix>.<consumer>.dead`: the record as it came, and headers
/// that say what became of it.
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
    let key = fits.then_some(record.key.as_deref()).flatten().map(Value::of);
    let mirrored = Mirrored { key, headers: to_json_headers(&told) };
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
    headers: &str,
    payload: Option<Cow<'r, [u8]>>,
) -> Result<Record<'r>, serde_json::Error> {
    let mirrored: Mirrored = serde_json::from_str(headers)?;
    let key = mirrored.key.and_then(Value::bytes).map(Cow::Owned);
    let headers = mirrored.headers.into_iter().map(|(name, value)| {
        let value = value.and_then(Value::bytes);
        (Cow::Owned(name), value.map(Cow::Owned))
    });
    Ok(Record { topic, key, headers: headers.collect(), payload })
}

#[derive(Serialize, Deserialize)]
struct Mirrored {
    key: Option<Value>,
    headers: Vec<(String, Option<Value>)>,
}

/// Bytes in JSON: as a string where they are UTF-8, so that people can read them, otherwise in base64.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Value {
    Text(String),
    Bytes { base64: String },
}

impl Value {
    fn of(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Bytes { base64: BASE64_STANDARD.encode(bytes) },
        }
    }

    fn bytes(self) -> Option<Vec<u8>> {
        match self {
            Self::Text(text) => Some(text.into_bytes()),
            Self::Bytes { base64 } => BASE64_STANDARD.decode(base64).ok(),
        }
    }
}

fn to_json_headers(headers: &[Header<'_>]) -> Vec<(String, Option<Value>)> {
    headers.iter().map(|(name, value)| (name.to_string(), value.as_deref().map(Value::of))).collect()
}

/// The headers of a record as JSON, `[["name", "value" | {"base64": ".."} | null], ..]`: all are kept, in
/// their order, and none can fail to be written.
fn headers_to_json(headers: &[Header<'_>]) -> String {
    to_json(&to_json_headers(headers))
}

fn to_json(value: &impl Serialize) -> String {
    // Strings, lists and options: there is no value that JSON lacks. NUL is escaped.
    serde_json::to_string(value).expect("headers serialise")
}
