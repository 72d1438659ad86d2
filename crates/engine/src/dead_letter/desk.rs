//! Dead letters as an operator sees them.

use serde::{Deserialize, Serialize};
use sqlx::{PgPool, Row, postgres::PgRow};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    bytes::{Bytes, StoredHeaders},
    parked_as,
};

/// Why a letter is where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It has failed itself.
    Poison,
    /// It came later than a poison one of its key, and waits for its turn.
    Waiting,
}

/// Which letters are asked for; `None` is any.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    pub key: Option<String>,
    /// `waybill.order.placed.v2`, or without prefix and version: `order.placed`.
    pub r#type: Option<String>,
    pub cause: Option<String>,
    pub status: Option<Status>,
    /// The id of the last letter of the page before.
    pub after: Option<i64>,
    pub limit: i64,
}

/// A dead letter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeadLetter {
    pub dead_letter_id: i64,
    pub status: Status,
    /// `undecodable`, `unknown-version`, `impossible`, .. or `key-parked` while it waits.
    pub cause: String,
    pub error: String,
    /// How often it was tried.
    pub attempt: i32,
    /// What it parks under: the record's key, mostly an aggregate's id.
    pub key: Bytes,
    pub event_id: Uuid,
    /// `ce_type`, as far as there is one.
    pub r#type: Option<String>,
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    #[serde(with = "events::timestamp")]
    pub parked_at: OffsetDateTime,
    pub payload_bytes: i64,
    /// All headers in their order. Absent in lists.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub headers: Option<Vec<(String, Option<Bytes>)>>,
    /// Absent in lists, and of a record without a value.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub payload: Option<Bytes>,
}

/// Something that was done about a dead letter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Action {
    pub action_id: i64,
    #[serde(with = "events::timestamp")]
    pub at: OffsetDateTime,
    /// `applied`, `duplicate`, `skipped`, `discarded` or `failed`.
    pub outcome: String,
    pub actor: String,
    pub reason: String,
    pub dead_letter_id: i64,
    pub key: Bytes,
    pub event_id: Uuid,
    pub r#type: Option<String>,
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    /// Why it was a dead letter, or is one still.
    pub error: String,
}

const COLUMNS: &str = "dead_letter_id, status, cause, error, attempt, key, event_id, type, topic, partition, \
     \"offset\", parked_at, coalesce(octet_length(payload), 0)::bigint as payload_bytes";

/// Oldest first, without headers and payloads.
pub(crate) async fn list(pool: &PgPool, consumer: &str, wanted: &Wanted) -> sqlx::Result<Vec<DeadLetter>> {
    let sql = format!(
        "select {COLUMNS} from engine.dead_letter
         where consumer = $1 and dead_letter_id > $2 and ($3::bytea is null or key = $3)
             and ($4::text is null or type = $4 or starts_with(type, 'waybill.' || $4 || '.v'))
             and ($5::text is null or cause = $5) and ($6::text is null or status = $6)
         order by dead_letter_id limit $7"
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(consumer)
        .bind(wanted.after.unwrap_or(0))
        .bind(wanted.key.as_deref().map(|it| parked_as(it.as_bytes()).into_owned()))
        .bind(&wanted.r#type)
        .bind(&wanted.cause)
        .bind(wanted.status.map(|it| match it {
            Status::Poison => "poison",
            Status::Waiting => "waiting",
        }))
        .bind(wanted.limit)
        .fetch_all(pool)
        .await?;
    rows.iter().map(letter).collect()
}

pub(crate) async fn show(pool: &PgPool, consumer: &str, id: i64) -> sqlx::Result<Option<DeadLetter>> {
    let sql = format!(
        "select {COLUMNS}, headers, payload from engine.dead_letter
         where consumer = $1 and dead_letter_id = $2"
    );
    let row = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(consumer).bind(id).fetch_optional(pool).await?;
    let Some(row) = row else { return Ok(None) };
    let headers: StoredHeaders =
        serde_json::from_str(row.try_get("headers")?).map_err(|error| sqlx::Error::Decode(error.into()))?;
    let payload: Option<Vec<u8>> = row.try_get("payload")?;
    let payload = payload.as_deref().map(Bytes::of);
    Ok(Some(DeadLetter { headers: Some(headers), payload, ..letter(&row)? }))
}

fn letter(row: &PgRow) -> sqlx::Result<DeadLetter> {
    Ok(DeadLetter {
        dead_letter_id: row.try_get("dead_letter_id")?,
        status: match row.try_get("status")? {
            "poison" => Status::Poison,
            _ => Status::Waiting,
        },
        cause: row.try_get("cause")?,
        error: row.try_get("error")?,
        attempt: row.try_get("attempt")?,
        key: Bytes::of(row.try_get("key")?),
        event_id: row.try_get("event_id")?,
        r#type: row.try_get("type")?,
        topic: row.try_get("topic")?,
        partition: row.try_get("partition")?,
        offset: row.try_get("offset")?,
        parked_at: row.try_get("parked_at")?,
        payload_bytes: row.try_get("payload_bytes")?,
        headers: None,
        payload: None,
    })
}

/// Newest first.
pub(crate) async fn actions(
    pool: &PgPool,
    consumer: &str,
    before: Option<i64>,
    limit: i64,
) -> sqlx::Result<Vec<Action>> {
    let rows = sqlx::query(
        "select * from engine.dead_letter_action
         where consumer = $1 and ($2::bigint is null or dead_letter_action_id < $2)
         order by dead_letter_action_id desc limit $3",
    )
    .bind(consumer)
    .bind(before)
    .bind(limit)
    .fetch_all(pool)
    .await?;
    let action = |row: &PgRow| {
        Ok(Action {
            action_id: row.try_get("dead_letter_action_id")?,
            at: row.try_get("at")?,
            outcome: row.try_get("outcome")?,
            actor: row.try_get("actor")?,
            reason: row.try_get("reason")?,
            dead_letter_id: row.try_get("dead_letter_id")?,
            key: Bytes::of(row.try_get("key")?),
            event_id: row.try_get("event_id")?,
            r#type: row.try_get("type")?,
            topic: row.try_get("topic")?,
            partition: row.try_get("partition")?,
            offset: row.try_get("offset")?,
            error: row.try_get("error")?,
        })
    };
    rows.iter().map(action).collect()
}
