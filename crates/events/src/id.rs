//! Identifiers, each its own type so that one cannot stand in for another.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use uuid::{Uuid, fmt::Hyphenated};

/// Which kind of text was refused and what it must look like; never the text itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("an order id is a hyphenated UUID")]
    OrderId,
    #[error("an event id is a hyphenated UUID")]
    EventId,
    #[error("a customer id is 1 to 64 visible ASCII characters without spaces")]
    CustomerId,
    #[error("a SKU is 1 to 40 of A-Z 0-9 . _ - and begins with a letter or a digit")]
    Sku,
    #[error("not the code of an ISO 4217 currency with minor units")]
    Currency,
}

macro_rules! uuid_id {
    ($(#[doc = $doc:literal])+ $id:ident) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "Uuid")]
        pub struct $id(pub Uuid);

        impl $id {
            /// A fresh id: UUIDv7, so that ids made later sort later and index pages stay warm.
            #[expect(clippy::new_without_default, reason = "each call makes another id; a default is a constant")]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }
        }

        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $id {
            type Err = Malformed;

            fn from_str(text: &str) -> Result<Self, Malformed> {
                // Only the hyphenated form: the braced, bare and URN forms would be other record keys.
                text.parse().map(|uuid: Hyphenated| Self(uuid.into_uuid())).map_err(|_| Malformed::$id)
            }
        }

        impl TryFrom<String> for $id {
            type Error = Malformed;

            fn try_from(text: String) -> Result<Self, Malformed> {
                text.parse()
            }
        }

        impl From<$id> for Uuid {
            fn from($id(uuid): $id) -> Self {
                uuid
            }
        }

        impl JsonSchema for $id {
            fn schema_name() -> Cow<'static, str> {
                stringify!($id).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "description": concat!($($doc),+).trim(), "type": "string", "format": "uuid" })
            }
        }
    };
}

macro_rules! text_id {
    ($(#[doc = $doc:literal])+ $id:ident, pattern $pattern:literal, accepts $accepts:expr) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $id(String);

        impl $id {
            /// The text, as it was parsed.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl AsRef<str> for $id {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $id {
            type Error = Malformed;

            fn try_from(text: String) -> Result<Self, Malformed> {
                let accepts: fn(&[u8]) -> bool = $accepts;
                if accepts(text.as_bytes()) { Ok(Self(text)) } else { Err(Malformed::$id) }
            }
        }

        impl FromStr for $id {
            type Err = Malformed;

            fn from_str(text: &str) -> Result<Self, Malformed> {
                text.to_owned().try_into()
            }
        }

        impl From<$id> for String {
            fn from($id(text): $id) -> Self {
                text
            }
        }

        impl JsonSchema for $id {
            fn schema_name() -> Cow<'static, str> {
                stringify!($id).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "description": concat!($($doc),+).trim(),
                    "type": "string",
                    "pattern": $pattern,
                })
            }
        }
    };
}

uuid_id! {
    /// An order, in every service: the record key of all that happens to it.
    OrderId
}

uuid_id! {
    /// One event. A duplicate of it carries the same id, which is how consumers know it again.
    EventId
}

text_id! {
    /// A customer, as the shop knows them: opaque to Waybill.
    CustomerId,
    pattern "^[!-~]{1,64}$",
    accepts |text| (1..=64).contains(&text.len()) && text.iter().all(u8::is_ascii_graphic)
}

text_id! {
    /// A stock keeping unit: what inventory counts and prices are set for.
    Sku,
    pattern "^[A-Z0-9][A-Z0-9._-]{0,39}$",
    accepts |text| {
        let capital = |c: &u8| c.is_ascii_uppercase() || c.is_ascii_digit();
        text.len() <= 40
            && text.first().is_some_and(capital)
            && text.iter().all(|c| capital(c) || b"._-".contains(c))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check<T: FromStr + fmt::Display>(text: &str, accepted: bool) {
        let parsed = text.parse::<T>().ok();
        assert_eq!(parsed.is_some(), accepted, "{text:?}");
        if let Some(parsed) = parsed {
            assert_eq!(parsed.to_string(), text);
        }
    }

    #[test]
    fn a_sku_is_short_capitals_digits_and_punctuation() {
        check::<Sku>("MUG-01", true);
        check::<Sku>("0_a".to_uppercase().as_str(), true);
        check::<Sku>(&"X".repeat(40), true);
        for refused in ["", "-MUG", ".MUG", "mug", "MUG 1", "MUG\n", "ÄRA", &"X".repeat(41)] {
            check::<Sku>(refused, false);
        }
    }

    #[test]
    fn a_customer_id_is_visible_ascii_without_spaces() {
        check::<CustomerId>("c-42", true);
        check::<CustomerId>("auth0|5f7c8ec7", true);
        check::<CustomerId>(&"~".repeat(64), true);
        for refused in ["", "a b", "tab\t", "ünique", &"c".repeat(65)] {
            check::<CustomerId>(refused, false);
        }
    }

    #[test]
    fn an_order_id_has_one_spelling() {
        check::<OrderId>("0198c0de-0000-7000-8000-000000000001", true);
        for refused in [
            "",
            "0198c0de00007000800000000000001",
            "{0198c0de-0000-7000-8000-000000000001}",
            "urn:uuid:0198c0de-0000-7000-8000-000000000001",
            "0198c0de-0000-7000-8000-00000000000g",
        ] {
            check::<OrderId>(refused, false);
        }
    }

    #[test]
    fn later_ids_sort_later() {
        let ids: Vec<_> = (0..1_000).map(|_| EventId::new()).collect();
        assert!(ids.is_sorted());
        assert!(ids.iter().all(|id| id.0.get_version_num() == 7));
    }
}
