use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use audit::Sources;
use bus::{Bus, topics};
use clap::Parser;
use serde_json::{Value, json};
use sqlx::PgPool;
use testkit::{TestDatabase, eventually};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use load::an_order;

use crate::laws;

/// The services, in the order in which they are started.
pub const SERVICES: [&str; 4] = ["order", "inventory", "payment", "shipping"];

/// How a suite differs from the usual one.
pub struct Options {
    pub bus: Bus,
    /// `postgres://` URLs of the services' databases; none: new ones on the Postgres that tests share.
    pub databases: Option<BTreeMap<&'static str, String>>,
    /// Further flags of a service: `("shipping", "--carrier-delay-ms", "500")`.
    pub flags: Vec<(&'static str, &'static str, &'static str)>,
}

impl Default for Options {
    fn default() -> Self {
        let bus = Bus::kafka(&testkit::bootstrap_servers()).expect("a Kafka client");
        // Dispatched and delivered at once.
        Self { bus, databases: None, flags: vec![("shipping", "--carrier-delay-ms", "0")] }
    }
}

/// A running suite.
pub struct Suite {
    pub bus: Bus,
    pub prefix: String,
    pub http: reqwest::Client,
    pub pools: BTreeMap<&'static str, PgPool>,
    databases: Vec<TestDatabase>,
    urls: BTreeMap<&'static str, String>,
    addresses: BTreeMap<&'static str, SocketAddr>,
    admin_addresses: BTreeMap<&'static str, SocketAddr>,
    flags: Vec<(&'static str, &'static str, &'static str)>,
    psp: psp::Running,
    running: BTreeMap<&'static str, (CancellationToken, JoinHandle<anyhow::Result<()>>)>,
}

/// What an order is waited for, at the most. Generous: the machine may be busy with other tests.
pub const PATIENCE: Duration = Duration::from_secs(60);

impl Suite {
    /// Starts everything and waits until all are ready.
    pub async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    pub async fn start_with(options: Options) -> Self {
        // The clients' TLS provider; set before by another test of this process.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let prefix = testkit::topic_prefix();
        options.bus.create_topics(&topics::plan(&prefix, &SERVICES)).await.expect("topics");
        let psp =
            psp::start(psp::Config::parse_from(["psp", "--http-addr", "127.0.0.1:0"])).await.expect("psp");
        let (mut databases, mut urls) = (Vec::new(), BTreeMap::new());
        for service in SERVICES {
            let url = match options.databases.as_ref().and_then(|it| it.get(service)) {
                Some(url) => url.clone(),
                None => {
                    databases.push(TestDatabase::create_owned().await);
                    databases[databases.len() - 1].url().to_owned()
                }
            };
            urls.insert(service, url);
        }
        let pools = urls.iter().map(|(service, url)| (*service, PgPool::connect_lazy(url).expect("a url")));
        let mut suite = Self {
            pools: pools.collect(),
            addresses: SERVICES.into_iter().map(|it| (it, testkit::free_addr())).collect(),
            admin_addresses: SERVICES.into_iter().map(|it| (it, testkit::free_addr())).collect(),
            bus: options.bus,
            flags: options.flags,
            http: reqwest::Client::new(),
            running: BTreeMap::new(),
            prefix,
            databases,
            urls,
            psp,
        };
        for service in SERVICES {
            suite.start_service(service);
        }
        for service in SERVICES {
            suite.ready(service).await;
        }
        suite
    }

    /// Starts a service that is not running.
    pub fn start_service(&mut self, service: &'static str) {
        let given: Vec<String> = [
            ("--database-url", self.urls[service].clone()),
            ("--topic-prefix", self.prefix.clone()),
            ("--instance-id", format!("{}-{service}", self.prefix)),
            ("--http-addr", self.addresses[service].to_string()),
            ("--admin-addr", self.admin_addresses[service].to_string()),
        ]
        .into_iter()
        .chain((service == "payment").then(|| ("--provider-url", format!("http://{}", self.psp.addr))))
        .chain(self.flags.iter().filter(|it| it.0 == service).map(|it| (it.1, it.2.to_owned())))
        .flat_map(|(flag, value)| [flag.to_owned(), value])
        .collect();
        let args = ["x".to_owned()].into_iter().chain(given);
        let (bus, stop) = (self.bus.clone(), CancellationToken::new());
        let token = stop.clone();
        let task = match service {
            "order" => tokio::spawn(order::run_on(bus, order::Config::parse_from(args), token)),
            "inventory" => tokio::spawn(inventory::run_on(bus, inventory::Config::parse_from(args), token)),
            "payment" => tokio::spawn(payment::run_on(bus, payment::Config::parse_from(args), token)),
            "shipping" => tokio::spawn(shipping::run_on(bus, shipping::Config::parse_from(args), token)),
            other => panic!("no service is called {other}"),
        };
        self.running.insert(service, (stop, task));
    }

    /// Stops a service as SIGTERM does.
    pub async fn stop_service(&mut self, service: &str) {
        let (stop, task) = self.running.remove(service).expect("a running service");
        stop.cancel();
        task.await.expect("no panic").expect("a clean stop");
    }

    /// Ends a service at once, wherever it is.
    pub async fn abort_service(&mut self, service: &str) {
        let (_, task) = self.running.remove(service).expect("a running service");
        task.abort();
        let _ = task.await;
    }

