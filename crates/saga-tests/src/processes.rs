mod crash;
mod memory;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    time::{Duration, Instant},
};

use audit::Sources;
use bus::{Bus, topics};
use load::Target;
use local::{Kafka, Launch, Process, Scratch};
use nix::sys::signal::Signal;
use sqlx::{PgPool, postgres::PgPoolOptions};
use testkit::{TestDatabase, eventually};
use tokio::sync::{Semaphore, SemaphorePermit};

pub use self::memory::{MemoryWatch, Resident};
use crate::{
    laws,
    suite::{PATIENCE, SERVICES},
};

/// The provider's process, beside the [`SERVICES`].
pub const PROVIDER: &str = "psp";
/// A stop that takes longer has met a deadline of its own.
pub const STOP: Duration = Duration::from_secs(10);

/// Suites that run at once, of five processes each: more of them would measure how busy the machine is.
static TURNS: Semaphore = Semaphore::const_new(2);

/// How a suite of processes differs from the usual one.
#[derive(Default)]
pub struct Setup {
    /// Service, variable and value, on top of the usual ones.
    pub env: Vec<(&'static str, &'static str, String)>,
    /// On a broker of its own, which may be killed.
    pub own_kafka: bool,
}

/// The suite as it is run: a process for each service and for the provider.
pub struct Processes {
    running: BTreeMap<&'static str, Process>,
    launches: Launches,
    pub kafka: Option<Kafka>,
    pub bus: Bus,
    pub prefix: String,
    pub pools: BTreeMap<&'static str, PgPool>,
    pub http: reqwest::Client,
    urls: BTreeMap<&'static str, String>,
    databases: Vec<TestDatabase>,
    scratch: Scratch,
    _turn: SemaphorePermit<'static>,
}

/// How long a process took to stop, and its exit code; none if a signal has ended it.
#[derive(Debug, Clone, Copy)]
pub struct Stopped {
    pub took: Duration,
    pub code: Option<i32>,
}

/// What the processes were started with. A test that fails shows how their logs end, before they are removed.
#[derive(Default)]
struct Launches(BTreeMap<&'static str, Launch>);

impl Drop for Launches {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.values().for_each(|it| eprintln!("{}", it.last_words()));
        }
    }
}

/// The program that was built beside this test (`cargo test --workspace` builds all).
pub fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("this test");
    let beside = test.parent().and_then(|deps| deps.parent()).expect("the target").join(name);
    assert!(beside.exists(), "{} is not built: cargo build --bins", beside.display());
    beside
}

impl Processes {
    pub async fn start() -> Self {
        Self::start_with(Setup::default()).await
    }

    /// Starts everything and waits until all are ready.
    pub async fn start_with(setup: Setup) -> Self {
        // The clients' TLS provider; set before by another test of this process.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let turn = TURNS.acquire().await.expect("a turn");
        let scratch = Scratch::new().expect("a directory");
        let kafka = match setup.own_kafka {
            true => Some(Kafka::start(&scratch.path().join("kafka"), None).await.expect("Kafka")),
            false => None,
        };
        let brokers = kafka.as_ref().map_or_else(testkit::bootstrap_servers, Kafka::bootstrap_servers);
        let (prefix, bus) = (testkit::topic_prefix(), Bus::kafka(&brokers).expect("a client"));
        bus.create_topics(&topics::plan(&prefix, &SERVICES)).await.expect("topics");
        let mut it = Self {
            running: BTreeMap::new(),
            launches: Launches::default(),
            kafka,
            bus,
            prefix,
            pools: BTreeMap::new(),
            http: reqwest::Client::new(),
            urls: BTreeMap::new(),
            databases: Vec::new(),
            scratch,
            _turn: turn,
        };
        // What the provider has done outlives it, as it does at a real one.
        let journal = it.scratch.path().join("ledger").display().to_string();
        it.launch(PROVIDER, vec![("LEDGER_FILE".into(), journal)]);
        for service in SERVICES {
            it.launch_service(service, &brokers, &setup.env).await;
        }
        for service in SERVICES {
            it.ready(service).await;
        }
        it
    }

    async fn launch_service(
        &mut self,
        service: &'static str,
        brokers: &str,
        more: &[(&'static str, &'static str, String)],
    ) {
        let database = TestDatabase::create_owned().await;
        let pool = PgPoolOptions::new().max_connections(2).connect_lazy(database.url()).expect("a URL");
        let usual = [
            ("DATABASE_URL", database.url().to_owned()),
            ("KAFKA_BOOTSTRAP_SERVERS", brokers.to_owned()),
            ("TOPIC_PREFIX", self.prefix.clone()),
            ("INSTANCE_ID", format!("{}-{service}-1", self.prefix)),
            ("PROVIDER_URL", self.url(PROVIDER, "")),
            ("CARRIER_DELAY_MS", "0".to_owned()),
        ];
        let more = more.iter().filter(|it| it.0 == service).map(|it| (it.1, it.2.clone()));
        let env = usual.into_iter().chain(more).map(|(name, value)| (name.to_owned(), value));
        self.launch(service, env.collect());
        self.pools.insert(service, pool);
        self.databases.push(database);
    }

    fn launch(&mut self, name: &'static str, mut env: Vec<(String, String)>) {
        let address = testkit::free_addr();
        env.extend([("HTTP_ADDR".into(), address.to_string()), ("RUST_LOG".into(), "warn".into())]);
        let program = program(&format!("waybill-{name}"));
        let launch = Launch { env, ..Launch::new(name, self.scratch.path(), program) };
        self.launches.0.insert(name, launch);
        self.urls.insert(name, format!("http://{address}"));
        self.restart(name);
    }

