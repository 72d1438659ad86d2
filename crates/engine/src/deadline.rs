//! Deadlines: inputs that come by themselves at a time of the database's clock, unless they are cleared.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use sqlx::{PgConnection, PgPool, Row, postgres::PgRow};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    command::Commands,
    database::{ANSWER, answered},
    decider::{Cause, Decider},
    trace,
    unit::Unit,
    writes::Writes,
};

/// A change of the deadline `kind` of `key`: each key has at most one of a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deadline {
    /// Due after a time by the database's clock, in place of an earlier one of this key and kind.
    Set {
        key: String,
        kind: &'static str,
        after: Duration,
    },
    Clear {
        key: String,
        kind: &'static str,
    },
}

/// The identity of a deadline: key and kind.
pub(crate) type DeadlineId = (String, String);

/// The changes of one batch: of several to one deadline the last holds.
#[derive(Default)]
pub(crate) struct Changes(BTreeMap<(String, &'static str), Option<Set>>);

struct Set {
    seconds: f64,
    correlation_id: Uuid,
    traceparent: Option<String>,
}

impl Changes {
    pub(crate) fn add(&mut self, change: Deadline, cause: &Cause) {
        let traceparent = cause.trace.parent.as_deref().map(str::to_owned);
        match change {
            Deadline::Set { key, kind, after } => {
                let set =
                    Set { seconds: after.as_secs_f64(), correlation_id: cause.correlation_id, traceparent };
                self.0.insert((key, kind), Some(set));
            }
            Deadline::Clear { key, kind } => {
                self.0.insert((key, kind), None);
            }
        }
    }

    /// Whether one is due before the watcher looks by itself.
    pub(crate) fn any_soon(&self) -> bool {
        self.0.values().flatten().any(|it| it.seconds < LONGEST_SLEEP.as_secs_f64())
    }

    pub(crate) fn save(&self, writes: &mut Writes) {
        let cleared: Vec<_> = self.0.iter().filter(|(_, set)| set.is_none()).map(|(id, _)| id).collect();
        if !cleared.is_empty() {
            writes
                .add(
                    "delete from engine.deadline d using unnest($1::text[], $2::text[]) it (key, kind)
                 where d.key = it.key and d.kind = it.kind",
                )
                .bind(cleared.iter().map(|it| it.0.as_str()).collect::<Vec<_>>())
                .bind(cleared.iter().map(|it| it.1).collect::<Vec<_>>());
        }
        let set: Vec<_> = self.0.iter().filter_map(|(id, set)| Some((id, set.as_ref()?))).collect();
        if !set.is_empty() {
            writes
                .add(
                    "insert into engine.deadline (key, kind, due_at, correlation_id, traceparent)
                 select key, kind, clock_timestamp() + make_interval(secs => seconds), correlation, trace
                 from unnest($1::text[], $2::text[], $3::float8[], $4::uuid[], $5::text[])
                     it (key, kind, seconds, correlation, trace)
                 on conflict (key, kind) do update
                 set due_at = excluded.due_at, correlation_id = excluded.correlation_id,
                     traceparent = excluded.traceparent",
                )
                .bind(set.iter().map(|(id, _)| id.0.as_str()).collect::<Vec<_>>())
                .bind(set.iter().map(|(id, _)| id.1).collect::<Vec<_>>())
                .bind(set.iter().map(|(_, it)| it.seconds).collect::<Vec<_>>())
                .bind(set.iter().map(|(_, it)| it.correlation_id).collect::<Vec<_>>())
                .bind(set.iter().map(|(_, it)| it.traceparent.as_deref()).collect::<Vec<_>>());
        }
    }
}

/// Takes those of `ids` that are still set and due. To be called under the locks of their aggregates: the
/// event that clears a deadline holds the same lock, so that one of the two comes first.
pub(crate) async fn claim(tx: &mut PgConnection, ids: &[&DeadlineId]) -> sqlx::Result<Vec<DeadlineId>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(
        "delete from engine.deadline d using unnest($1::text[], $2::text[]) it (key, kind)
         where d.key = it.key and d.kind = it.kind and d.due_at <= clock_timestamp()
         returning d.key, d.kind",
    )
    .bind(ids.iter().map(|it| it.0.as_str()).collect::<Vec<_>>())
    .bind(ids.iter().map(|it| it.1.as_str()).collect::<Vec<_>>())
    .fetch_all(tx)
    .await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// How many due deadlines are submitted at once.
const AT_ONCE: i64 = 500;
/// The longest sleep: deadlines set by another process are seen after this time at the latest.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

/// Submits the deadlines that are due as inputs. Any number of processes may do so: who is first to commit
/// takes the deadline, for the others it is gone.
pub(crate) async fn watch<D: Decider>(
    unit: Arc<Unit<D>>,
    pool: PgPool,
    commands: Commands<D>,
    shutdown: CancellationToken,
) {
    loop {
        let mut pause = LONGEST_SLEEP;
        for kind in D::DEADLINES {
            match submit_due(&unit.decider, kind, &pool, &commands).await {
                Ok(next) => pause = pause.min(next),
                Err(error) => tracing::debug!(%error, "deadlines cannot be read"),
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = unit.deadlines.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Submits what is due of one kind and returns the time until the next one. Page by page, each of which
/// begins behind the one before: what cannot be taken is in nobody's way.
async fn submit_due<D: Decider>(
    decider: &D,
    kind: &'static str,
    pool: &PgPool,
    commands: &Commands<D>,
) -> sqlx::Result<Duration> {
    let mut behind = (OffsetDateTime::UNIX_EPOCH, String::new());
    let mut all_taken = true;
    loop {
        // A statement's own time can bound an index scan, which the clock's cannot.
        let read = sqlx::query(
            "select key, due_at, correlation_id, traceparent,
                 extract(epoch from due_at - statement_timestamp())::float8 as seconds
             from engine.deadline
             where kind = $1 and (due_at, key) > ($2, $3)
                 and due_at < statement_timestamp() + make_interval(secs => $4)
             order by due_at, key limit $5",
        )
        .bind(kind)
        .bind(behind.0)
        .bind(&behind.1)
        .bind(LONGEST_SLEEP.as_secs_f64())
        .bind(AT_ONCE)
        .fetch_all(pool);
        let rows = answered(ANSWER, read).await?;
        let (mut due, mut next) = (Vec::new(), None);
        for row in &rows {
            let seconds: f64 = row.try_get("seconds")?;
            if seconds > 0.0 {
                next = Some(Duration::from_secs_f64(seconds));
                break;
            }
            behind = (row.try_get("due_at")?, row.try_get("key")?);
            due.push(submit(decider, kind, row, commands)?);
        }
        all_taken &= taken(kind, futures::future::join_all(due).await);
        if next.is_some() || (rows.len() as i64) < AT_ONCE {
            // Whatever could not be taken is there to be tried again, and not at once.
            return Ok(next.filter(|_| all_taken).unwrap_or(LONGEST_SLEEP));
        }
    }
}

/// Hands one in; whatever becomes of it, it is in the table until the transaction that takes it has committed.
fn submit<'c, D: Decider>(
    decider: &D,
    kind: &'static str,
    row: &PgRow,
    commands: &'c Commands<D>,
) -> sqlx::Result<impl Future<Output = Result<(), String>> + use<'c, D>> {
    let key: String = row.try_get("key")?;
    let traceparent: Option<String> = row.try_get("traceparent")?;
    let cause = Cause {
        id: Uuid::now_v7(),
        correlation_id: row.try_get("correlation_id")?,
        actor: format!("service:{}", D::SERVICE).into(),
        trace: trace::of_parent(traceparent),
    };
    let input = decider.due(kind, &key);
    Ok(async move {
        let Some(input) = input else { return Err(format!("{key:?} cannot be read")) };
        let named = key.clone();
        let submitted = commands.submit_due((key, kind.to_owned()), input, cause).await;
        submitted.map_err(|error| format!("{named}: {error}"))
    })
}

/// Whether all of a page were taken; of those that were not one stands for all in the log.
fn taken(kind: &'static str, page: Vec<Result<(), String>>) -> bool {
    let mut failed = page.into_iter().filter_map(Result::err);
    let Some(first) = failed.next() else { return true };
    let count = failed.count() + 1;
    tracing::warn!(error = first, deadline.kind = kind, count, "due deadlines could not be taken");
    false
}
