//! New work is refused while more waits to be published than the log takes: an outbox that grows without an end
//! takes the database with it, and what was begun would only wait behind it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::{
    database::{ANSWER, answered},
    metrics::Metrics,
};

/// Whether new work is refused now; cheap to clone, all clones are one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Valve(Arc<AtomicBool>);

impl Valve {
    pub(crate) fn is_shut(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Works the valve of one process by the size of the outbox.
pub(crate) struct Pressure {
    pub(crate) pool: PgPool,
    pub(crate) metrics: Metrics,
    pub(crate) valve: Valve,
    /// Rows of the outbox above which new work is refused; it is let in again under nine tenths of it.
    pub(crate) limit: u64,
}

impl Pressure {
    pub(crate) async fn watch(self, shutdown: CancellationToken) {
        let mut every = tokio::time::interval(LOOK_EVERY);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = every.tick() => {}
            }
            match answered(ANSWER, self.over()).await {
                Ok(over) => self.turn(over),
                // Nothing is begun without the database, whatever the valve says.
                Err(error) => tracing::debug!(%error, "the outbox cannot be measured"),
            }
        }
    }

    /// Whether there are too many rows. The ids tell how many there are at the most; only when that is too many
    /// they are counted, as far as it matters.
    async fn over(&self) -> sqlx::Result<bool> {
        let mark = if self.valve.is_shut() { self.limit - self.limit / 10 } else { self.limit };
        let mark = i64::try_from(mark).unwrap_or(i64::MAX - 1);
        let most: i64 =
            sqlx::query_scalar("select coalesce(max(outbox_id) - min(outbox_id) + 1, 0) from engine.outbox")
                .fetch_one(&self.pool)
                .await?;
        if most <= mark {
            return Ok(false);
        }
        let count: i64 = sqlx::query_scalar("select count(*) from (select from engine.outbox limit $1) it")
            .bind(mark + 1)
            .fetch_one(&self.pool)
            .await?;
        Ok(count > mark)
    }

    fn turn(&self, over: bool) {
        if self.valve.0.swap(over, Ordering::Relaxed) != over {
            if over {
                tracing::warn!(limit = self.limit, "new work is refused: too much waits to be published");
            } else {
                tracing::info!("new work is let in again");
            }
        }
        self.metrics.shedding.record(u64::from(over), std::slice::from_ref(&self.metrics.service));
    }
}
