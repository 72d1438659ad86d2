//! Requests as they come in, from a caller with the key.

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Request},
    http::{HeaderMap, request::Parts},
};
use uuid::Uuid;

use super::Provider;
use crate::{answer::Problem, form::Form};

const KEY_LENGTH: usize = 255;

/// A caller with the key.
pub(super) struct Authorized;

impl FromRequestParts<Arc<Provider>> for Authorized {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, provider: &Arc<Provider>) -> Result<Self, Problem> {
        provider.authorize(&parts.headers).map(|()| Self)
    }
}

/// A call as it was sent, by a caller with the key.
pub(super) struct Sent {
    pub(super) idempotency_key: Option<Arc<str>>,
    pub(super) fingerprint: Uuid,
    pub(super) form: Form,
}

impl FromRequest<Arc<Provider>> for Sent {
    type Rejection = Problem;

    async fn from_request(request: Request, provider: &Arc<Provider>) -> Result<Self, Problem> {
        provider.authorize(request.headers())?;
        let idempotency_key = idempotency_key(request.headers())?;
        let path = request.uri().path().to_owned();
        let body = Bytes::from_request(request, provider)
            .await
            .map_err(|rejection| Problem::invalid(rejection.body_text()).status(rejection.status()))?;
        let form = Form::parse(&body)?;
        Ok(Self { idempotency_key, fingerprint: form.fingerprint(&path), form })
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<Arc<str>>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    match value.to_str() {
        Ok(key) if (1..=KEY_LENGTH).contains(&key.len()) => Ok(Some(key.into())),
        _ => Err(Problem::invalid("An Idempotency-Key has 1 to 255 visible ASCII characters")),
    }
}
