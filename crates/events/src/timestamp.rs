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

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Stamped(#[serde(with = "crate::timestamp")] Timestamp);

    #[track_caller]
    fn check(read: &str, written: Option<&str>) {
        let at = serde_json::from_value(read.into()).ok();
        let again = at.map(|at: Stamped| serde_json::to_value(at).unwrap());
        assert_eq!(again, written.map(Into::into), "{read}");
    }

    #[test]
    fn any_offset_is_read_and_utc_is_written() {
        check("2025-08-19T09:30:00Z", Some("2025-08-19T09:30:00Z"));
        check("2025-08-19T11:30:00.5+02:00", Some("2025-08-19T09:30:00.5Z"));
        check("2024-12-31T23:30:00-01:00", Some("2025-01-01T00:30:00Z"));
    }

    #[test]
    fn a_time_that_cannot_be_written_in_utc_is_refused() {
        check("9999-12-31T23:30:00-01:00", None);
        let too_early = Timestamp::UNIX_EPOCH.replace_year(-1).unwrap();
        assert!(serde_json::to_value(Stamped(too_early)).is_err());
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in ["", "2025-08-19", "2025-08-19T09:30:00", "2025-02-30T09:30:00Z", "1755595800"] {
            check(text, None);
        }
    }
}
