//! The relay: moves the outbox to the log, in order, one active per database.

mod page;

use std::{
    collections::{HashMap, VecDeque},
    future::pending,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use bus::{
    Bus, DeliveryError, Producer,
    crash::{self, Crash},
};
use futures::FutureExt;
use opentelemetry::KeyValue;
use sqlx::{PgConnection, postgres::PgConnectOptions};
use tokio::{sync::Notify, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use self::page::{Batch, Pages, Sweep};
use crate::{
    database::{ANSWER, Link, answered, backoff},
    gather::gather,
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
/// Batches that may be under way: what is committed while one is being acknowledged need not wait for that.
const UNDER_WAY: usize = 4;
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
        answered(PAGE, own(connection)).await?;
        self.metrics.relay_leads.record(1, std::slice::from_ref(&self.metrics.service));
        let failed = |error: bus::Error| DeliveryError { reason: error.to_string(), refused: false };
        let producer = self.bus.producer().map_err(|error| Ended::Delivery(failed(error), 0))?;
        tracing::info!("the relay is active");
        let ended = tokio::select! {
            ended = self.publish(connection, &producer, caution, shutdown) => ended,
            never = vacuum::keep(&self.options) => match never {},
        };
        // To abandon what is in flight waits for the client's threads.
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
        let mut sweep = Sweep::default();
        let mut poll = SHORTEST_POLL;
        let mut took = Duration::ZERO;
        let stopped = async {
            shutdown.cancelled().await;
            tokio::time::sleep(LAST_ACKS).await;
        };
        let mut stopped = pin!(stopped);
        let mut attend = tokio::time::interval(ATTEND_EVERY);
        // Those that were missed while nothing was under way are not made up for.
        attend.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if under_way.len() < self.at_once(caution) && !shutdown.is_cancelled() {
                if sweep.is_hungry(caution) {
                    let begun = Instant::now();
                    if let Err(error) = self.read(connection, caution, &mut sweep, &under_way).await {
                        return Ended::Database(error);
                    }
                    took = begun.elapsed();
                }
                match self.hand_over(producer, caution, &mut sweep, &under_way) {
                    Ok(None) => {}
                    Ok(Some(batch)) => {
                        under_way.push_back(batch);
                        continue;
                    }
                    Err(error) => return Ended::Database(error),
                }
            }
            if let Err(error) = self.delete(connection, &mut sweep).await {
                return Ended::Database(error);
            }
            tokio::select! {
                acknowledged = first(&mut under_way) => {
                    let settled = self.settle(acknowledged, connection, caution, &mut sweep, &mut under_way);
                    if let Err(ended) = settled.await {
                        return ended;
                    }
                    poll = SHORTEST_POLL;
                }
                () = self.wake.notified() => {
                    poll = SHORTEST_POLL;
                    // Transactions commit faster than the log acknowledges. Where it has all that it may, it is waited for.
                    if (1..self.at_once(caution)).contains(&under_way.len()) {
                        let long = gather(took);
                        let rested = self.rest(long, connection, producer, caution, &mut sweep, &mut under_way);
                        if let Err(ended) = rested.await {
                            return ended;
                        }
                    }
                }
                () = tokio::time::sleep(poll), if under_way.is_empty() => {
                    self.health.progress(Part::Relay);
                    poll = (poll * 2).min(LONGEST_POLL);
                }
                // The session must not be idle for long, and one that is lost is to be noticed.
                _ = attend.tick(), if !under_way.is_empty() => {
                    let attended = sqlx::query("select 1").execute(&mut *connection);
                    if let Err(error) = answered(ANSWER, attended).await {
                        return Ended::Database(error);
                    }
                    continue;
                }
                () = shutdown.cancelled(), if under_way.is_empty() => return Ended::Stopped,
                () = &mut stopped => return Ended::Stopped,
            }
            sweep.read_on(self.mutation);
        }
    }

    /// How many batches may be under way.
    fn at_once(&self, caution: &Caution) -> usize {
        // The transaction that holds a page's rows ends with the page.
        let one = caution.one_by_one > 0 || self.mutation.is(Mutant::SkipLockedPool);
        if one { 1 } else { UNDER_WAY }
    }

    /// Lets transactions commit for the next page, while the log is at work on those before it.
    async fn rest(
        &self,
        long: Duration,
        connection: &mut PgConnection,
        producer: &Producer,
        caution: &mut Caution,
        sweep: &mut Sweep,
        under_way: &mut VecDeque<Batch>,
    ) -> Result<(), Ended> {
        let ripe = tokio::time::Instant::now() + long;
        while !under_way.is_empty()
            && let Ok(acknowledged) = tokio::time::timeout_at(ripe, first(under_way)).await
        {
            self.settle(acknowledged, connection, caution, sweep, under_way).await?;
            // The next rows of its keys, if they are in hand, wait for nothing else.
            under_way.extend(self.hand_over(producer, caution, sweep, under_way)?);
        }
        Ok(())
    }

    /// Takes note of the batch that was handed over first, or ends the term with all that is known of the others.
    async fn settle(
        &self,
        acknowledged: (Result<(), DeliveryError>, Batch),
        connection: &mut PgConnection,
        caution: &mut Caution,
        sweep: &mut Sweep,
        under_way: &mut VecDeque<Batch>,
    ) -> Result<(), Ended> {
        let completed = self.complete(acknowledged, caution, sweep);
        if completed.is_err() {
            // What is acknowledged behind it need not be searched for what was refused.
            for mut batch in under_way.drain(..) {
                if let Some(Ok(())) = batch.delivery.acknowledged().now_or_never() {
                    sweep.acknowledged.extend(batch.ids);
                }
            }
            let _ = self.delete(connection, sweep).await;
        }
        completed
    }

    /// Takes note of a batch that the log has acknowledged, or not.
    fn complete(
        &self,
        (acknowledged, batch): (Result<(), DeliveryError>, Batch),
        caution: &mut Caution,
        sweep: &mut Sweep,
    ) -> Result<(), Ended> {
        if let Err(error) = acknowledged {
            if error.refused && batch.offered == 1 {
                let (kind, id) = &batch.first;
                tracing::error!(%error, topic = kind, key = id, "the broker refuses an event: its key is held back");
                caution.refused.insert(batch.first, Instant::now() + REFUSED_FOR);
                // There may be others like it among those that are sent one at a time.
                return Err(Ended::Delivery(error, caution.one_by_one.saturating_sub(1)));
            }
            return Err(Ended::Delivery(error, batch.span));
        }
        crash::point(Crash::AfterAck);
        caution.one_by_one = caution.one_by_one.saturating_sub(batch.ids.len());
        caution.progressed = true;
        self.health.progress(Part::Relay);
        for (name, count) in batch.types {
            self.metrics.published.add(count, &[self.metrics.service.clone(), KeyValue::new("type", name)]);
        }
        sweep.acknowledged.extend(batch.ids);
        Ok(())
    }
}

/// The batch that was handed over first, once its fate is known; never, where there is none.
async fn first(under_way: &mut VecDeque<Batch>) -> (Result<(), DeliveryError>, Batch) {
    let Some(batch) = under_way.front_mut() else { return pending().await };
    let acknowledged = batch.delivery.acknowledged().await;
    match under_way.pop_front() {
        Some(batch) => (acknowledged, batch),
        None => pending().await,
    }
}

/// Rows that were brought from another server (a dump that was restored) are of its transactions, which say nothing here;
/// those that seem to come yet would be overtaken by later rows of their keys. They become this transaction's.
async fn own(connection: &mut PgConnection) -> sqlx::Result<()> {
    let update =
        "update engine.outbox set xact = default where xact >= pg_snapshot_xmax(pg_current_snapshot())";
    sqlx::query(update).execute(connection).await.map(|_| ())
}

async fn lock(connection: &mut PgConnection) -> sqlx::Result<bool> {
    sqlx::query_scalar("select pg_try_advisory_lock($1)").bind(LOCK).fetch_one(connection).await
}
