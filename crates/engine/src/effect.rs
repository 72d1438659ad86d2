//! Effects: calls to the outside, with the intent on disk before the call and the answer as an input.

mod desk;
mod worker;

use std::{collections::HashSet, future::Future, time::Duration};

use sqlx::{PgConnection, Row};
use tokio::time::Instant;
use uuid::Uuid;

pub(crate) use self::worker::Worker;
use crate::{decider::Cause, writes::Writes};

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
    /// Whether there is anybody to call; where not, no calls are looked for.
    const IS_THERE: bool = true;

    /// Makes the call that `request` describes, with `id` as its idempotency key, and returns the answer.
    /// May be called again with the same id, also while an earlier call is still under way.
    fn perform(
        &self,
        id: Uuid,
        request: &str,
    ) -> impl Future<Output = Result<Self::Input, Unanswered>> + Send;
}

/// What a call came to is not known, or not final: it is made again, with the same key.
#[derive(Debug, thiserror::Error)]
pub enum Unanswered {
    /// Nobody answers, or only with a failure of their own: enough of these hold all calls back for a while.
    #[error("{0}")]
    Down(String),
    /// Whoever is called is there and well; the answer to this call is none yet.
    #[error("{0}")]
    NotYet(String),
}

impl Unanswered {
    fn is_down(&self) -> bool {
        matches!(self, Self::Down(_))
    }
}

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
    const IS_THERE: bool = false;

    async fn perform(&self, _: Uuid, request: &str) -> Result<I, Unanswered> {
        Err(Unanswered::Down(format!("nobody performs {request}")))
    }
}

/// An effect that is to be performed now.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) id: Uuid,
    pub(crate) key: String,
    pub(crate) request: String,
    /// Which attempt this is: one more than came to nothing.
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
const LEASE: Duration = Duration::from_secs(30);

/// Writes the calls down: the first so many leased to this process, which makes them after the commit. The others are
/// due at once, to whoever finds them first: were they leased as well, nobody would make them for as long.
pub(crate) fn save(writes: &mut Writes, calls: &[Call], leased: usize) {
    if calls.is_empty() {
        return;
    }
    writes.add(
        "insert into engine.effect (effect_id, key, request, due_at, attempt, correlation_id, traceparent)
         select id, key, request, clock_timestamp() + make_interval(secs => case when nr <= $1 then $2 else 0 end),
             0, correlation, trace
         from unnest($3::uuid[], $4::text[], $5::text[], $6::uuid[], $7::text[])
             with ordinality it (id, key, request, correlation, trace, nr)",
    )
    .bind(leased as i64)
    .bind(LEASE.as_secs_f64())
    .bind(calls.iter().map(|it| it.id).collect::<Vec<_>>())
    .bind(calls.iter().map(|it| it.key.as_str()).collect::<Vec<_>>())
    .bind(calls.iter().map(|it| it.request.as_str()).collect::<Vec<_>>())
    .bind(calls.iter().map(|it| it.correlation_id).collect::<Vec<_>>())
    .bind(calls.iter().map(|it| it.traceparent.as_deref()).collect::<Vec<_>>());
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
