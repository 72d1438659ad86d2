//! Puts the parts of an engine together and names its tasks.

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use bus::{Bus, topics};
use events::Aggregate;
use futures::future::BoxFuture;
use opentelemetry::KeyValue;
use sqlx::{PgPool, Row, postgres::PgConnectOptions};
use time::OffsetDateTime;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use crate::{
    command::{self, Commands, Submission},
    consumer,
    database::wait_for,
    deadline,
    decider::Decider,
    effect::{self, Call, Outside},
    health::{Health, Part},
    inbox,
    metrics::Metrics,
    mutant::Mutation,
    redrive::{AutoRedrive, DeadLetters, Redrive, Request},
    relay::Relay,
    unit::Unit,
};

/// What an engine needs to know.
#[derive(Clone)]
pub struct Settings {
    /// From [`connect_options`](crate::connect_options); consumers, commands and relay open a connection
    /// each.
    pub options: PgConnectOptions,
    /// For reading, and for what is not in a hurry.
    pub pool: PgPool,
    pub bus: Bus,
    pub topic_prefix: String,
    /// The topics that the service reads.
    pub reads: &'static [Aggregate],
    /// Consumers in this process, one connection each.
    pub workers: usize,
    /// The most inputs of one transaction.
    pub batch_size: usize,
    /// A name of this process that stays the same over restarts and that no other has.
    pub instance_id: Option<String>,
    /// Whether spans are recorded.
    pub traced: bool,
    /// Whether dead letters are tried again by themselves; otherwise an operator says when.
    pub auto_redrive: Option<AutoRedrive>,
}

/// One of an engine's tasks, to be supervised: if one ends before shutdown, the service is to end.
pub struct Task {
    pub name: &'static str,
    pub future: BoxFuture<'static, Result<(), bus::Error>>,
}

/// A service's engine: where its commands go, how it fares, and the tasks that it consists of.
pub struct Engine<D: Decider, O> {
    settings: Settings,
    unit: Arc<Unit<D>>,
    outside: Arc<O>,
    commands: Commands<D>,
    submissions: mpsc::Receiver<Submission<D>>,
    calls: mpsc::Receiver<Call>,
    dead_letters: DeadLetters,
    redrives: mpsc::Receiver<Request>,
}

/// Commands that may wait; more are refused at once.
const COMMANDS: usize = 2_048;
/// Calls that are handed to this process's own worker; more are found in the table.
const CALLS: usize = 4_096;
/// Redrives that wait for the one under way.
const REDRIVES: usize = 16;
const PROBE_EVERY: Duration = Duration::from_secs(2);
const GAUGES_EVERY: Duration = Duration::from_secs(5);
const PARTITIONS_EVERY: Duration = Duration::from_secs(3_600);

impl<D: Decider, O: Outside<Input = D::Input>> Engine<D, O> {
    /// Nothing runs until the [`tasks`](Self::tasks) are spawned. The schema is to be
    /// [migrated](crate::migrate) before.
    pub fn new(decider: D, outside: O, settings: Settings) -> Self {
        let (commands, submissions) = Commands::new(COMMANDS);
        let (call_sender, calls) = mpsc::channel(CALLS);
        let unit = Unit {
            decider,
            metrics: Metrics::new(D::SERVICE),
            health: Health::new(settings.workers),
            traced: settings.traced,
            mutation: Mutation::default(),
            relay: Arc::new(Notify::new()),
            deadlines: Arc::new(Notify::new()),
            calls: call_sender,
        };
        let (requests, redrives) = mpsc::channel(REDRIVES);
        let dead_letters = DeadLetters { consumer: D::SERVICE, pool: settings.pool.clone(), requests };
        let (unit, outside) = (Arc::new(unit), Arc::new(outside));
        Self { settings, unit, outside, commands, submissions, calls, dead_letters, redrives }
    }

