//! Dead letters that are run again: read in their order, checked under their keys' locks, and settled.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use bus::Received;
use futures::TryStreamExt;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::{Poison, bytes};
use crate::mutant::{Mutant, Mutation};

/// Who does something about dead letters, and why. Recorded with what became of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct By {
    /// `operator:jane`.
    pub actor: String,
    pub reason: String,
}

/// A dead letter on its way through the unit of work.
#[derive(Debug, Clone)]
pub(crate) struct Rerun {
    pub(crate) id: i64,
    pub(crate) key: Vec<u8>,
    /// The id that the inbox knows it by.
    pub(crate) event_id: Uuid,
    /// It has failed itself; otherwise it came later.
    pub(crate) poison: bool,
    /// It is to be thrown away, not applied.
    pub(crate) discard: bool,
    pub(crate) by: Arc<By>,
}

impl Rerun {
    /// Whether `id` is not the one that the inbox knows it by: it could not be read when it was parked.
    pub(crate) fn has_new_id(&self, id: Uuid) -> bool {
        id != self.event_id
    }

    /// What has become of it, nothing being wrong with it.
    pub(crate) fn fate(&self, applied: bool) -> Fate {
        match (self.discard, applied) {
            (true, _) => Fate::Discarded,
            (false, true) => Fate::Applied,
            (false, false) => Fate::Skipped,
        }
    }
}

/// What became of a letter that was run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Fate {
    Applied,
    /// Its event had been applied before.
    Duplicate,
    /// Nobody here handles its type any more.
    Skipped,
    Discarded,
    /// It is poison still.
    Failed,
    /// An earlier letter of its key is poison still.
    Waiting,
    /// Somebody else was faster.
    Gone,
}

impl Fate {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Duplicate => "duplicate",
            Self::Skipped => "skipped",
            Self::Discarded => "discarded",
            Self::Failed => "failed",
            Self::Waiting => "waiting",
            Self::Gone => "gone",
        }
    }
}

/// Letters are read up to so many bytes at once, and then at least one.
const PAGE_BYTES: usize = 8_000_000;

/// The first letters of `keys`, those of a key in their order.
pub(crate) async fn read(
    connection: &mut PgConnection,
    consumer: &str,
    keys: &[&[u8]],
    limit: usize,
    by: &Arc<By>,
    mutation: Mutation,
) -> sqlx::Result<Vec<(Rerun, Received)>> {
    let order = if mutation.is(Mutant::RedriveOutOfOrder) { "desc" } else { "asc" };
    let sql = format!(
        "select dead_letter_id, key, event_id, status, topic, partition, \"offset\", record_key, headers, payload
         from engine.dead_letter where consumer = $1 and key = any($2::bytea[])
         order by key, dead_letter_id {order} limit $3"
    );
    let mut rows =
        sqlx::query(sqlx::AssertSqlSafe(sql)).bind(consumer).bind(keys).bind(limit as i64).fetch(connection);
    let (mut letters, mut size) = (Vec::new(), 0);
    while size < PAGE_BYTES {
        let Some(row) = rows.try_next().await? else { break };
        let rerun = Rerun {
            id: row.try_get("dead_letter_id")?,
            key: row.try_get("key")?,
            event_id: row.try_get("event_id")?,
            poison: row.try_get::<&str, _>("status")? == "poison",
            discard: false,
            by: by.clone(),
        };
        let stored = serde_json::from_str(row.try_get("headers")?);
        let headers = bytes::headers(stored.map_err(|error| sqlx::Error::Decode(error.into()))?);
        let payload: Option<Vec<u8>> = row.try_get("payload")?;
        size += payload.as_ref().map_or(0, Vec::len);
        let position = (row.try_get("topic")?, row.try_get("partition")?, row.try_get("offset")?);
        letters.push((rerun, Received::replayed(position, row.try_get("record_key")?, headers, payload)));
    }
    Ok(letters)
}

/// The letters of a batch that are still there, by key. Each can be applied when it is the first of its key:
/// earlier ones have left by then, whoever saw to it.
pub(crate) struct Reruns {
    there: HashMap<Vec<u8>, BTreeSet<i64>>,
    mutation: Mutation,
}

impl Reruns {
    /// To be asked under the locks of the letters' keys.
    pub(crate) async fn there(
        tx: &mut PgConnection,
        consumer: &str,
        letters: &[&Rerun],
        mutation: Mutation,
    ) -> sqlx::Result<Self> {
        let mut there: HashMap<Vec<u8>, BTreeSet<i64>> = HashMap::new();
        let Some(last) = letters.iter().map(|it| it.id).max() else { return Ok(Self { there, mutation }) };
        let keys: BTreeSet<&[u8]> = letters.iter().map(|it| it.key.as_slice()).collect();
        let rows = sqlx::query(
            "select key, dead_letter_id from engine.dead_letter
             where consumer = $1 and key = any($2::bytea[]) and dead_letter_id <= $3",
        )
        .bind(consumer)
        .bind(keys.into_iter().collect::<Vec<_>>())
        .bind(last)
        .fetch_all(tx)
        .await?;
        for row in rows {
            there.entry(row.try_get("key")?).or_default().insert(row.try_get("dead_letter_id")?);
        }
        Ok(Self { there, mutation })
    }

