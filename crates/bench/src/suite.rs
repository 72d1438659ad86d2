//! The suite that is measured: a process for each service, and the provider's.

mod books;
mod shelves;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use audit::SERVICES;
use bus::topics;
use local::{Launch, Process};
use nix::sys::signal::Signal;
use sqlx::{AssertSqlSafe, Executor, PgPool, postgres::PgPoolOptions};
use tokio::{sync::Mutex, time::sleep};

use crate::{
    figures::{LOAD, PROVIDER},
    ground::Ground,
    usage::Components,
    variant::Variant,
};

const READY: Duration = Duration::from_secs(60);
/// A service's own deadlines for a stop, and a little.
const STOP: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(20);

/// A running suite on a [`Ground`], with names of its own.
pub(crate) struct Suite {
    pub(crate) ground: Arc<Ground>,
    pub(crate) prefix: String,
    pub(crate) pools: BTreeMap<&'static str, PgPool>,
    http: reqwest::Client,
    components: Components,
    running: BTreeMap<&'static str, Running>,
}

struct Running {
    at: SocketAddr,
    launch: Launch,
    process: Mutex<Process>,
}

impl Suite {
    /// Starts everything, waits until all are ready, and fills the shelves.
    pub(crate) async fn start(
        ground: Arc<Ground>,
        programs: &Path,
        variant: &Variant,
    ) -> anyhow::Result<Self> {
        let prefix = format!("bench-{}", uuid::Uuid::now_v7().simple());
        let mut plan = topics::plan(&prefix, &SERVICES);
        for topic in plan.iter_mut().filter(|it| it.partitions > 1) {
            topic.partitions = variant.partitions.unwrap_or(topic.partitions);
        }
        ground.bus.create_topics(&plan).await.context("creating the topics")?;
        let http = reqwest::Client::builder().timeout(Duration::from_secs(20)).no_proxy().build()?;
        let components = Components::default()
            .ourselves(LOAD)
            .tree("postgres", ground.postgres.pid())
            .tree("kafka", ground.kafka.pid());
        let (pools, running) = (BTreeMap::new(), BTreeMap::new());
        let mut it = Self { ground, prefix, pools, http, components, running };
        std::fs::create_dir(it.dir())?;
        it.launch(PROVIDER, programs, Vec::new())?;
        for service in SERVICES {
            it.add(service, programs, variant).await?;
        }
        for service in SERVICES {
            it.ready(service).await?;
        }
        it.stock().await.context("filling the shelves")?;
        Ok(it)
    }

    fn dir(&self) -> PathBuf {
        self.ground.scratch.path().join(&self.prefix)
    }

    async fn add(&mut self, service: &'static str, programs: &Path, variant: &Variant) -> anyhow::Result<()> {
        let database = format!("{}_{service}", self.prefix);
        let create = AssertSqlSafe(format!("create database \"{database}\""));
        self.ground.admin.execute(create).await.context("creating a database")?;
        let url = self.database_url(service);
        let pool = PgPoolOptions::new().max_connections(4).acquire_timeout(Duration::from_secs(30));
        self.pools.insert(service, pool.connect_lazy(&url)?);
        let usual = [
            ("DATABASE_URL", url),
            ("KAFKA_BOOTSTRAP_SERVERS", self.ground.kafka.bootstrap_servers()),
            ("TOPIC_PREFIX", self.prefix.clone()),
            ("PROVIDER_URL", format!("http://{}", self.at(PROVIDER)?)),
            ("INSTANCE_ID", format!("{}-{service}", self.prefix)),
            ("CARRIER_DELAY_MS", "0".to_owned()),
        ];
        let usual = usual.map(|(name, value)| (name.to_owned(), value)).into_iter();
        self.launch(service, programs, usual.chain(variant.env.iter().cloned()).collect())
    }

    fn launch(
        &mut self,
        name: &'static str,
        programs: &Path,
        mut env: Vec<(String, String)>,
    ) -> anyhow::Result<()> {
        let at = SocketAddr::from(([127, 0, 0, 1], local::free_port()?));
        env.extend([("HTTP_ADDR".to_owned(), at.to_string()), ("RUST_LOG".to_owned(), "warn".to_owned())]);
        let file = programs.join(format!("waybill-{name}"));
        ensure!(file.is_file(), "{} is not built: cargo build --release --workspace --bins", file.display());
        let launch = Launch { env, ..Launch::new(name, self.dir(), file) };
        let process = launch.start()?;
        self.components.add(name, process.pid(), true);
        self.running.insert(name, Running { at, launch, process: Mutex::new(process) });
        Ok(())
    }

    fn running(&self, name: &str) -> anyhow::Result<&Running> {
        self.running.get(name).with_context(|| format!("no process {name}"))
    }

    /// Where a process listens.
    pub(crate) fn at(&self, name: &str) -> anyhow::Result<SocketAddr> {
        Ok(self.running(name)?.at)
    }

    /// The superuser's URL of a service's database.
    pub(crate) fn database_url(&self, service: &str) -> String {
        self.ground.postgres.url(&format!("{}_{service}", self.prefix))
    }

    async fn ready(&self, name: &str) -> anyhow::Result<()> {
        let (url, begun) = (format!("http://{}/readyz", self.at(name)?), Instant::now());
        loop {
            let last = match self.http.get(&url).timeout(Duration::from_secs(3)).send().await {
                Ok(answer) if answer.status() == 200 => return Ok(()),
                Ok(answer) => answer.text().await.unwrap_or_default(),
                Err(error) => error.to_string(),
            };
            let it = self.running(name)?;
            if begun.elapsed() > READY || !it.process.lock().await.is_running() {
                bail!(
                    "{name} is not ready after {:.0?}: {last}; {}",
                    begun.elapsed(),
                    it.launch.last_words()
                );
            }
            sleep(POLL).await;
        }
    }

    /// SIGTERM, and waits for the end.
    pub(crate) async fn stop(&self, name: &str) -> anyhow::Result<()> {
        // What it has spent would be gone with it.
        self.components.usage()?;
        self.running(name)?.process.lock().await.stop(Signal::SIGTERM, STOP).await
    }

    /// Starts what was stopped, at the same address, and waits until it is ready.
    pub(crate) async fn start_again(&self, name: &str) -> anyhow::Result<()> {
        let it = self.running(name)?;
        let process = it.launch.start()?;
        self.components.add(it.launch.name.as_str(), process.pid(), true);
        *it.process.lock().await = process;
        self.ready(name).await
    }

    /// An error if a process has ended that nobody has stopped.
    pub(crate) async fn check(&self) -> anyhow::Result<()> {
        for (name, it) in &self.running {
            let runs = it.process.lock().await.is_running();
            ensure!(runs, "{name} has ended by itself: {}", it.launch.last_words());
        }
        Ok(())
    }

    /// Everything that is accounted for.
    pub(crate) fn components(&self) -> &Components {
        &self.components
    }

    /// Stops all processes and deletes what they had.
    pub(crate) async fn clear(self) -> anyhow::Result<()> {
        for it in self.running.values() {
            it.process.lock().await.kill().await?;
        }
        let plan = topics::plan(&self.prefix, &SERVICES);
        let names: Vec<&str> = plan.iter().map(|it| it.name.as_str()).collect();
        self.ground.bus.delete_topics(&names).await?;
        for (service, pool) in &self.pools {
            pool.close().await;
            let drop = format!("drop database if exists \"{}_{service}\" with (force)", self.prefix);
            self.ground.admin.execute(AssertSqlSafe(drop)).await?;
        }
        Ok(())
    }
}