    pub async fn ready(&self, service: &str) {
        let url = self.url(service, "/readyz");
        eventually(PATIENCE, &format!("{service} is ready"), async || {
            let answer = self.http.get(&url).send().await.map_err(|error| error.to_string())?;
            match answer.status().as_u16() {
                200 => Ok(()),
                _ => Err(answer.text().await.unwrap_or_default()),
            }
        })
        .await;
    }

    pub fn url(&self, service: &str, path: &str) -> String {
        format!("http://{}{path}", self.addresses[service])
    }

    /// The operator's address of a service.
    pub fn admin_url(&self, service: &str, path: &str) -> String {
        format!("http://{}{path}", self.admin_addresses[service])
    }

    /// Puts a product on the shelf and waits until the order service knows its price.
    pub async fn stock(&self, sku: &str, price: i64, on_hand: i64) {
        let product =
            json!({"name": format!("Product {sku}"), "price": {"amount": price, "currency": "USD"}});
        let put = self.http.put(self.url("inventory", &format!("/products/{sku}"))).json(&product);
        assert!(put.send().await.expect("inventory").status().is_success());
        if on_hand > 0 {
            let path = format!("/products/{sku}/adjustments");
            let adjust = self.http.post(self.url("inventory", &path));
            let adjusted = adjust.json(&json!({"delta": on_hand, "reason": "goods received"})).send().await;
            assert!(adjusted.expect("inventory").status().is_success());
        }
        let known = "select count(*) from price where sku = $1 and amount = $2";
        eventually(PATIENCE, "the order service knows the price", async || {
            let count: i64 = sqlx::query_scalar(known)
                .bind(sku)
                .bind(price)
                .fetch_one(&self.pools["order"])
                .await
                .map_err(|error| error.to_string())?;
            if count == 1 { Ok(()) } else { Err(format!("{sku} is not in the price list")) }
        })
        .await;
    }

    /// Places an order and returns its id.
    pub async fn place(&self, order: &Value) -> String {
        let answer = self.http.post(self.url("order", "/orders")).json(order).send().await.expect("order");
        let status = answer.status();
        let body: Value = answer.json().await.expect("JSON");
        assert_eq!(status, 201, "{body}");
        body["order_id"].as_str().expect("an id").to_owned()
    }

    pub async fn get(&self, service: &str, path: &str) -> Value {
        let answer = self.http.get(self.url(service, path)).send().await.expect("an answer");
        assert!(answer.status().is_success(), "{service}{path}: {}", answer.status());
        answer.json().await.expect("JSON")
    }

    /// Waits until an order has `status`, and returns it.
    pub async fn reaches(&self, order_id: &str, status: &str) -> Value {
        let path = format!("/orders/{order_id}");
        eventually(PATIENCE, &format!("order {order_id} is {status}"), async || {
            let answer = self.http.get(self.url("order", &path)).send().await.map_err(|it| it.to_string())?;
            let order: Value = answer.json().await.map_err(|it| it.to_string())?;
            if order["status"] == status { Ok(order) } else { Err(order.to_string()) }
        })
        .await
    }

    /// Waits until a payment has `status`, and returns it.
    pub async fn settled(&self, order_id: &str, status: &str) -> Value {
        let url = self.url("payment", &format!("/payments/{order_id}"));
        eventually(PATIENCE, &format!("the payment of {order_id} is {status}"), async || {
            let answer = self.http.get(&url).send().await.map_err(|it| it.to_string())?;
            let payment: Value = answer.json().await.map_err(|it| it.to_string())?;
            if payment["status"] == status { Ok(payment) } else { Err(payment.to_string()) }
        })
        .await
    }

    /// The provider's own books on one order: kinds and amounts.
    pub async fn ledger(&self, order_id: &str) -> Vec<(String, i64)> {
        let url = format!("http://{}/ledger?order_id={order_id}", self.psp.addr);
        let ledger: Value = self.http.get(url).send().await.expect("psp").json().await.expect("JSON");
        let entries = ledger["entries"].as_array().expect("entries").iter();
        entries
            .map(|it| (it["kind"].as_str().expect("kind").to_owned(), it["amount"].as_i64().expect("amount")))
            .collect()
    }

    /// What an auditor of this suite looks at.
    pub fn sources(&self) -> Sources {
        Sources {
            databases: self.pools.clone(),
            bus: self.bus.clone(),
            topic_prefix: self.prefix.clone(),
            http: self.http.clone(),
            provider_url: format!("http://{}", self.psp.addr),
        }
    }

    /// Waits until nothing is left to do, asserts the laws and clears everything away.
    pub async fn finish(self) {
        self.finish_with(|_| {}).await;
    }

    /// The same, for a scenario that has put dead letters there: `expected` looks at their number per service.
    pub async fn finish_with(mut self, expected: impl FnOnce(&BTreeMap<&'static str, i64>)) {
        let sources = self.sources();
        expected(&laws::quiet(&sources).await);
        laws::hold(&sources).await;
        for service in SERVICES {
            if self.running.contains_key(service) {
                self.stop_service(service).await;
            }
        }
        let names: Vec<String> =
            topics::plan(&self.prefix, &SERVICES).into_iter().map(|it| it.name).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        self.bus.delete_topics(&names).await.expect("topics are deleted");
        for pool in self.pools.values() {
            pool.close().await;
        }
        for database in self.databases {
            database.close().await;
        }
    }
}
