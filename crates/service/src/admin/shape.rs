//! What the engine's dead letters look like, for the OpenAPI description alone: the engine knows nothing of it.

use utoipa::ToSchema;
use uuid::Uuid;

/// Bytes: a string where they are UTF-8, otherwise in base64.
#[derive(ToSchema)]
#[schema(as = Bytes)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes `engine::Bytes`")]
pub(super) enum BytesShape {
    Text(String),
    Binary { base64: String },
}

/// A dead letter.
#[derive(ToSchema)]
#[schema(as = DeadLetter)]
#[expect(dead_code, reason = "describes `engine::DeadLetter`")]
pub(super) struct LetterShape {
    dead_letter_id: i64,
    /// `poison` has failed itself, `waiting` stands behind one of its key.
    #[schema(example = "poison")]
    status: String,
    /// `undecodable`, `unknown-version`, `impossible`, .. or `key-parked` while it waits.
    #[schema(example = "impossible")]
    cause: String,
    error: String,
    /// How often it was tried.
    attempt: i32,
    /// What it parks under: the record's key, mostly an aggregate's id.
    key: BytesShape,
    event_id: Uuid,
    /// As far as there is one.
    #[schema(required, example = "waybill.order.placed.v2")]
    r#type: Option<String>,
    topic: String,
    partition: i32,
    offset: i64,
    #[schema(format = DateTime)]
    parked_at: String,
    payload_bytes: i64,
    /// Name and value of each, in their order. Absent in lists.
    headers: Option<Vec<(String, Option<BytesShape>)>>,
    /// Absent in lists, and of a record without a value.
    payload: Option<BytesShape>,
}

/// Something that was done about a dead letter.
#[derive(ToSchema)]
#[schema(as = Action)]
#[expect(dead_code, reason = "describes `engine::Action`")]
pub(super) struct ActionShape {
    action_id: i64,
    #[schema(format = DateTime)]
    at: String,
    /// `applied`, `duplicate`, `skipped`, `discarded` or `failed`.
    #[schema(example = "applied")]
    outcome: String,
    #[schema(example = "jane")]
    actor: String,
    reason: String,
    dead_letter_id: i64,
    key: BytesShape,
    event_id: Uuid,
    #[schema(required)]
    r#type: Option<String>,
    topic: String,
    partition: i32,
    offset: i64,
    /// Why it was a dead letter, or is one still.
    error: String,
}
