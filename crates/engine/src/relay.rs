//! The relay: moves the outbox to the log, in order, one active per database.

use std::{
    borrow::Cow,
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bus::{Bus, CloudEvent, Delivery, DeliveryError, Producer, Record, Trace, topics};
use opentelemetry::KeyValue;
use sqlx::{
    AssertSqlSafe, PgConnection, Row,
    postgres::{PgConnectOptions, PgRow},
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{
    database::{Link, backoff},
    dead_letter,
    health::{Health, Part},
    metrics::Metrics,
    mutant::{Mutant, Mutation},
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
    /// Rows deleted since the outbox was last vacuumed.
    pub(crate) deleted: AtomicU64,
}

/// "Waybill" and a number: the key of the session advisory lock.
const LOCK: i64 = 0x5741_5942_494c_4c01;
const STAND_BY: Duration = Duration::from_millis(250);
/// Rows read at once. Two batches are under way: one is read while the other is being acknowledged.
const BATCH: usize = 1_000;
const UNDER_WAY: usize = 2;
/// After so many batches the relay waits for what is under way and begins again at the lowest id: a row
/// with a lower id than those read ahead may have been committed meanwhile.
const BATCHES_AHEAD: u32 = 32;
const SHORTEST_POLL: Duration = Duration::from_millis(5);
const LONGEST_POLL: Duration = Duration::from_millis(100);
/// The outbox turns over many times a minute, for which autovacuum is too slow.
const VACUUM_EVERY: Duration = Duration::from_secs(1);
const VACUUM_FROM: u64 = 1_000;
/// A key whose event the broker refuses is tried again after this time; the other keys go on.
const REFUSED_FOR: Duration = Duration::from_secs(30);
/// At shutdown, for how long acknowledgements are still awaited.
const LAST_ACKS: Duration = Duration::from_secs(3);

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
}

struct Batch {
    ids: Vec<i64>,
    /// How many of each type.
    types: HashMap<String, u64>,
    /// The aggregate of the first row.
    first: (String, String),
    /// How many rows were to go: the one that was refused at once is not among those taken.
    offered: usize,
    delivery: Delivery,
}

impl Relay {
    /// Stands by and publishes until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), bus::Error> {
        // A lost delete is a duplicate on the topic, which is allowed: it need not wait for the disk.
        let mut link = Link::new(self.options.clone().options([("synchronous_commit", "off")]));
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
        let locked: bool = sqlx::query_scalar("select pg_try_advisory_lock($1)")
            .bind(LOCK)
            .fetch_one(&mut *connection)
            .await?;
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
            never = self.keep_vacuumed() => match never {},
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
        loop {
            if more && under_way.len() < UNDER_WAY && ahead < BATCHES_AHEAD && !shutdown.is_cancelled() {
                let floor = match under_way.back() {
                    Some(batch) => Batch::last_id(batch),
                    None if self.mutation.is(Mutant::LastSeenRelay) => last_seen,
                    None => 0,
                };
                match self.hand_over(connection, producer, caution, floor).await {
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

    /// Reads rows above `floor` and gives them to the producer, in order. Whether there may be more is told
    /// by a full page.
    async fn hand_over(
        &self,
        connection: &mut PgConnection,
        producer: &Producer,
        caution: &mut Caution,
        floor: i64,
    ) -> sqlx::Result<(Option<Batch>, bool)> {
        caution.refused.retain(|_, until| *until > Instant::now());
        let limit = if caution.one_by_one > 0 { 1 } else { BATCH };
        let (types, ids): (Vec<&str>, Vec<&str>) =
            caution.refused.keys().map(|(kind, id)| (kind.as_str(), id.as_str())).unzip();
        let rows = sqlx::query(
            "select outbox_id, event_id, aggregate_type, aggregate_id, type, sequence, occurred_at, correlation_id,
                 causation_id, actor, traceparent, tracestate, baggage, headers, payload
             from engine.outbox
             where outbox_id > $1
               and (cardinality($2::text[]) = 0
                    or (aggregate_type, aggregate_id) not in (select * from unnest($2::text[], $3::text[])))
             order by outbox_id limit $4",
        )
        .bind(floor)
        .bind(types)
        .bind(ids)
        .bind(limit as i64)
        .fetch_all(&mut *connection)
        .await?;
        let Some(first) = rows.first() else { return Ok((None, false)) };
        let first = (first.try_get("aggregate_type")?, first.try_get("aggregate_id")?);
        let records = rows.iter().map(|row| self.record(row)).collect::<sqlx::Result<Vec<_>>>()?;
        let delivery = producer.enqueue(records);
        let (ids, offered) = (Vec::with_capacity(rows.len()), rows.len());
        let mut batch = Batch { ids, types: HashMap::new(), first, offered, delivery };
        for row in &rows[..batch.delivery.taken] {
            batch.ids.push(row.try_get("outbox_id")?);
            let name: &str = row.try_get("type")?;
            match batch.types.get_mut(name) {
                Some(count) => *count += 1,
                None => drop(batch.types.insert(name.to_owned(), 1)),
            }
        }
        // A producer that is full takes the rest when there is room, that is, after this batch.
        let full = rows.len() == limit && batch.delivery.taken == rows.len() && limit > 1;
        Ok((Some(batch), full))
    }

    fn record<'r>(&self, row: &'r PgRow) -> sqlx::Result<Record<'r>> {
        let text = |name: &str| row.try_get::<Option<&'r str>, _>(name).map(|it| it.map(Cow::Borrowed));
        let topic = topics::name(&self.prefix, row.try_get("aggregate_type")?);
        let payload: Option<&'r [u8]> = row.try_get("payload")?;
        if let Some(headers) = row.try_get::<Option<&str>, _>("headers")? {
            let mirrored = dead_letter::mirrored_record(topic.into(), headers, payload.map(Cow::Borrowed));
            return mirrored.map_err(|error| sqlx::Error::Decode(error.into()));
        }
        let key: &'r str = row.try_get("aggregate_id")?;
        let event = CloudEvent {
            id: row.try_get("event_id")?,
            source: format!("/waybill/{}", self.service).into(),
            r#type: Cow::Borrowed(row.try_get::<&'r str, _>("type")?),
            subject: Some(Cow::Borrowed(key)),
            time: row.try_get("occurred_at")?,
            sequence: row.try_get("sequence")?,
            correlation_id: row.try_get("correlation_id")?,
            causation_id: row.try_get("causation_id")?,
            actor: text("actor")?,
            trace: Trace {
                parent: text("traceparent")?,
                state: text("tracestate")?,
                baggage: text("baggage")?,
            },
            data: Cow::Borrowed(payload.unwrap_or_default()),
        };
        Ok(event.into_record(topic.into(), Cow::Borrowed(key)))
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
        caution.one_by_one = caution.one_by_one.saturating_sub(count);
        sqlx::query("delete from engine.outbox where outbox_id = any($1)")
            .bind(&batch.ids)
            .execute(connection)
            .await?;
        caution.progressed = true;
        self.deleted.fetch_add(count as u64, Ordering::Relaxed);
        self.health.progress(Part::Relay);
        for (name, count) in batch.types {
            self.metrics.published.add(count, &[self.metrics.service.clone(), KeyValue::new("type", name)]);
        }
        Ok(())
    }

    async fn keep_vacuumed(&self) -> std::convert::Infallible {
        let mut link = Link::new(self.options.clone());
        loop {
            tokio::time::sleep(VACUUM_EVERY).await;
            if self.deleted.load(Ordering::Relaxed) < VACUUM_FROM {
                continue;
            }
            self.deleted.store(0, Ordering::Relaxed);
            let Ok(connection) = link.get().await else { continue };
            let vacuum = AssertSqlSafe("vacuum (truncate off) engine.outbox");
            if let Err(error) = sqlx::raw_sql(vacuum).execute(connection).await {
                tracing::debug!(%error, "the outbox was not vacuumed");
                link.drop_connection();
            }
        }
    }
}

impl Batch {
    fn last_id(&self) -> i64 {
        self.ids.last().copied().unwrap_or(0)
    }
}
