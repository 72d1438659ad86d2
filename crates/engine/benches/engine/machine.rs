//! The servers, and what they and we spend.

use std::{fs, time::Duration};

use account::{Accounts, Input, READS, SCHEMA};
use bus::{Bus, topics};
use engine::{Commands, Engine, NoOutside, Settings};
use local::{Kafka, Postgres, Scratch};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool, postgres::PgPoolOptions};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use crate::account;

pub(crate) struct Machine {
    pub(crate) bus: Bus,
    kafka: Kafka,
    postgres: Postgres,
    /// Last, so that it is removed when the servers are gone.
    _scratch: Scratch,
}

impl Machine {
    pub(crate) async fn start() -> Self {
        let scratch = Scratch::new().unwrap();
        let (kafka, postgres) = (scratch.path().join("kafka"), scratch.path().join("postgres"));
        let (kafka, postgres) =
            tokio::try_join!(Kafka::start(&kafka, None), Postgres::start(&postgres, None)).unwrap();
        let bus = Bus::kafka(&kafka.bootstrap_servers()).unwrap();
        Self { bus, kafka, postgres, _scratch: scratch }
    }

    /// CPU time so far of this process, of the broker, and of Postgres with all its backends.
    pub(crate) fn cpu(&self) -> Duration {
        let mut ticks =
            ticks_of(std::process::id()) + ticks_of(self.kafka.pid()) + ticks_of(self.postgres.pid());
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let pid = entry.file_name().to_str().and_then(|it| it.parse().ok());
            if let Some(pid) = pid.filter(|pid| parent_of(*pid) == Some(self.postgres.pid())) {
                ticks += ticks_of(pid);
            }
        }
        // USER_HZ is 100 on every Linux that Rust runs on.
        Duration::from_millis(ticks * 10)
    }

    /// A database and topics of its own for one service called `name`.
    pub(crate) async fn service(&self, name: &str) -> Service {
        let mut server = PgConnection::connect(&self.postgres.url("postgres")).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(format!("create database {name}"))).execute(&mut server).await.unwrap();
        let options = engine::connect_options(&self.postgres.url(name), name).unwrap();
        let pool = PgPoolOptions::new().max_connections(4).connect_with(options.clone()).await.unwrap();
        engine::migrate(&pool).await.unwrap();
        sqlx::raw_sql(SCHEMA).execute(&pool).await.unwrap();
        self.bus.create_topics(&topics::plan(name, &["account"])).await.unwrap();
        let settings = Settings {
            options,
            pool: pool.clone(),
            bus: self.bus.clone(),
            topic_prefix: name.to_owned(),
            reads: READS,
            workers: 1,
            batch_size: 500,
            outbox_limit: 1_000_000,
            idempotency_key_ttl: Duration::from_secs(24 * 3_600),
            instance_id: None,
            traced: false,
            auto_redrive: None,
        };
        Service { pool, settings }
    }
}

/// User and system time of a process, and of its children that have ended (fields 14 to 17 of proc_pid_stat(5)).
fn ticks_of(pid: u32) -> u64 {
    stat(pid).map_or(0, |it| it[11..15].iter().filter_map(|it| it.parse::<u64>().ok()).sum())
}

fn parent_of(pid: u32) -> Option<u32> {
    stat(pid)?[1].parse().ok()
}

/// The fields behind the name, which may contain spaces.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<String> = text.rsplit_once(") ")?.1.split(' ').map(str::to_owned).collect();
    (fields.len() > 15).then_some(fields)
}

pub(crate) struct Service {
    pub(crate) pool: PgPool,
    pub(crate) settings: Settings,
}

impl Service {
    /// Runs the tasks whose names `only` lets pass.
    pub(crate) fn run(&self, only: impl Fn(&str) -> bool) -> Running {
        let engine = Engine::new(Accounts, NoOutside::<Input>::default(), self.settings.clone());
        let (commands, shutdown) = (engine.commands(), CancellationToken::new());
        let mut tasks = JoinSet::new();
        for task in engine.tasks(shutdown.clone()).into_iter().filter(|it| only(it.name)) {
            tasks.spawn(task.future);
        }
        Running { commands, shutdown, tasks }
    }

    /// Waits until `sql` says `wanted`.
    pub(crate) async fn until(&self, sql: &'static str, wanted: i64) {
        let begun = Instant::now();
        loop {
            let seen: i64 = sqlx::query_scalar(sql).fetch_one(&self.pool).await.unwrap();
            if seen == wanted {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(300), "{sql}: {seen} and not {wanted}");
            sleep(Duration::from_millis(10)).await;
        }
    }
}

pub(crate) struct Running {
    pub(crate) commands: Commands<Accounts>,
    shutdown: CancellationToken,
    tasks: JoinSet<Result<(), bus::Error>>,
}

impl Running {
    pub(crate) async fn stop(mut self) {
        self.shutdown.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap().unwrap();
        }
    }
}
