//! Databases and topics on the servers of a run, and engines in this process.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use bus::{Bus, topics};
use engine::{Commands, Engine, NoOutside, Settings};
use sqlx::{AssertSqlSafe, PgPool, postgres::PgPoolOptions};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::counter::{Counters, Edges, READS, SCHEMA};
use crate::{ground::Ground, usage::Components};

/// How long anything is waited for that has to come.
const PATIENCE: Duration = Duration::from_secs(300);

/// The servers, and whose CPU time is accounted for.
pub(crate) struct Machine {
    pub(crate) bus: Bus,
    pub(crate) components: Components,
    ground: Arc<Ground>,
}

impl Machine {
    pub(crate) fn on(ground: Arc<Ground>) -> Self {
        let components = Components::default()
            .tree("kafka", ground.kafka.pid())
            .tree("postgres", ground.postgres.pid())
            .ourselves("engine and load");
        Self { bus: ground.bus.clone(), components, ground }
    }

    /// A database and topics of its own, for a service called `name`.
    pub(crate) async fn service(&self, name: &str) -> anyhow::Result<Service> {
        let create = AssertSqlSafe(format!("create database {name}"));
        sqlx::raw_sql(create).execute(&self.ground.admin).await?;
        let options = engine::connect_options(&self.ground.postgres.url(name), name)?;
        let pool = PgPoolOptions::new().max_connections(4).connect_with(options.clone()).await?;
        engine::migrate(&pool).await?;
        sqlx::raw_sql(SCHEMA).execute(&pool).await?;
        self.bus.create_topics(&topics::plan(name, &["counter"])).await?;
        let settings = Settings {
            options,
            pool: pool.clone(),
            bus: self.bus.clone(),
            topic_prefix: name.to_owned(),
            reads: READS,
            workers: 1,
            batch_size: 500,
            outbox_limit: 10_000_000,
            idempotency_key_ttl: Duration::from_secs(24 * 3_600),
            instance_id: None,
            traced: false,
            auto_redrive: None,
        };
        Ok(Service { pool, settings })
    }

    /// How many records a topic has got: a few requests to the broker, and none to Postgres.
    pub(crate) async fn records(&self, topic: &str) -> anyhow::Result<u64> {
        let topics = self.bus.topics(topic).await?;
        let info = topics.iter().find(|it| it.name == topic).with_context(|| format!("no topic {topic}"))?;
        Ok(info.partitions.iter().map(|it| it.high.max(0).unsigned_abs()).sum())
    }
}

/// A database with its topics, and what an engine on them is set to.
pub(crate) struct Service {
    pub(crate) pool: PgPool,
    pub(crate) settings: Settings,
}

impl Service {
    /// Runs the tasks of an engine whose names `only` lets pass.
    pub(crate) fn run(&self, only: impl Fn(&str) -> bool) -> Running {
        let counters = Counters::default();
        let edges = counters.0.clone();
        let engine = Engine::new(counters, NoOutside::default(), self.settings.clone());
        let (commands, shutdown) = (engine.commands(), CancellationToken::new());
        let mut tasks = JoinSet::new();
        for task in engine.tasks(shutdown.clone()).into_iter().filter(|it| only(it.name)) {
            tasks.spawn(task.future);
        }
        Running { commands, edges, shutdown, tasks }
    }

    /// Waits until a count is `wanted`, or more. The database pays for each look: not while anything is measured.
    pub(crate) async fn until(&self, sql: &'static str, wanted: i64) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            let seen: i64 = sqlx::query_scalar(sql).fetch_one(&self.pool).await?;
            if seen >= wanted {
                return Ok(());
            }
            ensure!(begun.elapsed() < PATIENCE, "{sql}: {seen} and not {wanted} after {PATIENCE:?}");
            sleep(Duration::from_millis(100)).await;
        }
    }

    pub(crate) async fn count(&self, sql: &'static str) -> anyhow::Result<i64> {
        sqlx::query_scalar(sql).fetch_one(&self.pool).await.with_context(|| sql.to_owned())
    }

    pub(crate) fn topic(&self, of: events::Aggregate) -> String {
        topics::name(&self.settings.topic_prefix, of.name())
    }
}

/// An engine at work.
pub(crate) struct Running {
    pub(crate) commands: Commands<Counters>,
    pub(crate) edges: Arc<Edges>,
    shutdown: CancellationToken,
    tasks: JoinSet<Result<(), bus::Error>>,
}

impl Running {
    /// Waits until something is so, by what this process knows of its engine.
    pub(crate) async fn until(&self, what: &str, is_so: impl Fn(&Edges) -> bool) -> anyhow::Result<()> {
        let begun = Instant::now();
        while !is_so(&self.edges) {
            ensure!(begun.elapsed() < PATIENCE, "{what}: not after {PATIENCE:?}");
            sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    }

    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        self.shutdown.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended??;
        }
        Ok(())
    }
}
