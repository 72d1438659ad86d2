use std::collections::{BTreeMap, HashSet};

use opentelemetry::KeyValue;
use sqlx::{PgPool, Row};

use crate::metrics::Metrics;

/// How far rows are counted: a gauge must not cost more the worse things are.
const COUNTED: i64 = 100_000;

/// What the tables hold, as the service's gauges.
pub(super) struct Gauges {
    pool: PgPool,
    metrics: Metrics,
    deadlines: &'static [&'static str],
    /// Kinds of deadlines that nobody here knows and that were warned about.
    warned: HashSet<String>,
    /// What dead letters are told apart by, status and cause: those that there are none of are told as none.
    letters: BTreeMap<(String, String), u64>,
}

/// Why a message may be poison. What waits behind one has the cause `key-parked`.
const CAUSES: [&str; 7] = [
    "malformed",
    "undecodable",
    "unknown-version",
    "impossible",
    "panic",
    "oversized",
    "refused-by-database",
];

impl Gauges {
    pub(super) fn new(pool: PgPool, metrics: Metrics, deadlines: &'static [&'static str]) -> Self {
        let poison = CAUSES.iter().map(|it| ("poison".to_owned(), (*it).to_owned()));
        let waiting = ("waiting".to_owned(), "key-parked".to_owned());
        let letters = poison.chain([waiting]).map(|it| (it, 0)).collect();
        Self { pool, metrics, deadlines, warned: HashSet::new(), letters }
    }

    pub(super) async fn measure(&mut self) -> sqlx::Result<()> {
        self.outbox().await?;
        self.effects().await?;
        self.deadlines().await?;
        self.dead_letters().await
    }

    async fn outbox(&self) -> sqlx::Result<()> {
        let service = std::slice::from_ref(&self.metrics.service);
        let outbox = sqlx::query(
            "select count(*), coalesce(extract(epoch from clock_timestamp() - min(occurred_at)), 0)::float8
             from (select occurred_at from engine.outbox order by outbox_id limit $1) it",
        )
        .bind(COUNTED)
        .fetch_one(&self.pool)
        .await?;
        self.metrics.outbox_pending.record(outbox.try_get::<i64, _>(0)? as u64, service);
        self.metrics.outbox_oldest_age.record(outbox.try_get::<f64, _>(1)?.max(0.0), service);
        Ok(())
    }

    async fn effects(&self) -> sqlx::Result<()> {
        let service = std::slice::from_ref(&self.metrics.service);
        // Ids are UUIDv7: the first of them are the oldest.
        let effects = sqlx::query(
            "select count(*), count(*) filter (where attempt >= 5),
                 coalesce(extract(epoch from clock_timestamp() - min(created_at)), 0)::float8
             from (select attempt, created_at from engine.effect order by effect_id limit $1) it",
        )
        .bind(COUNTED)
        .fetch_one(&self.pool)
        .await?;
        self.metrics.effects_pending.record(effects.try_get::<i64, _>(0)? as u64, service);
        self.metrics.effects_failing.record(effects.try_get::<i64, _>(1)? as u64, service);
        self.metrics.effects_oldest_age.record(effects.try_get::<f64, _>(2)?.max(0.0), service);
        Ok(())
    }

    async fn deadlines(&mut self) -> sqlx::Result<()> {
        // From one kind to the next by the index, however many deadlines there are of each.
        let rows = sqlx::query(
            "with recursive present (kind) as (
                 select min(kind) from engine.deadline
                 union all
                 select (select min(d.kind) from engine.deadline d where d.kind > p.kind)
                 from present p where p.kind is not null)
             select kind,
                 (select count(*) from (select from engine.deadline d
                      where d.kind = p.kind and d.due_at <= statement_timestamp() limit $1) it) as due,
                 coalesce((select extract(epoch from statement_timestamp() - min(d.due_at))
                      from engine.deadline d where d.kind = p.kind), 0)::float8 as overdue
             from present p where kind is not null",
        )
        .bind(COUNTED)
        .fetch_all(&self.pool)
        .await?;
        let (mut unknown, mut overdue) = (0, 0.0_f64);
        for row in &rows {
            let (kind, due): (String, i64) = (row.try_get("kind")?, row.try_get("due")?);
            if self.deadlines.contains(&kind.as_str()) {
                overdue = overdue.max(row.try_get("overdue")?);
            } else if due > 0 {
                unknown += due;
                if self.warned.insert(kind.clone()) {
                    tracing::warn!(deadline.kind = kind, due, "deadlines of an unknown kind are due");
                }
            }
        }
        let service = std::slice::from_ref(&self.metrics.service);
        self.metrics.deadlines_unknown.record(unknown as u64, service);
        self.metrics.deadlines_overdue.record(overdue, service);
        Ok(())
    }

    async fn dead_letters(&mut self) -> sqlx::Result<()> {
        let rows = sqlx::query(
            "select status, cause, count(*)
             from (select status, cause from engine.dead_letter order by dead_letter_id limit $1) it
             group by status, cause",
        )
        .bind(COUNTED)
        .fetch_all(&self.pool)
        .await?;
        self.letters.values_mut().for_each(|count| *count = 0);
        for row in rows {
            self.letters.insert((row.try_get(0)?, row.try_get(1)?), row.try_get::<i64, _>(2)? as u64);
        }
        for ((status, cause), count) in &self.letters {
            let (status, cause) =
                (KeyValue::new("status", status.clone()), KeyValue::new("cause", cause.clone()));
            self.metrics.dead_letters.record(*count, &[self.metrics.service.clone(), status, cause]);
        }
        let keys: i64 =
            sqlx::query_scalar("select count(*) from (select from engine.parked_key limit $1) it")
                .bind(COUNTED)
                .fetch_one(&self.pool)
                .await?;
        self.metrics.parked_keys.record(keys as u64, std::slice::from_ref(&self.metrics.service));
        Ok(())
    }
}
