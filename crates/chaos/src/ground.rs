//! What a suite stands on: a Kafka and a Postgres of its own, each behind proxies.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::Context;
use bus::{Bus, topics};
use events::Timestamp;
use local::{Front, Kafka, Postgres, Proxy, Scratch};
use nix::sys::signal::Signal;
use sqlx::{PgPool, postgres::PgPoolOptions};
use time::format_description::well_known::Rfc3339;
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
            true => Some(Disks {
                kafka: Disk::under_server(&dir("kafka"))?,
                postgres: Disk::under_server(&dir("postgres"))?,
            }),
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

    /// Undoes what a fault that broke off has left: all ways are open, the disks have room, both servers run, and the
    /// topics of the suite with this prefix are configured as they were.
    pub(crate) async fn heal(&self, prefix: &str) -> anyhow::Result<()> {
        self.to_postgres.values().chain([&self.to_kafka]).for_each(Proxy::heal);
        let freed = self.disks.as_ref().map(|it| anyhow::Ok((it.kafka.free()?, it.postgres.free()?)));
        let (kafka_was_full, _) = freed.transpose()?.unwrap_or_default();
        let mut postgres = self.postgres.lock().await;
        if !postgres.is_running() {
            postgres.restart().await.context("starting Postgres again")?;
        }
        drop(postgres);
        let mut kafka = self.kafka.lock().await;
        kafka.signal(Signal::SIGCONT)?;
        // A broker whose only disk has failed may run on without it.
        if kafka_was_full || !kafka.is_running() {
            kafka.kill().await?;
            kafka.restart().await.context("starting Kafka again")?;
        }
        drop(kafka);
        for topic in topics::plan(prefix, &[]) {
            self.bus.configure_topic(&topic.name, &topic.config).await?;
        }
        Ok(())
    }

    /// Copies the logs of the servers, and of all suites that have stood here, out of what is deleted with this: to
    /// a directory of their own in `into`. Returns it.
    pub fn keep_logs(&self, into: &Path, seed: u64) -> anyhow::Result<PathBuf> {
        let now: String = Timestamp::now_utc().format(&Rfc3339)?.chars().take(19).collect();
        let kept = into.join(format!("waybill-chaos-seed-{seed}-{}", now.replace(['-', ':'], "")));
        copy_logs(self.scratch.path(), &kept).with_context(|| format!("copying to {}", kept.display()))?;
        Ok(kept)
    }
}

/// Each process has its log right in the directory that it runs in; the segments of topics lie deeper.
fn copy_logs(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for dir in fs::read_dir(from)? {
        let dir = dir?;
        if !dir.file_type()?.is_dir() {
            continue;
        }
        for file in fs::read_dir(dir.path())? {
            let file = file?.path();
            if file.extension().is_some_and(|it| it == "log") && file.is_file() {
                let kept = to.join(dir.file_name());
                fs::create_dir_all(&kept)?;
                fs::copy(&file, kept.join(file.file_name().unwrap_or_default()))?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bus::Record;

    use super::*;

    #[test]
    fn the_logs_of_all_processes_are_kept_and_no_data() {
        let scratch = Scratch::new().unwrap();
        let (run, kept) = (scratch.path().join("run"), scratch.path().join("kept"));
        for file in
            ["kafka/kafka.log", "kafka/data/t-0/0.log", "chaos-1/order-1.log", "chaos-1/order-1.pid", "lock"]
        {
            let file = run.join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, file.display().to_string()).unwrap();
        }

        copy_logs(&run, &kept).unwrap();

        let names = |dir: &Path| -> Vec<String> {
            let all = fs::read_dir(dir).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap());
            let mut all: Vec<_> = all.collect();
            all.sort();
            all
        };
        assert_eq!(names(&kept), ["chaos-1", "kafka"]);
        assert_eq!(names(&kept.join("kafka")), ["kafka.log"]);
        assert_eq!(names(&kept.join("chaos-1")), ["order-1.log"]);
        let said = fs::read_to_string(kept.join("chaos-1/order-1.log")).unwrap();
        assert_eq!(said, run.join("chaos-1/order-1.log").display().to_string());
    }

    #[tokio::test]
    async fn what_a_fault_that_broke_off_has_left_is_undone() {
        let ground = Ground::lay(Disk::probe().is_ok()).await.unwrap();
        let plan = topics::plan("healed", &[]);
        ground.bus.create_topics(&plan).await.unwrap();
        let topic = &plan[0];
        ground.bus.configure_topic(&topic.name, &[("max.message.bytes", "650")]).await.unwrap();
        if let Some(disks) = &ground.disks {
            disks.kafka.fill().unwrap();
            disks.postgres.fill().unwrap();
        }
        ground.kafka.lock().await.kill().await.unwrap();
        ground.postgres.lock().await.kill().await.unwrap();

        ground.heal("healed").await.unwrap();

        let noise: Vec<u8> = (0..4_000).map(|_| fastrand::u8(..)).collect();
        let record = Record {
            topic: topic.name.as_str().into(),
            key: Some(b"key".into()),
            headers: Vec::new(),
            payload: Some(noise.into()),
        };
        ground.bus.producer().unwrap().enqueue(vec![record]).acknowledged().await.unwrap();
        let one: i32 = sqlx::query_scalar("select 1").fetch_one(&ground.admin).await.unwrap();
        assert_eq!(one, 1);
        for disk in ground.disks.iter().flat_map(|it| [&it.kafka, &it.postgres]) {
            disk.try_to_write().unwrap();
            assert!(!disk.free().unwrap(), "it is large already");
        }
    }
}
