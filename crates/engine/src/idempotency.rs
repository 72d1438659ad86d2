//! Idempotency keys of commands: the answer is kept in the transaction that did the work.

use std::{collections::HashMap, time::Duration};

use sqlx::{PgConnection, PgPool, Row};

use crate::writes::Writes;

/// A client's name for one piece of work, and a digest of what was asked under it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// Unique within the service: prefix it with the operation's name.
    pub key: String,
    /// The same key with another fingerprint is a mistake of the client.
    pub fingerprint: Vec<u8>,
}

/// Keys that were used before: their fingerprint and the answer given, as JSON.
pub(crate) type Known = HashMap<String, (Vec<u8>, String)>;

pub(crate) async fn known(tx: &mut PgConnection, keys: &[&str]) -> sqlx::Result<Known> {
    if keys.is_empty() {
        return Ok(Known::new());
    }
    let rows = sqlx::query(
        "select idempotency_key, fingerprint, reply from engine.idempotency_key
         where idempotency_key = any($1)",
    )
    .bind(keys)
    .fetch_all(tx)
    .await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, (row.try_get(1)?, row.try_get(2)?)))).collect()
}

/// A key that another transaction used first is a unique violation: the batch is decided anew, and finds it.
pub(crate) fn save(writes: &mut Writes, used: &[(&IdempotencyKey, String)]) {
    if used.is_empty() {
        return;
    }
    let mut used: Vec<_> = used.iter().collect();
    used.sort_by_key(|(it, _)| &it.key);
    writes
        .add(
            "insert into engine.idempotency_key (idempotency_key, fingerprint, reply)
         select * from unnest($1::text[], $2::bytea[], $3::text[])",
        )
        .bind(used.iter().map(|(it, _)| it.key.as_str()).collect::<Vec<_>>())
        .bind(used.iter().map(|(it, _)| it.fingerprint.as_slice()).collect::<Vec<_>>())
        .bind(used.iter().map(|(_, reply)| reply.as_str()).collect::<Vec<_>>());
}

/// Forgets up to `limit` keys that are older than `ttl`; returns how many.
pub(crate) async fn forget(pool: &PgPool, ttl: Duration, limit: i64) -> sqlx::Result<u64> {
    let forgotten = sqlx::query(
        "delete from engine.idempotency_key where idempotency_key in
             (select idempotency_key from engine.idempotency_key
              where created_at < statement_timestamp() - make_interval(secs => $1)
              order by created_at limit $2 for update skip locked)",
    )
    .bind(ttl.as_secs_f64())
    .bind(limit)
    .execute(pool)
    .await?;
    Ok(forgotten.rows_affected())
}
