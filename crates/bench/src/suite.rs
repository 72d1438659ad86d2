//! The suite that is measured: a process for each service, and the provider's.

mod books;
mod shelves;
mod tables;

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
use events::Aggregate;
use futures::future::try_join_all;
use local::Launch;
use nix::sys::signal::Signal;
use sqlx::{AssertSqlSafe, Executor, PgPool, postgres::PgPoolOptions};
use tokio::time::sleep;

use crate::{
    figures::{LOAD, PROVIDER},
    ground::Ground,
    running::Running,
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
    /// Of each name as many as there are to be.
    running: BTreeMap<&'static str, Vec<Arc<Running>>>,
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
        let pool = PgPoolOptions::new().max_connections(4).acquire_timeout(Duration::from_secs(30));
        self.pools.insert(service, pool.connect_lazy(&self.database_url(service))?);
        for number in 1..=variant.processes {
            let usual = [
                ("DATABASE_URL", self.database_url(service)),
                ("KAFKA_BOOTSTRAP_SERVERS", self.ground.kafka.bootstrap_servers()),
                ("TOPIC_PREFIX", self.prefix.clone()),
                ("PROVIDER_URL", format!("http://{}", self.at(PROVIDER)?)),
                ("INSTANCE_ID", format!("{}-{service}-{number}", self.prefix)),
                ("CARRIER_DELAY_MS", "0".to_owned()),
            ];
            let usual = usual.map(|(name, value)| (name.to_owned(), value)).into_iter();
            self.launch(service, programs, usual.chain(variant.env.iter().cloned()).collect())?;
        }
        Ok(())
    }

    /// Starts one more process of that name.
    fn launch(
        &mut self,
        name: &'static str,
        programs: &Path,
        env: Vec<(String, String)>,
    ) -> anyhow::Result<()> {
        let at = SocketAddr::from(([127, 0, 0, 1], local::free_port()?));
        let usual = [("HTTP_ADDR".to_owned(), at.to_string()), ("RUST_LOG".to_owned(), "warn".to_owned())];
        let env = usual.into_iter().chain(env).collect();
        let file = programs.join(format!("waybill-{name}"));
        ensure!(file.is_file(), "{} is not built: cargo build --release --workspace --bins", file.display());
        let dir = self.dir();
        let of_the_name = self.running.entry(name).or_default();
        let called = format!("{name}-{}", of_the_name.len() + 1);
        let launch = Launch { env, inherits: false, ..Launch::new(called, dir, file) };
        let service = Arc::new(Running::new(at, launch));
        self.components.add(name, service.start()?, true);
        self.ground.look_after(service.clone());
        of_the_name.push(service);
        Ok(())
    }

    fn running(&self, name: &str) -> anyhow::Result<&[Arc<Running>]> {
        self.running.get(name).map(Vec::as_slice).with_context(|| format!("no process {name}"))
    }

    /// Where a process listens: the first of that name.
    pub(crate) fn at(&self, name: &str) -> anyhow::Result<SocketAddr> {
        Ok(self.running(name)?.first().with_context(|| format!("no process {name}"))?.at)
    }

    /// The superuser's URL of a service's database.
    pub(crate) fn database_url(&self, service: &str) -> String {
        self.ground.postgres.url(&format!("{}_{service}", self.prefix))
    }

    async fn ready(&self, name: &str) -> anyhow::Result<()> {
        try_join_all(self.running(name)?.iter().map(|it| self.is_ready(it))).await.map(drop)
    }

    async fn is_ready(&self, it: &Running) -> anyhow::Result<()> {
        let (url, begun) = (format!("http://{}/readyz", it.at), Instant::now());
        loop {
            let last = match self.http.get(&url).timeout(Duration::from_secs(3)).send().await {
                Ok(answer) if answer.status() == 200 => return Ok(()),
                Ok(answer) => answer.text().await.unwrap_or_default(),
                Err(error) => error.to_string(),
            };
            if begun.elapsed() > READY {
                let (name, words) = (&it.launch.name, it.launch.last_words());
                bail!("{name} is not ready after {READY:.0?}: {last}; {words}");
            }
            sleep(POLL).await;
        }
    }

    /// SIGTERM to all of that name, and waits for their end.
    pub(crate) async fn stop(&self, name: &str) -> anyhow::Result<()> {
        // What they have spent would be gone with them.
        self.components.usage()?;
        for it in self.running(name)? {
            let process = it.let_go()?;
            let mut process = process.with_context(|| format!("{name} is stopped already"))?;
            let begun = Instant::now();
            process.stop(Signal::SIGTERM, STOP).await?;
            ensure!(begun.elapsed() < STOP, "{name} does not stop within {STOP:?}");
        }
        Ok(())
    }

    /// Starts what was stopped, at the same addresses, and waits until all are ready.
    pub(crate) async fn start_again(&self, name: &str) -> anyhow::Result<()> {
        for it in self.running(name)? {
            self.components.add(name, it.start()?, true);
        }
        self.ready(name).await
    }

    /// Everything that is accounted for.
    pub(crate) fn components(&self) -> &Components {
        &self.components
    }

    /// Takes from the topics of orders what they hold, as their retention does with time. It is all read.
    pub(crate) async fn expire(&self) -> anyhow::Result<()> {
        for topic in self.ground.bus.topics(&format!("{}.", self.prefix)).await? {
            // What is compacted keeps the last word on every product.
            if topic.name == topics::name(&self.prefix, Aggregate::Product.name()) {
                continue;
            }
            let dead = topic.name.ends_with(".dead");
            let all = topic.partitions.iter().all(|it| it.high > 0);
            ensure!(
                dead || all,
                "a partition of {} has never held anything: fewer of them, please",
                topic.name
            );
            self.ground.bus.expire(&topic).await.with_context(|| format!("emptying {}", topic.name))?;
        }
        Ok(())
    }

    /// Stops all processes and deletes what they had.
    pub(crate) async fn clear(self) -> anyhow::Result<()> {
        for it in self.running.values().flatten() {
            if let Some(mut process) = it.let_go()? {
                process.kill().await?;
            }
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
