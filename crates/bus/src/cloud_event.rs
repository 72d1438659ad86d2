//! CloudEvents 1.0 on Kafka: binary mode is written, binary and structured mode are read.
//!
//! In binary mode (<https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md>)
//! the record's value is the event's data and its attributes are headers `ce_<name>`. The W3C trace context
//! travels beside them in headers of its own. In structured mode the value is one JSON object.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::Uuid;

use crate::record::{Header, Received, Record};

const STRUCTURED: &[u8] = b"application/cloudevents+json";
/// A longer attribute than this is no attribute of ours: it is left out rather than carried on.
const MAX_ATTRIBUTE: usize = 1024;

/// The W3C trace context of an event, as it was when the event was appended: `traceparent`, `tracestate`
/// and `baggage`, uninterpreted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trace<'a> {
    pub parent: Option<Cow<'a, str>>,
    pub state: Option<Cow<'a, str>>,
    pub baggage: Option<Cow<'a, str>>,
}

impl Trace<'_> {
    pub fn into_owned(self) -> Trace<'static> {
        let own = |it: Option<Cow<'_, str>>| it.map(|it| Cow::Owned(it.into_owned()));
        Trace { parent: own(self.parent), state: own(self.state), baggage: own(self.baggage) }
    }
}

/// An event with its attributes. `data` is JSON and is carried as bytes, never parsed here.
#[derive(Debug, Clone, PartialEq)]
pub struct CloudEvent<'a> {
    pub id: Uuid,
    /// Who says it: `/waybill/order`.
    pub source: Cow<'a, str>,
    /// What it is, with its version: `waybill.order.placed.v2`.
    pub r#type: Cow<'a, str>,
    /// The aggregate's id.
    pub subject: Option<Cow<'a, str>>,
    pub time: Option<OffsetDateTime>,
    /// 1, 2, 3, ... over the events of this subject from this source: a gap is a loss.
    pub sequence: Option<i64>,
    pub correlation_id: Option<Uuid>,
    pub causation_id: Option<Uuid>,
    pub actor: Option<Cow<'a, str>>,
    pub trace: Trace<'a>,
    pub data: Cow<'a, [u8]>,
}

/// Why a record is not an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("the header {0} is missing")]
    Missing(&'static str),
    #[error("the header {0} is not what it should be: {1}")]
    Attribute(&'static str, String),
    #[error("the headers cannot be read")]
    Headers,
    #[error("the record has no value")]
    NoValue,
    #[error("not a CloudEvent in structured mode: {0}")]
    Structured(String),
}

impl<'a> CloudEvent<'a> {
    /// The record that carries this event in binary mode; `key` decides its partition.
    pub fn into_record(self, topic: Cow<'a, str>, key: Cow<'a, str>) -> Record<'a> {
        let mut headers: Vec<Header<'a>> = Vec::with_capacity(14);
        let mut put = |name: &'static str, value: Option<Cow<'a, str>>| {
            if let Some(value) = value {
                headers.push((Cow::Borrowed(name), Some(bytes(value))));
            }
        };
        let schema = dataschema(&self.r#type);
        put("ce_specversion", Some("1.0".into()));
        put("ce_id", Some(self.id.to_string().into()));
        put("ce_source", Some(self.source));
        put("ce_type", Some(self.r#type));
        put("ce_subject", self.subject);
        put("ce_time", self.time.and_then(|it| it.format(&Rfc3339).ok()).map(Cow::Owned));
        put("ce_dataschema", schema.map(Cow::Owned));
        put("ce_sequence", self.sequence.map(|it| it.to_string().into()));
        put("ce_correlationid", self.correlation_id.map(|it| it.to_string().into()));
        put("ce_causationid", self.causation_id.map(|it| it.to_string().into()));
        put("ce_actor", self.actor);
        put("content-type", Some("application/json".into()));
        put("traceparent", self.trace.parent);
        put("tracestate", self.trace.state);
        put("baggage", self.trace.baggage);
        Record { topic, key: Some(bytes(key)), headers, payload: Some(self.data) }
    }
}

fn bytes(text: Cow<'_, str>) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(it) => Cow::Borrowed(it.as_bytes()),
        Cow::Owned(it) => Cow::Owned(it.into_bytes()),
    }
}

fn dataschema(ce_type: &str) -> Option<String> {
    ce_type.strip_prefix("waybill.").map(|name| format!("/schemas/{name}.json"))
}

/// A record opened as far as its type, which is all that is needed to skip it.
pub enum Envelope<'a> {
    Binary(&'a Received),
    Structured(Box<Structured<'a>>),
}

impl<'a> Envelope<'a> {
    /// Tells the two modes apart by the content type, as the specification says.
    pub fn open(record: &'a Received) -> Result<Self, Malformed> {
        let structured = record.header("content-type").is_some_and(|it| it.starts_with(STRUCTURED));
        if !structured {
            return Ok(Self::Binary(record));
        }
        let payload = record.payload.as_deref().ok_or(Malformed::NoValue)?;
        let event =
            serde_json::from_slice(payload).map_err(|error| Malformed::Structured(error.to_string()))?;
        Ok(Self::Structured(Box::new(event)))
    }

    pub fn event_type(&self) -> Result<&str, Malformed> {
        match self {
            Self::Binary(record) => text(record, "ce_type"),
            Self::Structured(event) => Ok(&event.r#type),
        }
    }

    /// The event's data; none for a record without a value.
    pub fn data(&self) -> Option<&[u8]> {
        match self {
            Self::Binary(record) => record.payload.as_deref(),
            Self::Structured(event) => event.data.map(|it| it.get().as_bytes()),
        }
    }

    /// Reads the rest.
    pub fn read(self) -> Result<CloudEvent<'a>, Malformed> {
        match self {
            Self::Binary(record) => read_binary(record),
            Self::Structured(event) => event.read(),
        }
    }
}

fn read_binary(record: &Received) -> Result<CloudEvent<'_>, Malformed> {
    version(text(record, "ce_specversion")?)?;
    Ok(CloudEvent {
        id: id(text(record, "ce_id")?)?,
        source: text(record, "ce_source")?.into(),
        r#type: text(record, "ce_type")?.into(),
        subject: attribute(record, "ce_subject").map(Cow::Borrowed),
        time: attribute(record, "ce_time").and_then(time),
        sequence: attribute(record, "ce_sequence").and_then(|it| it.parse().ok()),
        correlation_id: attribute(record, "ce_correlationid").and_then(|it| it.parse().ok()),
        causation_id: attribute(record, "ce_causationid").and_then(|it| it.parse().ok()),
        actor: attribute(record, "ce_actor").map(Cow::Borrowed),
        trace: trace(record),
        data: record.payload.as_deref().ok_or(Malformed::NoValue)?.into(),
    })
}

/// The trace context of a record, whatever else is wrong with it.
pub fn trace(record: &Received) -> Trace<'_> {
    let get = |name| attribute(record, name).map(Cow::Borrowed);
    Trace { parent: get("traceparent"), state: get("tracestate"), baggage: get("baggage") }
}

fn text<'a>(record: &'a Received, name: &'static str) -> Result<&'a str, Malformed> {
    if record.headers.iter().any(|(name, _)| name == UNREADABLE_HEADERS) {
        return Err(Malformed::Headers);
    }
    let value = record.header(name).ok_or(Malformed::Missing(name))?;
    std::str::from_utf8(value).map_err(|error| Malformed::Attribute(name, error.to_string()))
}

/// Stands in the place of headers that could not be taken out of the client library.
pub(crate) const UNREADABLE_HEADERS: &str = "waybill-unreadable-headers";

/// An attribute that nothing depends on: an unreadable one is as good as none.
fn attribute<'a>(record: &'a Received, name: &str) -> Option<&'a str> {
    let value = std::str::from_utf8(record.header(name)?).ok()?;
    usable(value).then_some(value)
}

