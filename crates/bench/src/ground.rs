//! The servers that a bench runs on.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bus::Bus;
use local::{Kafka, Postgres, Scratch};
use sqlx::{PgPool, postgres::PgPoolOptions};
use tokio::time::sleep;

use crate::running::Running;

const LOOK: Duration = Duration::from_secs(1);

/// A real Kafka and a real Postgres, with fsync, of this bench's own. Fields are dropped in this order.
pub struct Ground {
    /// Of all suites that have been started here.
    services: Mutex<Vec<Arc<Running>>>,
    pub kafka: Kafka,
    pub postgres: Postgres,
    pub bus: Bus,
    /// The superuser, in no service's database.
    pub admin: PgPool,
    /// Removed when the servers have ended.
    pub scratch: Scratch,
}

impl Ground {
    /// As [`lay`](Self::lay), with a Postgres that counts statements, which costs it something.
    pub async fn counting() -> anyhow::Result<Self> {
        let mut it = Self::lay().await?;
        let setting = "alter system set shared_preload_libraries = 'pg_stat_statements'";
        sqlx::raw_sql(setting).execute(&it.admin).await?;
        it.postgres.restart().await?;
        // A connection of before is of no use.
        it.admin = PgPoolOptions::new().max_connections(2).connect_lazy(&it.postgres.url("postgres"))?;
        sqlx::raw_sql("create extension pg_stat_statements").execute(&it.admin).await?;
        Ok(it)
    }

    /// Starts both, empty.
    pub async fn lay() -> anyhow::Result<Self> {
        // The clients' TLS provider; an error says that it is set already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let scratch = Scratch::new()?;
        let (kafka, postgres) = (scratch.path().join("kafka"), scratch.path().join("postgres"));
        let (kafka, postgres) =
            tokio::try_join!(Kafka::start(&kafka, None), Postgres::start(&postgres, None))?;
        let bus = Bus::kafka(&kafka.bootstrap_servers())?;
        let admin = PgPoolOptions::new().max_connections(2).connect_lazy(&postgres.url("postgres"))?;
        let services = Mutex::default();
        Ok(Self { services, kafka, postgres, bus, admin, scratch })
    }

    /// Has a service looked after like the servers.
    pub(crate) fn look_after(&self, service: Arc<Running>) {
        self.services.lock().unwrap_or_else(PoisonError::into_inner).push(service);
    }

    fn check(&self) -> anyhow::Result<()> {
        self.kafka.check()?;
        self.postgres.check()?;
        let services = self.services.lock().unwrap_or_else(PoisonError::into_inner);
        services.iter().try_for_each(|it| it.check())
    }

    /// Does that while everything runs that is to: an error as soon as a server or a service has ended by itself.
    pub(crate) async fn watching<T>(
        &self,
        work: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        let done = tokio::select! {
            done = work => done,
            ended = self.watch() => match ended? {},
        };
        // Whatever failed: if one has ended, that is why.
        done.or_else(|error| self.check().and(Err(error)))
    }

    async fn watch(&self) -> anyhow::Result<Infallible> {
        loop {
            self.check()?;
            sleep(LOOK).await;
        }
    }

    /// Writes all that Postgres has in memory to disk, which whoever is measured next would pay for.
    pub async fn checkpoint(&self) -> anyhow::Result<()> {
        sqlx::raw_sql("checkpoint").execute(&self.admin).await?;
        Ok(())
    }

    /// Where the log of Postgres ends, in bytes: a difference is what was written.
    pub async fn wal(&self) -> anyhow::Result<u64> {
        let wal: i64 = sqlx::query_scalar("select (pg_current_wal_lsn() - '0/0')::bigint")
            .fetch_one(&self.admin)
            .await?;
        Ok(wal.unsigned_abs())
    }

    /// How many records all topics of a prefix have ever got.
    pub async fn messages(&self, prefix: &str) -> anyhow::Result<u64> {
        let topics = self.bus.topics(&format!("{prefix}.")).await?;
        Ok(topics.iter().flat_map(|it| &it.partitions).map(|it| it.high.max(0).unsigned_abs()).sum())
    }
}
