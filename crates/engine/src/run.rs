//! Puts the parts of an engine together and names its tasks.

use std::{sync::Arc, time::Duration};

use bus::{Bus, topics};
use events::Aggregate;
use futures::future::BoxFuture;
use sqlx::{PgPool, postgres::PgConnectOptions};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use crate::{
    command::{self, Commands, Submission},
    consumer,
    database::{ANSWER, answered, wait_for},
    deadline,
    decider::Decider,
    effect::{self, Call, Outside},
    health::{Health, Part},
    housekeeping::House,
    metrics::Metrics,
    mutant::Mutation,
    redrive::{AutoRedrive, DeadLetters, Redrive, Request},
    relay::Relay,
    shedding::{Pressure, Valve},
    unit::{ATTEMPT, Unit},
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
    /// Rows of the outbox above which nothing new is begun.
    pub outbox_limit: u64,
    /// For how long the answers to commands with an idempotency key are remembered.
    pub idempotency_key_ttl: Duration,
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
    valve: Valve,
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

impl<D: Decider, O: Outside<Input = D::Input>> Engine<D, O> {
    /// Nothing runs until the [`tasks`](Self::tasks) are spawned. The schema is to be
    /// [migrated](crate::migrate) before.
    pub fn new(decider: D, outside: O, settings: Settings) -> Self {
        let (metrics, valve) = (Metrics::new(D::SERVICE), Valve::default());
        let (commands, submissions) = Commands::new(COMMANDS, valve.clone(), metrics.clone());
        let (call_sender, calls) = mpsc::channel(CALLS);
        let unit = Unit {
            decider,
            metrics,
            health: Health::new(settings.workers),
            traced: settings.traced,
            mutation: Mutation::of_process(),
            relay: Arc::new(Notify::new()),
            deadlines: Arc::new(Notify::new()),
            calls: call_sender,
            attempt: ATTEMPT,
        };
        let (requests, redrives) = mpsc::channel(REDRIVES);
        let dead_letters = DeadLetters { consumer: D::SERVICE, pool: settings.pool.clone(), requests };
        let (unit, outside) = (Arc::new(unit), Arc::new(outside));
        Self { settings, unit, outside, commands, valve, submissions, calls, dead_letters, redrives }
    }

    /// Takes a defence out of this engine alone, for a test that is to see it missing.
    #[cfg(feature = "chaos")]
    #[must_use]
    pub fn with_mutant(mut self, mutant: crate::Mutant) -> Self {
        let unit = Arc::get_mut(&mut self.unit).expect("an engine that has not begun");
        unit.mutation = Mutation { mutant: Some(mutant) };
        self
    }

    /// Gives this engine's transactions another time than the usual, for a test that is to see what takes longer.
    #[cfg(feature = "chaos")]
    #[must_use]
    pub fn with_attempt(mut self, attempt: Duration) -> Self {
        let unit = Arc::get_mut(&mut self.unit).expect("an engine that has not begun");
        unit.attempt = attempt;
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
        let Self { settings, unit, outside, commands, valve, submissions, calls, redrives, .. } = self;
        let house = House {
            pool: settings.pool.clone(),
            metrics: unit.metrics.clone(),
            deadlines: D::DEADLINES,
            key_ttl: settings.idempotency_key_ttl,
        };
        task("housekeeping", endless(house.keep(shutdown.clone())));
        let (pool, metrics) = (settings.pool.clone(), unit.metrics.clone());
        let pressure = Pressure { pool, metrics, valve, limit: settings.outbox_limit };
        task("pressure", endless(pressure.watch(shutdown.clone())));
        let redrive = Redrive {
            unit: unit.clone(),
            options: settings.options.clone(),
            batch_size: settings.batch_size,
            auto: settings.auto_redrive,
            requests: redrives,
        };
        task("redrive", endless(redrive.run(shutdown.clone())));
        let due = deadline::watch(unit.clone(), settings.pool.clone(), commands.clone(), shutdown.clone());
        task("deadlines", endless(due));
        if O::IS_THERE {
            let metrics = unit.metrics.clone();
            let worker = effect::Worker { outside, pool: settings.pool, commands, metrics, fresh: calls };
            task("effects", endless(worker.run(shutdown.clone())));
        }
        let carrying_out = command::run(submissions, unit, settings.options, settings.batch_size, shutdown);
        task("commands", endless(carrying_out));
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
                    answered(ANSWER, sqlx::query("select 1").execute(&pool)),
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

/// A task that ends only after its stop.
fn endless(future: impl Future<Output = ()> + Send + 'static) -> BoxFuture<'static, Result<(), bus::Error>> {
    Box::pin(async move {
        future.await;
        Ok(())
    })
}
