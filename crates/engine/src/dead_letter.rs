//! Dead letters: poison, and the later messages of its key that wait behind it in their order.

mod bytes;
mod desk;
mod mirror;
mod rerun;

use std::{borrow::Cow, collections::BTreeSet};

use bus::Received;
use sqlx::PgConnection;
use uuid::Uuid;

use self::bytes::{stored_headers, to_json};
pub use self::{
    bytes::Bytes,
    desk::{Action, DeadLetter, Status, Wanted},
    rerun::By,
};
pub(crate) use self::{
    desk::{actions, list, show},
    mirror::{mirror, mirrored_record},
    rerun::{Fate, Rerun, Reruns, Settled, read, settle},
};

/// Why a message is poison: of which kind, and what exactly is wrong with it.
#[derive(Debug, Clone)]
pub struct Poison {
    pub cause: &'static str,
    pub error: String,
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

/// What a message parks under. One without a key has no order to keep: it parks alone.
pub(crate) fn parking_key(record: &Received) -> Cow<'_, [u8]> {
    match &record.key {
        Some(key) => parked_as(key),
        None => format!("{}/{}/{}", record.topic, record.partition, record.offset).into_bytes().into(),
    }
}

/// A key that is longer than an index allows is no key of ours: a digest stands for it.
pub(crate) fn parked_as(key: &[u8]) -> Cow<'_, [u8]> {
    const LONGEST: usize = 1_024;
    if key.len() <= LONGEST {
        return Cow::Borrowed(key);
    }
    Uuid::new_v5(&Uuid::NAMESPACE_OID, key).into_bytes().to_vec().into()
}

/// The id of a message that has none which can be read: the same whenever it is read again.
pub(crate) fn id_of_position(record: &Received) -> Uuid {
    let position = format!("{}/{}/{}", record.topic, record.partition, record.offset);
    Uuid::new_v5(&Uuid::NAMESPACE_URL, position.as_bytes())
}

/// Parks `letters` in their order.
pub(crate) async fn park(tx: &mut PgConnection, consumer: &str, letters: &[Letter<'_>]) -> sqlx::Result<()> {
    if letters.is_empty() {
        return Ok(());
    }
    park_keys(&mut *tx, consumer, letters).await?;
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
    .bind(column(letters, |it| to_json(&stored_headers(&it.record.headers))))
    .bind(column(letters, |it| it.record.payload.as_deref()))
    .execute(tx)
    .await?;
    Ok(())
}

/// Parks the keys of poison and locks them. One that another transaction has parked meanwhile is waited for, and
/// parked anew if that one has freed it.
async fn park_keys(tx: &mut PgConnection, consumer: &str, letters: &[Letter<'_>]) -> sqlx::Result<()> {
    let poison = letters.iter().filter(|it| it.poison.is_some());
    let keys: BTreeSet<Cow<'_, [u8]>> = poison.map(|it| parking_key(it.record)).collect();
    if keys.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into engine.parked_key (consumer, key) select $1, key from unnest($2::bytea[]) it (key)
         on conflict on constraint parked_key_pkey do update set consumer = excluded.consumer",
    )
    .bind(consumer)
    .bind(keys.iter().map(AsRef::as_ref).collect::<Vec<&[u8]>>())
    .execute(tx)
    .await?;
    Ok(())
}

fn type_of(record: &Received) -> Option<String> {
    let value = String::from_utf8_lossy(record.header("ce_type")?);
    Some(value.replace('\0', "\u{fffd}").chars().take(200).collect())
}
