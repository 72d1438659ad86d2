//! The relay: moves the outbox to the log, in order, one active per database.

mod page;

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use bus::{
    Bus, DeliveryError, Producer,
    crash::{self, Crash},
};
use opentelemetry::KeyValue;
use sqlx::{PgConnection, postgres::PgConnectOptions};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use self::page::{Batch, Pages};
use crate::{
    database::{ANSWER, Link, answered, backoff},
    health::{Health, Part},
    metrics::Metrics,
    mutant::{Mutant, Mutation},
    vacuum,
};

/// Publishes what the transactions of one database have put into `engine.outbox`.
///
/// Of all relays on a database the one that holds the session advisory lock is active. It reads and deletes
/// on the very connection that holds the lock, so that one which has lost the lock without noticing can do
/// neither. Rows are deleted once the log has acknowledged them: after a crash or a failover they may be
/// published again under the same event id, and never out of order. (The first occurrences of an
/// aggregate's events are in order, because whoever takes over begins at the first row not deleted.)
pub struct Relay {
    pub(crate) service: &'static str,
    pub(crate) bus: Bus,
    pub(crate) prefix: String,
    pub(crate) options: PgConnectOptions,
    pub(crate) wake: Arc<Notify>,
    pub(crate) metrics: Metrics,
    pub(crate) health: Health,
    pub(crate) mutation: Mutation,
}

/// "Waybill" and a number: the key of the session advisory lock.
const LOCK: i64 = 0x5741_5942_494c_4c01;
const STAND_BY: Duration = Duration::from_millis(250);
/// Two batches are under way: one is read while the other is being acknowledged.
const UNDER_WAY: usize = 2;
/// After so many batches the relay waits for what is under way and begins again at the lowest id: a row
/// with a lower id than those read ahead may have been committed meanwhile.
const BATCHES_AHEAD: u32 = 32;
const SHORTEST_POLL: Duration = Duration::from_millis(5);
const LONGEST_POLL: Duration = Duration::from_millis(100);
/// A key whose event the broker refuses is tried again after this time; the other keys go on.
const REFUSED_FOR: Duration = Duration::from_secs(30);
/// At shutdown, for how long acknowledgements are still awaited.
const LAST_ACKS: Duration = Duration::from_secs(3);
/// How long a page may take to be read, or to be deleted.
const PAGE: Duration = Duration::from_secs(15);
const ATTEND_EVERY: Duration = Duration::from_secs(3);

/// Why a term as the active relay has ended.
enum Ended {
    Stopped,
    Database(sqlx::Error),
    Delivery(DeliveryError, usize),
}

impl From<sqlx::Error> for Ended {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

/// Keys that are held back, and how careful the relay has to be after a failed delivery.
#[derive(Default)]
struct Caution {
    /// So many rows are sent one at a time, to find the one that was refused.
    one_by_one: usize,
    refused: HashMap<(String, String), Instant>,
    /// Something was published since the last failure: the next pause is a short one again.
    progressed: bool,
    pages: Pages,
}

impl Relay {
    /// Stands by and publishes until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), bus::Error> {
        // A lost delete is a duplicate on the topic, which is allowed: it need not wait for the disk.
        // A relay that has vanished without a word gives up its lock, as a living one is never idle for long.
        let options = [("synchronous_commit", "off"), ("idle_session_timeout", "15s")];
        let mut link = Link::new(self.options.clone().options(options));
        let mut caution = Caution::default();
        let mut pauses = backoff();
        while !shutdown.is_cancelled() {
            let ended = match self.term(&mut link, &mut caution, &shutdown).await {
                Ok(()) => {
                    self.pause(STAND_BY, &shutdown).await;
                    continue;
                }
                Err(ended) => ended,
            };
            self.metrics.relay_leads.record(0, std::slice::from_ref(&self.metrics.service));
            // Whatever the reason: the lock goes with the connection, and the next term begins at the
            // first row that is there.
            link.drop_connection();
            match ended {
                Ended::Stopped => break,
                Ended::Database(error) => tracing::warn!(%error, "the relay waits for the database"),
                Ended::Delivery(error, rows) => {
                    tracing::warn!(%error, "the relay begins again at the first row not acknowledged");
                    caution.one_by_one = if error.refused { rows } else { 0 };
                }
            }
            if std::mem::take(&mut caution.progressed) {
                pauses = backoff();
            }
            self.pause(pauses.next().unwrap_or(STAND_BY), &shutdown).await;
        }
        Ok(())
    }

    async fn pause(&self, pause: Duration, shutdown: &CancellationToken) {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }

