//! Bytes and headers in JSON, readable where they can be read and complete where they cannot.

use std::borrow::Cow;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bus::Header;
use serde::{Deserialize, Serialize};

/// Bytes in JSON: a string where they are UTF-8, so that people can read them, otherwise `{"base64": ".."}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Bytes {
    Text(String),
    Binary { base64: String },
}

impl Bytes {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Binary { base64: BASE64_STANDARD.encode(bytes) },
        }
    }

    pub(crate) fn into_bytes(self) -> Option<Vec<u8>> {
        match self {
            Self::Text(text) => Some(text.into_bytes()),
            Self::Binary { base64 } => BASE64_STANDARD.decode(base64).ok(),
        }
    }
}

/// Headers as they are stored, `[["name", "value" | {"base64": ".."} | null], ..]`: all of them, in their order.
pub(crate) type StoredHeaders = Vec<(String, Option<Bytes>)>;

pub(crate) fn stored_headers(headers: &[Header<'_>]) -> StoredHeaders {
    headers.iter().map(|(name, value)| (name.to_string(), value.as_deref().map(Bytes::of))).collect()
}

/// The headers as they came.
pub(crate) fn headers(stored: StoredHeaders) -> Vec<Header<'static>> {
    let header = |(name, value): (String, Option<Bytes>)| {
        (Cow::Owned(name), value.and_then(Bytes::into_bytes).map(Cow::Owned))
    };
    stored.into_iter().map(header).collect()
}

pub(crate) fn to_json(value: &impl Serialize) -> String {
    // Strings, lists and options: there is no value that JSON lacks. NUL is escaped.
    serde_json::to_string(value).expect("headers serialise")
}
