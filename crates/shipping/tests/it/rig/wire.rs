//! Events as they travel.

use bus::{CloudEvent, Envelope, Received, Trace};
use events::Event;
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

/// An event as the topic has it.
#[derive(Debug, Clone)]
pub(crate) struct Published {
    pub(crate) id: Uuid,
    pub(crate) key: String,
    pub(crate) r#type: String,
    pub(crate) sequence: i64,
    pub(crate) correlation_id: Uuid,
    pub(crate) causation_id: Uuid,
    pub(crate) actor: String,
    pub(crate) data: Value,
}

pub(super) fn envelope<E: Event>(id: Uuid, event: &E) -> CloudEvent<'static> {
    CloudEvent {
        id,
        source: format!("/waybill/{}", E::AGGREGATE).into(),
        r#type: E::TYPE.into(),
        subject: Some(event.key().into()),
        time: Some(OffsetDateTime::now_utc()),
        sequence: None,
        correlation_id: Some(Uuid::now_v7()),
        causation_id: None,
        actor: None,
        trace: Trace::default(),
        data: serde_json::to_vec(event).unwrap().into(),
    }
}

pub(super) fn open(record: &Received) -> Published {
    let event = Envelope::open(record).unwrap().read().unwrap();
    Published {
        id: event.id,
        key: String::from_utf8(record.key.clone().unwrap()).unwrap(),
        r#type: event.r#type.to_string(),
        sequence: event.sequence.unwrap(),
        correlation_id: event.correlation_id.unwrap(),
        causation_id: event.causation_id.unwrap(),
        actor: event.actor.unwrap().to_string(),
        data: serde_json::from_slice(&event.data).unwrap(),
    }
}
