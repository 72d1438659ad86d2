//! Real processes, killed with -9 under load.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use bus::{Bus, topics};
use local::{Launch, Process, Scratch};
use saga_tests::{
    laws,
    suite::{SERVICES, an_order},
    topic,
};
use serde_json::{Value, json};
use sqlx::PgPool;
use testkit::{TestDatabase, eventually};

use crate::PATIENCE;

/// How many orders; more by `ORDERS=2000`.
const ORDERS: usize = 300;
const CONNECTIONS: usize = 16;

/// The suite as it is run: a process for each service and for the provider.
struct Processes {
    launches: BTreeMap<&'static str, Launch>,
    running: BTreeMap<&'static str, Process>,
    urls: BTreeMap<&'static str, String>,
    databases: BTreeMap<&'static str, TestDatabase>,
    http: reqwest::Client,
    prefix: String,
    bus: Bus,
    _scratch: Scratch,
}

/// The program that was built beside this test (`cargo test --workspace` builds all).
fn program(name: &str) -> PathBuf {
    let beside = std::env::current_exe()
        .expect("this test")
        .parent()
        .expect("deps")
        .parent()
        .expect("the target")
        .join(name);
    assert!(beside.exists(), "{} is not built: cargo build --bins", beside.display());
    beside
}

impl Processes {
    async fn start() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let scratch = Scratch::new().expect("a directory");
        let (prefix, bus) =
            (testkit::topic_prefix(), Bus::kafka(&testkit::bootstrap_servers()).expect("a client"));
        bus.create_topics(&topics::plan(&prefix, &SERVICES)).await.expect("topics");
        let mut it = Self {
            launches: BTreeMap::new(),
            running: BTreeMap::new(),
            urls: BTreeMap::new(),
            databases: BTreeMap::new(),
            http: reqwest::Client::new(),
            prefix,
            bus,
            _scratch: scratch,
        };
        it.launch("psp", vec![("LEDGER_FILE".into(), it.file("ledger"))]);
        for service in SERVICES {
            let database = TestDatabase::create_owned().await;
            let env = [
                ("DATABASE_URL", database.url().to_owned()),
                ("KAFKA_BOOTSTRAP_SERVERS", testkit::bootstrap_servers()),
                ("TOPIC_PREFIX", it.prefix.clone()),
                ("INSTANCE_ID", format!("{}-{service}-1", it.prefix)),
                ("PROVIDER_URL", it.urls["psp"].clone()),
                ("CARRIER_DELAY_MS", "0".to_owned()),
            ];
            it.databases.insert(service, database);
            it.launch(service, env.map(|(name, value)| (name.to_owned(), value)).into());
        }
        for service in SERVICES {
            it.ready(service).await;
        }
        it
    }

    fn file(&self, name: &str) -> String {
        self._scratch.path().join(name).display().to_string()
    }

    fn launch(&mut self, name: &'static str, mut env: Vec<(String, String)>) {
        let address = testkit::free_addr();
        env.push(("HTTP_ADDR".into(), address.to_string()));
        env.push(("RUST_LOG".into(), "warn".into()));
        let program = program(&format!("waybill-{name}"));
        let launch = Launch { env, ..Launch::new(name, self._scratch.path(), program) };
        self.running.insert(name, launch.start().expect("it starts"));
        self.launches.insert(name, launch);
        self.urls.insert(name, format!("http://{address}"));
    }

    async fn ready(&self, name: &str) {
        let url = format!("{}/readyz", self.urls[name]);
        eventually(PATIENCE, &format!("{name} is ready"), async || {
            let answer = self.http.get(&url).send().await.map_err(|error| error.to_string())?;
            if answer.status() == 200 { Ok(()) } else { Err(answer.text().await.unwrap_or_default()) }
        })
        .await;
    }

    async fn kill_and_restart(&mut self, name: &'static str) {
        let mut process = self.running.remove(name).expect("it runs");
        process.kill().await.expect("kill -9");
        assert!(!process.is_running(), "{name} is dead");
        self.running.insert(name, self.launches[name].start().expect("it starts again"));
    }

    async fn stock(&self, sku: &str, on_hand: i64) {
        let product = json!({"name": sku, "price": {"amount": 1999, "currency": "USD"}});
        let url = format!("{}/products/{sku}", self.urls["inventory"]);
        let put = self.http.put(&url).json(&product).send().await.expect("inventory");
        assert!(put.status().is_success());
        let adjustment = json!({"delta": on_hand, "reason": "goods received"});
        let adjusted = self.http.post(format!("{url}/adjustments")).json(&adjustment).send().await;
        assert!(adjusted.expect("inventory").status().is_success());
    }
}