    /// One term as the active relay; `Ok` when another one is active.
    async fn term(
        &self,
        link: &mut Link,
        caution: &mut Caution,
        shutdown: &CancellationToken,
    ) -> Result<(), Ended> {
        let connection = link.get().await?;
        let locked = self.mutation.is(Mutant::SkipLockedPool) || answered(ANSWER, lock(connection)).await?;
        self.health.progress(Part::Relay);
        if !locked {
            return Ok(());
        }
        self.metrics.relay_leads.record(1, std::slice::from_ref(&self.metrics.service));
        let failed = |error: bus::Error| DeliveryError { reason: error.to_string(), refused: false };
        let producer = self.bus.producer().map_err(|error| Ended::Delivery(failed(error), 0))?;
        tracing::info!("the relay is active");
        let ended = tokio::select! {
            ended = self.publish(connection, &producer, caution, shutdown) => ended,
            never = vacuum::keep(&self.options) => match never {},
        };
        // Dropping a client waits for its threads.
        let _ = tokio::task::spawn_blocking(move || drop(producer)).await;
        Err(ended)
    }

    async fn publish(
        &self,
        connection: &mut PgConnection,
        producer: &Producer,
        caution: &mut Caution,
        shutdown: &CancellationToken,
    ) -> Ended {
        let mut under_way = VecDeque::new();
        let mut ahead = 0;
        let mut last_seen = 0;
        let mut poll = SHORTEST_POLL;
        let mut more = true;
        // The transaction that holds a page's rows ends with the page.
        let at_once = if self.mutation.is(Mutant::SkipLockedPool) { 1 } else { UNDER_WAY };
        loop {
            if more && under_way.len() < at_once && ahead < BATCHES_AHEAD && !shutdown.is_cancelled() {
                let floor = match under_way.back() {
                    Some(batch) => Batch::last_id(batch),
                    None if self.mutation.is(Mutant::LastSeenRelay) => last_seen,
                    None => 0,
                };
                match answered(PAGE, self.hand_over(connection, producer, caution, floor)).await {
                    Ok((batch, full)) => {
                        more = full;
                        ahead += 1;
                        under_way.extend(batch);
                        last_seen = under_way.back().map_or(last_seen, Batch::last_id);
                    }
                    Err(error) => return Ended::Database(error),
                }
                if more {
                    continue;
                }
            }
            if let Some(batch) = under_way.pop_front() {
                match self.complete(connection, batch, caution, shutdown).await {
                    Ok(()) => poll = SHORTEST_POLL,
                    Err(ended) => return ended,
                }
                if under_way.is_empty() {
                    (ahead, more) = (0, true);
                }
                continue;
            }
            (ahead, more) = (0, true);
            self.health.progress(Part::Relay);
            tokio::select! {
                () = shutdown.cancelled() => return Ended::Stopped,
                () = self.wake.notified() => poll = SHORTEST_POLL,
                () = tokio::time::sleep(poll) => poll = (poll * 2).min(LONGEST_POLL),
            }
        }
    }

    /// Waits for the acknowledgement of a batch and deletes it.
    async fn complete(
        &self,
        connection: &mut PgConnection,
        batch: Batch,
        caution: &mut Caution,
        shutdown: &CancellationToken,
    ) -> Result<(), Ended> {
        let count = batch.ids.len();
        let stopped = async {
            shutdown.cancelled().await;
            tokio::time::sleep(LAST_ACKS).await;
        };
        let acknowledged = tokio::select! {
            acknowledged = batch.delivery.acknowledged() => acknowledged,
            () = stopped => return Err(Ended::Stopped),
            silent = attend(connection) => return Err(silent.into()),
        };
        if let Err(error) = acknowledged {
            if error.refused && batch.offered == 1 {
                let (kind, id) = &batch.first;
                tracing::error!(%error, topic = kind, key = id, "the broker refuses an event: its key is held back");
                caution.refused.insert(batch.first, Instant::now() + REFUSED_FOR);
                caution.one_by_one = caution.one_by_one.saturating_sub(1);
                return Err(Ended::Delivery(DeliveryError { refused: false, ..error }, 0));
            }
            return Err(Ended::Delivery(error, batch.offered));
        }
        crash::point(Crash::AfterAck);
        caution.one_by_one = caution.one_by_one.saturating_sub(count);
        let delete = sqlx::query("delete from engine.outbox where outbox_id = any($1)")
            .bind(&batch.ids)
            .execute(&mut *connection);
        answered(PAGE, delete).await?;
        self.end_turn(connection).await?;
        caution.progressed = true;
        self.health.progress(Part::Relay);
        for (name, count) in batch.types {
            self.metrics.published.add(count, &[self.metrics.service.clone(), KeyValue::new("type", name)]);
        }
        Ok(())
    }
}

/// Keeps the session from being idle while the log is waited for; returns only when it is lost.
async fn attend(connection: &mut PgConnection) -> sqlx::Error {
    loop {
        tokio::time::sleep(ATTEND_EVERY).await;
        if let Err(error) = answered(ANSWER, sqlx::query("select 1").execute(&mut *connection)).await {
            return error;
        }
    }
}

async fn lock(connection: &mut PgConnection) -> sqlx::Result<bool> {
    sqlx::query_scalar("select pg_try_advisory_lock($1)").bind(LOCK).fetch_one(connection).await
}