    pub fn url(&self, name: &str, path: &str) -> String {
        format!("{}{path}", self.urls[name])
    }

    /// Waits until a process says that it is ready.
    pub async fn ready(&self, name: &str) {
        let url = self.url(name, "/readyz");
        eventually(PATIENCE, &format!("{name} is ready"), async || {
            let answer = self.http.get(&url).send().await.map_err(|error| error.to_string())?;
            if answer.status() == 200 { Ok(()) } else { Err(answer.text().await.unwrap_or_default()) }
        })
        .await;
    }

    /// Starts one that has ended: same address, same environment.
    pub fn restart(&mut self, name: &'static str) {
        self.running.insert(name, self.launches.0[name].start().expect("it starts"));
    }

    /// kill -9.
    pub async fn kill(&mut self, name: &'static str) {
        let mut process = self.running.remove(name).expect("it runs");
        process.kill().await.expect("kill -9");
        assert!(!process.is_running(), "{name} is dead");
    }

    /// SIGTERM, and waits for the end.
    pub async fn terminate(&mut self, name: &'static str) -> Stopped {
        let mut process = self.running.remove(name).expect("it runs");
        let asked = Instant::now();
        process.stop(Signal::SIGTERM, 2 * STOP).await.expect("SIGTERM");
        Stopped { took: asked.elapsed(), code: process.status().and_then(|it| it.code()) }
    }

    /// SIGSTOP: it holds its connections and does nothing. Returns once it has really stopped.
    pub async fn freeze(&mut self, name: &'static str) {
        let process = self.running.get_mut(name).expect("it runs");
        process.signal(Signal::SIGSTOP).expect("SIGSTOP");
        let pid = process.pid();
        eventually(PATIENCE, &format!("{name} is stopped"), async || match memory::field(pid, "State:") {
            Some(state) if state.starts_with('T') => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
    }

    /// SIGCONT.
    pub fn thaw(&mut self, name: &'static str) {
        self.signal(name, Signal::SIGCONT);
    }

    /// Sends a signal, and does not wait for what comes of it.
    pub fn signal(&mut self, name: &'static str, signal: Signal) {
        self.running.get_mut(name).expect("it runs").signal(signal).expect("a signal");
    }

    /// Samples the memory of all processes that run now.
    pub fn watch_memory(&self) -> MemoryWatch {
        MemoryWatch::begin(self.pids())
    }

    fn pids(&self) -> BTreeMap<&'static str, u32> {
        self.running.iter().map(|(name, process)| (*name, process.pid())).collect()
    }

    /// The sum of a service's samples of `name` that carry all of `labels`.
    pub async fn metric(&self, service: &str, name: &str, labels: &str) -> f64 {
        let answer = self.http.get(self.url(service, "/metrics")).send().await.expect("metrics");
        let text = answer.text().await.expect("text");
        let samples = text.lines().filter(|it| it.starts_with(&format!("{name}{{")) && it.contains(labels));
        samples.filter_map(|it| it.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// Where a load comes in, and how long its clients ask; a suite has one load.
    pub fn target(&self) -> Target {
        Target {
            order_url: self.url("order", ""),
            inventory_url: self.url("inventory", ""),
            key: self.prefix.clone(),
            patience: 2 * PATIENCE,
        }
    }

    /// How many rows a service's database has of what follows `from`.
    pub async fn count(&self, service: &str, from: &str) -> i64 {
        count(&self.pools, service, from).await.expect("a count")
    }

    /// What an auditor of this suite looks at.
    pub fn sources(&self) -> Sources {
        Sources {
            databases: self.pools.clone(),
            bus: self.bus.clone(),
            topic_prefix: self.prefix.clone(),
            http: self.http.clone(),
            provider_url: self.url(PROVIDER, ""),
        }
    }

    /// Waits until nothing is left to do, asserts the laws, stops all and clears everything away.
    pub async fn finish(self) {
        let sources = self.sources();
        let letters = laws::quiet(&sources).await;
        assert!(letters.values().all(|count| *count == 0), "dead letters: {letters:?}");
        for service in SERVICES {
            eventually(PATIENCE, &format!("{service} has no deadline left"), async || {
                match count(&self.pools, service, "engine.deadline").await {
                    Ok(0) => Ok(()),
                    other => Err(format!("{other:?}")),
                }
            })
            .await;
        }
        laws::hold(&sources).await;
        self.clear().await;
    }

    /// Stops all and clears everything away, whatever holds or does not.
    pub async fn clear(mut self) {
        for name in self.pids().into_keys() {
            let Stopped { took, code } = self.terminate(name).await;
            assert!(code == Some(0) && took < STOP, "{name} stopped with {code:?} after {took:?}");
        }
        let plan = topics::plan(&self.prefix, &SERVICES);
        let names: Vec<&str> = plan.iter().map(|it| it.name.as_str()).collect();
        self.bus.delete_topics(&names).await.expect("topics are deleted");
        for pool in self.pools.values() {
            pool.close().await;
        }
        for database in self.databases {
            database.close().await;
        }
    }
}

async fn count(pools: &BTreeMap<&str, PgPool>, service: &str, from: &str) -> sqlx::Result<i64> {
    let query = sqlx::AssertSqlSafe(format!("select count(*) from {from}"));
    sqlx::query_scalar(query).fetch_one(&pools[service]).await
}
