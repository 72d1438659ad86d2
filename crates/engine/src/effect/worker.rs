//! Makes the calls: what was just decided and what is found in the table, side by side.

use std::{sync::Arc, time::Duration};

use bus::crash::{self, Crash};
use opentelemetry::KeyValue;
use recloser::Error as Broken;
use sqlx::{PgPool, Row, postgres::PgRow};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    Call, LEASE, Outside, Unanswered,
    desk::{Desk, Done, Outcome},
};
use crate::{
    command::Commands,
    database::{ANSWER, answered},
    decider::{Cause, Decider},
    metrics::Metrics,
    trace,
};

/// A call that has waited here for longer is left to whoever finds it once its lease is over: made so late, it
/// would be under way when it is found.
const FRESH_FOR: Duration = Duration::from_secs(20);

/// The worker of one process.
pub(crate) struct Worker<D: Decider, O> {
    pub(crate) outside: Arc<O>,
    pub(crate) pool: PgPool,
    pub(crate) commands: Commands<D>,
    pub(crate) metrics: Metrics,
    /// Calls of transactions that this process has just committed.
    pub(crate) fresh: mpsc::Receiver<Call>,
}

impl<D: Decider, O: Outside<Input = D::Input>> Worker<D, O> {
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        let mut desk = Desk::new();
        loop {
            self.begin(&mut desk);
            self.tell_gate(&mut desk);
            let (room, wake_at) = (desk.room() > 0, desk.wake_at());
            tokio::select! {
                () = shutdown.cancelled() => break,
                Some(call) = self.fresh.recv(), if room => self.start(&mut desk, call),
                Some(done) = desk.under_way.join_next() => {
                    // A call that panicked is found again when its lease is over.
                    if let Ok(done) = done {
                        desk.note(done);
                    }
                }
                () = sleep_until(wake_at) => {
                    desk.set_ajar();
                    self.postpone(&mut desk.again).await;
                    self.search(&mut desk).await;
                }
            }
        }
        self.give_back(desk).await;
    }

    fn tell_gate(&self, desk: &mut Desk) {
        if let Some(open) = desk.news() {
            self.metrics.breaker_open.record(u64::from(!open), std::slice::from_ref(&self.metrics.service));
        }
    }

    /// Begins calls while there is room, in turns: neither those just decided nor those found keep the others
    /// waiting.
    fn begin(&mut self, desk: &mut Desk) {
        while desk.room() > 0 {
            let fresh = if desk.fresh_next { self.fresh.try_recv().ok() } else { None };
            desk.fresh_next = !desk.fresh_next;
            let next = fresh.or_else(|| desk.found.pop_front()).or_else(|| self.fresh.try_recv().ok());
            let Some(call) = next else { return };
            self.start(desk, call);
        }
    }

    fn start(&self, desk: &mut Desk, call: Call) {
        if call.taken.elapsed() > FRESH_FOR {
            return;
        }
        desk.ids.insert(call.id);
        let (outside, commands) = (self.outside.clone(), self.commands.clone());
        let (breaker, metrics) = (desk.breaker.clone(), self.metrics.clone());
        desk.under_way.spawn(async move {
            let answer =
                breaker.call_with(Unanswered::is_down, outside.perform(call.id, &call.request)).await;
            let named = match &answer {
                Ok(_) => "answered",
                Err(Broken::Inner(_)) => "unanswered",
                Err(Broken::Rejected) => "breaker-open",
            };
            metrics.effects.add(1, &[metrics.service.clone(), KeyValue::new("outcome", named)]);
            if answer.is_ok() {
                crash::point(Crash::AfterAnswer);
            }
            let (error, down) = match answer {
                Ok(input) => match commands.submit_answer(call.id, input, cause::<D>(&call)).await {
                    Ok(()) => return Done { id: call.id, outcome: Outcome::Answered },
                    Err(error) => (error, false),
                },
                Err(Broken::Inner(error)) => (error.to_string(), error.is_down()),
                Err(Broken::Rejected) => return Done { id: call.id, outcome: Outcome::Spared },
            };
            tell(&call, &error);
            Done { id: call.id, outcome: Outcome::Again { error, down } }
        });
    }

    /// Leases calls that are due. Their order does not matter, so that what another has locked is left out.
    async fn search(&self, desk: &mut Desk) {
        let limit = desk.begin_search();
        if limit == 0 {
            return;
        }
        let searched = sqlx::query(
            "update engine.effect set due_at = clock_timestamp() + make_interval(secs => $1)
             where effect_id in (select effect_id from engine.effect where due_at <= statement_timestamp()
                 order by due_at limit $2 for update skip locked)
             returning effect_id, key, request, attempt, correlation_id, traceparent",
        )
        .bind(LEASE.as_secs_f64())
        .bind(limit as i64)
        .fetch_all(&self.pool);
        match answered(ANSWER, searched)
            .await
            .and_then(|rows| rows.iter().map(call).collect::<sqlx::Result<Vec<_>>>())
        {
            Ok(calls) => {
                desk.more = calls.len() == limit;
                desk.found.extend(calls);
            }
            Err(error) => tracing::debug!(%error, "effects cannot be searched"),
        }
    }

    /// Puts calls back: those that were made with a pause that doubles from half a second to 30 s, by the
    /// attempt; those that were not, for a second or two. With jitter, so that they do not come back together.
    async fn postpone(&self, again: &mut Vec<Done>) {
        if again.is_empty() {
            return;
        }
        let error = |it: &Done| match &it.outcome {
            Outcome::Again { error, .. } => error.replace('\0', "\u{fffd}"),
            _ => "not called: the circuit breaker is open".to_owned(),
        };
        let made = |it: &Done| matches!(it.outcome, Outcome::Again { .. });
        let written = sqlx::query(
            "update engine.effect e
             set error = it.error, attempt = e.attempt + it.made::int,
                 due_at = clock_timestamp() + make_interval(secs => case when it.made
                     then least(30, 0.5 * 2 ^ least(e.attempt, 8)) * (0.75 + random() / 2) else 1 + random() end)
             from unnest($1::uuid[], $2::bool[], $3::text[]) it (id, made, error) where e.effect_id = it.id",
        )
        .bind(again.iter().map(|it| it.id).collect::<Vec<_>>())
        .bind(again.iter().map(made).collect::<Vec<_>>())
        .bind(again.iter().map(error).collect::<Vec<_>>())
        .execute(&self.pool);
        match answered(ANSWER, written).await {
            Ok(_) => again.clear(),
            // When their lease is over they are found without it.
            Err(error) => tracing::debug!(%error, "effects cannot be postponed"),
        }
    }

    /// At the end: what was leased and has no answer is due now, so that nobody waits for the leases to run out.
    /// Calls under way are given up; they are made again under their key.
    async fn give_back(&mut self, mut desk: Desk) {
        desk.under_way.shutdown().await;
        self.postpone(&mut desk.again).await;
        self.fresh.close();
        let mut ids: Vec<Uuid> = desk.ids.into_iter().chain(desk.found.iter().map(|it| it.id)).collect();
        while let Ok(call) = self.fresh.try_recv() {
            ids.push(call.id);
        }
        let given = sqlx::query(
            "update engine.effect set due_at = clock_timestamp() where effect_id = any($1)
                 and due_at > clock_timestamp()",
        );
        if let Err(error) = answered(ANSWER, given.bind(&ids).execute(&self.pool)).await {
            tracing::debug!(%error, "effects are found when their leases are over");
        }
    }
}

/// An effect is never given up; that one fails again and again is for people to see.
fn tell(call: &Call, error: &str) {
    let n = call.attempt;
    if n == 5 || (n > 5 && n.count_ones() == 1) {
        tracing::warn!(effect.id = %call.id, aggregate = call.key, attempt = n, error, "a call is not answered");
    } else {
        tracing::debug!(effect.id = %call.id, aggregate = call.key, attempt = n, error, "asked again later");
    }
}

fn call(row: &PgRow) -> sqlx::Result<Call> {
    let failed: i32 = row.try_get("attempt")?;
    Ok(Call {
        id: row.try_get("effect_id")?,
        key: row.try_get("key")?,
        request: row.try_get("request")?,
        attempt: failed.saturating_add(1),
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
