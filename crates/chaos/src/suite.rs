//! The suite as it is run: a process for each service, to be killed, frozen and started again.

mod instance;
mod seen;

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    process::ExitStatus,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use bus::topics;
use local::{Launch, Proxy};
use nix::sys::signal::Signal;
use sqlx::{AssertSqlSafe, Executor, PgPool, postgres::PgPoolOptions};
use tokio::{
    select,
    sync::{Mutex, MutexGuard},
    time::sleep,
};

pub use self::instance::Exit;
use self::instance::{Instance, Instances};
pub(crate) use self::seen::{is_in_state, sum_of};
use crate::{SERVICES, canary::Own, ground::Ground};

/// The provider's process, beside the services.
pub(crate) const PROVIDER: &str = "psp";
const READY: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);
/// How often it is looked whether all that should run does.
const WATCH: Duration = Duration::from_millis(100);

/// What a suite is started with, beyond the usual.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Where the programs are.
    pub programs: PathBuf,
    /// Variables for all services.
    pub env: Vec<(String, String)>,
}

/// A running suite on a [`Ground`]. No task has a part in it: who drops it has seen all its processes end.
pub struct Suite {
    instances: Mutex<Instances>,
    pub(crate) prefix: String,
    pub(crate) http: reqwest::Client,
    /// Straight to the databases, past the proxies.
    pub(crate) pools: BTreeMap<&'static str, PgPool>,
    pub(crate) to_provider: Proxy,
    /// Orders that were placed beside the load.
    pub(crate) own: Own,
    setup: Setup,
    /// Its directory is deleted when the processes have ended: fields are dropped in this order.
    pub(crate) ground: Arc<Ground>,
}

impl Suite {
    /// Starts everything and waits until all are ready.
    pub async fn start(ground: Arc<Ground>, setup: Setup) -> anyhow::Result<Self> {
        let prefix = format!("chaos-{}", uuid::Uuid::now_v7().simple());
        ground.bus.create_topics(&topics::plan(&prefix, &SERVICES)).await.context("creating the topics")?;
        let http = reqwest::Client::builder().timeout(Duration::from_secs(20)).no_proxy().build()?;
        let provider_port = local::free_port()?;
        let to_provider = Proxy::start(provider_port).await?;
        let (instances, pools, own) = (Mutex::default(), BTreeMap::new(), Own::default());
        let mut it = Self { instances, prefix, http, pools, to_provider, own, setup, ground };
        it.create_databases().await?;
        fs::create_dir(it.dir())?;
        let journal = it.dir().join("ledger").display().to_string();
        it.launch(PROVIDER, PROVIDER, provider_port, vec![("LEDGER_FILE".into(), journal)]).await?;
        for service in SERVICES {
            it.add(&format!("{service}-1"), true).await?;
        }
        let ready = async {
            for service in SERVICES {
                it.ready(&format!("{service}-1")).await?;
            }
            anyhow::Ok(())
        };
        it.supervised(ready).await?;
        Ok(it)
    }

    /// Does something, and meanwhile starts again what has ended and should run, as a container engine does, and notes
    /// it.
    pub(crate) async fn supervised<T>(&self, something: impl Future<Output = T>) -> T {
        let supervise = async {
            let mut every = tokio::time::interval(WATCH);
            loop {
                every.tick().await;
                self.lock().await.tend();
            }
        };
        select! {
            done = something => done,
            never = supervise => never,
        }
    }

    async fn create_databases(&mut self) -> anyhow::Result<()> {
        for service in SERVICES {
            let database = self.database(service);
            let create = AssertSqlSafe(format!("create database \"{database}\""));
            self.ground.admin.execute(create).await.context("creating a database")?;
            let url = self.ground.database_url(&database, None).await;
            let pool = PgPoolOptions::new().max_connections(6).acquire_timeout(Duration::from_secs(5));
            self.pools.insert(service, pool.connect_lazy(&url)?);
        }
        Ok(())
    }

    /// Where its logs and pids are.
    fn dir(&self) -> PathBuf {
        self.ground.scratch.path().join(&self.prefix)
    }

    /// The name of a service's database.
    pub(crate) fn database(&self, service: &str) -> String {
        format!("{}_{service}", self.prefix)
    }

    /// Starts a process of a service: `order-2` is the second one of `order`. `stays` gives it a name in its consumer
    /// group that stays the same over restarts.
    pub(crate) async fn add(&self, name: &str, stays: bool) -> anyhow::Result<()> {
        let service = service_of(name)?;
        let way = self.ground.to_postgres(service)?;
        let kafka = self.ground.kafka.lock().await.front_servers().context("no way to Kafka")?;
        let mut env = vec![
            ("DATABASE_URL".to_owned(), self.ground.database_url(&self.database(service), Some(way)).await),
            ("KAFKA_BOOTSTRAP_SERVERS".to_owned(), kafka),
            ("TOPIC_PREFIX".to_owned(), self.prefix.clone()),
            ("PROVIDER_URL".to_owned(), format!("http://127.0.0.1:{}", self.to_provider.port())),
        ];
        env.extend(stays.then(|| ("INSTANCE_ID".to_owned(), format!("{}-{name}", self.prefix))));
        env.extend(self.setup.env.iter().cloned());
        self.launch(name, service, local::free_port()?, env).await
    }