    /// Takes a defence out, for a test that is to see it missing.
    #[cfg(feature = "mutants")]
    #[must_use]
    pub fn with_mutant(mut self, mutant: crate::Mutant) -> Self {
        let unit = Arc::get_mut(&mut self.unit).expect("an engine that has not begun");
        unit.mutation = Mutation { mutant: Some(mutant) };
        self
    }

    pub fn commands(&self) -> Commands<D> {
        self.commands.clone()
    }

    pub fn dead_letters(&self) -> DeadLetters {
        self.dead_letters.clone()
    }

    pub fn health(&self) -> Health {
        self.unit.health.clone()
    }

    /// The engine's tasks; each ends after `shutdown`.
    pub fn tasks(self, shutdown: CancellationToken) -> Vec<Task> {
        let mut tasks = Vec::new();
        let mut task = |name: &'static str, future| tasks.push(Task { name, future });
        for index in 0..self.settings.workers {
            task("consumer", Box::pin(self.consume(index, shutdown.clone())) as BoxFuture<_>);
        }
        task("relay", Box::pin(self.relay(shutdown.clone())));
        task("probe", Box::pin(self.probe(shutdown.clone())));
        task("housekeeping", Box::pin(self.keep_house(shutdown.clone())));
        let Self { settings, unit, outside, commands, submissions, calls, redrives, .. } = self;
        let redrive = Redrive {
            unit: unit.clone(),
            options: settings.options.clone(),
            batch_size: settings.batch_size,
            auto: settings.auto_redrive,
            requests: redrives,
        };
        let redriving = redrive.run(shutdown.clone());
        task(
            "redrive",
            Box::pin(async move {
                redriving.await;
                Ok(())
            }),
        );
        let due = deadline::watch(unit.clone(), settings.pool.clone(), commands.clone(), shutdown.clone());
        task(
            "deadlines",
            Box::pin(async move {
                due.await;
                Ok(())
            }),
        );
        let metrics = unit.metrics.clone();
        let worker = effect::Worker { outside, pool: settings.pool, commands, metrics, fresh: calls };
        let performing = worker.run(shutdown.clone());
        task(
            "effects",
            Box::pin(async move {
                performing.await;
                Ok(())
            }),
        );
        let carrying_out = command::run(submissions, unit, settings.options, settings.batch_size, shutdown);
        task(
            "commands",
            Box::pin(async move {
                carrying_out.await;
                Ok(())
            }),
        );
        tasks
    }

    fn consume(
        &self,
        index: usize,
        shutdown: CancellationToken,
    ) -> impl Future<Output = Result<(), bus::Error>> + Send + use<D, O> {
        let settings = &self.settings;
        let names = settings.reads.iter().map(|it| topics::name(&settings.topic_prefix, it.name()));
        let worker = consumer::Worker {
            index,
            unit: self.unit.clone(),
            bus: settings.bus.clone(),
            group: format!("{}.{}", settings.topic_prefix, D::SERVICE),
            topics: names.collect(),
            instance: settings.instance_id.as_ref().map(|it| format!("{it}-{index}")),
            options: settings.options.clone(),
            batch_size: settings.batch_size,
        };
        async move {
            if !wait_for_topics(&worker.bus, &worker.topics, &shutdown).await {
                return Ok(());
            }
            worker.run(shutdown).await
        }
    }

    fn relay(
        &self,
        shutdown: CancellationToken,
    ) -> impl Future<Output = Result<(), bus::Error>> + Send + use<D, O> {
        let settings = &self.settings;
        let relay = Relay {
            service: D::SERVICE,
            bus: settings.bus.clone(),
            prefix: settings.topic_prefix.clone(),
            options: settings.options.clone(),
            wake: self.unit.relay.clone(),
            metrics: self.unit.metrics.clone(),
            health: self.unit.health.clone(),
            mutation: self.unit.mutation,
            deleted: AtomicU64::new(0),
        };
        async move {
            let all: Vec<String> =
                topics::plan(&relay.prefix, &[relay.service]).into_iter().map(|it| it.name).collect();
            if !wait_for_topics(&relay.bus, &all, &shutdown).await {
                return Ok(());
            }
            relay.run(shutdown).await
        }
    }