    pub(crate) fn is_there(&self, letter: &Rerun) -> bool {
        self.there.get(&letter.key).is_some_and(|it| it.contains(&letter.id))
    }

    pub(crate) fn is_first(&self, letter: &Rerun) -> bool {
        let reversed = self.mutation.is(Mutant::RedriveOutOfOrder);
        let first = |it: &BTreeSet<i64>| if reversed { it.last().copied() } else { it.first().copied() };
        self.there.get(&letter.key).and_then(first) == Some(letter.id)
    }

    pub(crate) fn leaves(&mut self, letter: &Rerun) {
        if let Some(ids) = self.there.get_mut(&letter.key) {
            ids.remove(&letter.id);
        }
    }
}

/// What a batch of letters came to, to be written down.
#[derive(Default)]
pub(crate) struct Settled<'i> {
    pub(crate) left: Vec<(&'i Rerun, Fate)>,
    pub(crate) failed: Vec<(&'i Rerun, Poison)>,
    /// Letters that stay and could be read now: the inbox knows them by their own ids from here on.
    pub(crate) named: Vec<(&'i Rerun, Uuid)>,
}

/// Removes the letters that have left, says of the others what is wrong with them now, and frees the keys that
/// have no letter left. To be called under the locks of their keys.
pub(crate) async fn settle(tx: &mut PgConnection, consumer: &str, settled: &Settled<'_>) -> sqlx::Result<()> {
    let Settled { left, failed, named } = settled;
    let all = || left.iter().map(|it| it.0).chain(failed.iter().map(|it| it.0));
    if let Some(letter) = all().next() {
        record(&mut *tx, settled, &letter.by).await?;
    }
    if !left.is_empty() {
        sqlx::query("delete from engine.dead_letter where dead_letter_id = any($1)")
            .bind(left.iter().map(|it| it.0.id).collect::<Vec<_>>())
            .execute(&mut *tx)
            .await?;
        sqlx::query(
            "delete from engine.parked_key k where consumer = $1 and key = any($2::bytea[])
                 and not exists (select from engine.dead_letter d where d.consumer = k.consumer and d.key = k.key)",
        )
        .bind(consumer)
        .bind(left.iter().map(|it| it.0.key.as_slice()).collect::<Vec<_>>())
        .execute(&mut *tx)
        .await?;
    }
    if !failed.is_empty() {
        sqlx::query(
            "update engine.dead_letter d
             set cause = it.cause, error = it.error, status = 'poison',
                 attempt = case status when 'poison' then attempt + 1 else 1 end
             from unnest($1::bigint[], $2::text[], $3::text[]) it (id, cause, error)
             where dead_letter_id = it.id",
        )
        .bind(failed.iter().map(|it| it.0.id).collect::<Vec<_>>())
        .bind(failed.iter().map(|it| it.1.cause).collect::<Vec<_>>())
        .bind(failed.iter().map(|it| it.1.error.as_str()).collect::<Vec<_>>())
        .execute(&mut *tx)
        .await?;
        sqlx::query(
            "update engine.parked_key set tried_at = clock_timestamp()
             where consumer = $1 and key = any($2::bytea[])",
        )
        .bind(consumer)
        .bind(failed.iter().map(|it| it.0.key.as_slice()).collect::<Vec<_>>())
        .execute(&mut *tx)
        .await?;
    }
    if !named.is_empty() {
        sqlx::query(
            "update engine.dead_letter set event_id = it.event_id
             from unnest($1::bigint[], $2::uuid[]) it (id, event_id) where dead_letter_id = it.id",
        )
        .bind(named.iter().map(|it| it.0.id).collect::<Vec<_>>())
        .bind(named.iter().map(|it| it.1).collect::<Vec<_>>())
        .execute(tx)
        .await?;
    }
    Ok(())
}

/// Writes down who did what to which letter, while it is there.
async fn record(tx: &mut PgConnection, settled: &Settled<'_>, by: &By) -> sqlx::Result<()> {
    let left = settled.left.iter().map(|(letter, fate)| (letter.id, fate.name(), None));
    let failed = settled
        .failed
        .iter()
        .map(|(letter, poison)| (letter.id, Fate::Failed.name(), Some(poison.error.as_str())));
    let all: Vec<(i64, &str, Option<&str>)> = left.chain(failed).collect();
    sqlx::query(
        "insert into engine.dead_letter_action (outcome, actor, reason, dead_letter_id, consumer, key, event_id,
             type, topic, partition, \"offset\", error)
         select it.outcome, $1, $2, d.dead_letter_id, d.consumer, d.key, d.event_id,
             d.type, d.topic, d.partition, d.\"offset\", coalesce(it.error, d.error)
         from unnest($3::bigint[], $4::text[], $5::text[]) with ordinality it (id, outcome, error, position)
         join engine.dead_letter d on d.dead_letter_id = it.id order by position",
    )
    .bind(&by.actor)
    .bind(&by.reason)
    .bind(all.iter().map(|it| it.0).collect::<Vec<_>>())
    .bind(all.iter().map(|it| it.1).collect::<Vec<_>>())
    .bind(all.iter().map(|it| it.2).collect::<Vec<_>>())
    .execute(tx)
    .await?;
    Ok(())
}