    async fn launch(
        &self,
        name: &str,
        program: &str,
        port: u16,
        mut env: Vec<(String, String)>,
    ) -> anyhow::Result<()> {
        let (http, admin) = (format!("127.0.0.1:{port}"), format!("127.0.0.1:{}", local::free_port()?));
        env.extend([
            ("HTTP_ADDR".to_owned(), http.clone()),
            ("ADMIN_ADDR".to_owned(), admin.clone()),
            ("RUST_LOG".to_owned(), "warn,bus=info,engine=info".to_owned()),
        ]);
        let file = self.setup.programs.join(format!("waybill-{program}"));
        ensure!(file.is_file(), "{} is not built: cargo build --workspace --bins", file.display());
        let launch = Launch { env, ..Launch::new(name, self.dir(), file) };
        let process = launch.start()?;
        let urls = (format!("http://{http}"), format!("http://{admin}"));
        self.lock().await.by_name.insert(name.to_owned(), Instance::new(launch, process, urls));
        Ok(())
    }

    pub(crate) async fn lock(&self) -> MutexGuard<'_, Instances> {
        self.instances.lock().await
    }

    pub(crate) async fn url(&self, name: &str, path: &str) -> anyhow::Result<String> {
        Ok(format!("{}{path}", self.lock().await.get(name)?.http))
    }

    pub(crate) async fn admin_url(&self, name: &str, path: &str) -> anyhow::Result<String> {
        Ok(format!("{}{path}", self.lock().await.get(name)?.admin))
    }

    /// Waits until a process says that it is ready.
    pub(crate) async fn ready(&self, name: &str) -> anyhow::Result<Duration> {
        let (url, begun) = (self.url(name, "/readyz").await?, Instant::now());
        loop {
            let last = match self.http.get(&url).timeout(Duration::from_secs(3)).send().await {
                Ok(answer) if answer.status() == 200 => return Ok(begun.elapsed()),
                Ok(answer) => answer.text().await.unwrap_or_default(),
                Err(error) => error.to_string(),
            };
            if begun.elapsed() > READY {
                let words = self.lock().await.get(name)?.launch.last_words();
                bail!("{name} is not ready after {READY:?}: {last}; {words}");
            }
            sleep(POLL).await;
        }
    }

    /// kill -9; returns the pid that has ended. It stays down until [`restart`](Self::restart).
    pub(crate) async fn kill(&self, name: &str) -> anyhow::Result<u32> {
        self.lock().await.get_mut(name)?.kill().await
    }

    /// SIGTERM, and waits for the end, which has to be an orderly one. It stays down until
    /// [`restart`](Self::restart).
    pub(crate) async fn terminate(&self, name: &str) -> anyhow::Result<()> {
        self.lock().await.get_mut(name)?.terminate().await
    }

    /// Starts a process that has ended: same addresses, same environment.
    pub(crate) async fn restart(&self, name: &str) -> anyhow::Result<u32> {
        let mut instances = self.lock().await;
        let it = instances.get_mut(name)?;
        it.process = it.launch.start()?;
        it.wanted = true;
        Ok(it.process.pid())
    }

    /// Starts a process that has ended, once, with a variable more; nobody starts it again when it ends.
    pub(crate) async fn start_to_end(&self, name: &str, variable: (&str, String)) -> anyhow::Result<u32> {
        let mut instances = self.lock().await;
        let it = instances.get_mut(name)?;
        let mut launch = it.launch.clone();
        launch.env.push((variable.0.to_owned(), variable.1));
        it.process = launch.start()?;
        it.wanted = false;
        Ok(it.process.pid())
    }

    /// How a process has ended, if it has.
    pub(crate) async fn status(&self, name: &str) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.lock().await.get_mut(name)?.process.status())
    }

    /// Forgets a process that has ended.
    pub(crate) async fn remove(&self, name: &str) {
        self.lock().await.remove(name);
    }

    /// A signal to a process.
    pub(crate) async fn signal(&self, name: &str, signal: Signal) -> anyhow::Result<u32> {
        let mut instances = self.lock().await;
        let it = instances.get_mut(name)?;
        it.process.signal(signal)?;
        Ok(it.process.pid())
    }

    /// After a fault that broke off: nothing of it is left, and nobody is stopped or down, for the next one's sake.
    pub(crate) async fn heal(&self) -> anyhow::Result<()> {
        self.to_provider.heal();
        self.ground.heal(&self.prefix).await?;
        self.lock().await.by_name.values_mut().try_for_each(Instance::heal)
    }

    /// The ends that nobody had asked for, so far.
    pub(crate) async fn exits(&self) -> Vec<Exit> {
        self.lock().await.exits()
    }

    /// Stops all processes and deletes what they had.
    pub async fn clear(&self) -> anyhow::Result<()> {
        for it in self.lock().await.by_name.values_mut() {
            it.process.kill().await?;
        }
        let plan = topics::plan(&self.prefix, &SERVICES);
        let names: Vec<&str> = plan.iter().map(|it| it.name.as_str()).collect();
        self.ground.bus.delete_topics(&names).await?;
        for service in SERVICES {
            self.pools[service].close().await;
            let drop = format!("drop database if exists \"{}\" with (force)", self.database(service));
            self.ground.admin.execute(AssertSqlSafe(drop)).await?;
        }
        Ok(())
    }
}

/// The service that a process is of: `order` of `order-1`.
pub(crate) fn service_of(name: &str) -> anyhow::Result<&'static str> {
    let service = SERVICES.into_iter().find(|it| name.split('-').next() == Some(it));
    service.with_context(|| format!("{name} is no process of a service"))
}
