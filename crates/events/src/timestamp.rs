//! Points in time: UTC, RFC 3339 on the wire.
//!
//! A time with another offset is read and turned into UTC. Use with `#[serde(with = "events::timestamp")]`.

use std::borrow::Cow;

use schemars::{Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _, ser::Error as _};
use time::{UtcOffset, format_description::well_known::Rfc3339};

/// A point in time, in UTC.
pub type Timestamp = time::OffsetDateTime;

/// Writes RFC 3339 in UTC. Fails outside the years 0 to 9999, which the format cannot express.
pub fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    let utc = at.checked_to_offset(UtcOffset::UTC).ok_or_else(|| S::Error::custom(OUT_OF_RANGE))?;
    utc.format(&Rfc3339).map_err(|_| S::Error::custom(OUT_OF_RANGE))?.serialize(serializer)
}

/// Reads RFC 3339 with any offset.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let text = Cow::<str>::deserialize(deserializer)?;
    let at = Timestamp::parse(&text, &Rfc3339).map_err(|_| D::Error::custom("not an RFC 3339 time"))?;
    at.checked_to_offset(UtcOffset::UTC).ok_or_else(|| D::Error::custom(OUT_OF_RANGE))
}

const OUT_OF_RANGE: &str = "a time outside the years 0 to 9999";

pub(crate) fn schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "date-time" })
}

/// The same for a time that may be absent.
pub mod option {
    use super::{Deserialize, Deserializer, Schema, SchemaGenerator, Serialize, Serializer, Timestamp};
    use schemars::json_schema;

    #[derive(Serialize, Deserialize)]
    struct Rfc3339(#[serde(with = "super")] Timestamp);

    /// Writes RFC 3339, or null.
    pub fn serialize<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        at.map(Rfc3339).serialize(serializer)
    }

    /// Reads RFC 3339, or null.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
        Ok(Option::<Rfc3339>::deserialize(deserializer)?.map(|Rfc3339(at)| at))
    }

    pub(crate) fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "null"], "format": "date-time" })
    }
}