fn usable(value: &str) -> bool {
    value.len() <= MAX_ATTRIBUTE && !value.contains('\0')
}

fn version(value: &str) -> Result<(), Malformed> {
    match value {
        "1.0" => Ok(()),
        other => Err(Malformed::Attribute("ce_specversion", format!("{other:?} is not \"1.0\""))),
    }
}

fn id(value: &str) -> Result<Uuid, Malformed> {
    value.parse().map_err(|error: uuid::Error| Malformed::Attribute("ce_id", error.to_string()))
}

fn time(value: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(value, &Rfc3339).ok()
}

/// The JSON object of structured mode (CloudEvents JSON format 1.0).
#[derive(Deserialize)]
pub struct Structured<'a> {
    specversion: String,
    id: String,
    source: String,
    r#type: String,
    subject: Option<String>,
    time: Option<String>,
    sequence: Option<Sequence>,
    correlationid: Option<String>,
    causationid: Option<String>,
    actor: Option<String>,
    traceparent: Option<String>,
    tracestate: Option<String>,
    baggage: Option<String>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

/// An integer in JSON, a string where the sender keeps to the string form of the extension.
#[derive(Deserialize)]
#[serde(untagged)]
enum Sequence {
    Number(i64),
    Text(String),
}

impl<'a> Structured<'a> {
    fn read(self) -> Result<CloudEvent<'a>, Malformed> {
        version(&self.specversion)?;
        let keep = |it: Option<String>| it.filter(|it| usable(it)).map(Cow::Owned);
        Ok(CloudEvent {
            id: id(&self.id)?,
            source: self.source.into(),
            r#type: self.r#type.into(),
            subject: keep(self.subject),
            time: self.time.as_deref().and_then(time),
            sequence: self.sequence.and_then(|it| match it {
                Sequence::Number(number) => Some(number),
                Sequence::Text(text) => text.parse().ok(),
            }),
            correlation_id: self.correlationid.and_then(|it| it.parse().ok()),
            causation_id: self.causationid.and_then(|it| it.parse().ok()),
            actor: keep(self.actor),
            trace: Trace {
                parent: keep(self.traceparent),
                state: keep(self.tracestate),
                baggage: keep(self.baggage),
            },
            data: self.data.ok_or(Malformed::NoValue)?.get().as_bytes().into(),
        })
    }
}
