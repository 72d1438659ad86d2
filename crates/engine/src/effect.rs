//! Effects: calls to the outside, with the intent on disk before the call and the answer as an input.

use std::{collections::HashSet, future::Future, sync::Arc, time::Duration};

use opentelemetry::KeyValue;
use recloser::{AsyncRecloser, Error as Broken, Recloser};
use sqlx::{PgConnection, PgPool, Row, postgres::PgRow};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    command::Commands,
    decider::{Cause, Decider},
    metrics::Metrics,
    trace,
};

/// A call to the outside that a decision asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// The aggregate that it concerns.
    pub key: String,
    /// What is asked, as the service's [`Outside`] reads it.
    pub request: String,
}

/// Performs a service's effects.
pub trait Outside: Send + Sync + 'static {
    type Input;

    /// Makes the call that `request` describes, with `id` as its idempotency key, and returns the answer.
    /// May be called again with the same id, also while an earlier call is still under way.
    fn perform(
        &self,
        id: Uuid,
        request: &str,
    ) -> impl Future<Output = Result<Self::Input, Unanswered>> + Send;
}

/// What a call came to is not known: it is made again, with the same key.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unanswered(pub String);

/// For services that call nobody.
#[derive(Debug)]
pub struct NoOutside<I>(std::marker::PhantomData<fn() -> I>);

impl<I> Default for NoOutside<I> {
    fn default() -> Self {
        Self(std::marker::PhantomData)
    }
}

impl<I: Send + 'static> Outside for NoOutside<I> {
    type Input = I;

    async fn perform(&self, _: Uuid, request: &str) -> Result<I, Unanswered> {
        Err(Unanswered(format!("nobody performs {request}")))
    }
}

/// An effect that is to be performed now.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) id: Uuid,
    pub(crate) key: String,
    pub(crate) request: String,
    pub(crate) attempt: i32,
    pub(crate) correlation_id: Uuid,
    pub(crate) traceparent: Option<String>,
    /// When it was leased to this process.
    pub(crate) taken: Instant,
}

impl Call {
    /// The call that a decision asks for: leased to this process with the transaction that writes it down.
    pub(crate) fn new(effect: Effect, cause: &Cause) -> Self {
        Self {
            id: Uuid::now_v7(),
            key: effect.key,
            request: effect.request,
            attempt: 1,
            correlation_id: cause.correlation_id,
            traceparent: cause.trace.parent.as_deref().map(str::to_owned),
            taken: Instant::now(),
        }
    }
}

/// For how long a call belongs to the process that took it. Afterwards another asks again, under the same
/// idempotency key: too short costs a superfluous call, never a second charge.
const LEASE_SECONDS: f64 = 30.0;

/// Writes the calls down, leased to this process, which makes them after the commit.
pub(crate) async fn save(tx: &mut PgConnection, calls: &[Call]) -> sqlx::Result<()> {
    if calls.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into engine.effect (effect_id, key, request, due_at, attempt, correlation_id, traceparent)
         select id, key, request, clock_timestamp() + make_interval(secs => $1), 1, correlation, trace
         from unnest($2::uuid[], $3::text[], $4::text[], $5::uuid[], $6::text[])
             it (id, key, request, correlation, trace)",
    )
    .bind(LEASE_SECONDS)
    .bind(calls.iter().map(|it| it.id).collect::<Vec<_>>())
    .bind(calls.iter().map(|it| it.key.as_str()).collect::<Vec<_>>())
    .bind(calls.iter().map(|it| it.request.as_str()).collect::<Vec<_>>())
    .bind(calls.iter().map(|it| it.correlation_id).collect::<Vec<_>>())
    .bind(calls.iter().map(|it| it.traceparent.as_deref()).collect::<Vec<_>>())
    .execute(tx)
    .await?;
    Ok(())
}

