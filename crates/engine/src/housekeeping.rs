//! What grows with time is kept small, in steps that nobody has to wait for; and how much there is, is told.

mod gauges;

use std::{convert::Infallible, time::Duration};

use sqlx::PgPool;
use time::OffsetDateTime;
use tokio::time::{Instant, interval, sleep_until};
use tokio_util::sync::CancellationToken;

use self::gauges::Gauges;
use crate::{
    database::{ANSWER, answered},
    idempotency, inbox,
    metrics::Metrics,
};

const GAUGES_EVERY: Duration = Duration::from_secs(5);
const PARTITIONS_EVERY: Duration = Duration::from_secs(3_600);
const PRUNE_EVERY: Duration = Duration::from_secs(60);
/// Between two steps while there is more to delete.
const PAUSE: Duration = Duration::from_millis(100);
/// Rows that one step deletes.
const STEP: i64 = 1_000;
/// For how long it is remembered what was done about dead letters.
const ACTIONS_KEPT: Duration = Duration::from_secs(90 * 24 * 3_600);

/// More than the statements' own limit.
const STEP_TIME: Duration = Duration::from_secs(60);

/// The housekeeper of one process. Any number may work on a database: each leaves alone what another has in hand.
pub(crate) struct House {
    pub(crate) pool: PgPool,
    pub(crate) metrics: Metrics,
    /// The kinds of deadlines that the service knows.
    pub(crate) deadlines: &'static [&'static str],
    /// For how long idempotency keys are remembered.
    pub(crate) key_ttl: Duration,
}

impl House {
    pub(crate) async fn keep(self, shutdown: CancellationToken) {
        // Nothing in here is half done when it is dropped.
        tokio::select! {
            () = shutdown.cancelled() => {}
            never = self.work() => match never {},
        }
    }

    async fn work(self) -> Infallible {
        let Self { pool, metrics, deadlines, key_ttl } = self;
        let mut gauges = Gauges::new(pool.clone(), metrics, deadlines);
        let (mut partitions, mut measure) = (interval(PARTITIONS_EVERY), interval(GAUGES_EVERY));
        let mut prune_at = Instant::now();
        loop {
            let done = tokio::select! {
                _ = partitions.tick() => answered(STEP_TIME, keep_inbox(&pool)).await,
                _ = measure.tick() => answered(ANSWER, gauges.measure()).await,
                () = sleep_until(prune_at) => {
                    let more = answered(STEP_TIME, prune(&pool, key_ttl)).await;
                    prune_at = Instant::now() + if let Ok(true) = more { PAUSE } else { PRUNE_EVERY };
                    more.map(drop)
                }
            };
            if let Err(error) = done {
                tracing::debug!(%error, "housekeeping waits");
            }
        }
    }
}

async fn keep_inbox(pool: &PgPool) -> sqlx::Result<()> {
    let now = OffsetDateTime::now_utc();
    inbox::create_partitions(pool, now).await?;
    inbox::drop_partitions(pool, now).await
}

/// A step of forgetting; whether there may be more to forget.
async fn prune(pool: &PgPool, key_ttl: Duration) -> sqlx::Result<bool> {
    let keys = idempotency::forget(pool, key_ttl, STEP).await?;
    let actions = sqlx::query(
        "delete from engine.dead_letter_action where dead_letter_action_id in
             (select dead_letter_action_id from engine.dead_letter_action
              order by dead_letter_action_id limit $1 for update skip locked)
             and at < clock_timestamp() - make_interval(secs => $2)",
    )
    .bind(STEP)
    .bind(ACTIONS_KEPT.as_secs_f64())
    .execute(pool)
    .await?;
    Ok(keys == STEP as u64 || actions.rows_affected() == STEP as u64)
}
