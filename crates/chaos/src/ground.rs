//! What a suite stands on: a Kafka and a Postgres of its own, each behind proxies.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::Context;
use bus::Bus;
use local::{Front, Kafka, Postgres, Proxy, Scratch};
use sqlx::{PgPool, postgres::PgPoolOptions};
use tokio::sync::Mutex;

use crate::{SERVICES, disk::Disk};

/// Real servers, that are there to be broken. Several suites may stand on one, one after the other.
pub struct Ground {
    pub(crate) kafka: Mutex<Kafka>,
    pub(crate) postgres: Mutex<Postgres>,
    /// The way of all services to Kafka: a broker tells its clients one address.
    pub(crate) to_kafka: Proxy,
    /// The way of each service to its database.
    pub(crate) to_postgres: BTreeMap<&'static str, Proxy>,
    /// Straight to both, for what watches and judges.
    pub(crate) bus: Bus,
    pub(crate) admin: PgPool,
    pub(crate) disks: Option<Disks>,
    /// Unmounted, and then deleted, when the servers have ended: fields are dropped in this order.
    pub(crate) scratch: Scratch,
}

/// Small disks of their own under the servers' data.
pub(crate) struct Disks {
    pub(crate) kafka: Disk,
    pub(crate) postgres: Disk,
}

impl Ground {
    /// Starts both servers; on disks of their own where that is asked for, which takes root.
    pub async fn lay(with_disks: bool) -> anyhow::Result<Self> {
        // The clients' TLS provider; an error says that it is set already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        crate::disk::sweep()?;
        let scratch = Scratch::new()?;
        let dir = |name: &str| -> PathBuf { scratch.path().join(name) };
        let disks = match with_disks {
            true => {
                Some(Disks { kafka: Disk::mount(&dir("kafka"))?, postgres: Disk::mount(&dir("postgres"))? })
            }
            false => None,
        };
        let port = local::free_port()?;
        let to_kafka = Proxy::start(port).await?;
        let front = Front { port, advertised: to_kafka.port() };
        let (kafka_dir, postgres_dir) = (dir("kafka"), dir("postgres"));
        let (kafka, postgres) =
            tokio::try_join!(Kafka::start_behind(&kafka_dir, front), Postgres::start(&postgres_dir, None))?;
        let mut to_postgres = BTreeMap::new();
        for service in SERVICES {
            to_postgres.insert(service, Proxy::start(postgres.port()).await?);
        }
        let bus = Bus::kafka(&kafka.bootstrap_servers())?;
        let admin = PgPoolOptions::new().max_connections(4).connect_lazy(&postgres.url("postgres"))?;
        Ok(Self {
            kafka: Mutex::new(kafka),
            postgres: Mutex::new(postgres),
            to_kafka,
            to_postgres,
            bus,
            admin,
            disks,
            scratch,
        })
    }

    /// The way of a service to its database.
    pub(crate) fn to_postgres(&self, service: &str) -> anyhow::Result<&Proxy> {
        self.to_postgres.get(service).with_context(|| format!("no service {service}"))
    }

    /// The superuser's URL of a database: straight, or on a service's way.
    pub(crate) async fn database_url(&self, database: &str, way: Option<&Proxy>) -> String {
        let postgres = self.postgres.lock().await;
        let (url, port) = (postgres.url(database), postgres.port());
        match way {
            Some(way) => url.replacen(&format!(":{port}/"), &format!(":{}/", way.port()), 1),
            None => url,
        }
    }
}