/// Takes the effects whose answers are about to be applied. One that is gone was answered before.
pub(crate) async fn claim(tx: &mut PgConnection, ids: &[Uuid]) -> sqlx::Result<HashSet<Uuid>> {
    if ids.is_empty() {
        return Ok(HashSet::new());
    }
    let rows = sqlx::query("delete from engine.effect where effect_id = any($1) returning effect_id")
        .bind(ids)
        .fetch_all(tx)
        .await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

/// How many calls are under way at once.
const CONCURRENCY: usize = 128;
/// How often the table is searched for calls whose time has come, or whose process is gone.
const SEARCH_EVERY: Duration = Duration::from_millis(500);

/// The worker of one process.
pub(crate) struct Worker<D: Decider, O> {
    pub(crate) outside: Arc<O>,
    pub(crate) pool: PgPool,
    pub(crate) commands: Commands<D>,
    pub(crate) metrics: Metrics,
    /// Calls of transactions that this process has just committed.
    pub(crate) fresh: mpsc::Receiver<Call>,
}

/// What became of a call that is to be made again.
struct Again {
    id: Uuid,
    attempt: i32,
    error: String,
}

impl<D: Decider, O: Outside<Input = D::Input>> Worker<D, O> {
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        let breaker = AsyncRecloser::from(
            Recloser::custom()
                .error_rate(0.5)
                .closed_len(50)
                .half_open_len(5)
                .open_wait(Duration::from_secs(1))
                .build(),
        );
        let mut calls: JoinSet<Option<Again>> = JoinSet::new();
        let mut again: Vec<Again> = Vec::new();
        let mut search_at = Instant::now();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                Some(call) = self.fresh.recv(), if calls.len() < CONCURRENCY => {
                    self.start(&mut calls, &breaker, call);
                }
                Some(done) = calls.join_next() => again.extend(done.ok().flatten()),
                () = sleep_until(search_at) => {
                    search_at = Instant::now() + SEARCH_EVERY;
                    self.postpone(&mut again).await;
                    let free = CONCURRENCY.saturating_sub(calls.len());
                    for call in self.search(free).await {
                        self.start(&mut calls, &breaker, call);
                    }
                }
            }
        }
        // Calls under way are given up: their rows are still there, and they are made again under their key.
        calls.shutdown().await;
        self.postpone(&mut again).await;
    }

    fn start(&self, calls: &mut JoinSet<Option<Again>>, breaker: &AsyncRecloser, call: Call) {
        let (outside, commands) = (self.outside.clone(), self.commands.clone());
        let (breaker, metrics) = (breaker.clone(), self.metrics.clone());
        calls.spawn(async move {
            let answer = breaker.call(outside.perform(call.id, &call.request)).await;
            let outcome = match &answer {
                Ok(_) => "answered",
                Err(Broken::Inner(_)) => "unanswered",
                Err(Broken::Rejected) => "breaker-open",
            };
            metrics.effects.add(1, &[metrics.service.clone(), KeyValue::new("outcome", outcome)]);
            let error = match answer {
                Ok(input) => commands.submit_answer(call.id, input, cause::<D>(&call)).await.err()?,
                Err(Broken::Inner(error)) => error.to_string(),
                Err(Broken::Rejected) => "not called: the circuit breaker is open".to_owned(),
            };
            tracing::debug!(effect.id = %call.id, aggregate = call.key, call.attempt, error, "asked again later");
            Some(Again { id: call.id, attempt: call.attempt, error })
        });
    }

    /// Leases calls that are due. Their order does not matter, so that what another has locked is left out.
    async fn search(&self, limit: usize) -> Vec<Call> {
        if limit == 0 {
            return Vec::new();
        }
        let rows = sqlx::query(
            "update engine.effect
             set due_at = clock_timestamp() + make_interval(secs => $1), attempt = attempt + 1
             where effect_id in (select effect_id from engine.effect where due_at <= clock_timestamp()
                 order by due_at limit $2 for update skip locked)
             returning effect_id, key, request, attempt, correlation_id, traceparent",
        )
        .bind(LEASE_SECONDS)
        .bind(limit as i64)
        .fetch_all(&self.pool)
        .await;
        let calls = rows.and_then(|rows| rows.iter().map(call).collect());
        calls.unwrap_or_else(|error| {
            tracing::debug!(%error, "effects cannot be searched");
            Vec::new()
        })
    }

    /// Puts calls back with a pause that doubles from half a second to 30 s, by the attempt, with jitter.
    async fn postpone(&self, again: &mut Vec<Again>) {
        if again.is_empty() {
            return;
        }
        let written = sqlx::query(
            "update engine.effect e
             set error = it.error, due_at = clock_timestamp()
                 + make_interval(secs => least(30, 0.25 * 2 ^ least(it.attempt, 8)) * (0.75 + random() / 2))
             from unnest($1::uuid[], $2::int[], $3::text[]) it (id, attempt, error) where e.effect_id = it.id",
        )
        .bind(again.iter().map(|it| it.id).collect::<Vec<_>>())
        .bind(again.iter().map(|it| it.attempt).collect::<Vec<_>>())
        .bind(again.iter().map(|it| it.error.replace('\0', "\u{fffd}")).collect::<Vec<_>>())
        .execute(&self.pool)
        .await;
        match written {
            Ok(_) => again.clear(),
            // When their lease is over they are found without it.
            Err(error) => tracing::debug!(%error, "effects cannot be postponed"),
        }
    }
}

fn call(row: &PgRow) -> sqlx::Result<Call> {
    Ok(Call {
        id: row.try_get("effect_id")?,
        key: row.try_get("key")?,
        request: row.try_get("request")?,
        attempt: row.try_get("attempt")?,
        correlation_id: row.try_get("correlation_id")?,
        traceparent: row.try_get("traceparent")?,
        taken: Instant::now(),
    })
}

fn cause<D: Decider>(call: &Call) -> Cause {
    Cause {
        id: call.id,
        correlation_id: call.correlation_id,
        actor: format!("service:{}", D::SERVICE).into(),
        trace: trace::of_parent(call.traceparent.clone()),
    }
}
