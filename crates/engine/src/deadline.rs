//! Deadlines: inputs that come by themselves at a time of the database's clock, unless they are cleared.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use sqlx::{PgConnection, PgPool, Row};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    command::Commands,
    decider::{Cause, Decider},
    trace,
    unit::Unit,
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

    pub(crate) async fn save(&self, tx: &mut PgConnection) -> sqlx::Result<()> {
        let cleared: Vec<_> = self.0.iter().filter(|(_, set)| set.is_none()).map(|(id, _)| id).collect();
        if !cleared.is_empty() {
            sqlx::query(
                "delete from engine.deadline d using unnest($1::text[], $2::text[]) it (key, kind)
                 where d.key = it.key and d.kind = it.kind",
            )
            .bind(cleared.iter().map(|it| it.0.as_str()).collect::<Vec<_>>())
            .bind(cleared.iter().map(|it| it.1).collect::<Vec<_>>())
            .execute(&mut *tx)
            .await?;
        }
        let set: Vec<_> = self.0.iter().filter_map(|(id, set)| Some((id, set.as_ref()?))).collect();
        if !set.is_empty() {
            sqlx::query(
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
            .bind(set.iter().map(|(_, it)| it.traceparent.as_deref()).collect::<Vec<_>>())
            .execute(tx)
            .await?;
        }
        Ok(())
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
        let pause = match submit_due(&unit.decider, &pool, &commands).await {
            Ok(pause) => pause,
            Err(error) => {
                tracing::debug!(%error, "deadlines cannot be read");
                LONGEST_SLEEP
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = unit.deadlines.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Submits what is due and returns the time until the next one.
async fn submit_due<D: Decider>(
    decider: &D,
    pool: &PgPool,
    commands: &Commands<D>,
) -> sqlx::Result<Duration> {
    let rows = sqlx::query(
        "select key, kind, correlation_id, traceparent,
             extract(epoch from due_at - clock_timestamp())::float8 as seconds
         from engine.deadline order by due_at limit $1",
    )
    .bind(AT_ONCE)
    .fetch_all(pool)
    .await?;
    let mut submitted = Vec::new();
    // A full page of due deadlines is followed by the next one at once.
    let mut pause = if rows.len() as i64 == AT_ONCE { Duration::ZERO } else { LONGEST_SLEEP };
    for row in &rows {
        let seconds: f64 = row.try_get("seconds")?;
        if seconds > 0.0 {
            pause = LONGEST_SLEEP.min(Duration::from_secs_f64(seconds));
            break;
        }
        let id: DeadlineId = (row.try_get("key")?, row.try_get("kind")?);
        let Some(input) = decider.due(&id.1, &id.0) else {
            tracing::error!(
                deadline.kind = id.1,
                deadline.key = id.0,
                "a deadline of an unknown kind is due"
            );
            continue;
        };
        let traceparent: Option<String> = row.try_get("traceparent")?;
        let cause = Cause {
            id: Uuid::now_v7(),
            correlation_id: row.try_get("correlation_id")?,
            actor: format!("service:{}", D::SERVICE).into(),
            trace: trace::of_parent(traceparent),
        };
        submitted.push(commands.submit_due(id, input, cause));
    }
    // Whatever becomes of one: it is in the table until the transaction that takes it has committed.
    // A page of kinds that nobody here knows is no reason to ask again at once.
    let none = submitted.is_empty() && pause.is_zero();
    let all_taken = !none && futures::future::join_all(submitted).await.into_iter().all(|taken| taken);
    Ok(if all_taken { pause } else { LONGEST_SLEEP })
}