/// Places an order as a careful client does: the same key until there is an answer.
async fn place(http: &reqwest::Client, url: &str, number: usize) -> String {
    let (quantity, token) = match number % 10 {
        0 => (1, "pm_card_chargeDeclined"),
        1 | 2 => (9_999, "pm_card_visa"),
        _ => (1, "pm_card_visa"),
    };
    let order = an_order("MUG-01", quantity, token);
    eventually(PATIENCE, "the order is accepted", async || {
        let post = http.post(url).header("idempotency-key", format!("order-{number}")).json(&order);
        let answer = post.send().await.map_err(|error| error.to_string())?;
        let status = answer.status();
        let body: Value = answer.json().await.map_err(|error| error.to_string())?;
        match (status.as_u16(), body["order_id"].as_str()) {
            (201, Some(id)) => Ok(id.to_owned()),
            _ => Err(format!("{status}: {body}")),
        }
    })
    .await
}

/// The order service (with its relay) and the payment service (a consumer that calls the provider) are killed
/// in mid-flow and started again: every accepted order ends, and the books agree.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_processes_lose_and_double_nothing() {
    let mut suite = Processes::start().await;
    suite.stock("MUG-01", 5_000).await;
    let url = format!("{}/orders", suite.urls["order"]);
    // Known to order once its price has travelled: then orders are accepted.
    place(&suite.http, &url, 1_000_003).await;
    let orders = std::env::var("ORDERS").ok().and_then(|it| it.parse().ok()).unwrap_or(ORDERS);
    let (next, accepted, http) = (AtomicUsize::new(0), AtomicUsize::new(0), suite.http.clone());
    // One task for all connections: the probes of `eventually` cannot move between threads.
    let load = futures::future::join_all((0..CONNECTIONS).map(async |_| {
        let mut ids = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= orders {
                return ids;
            }
            ids.push(place(&http, &url, number).await);
            accepted.fetch_add(1, Ordering::Relaxed);
        }
    }));
    let kills = async {
        for (part, service) in [(8, "order"), (4, "payment"), (2, "inventory")] {
            eventually(PATIENCE, "orders come in", async || match accepted.load(Ordering::Relaxed) {
                count if count >= orders / part => Ok(()),
                count => Err(format!("{count} accepted")),
            })
            .await;
            suite.kill_and_restart(service).await;
        }
    };
    let (ids, ()) = tokio::join!(load, kills);
    let ids: Vec<String> = ids.into_iter().flatten().collect();
    assert_eq!(ids.len(), orders);

    let pool = async |service: &'static str| {
        (service, PgPool::connect(suite.databases[service].url()).await.expect("a pool"))
    };
    let mut pools = BTreeMap::new();
    for service in SERVICES {
        pools.extend([pool(service).await]);
    }
    let ended = "select count(*) from order_view where status in ('delivered', 'cancelled')";
    eventually(4 * PATIENCE, "all orders end", async || {
        match sqlx::query_scalar::<_, i64>(ended)
            .fetch_one(&pools["order"])
            .await
            .map_err(|it| it.to_string())?
        {
            count if count == orders as i64 + 1 => Ok(()),
            count => Err(format!("{count} of {} have ended", orders + 1)),
        }
    })
    .await;
    let letters = laws::quiet(&pools).await;
    assert!(letters.values().all(|count| *count == 0), "dead letters: {letters:?}");
    let ledger = suite.http.get(format!("{}/ledger", suite.urls["psp"])).send().await.expect("psp");
    laws::hold(&pools, &ledger.json().await.expect("JSON")).await;
    topic::check_sequences(&suite.bus, &suite.prefix, &pools).await;

    for process in suite.running.values_mut() {
        process.stop(nix::sys::signal::Signal::SIGTERM, Duration::from_secs(20)).await.expect("a clean stop");
    }
    for pool in pools.values() {
        pool.close().await;
    }
    let names: Vec<String> = topics::plan(&suite.prefix, &SERVICES).into_iter().map(|it| it.name).collect();
    suite
        .bus
        .delete_topics(&names.iter().map(String::as_str).collect::<Vec<_>>())
        .await
        .expect("topics are deleted");
    for (_, database) in suite.databases {
        database.close().await;
    }
}