    /// Asks database and broker every now and then, for those who ask about readiness.
    fn probe(
        &self,
        shutdown: CancellationToken,
    ) -> impl Future<Output = Result<(), bus::Error>> + Send + use<D, O> {
        let (pool, bus, health) = (self.settings.pool.clone(), self.settings.bus.clone(), self.health());
        async move {
            let mut every = tokio::time::interval(PROBE_EVERY);
            loop {
                tokio::select! {
                    () = shutdown.cancelled() => return Ok(()),
                    _ = every.tick() => {}
                }
                // Side by side: the one that is away must not make the other look stale.
                let (database, broker) = tokio::join!(
                    sqlx::query("select 1").execute(&pool),
                    bus.missing_topics(&[], PROBE_EVERY)
                );
                if database.is_ok() {
                    health.progress(Part::Database);
                }
                if broker.is_ok() {
                    health.progress(Part::Broker);
                }
            }
        }
    }

    fn keep_house(
        &self,
        shutdown: CancellationToken,
    ) -> impl Future<Output = Result<(), bus::Error>> + Send + use<D, O> {
        let (pool, metrics) = (self.settings.pool.clone(), self.unit.metrics.clone());
        async move {
            let mut partitions = tokio::time::interval(PARTITIONS_EVERY);
            let mut gauges = tokio::time::interval(GAUGES_EVERY);
            loop {
                let done = tokio::select! {
                    () = shutdown.cancelled() => return Ok(()),
                    _ = partitions.tick() => keep_inbox(&pool).await,
                    _ = gauges.tick() => measure(&pool, &metrics).await,
                };
                if let Err(error) = done {
                    tracing::debug!(%error, "housekeeping waits");
                }
            }
        }
    }
}

/// Waits until the broker answers and the topics are there; `false` when the service stops before.
async fn wait_for_topics(bus: &Bus, names: &[String], shutdown: &CancellationToken) -> bool {
    let there = wait_for("Kafka", || async {
        match bus.missing_topics(names, Duration::from_secs(5)).await {
            Ok(missing) if missing.is_empty() => Ok(()),
            Ok(missing) => Err(format!("no topic {} (waybill topics create)", missing.join(", "))),
            Err(error) => Err(error.to_string()),
        }
    });
    tokio::select! {
        () = shutdown.cancelled() => false,
        () = there => true,
    }
}

async fn keep_inbox(pool: &PgPool) -> sqlx::Result<()> {
    let now = OffsetDateTime::now_utc();
    inbox::create_partitions(pool, now).await?;
    inbox::drop_partitions(pool, now).await
}

async fn measure(pool: &PgPool, metrics: &Metrics) -> sqlx::Result<()> {
    let service = std::slice::from_ref(&metrics.service);
    let outbox = sqlx::query(
        "select count(*), coalesce(extract(epoch from clock_timestamp() - min(occurred_at)), 0)::float8
         from (select occurred_at from engine.outbox order by outbox_id limit 100000) it",
    )
    .fetch_one(pool)
    .await?;
    metrics.outbox_pending.record(outbox.try_get::<i64, _>(0)? as u64, service);
    metrics.outbox_oldest_age.record(outbox.try_get::<f64, _>(1)?.max(0.0), service);
    let effects: i64 = sqlx::query_scalar("select count(*) from engine.effect").fetch_one(pool).await?;
    metrics.effects_pending.record(effects as u64, service);
    let letters = sqlx::query(
        "select status, count(dead_letter_id) from (values ('poison'), ('waiting')) it (status)
         left join engine.dead_letter using (status) group by status",
    );
    for row in letters.fetch_all(pool).await? {
        let status = KeyValue::new("status", row.try_get::<String, _>(0)?);
        metrics.dead_letters.record(row.try_get::<i64, _>(1)? as u64, &[metrics.service.clone(), status]);
    }
    Ok(())
}
