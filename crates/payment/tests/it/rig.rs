//! A payment service with a database, a log and a provider of its own.

mod seen;

use std::{net::SocketAddr, path::Path, time::Duration};

use bus::{Bus, Producer, TopicSpec, topics};
use clap::Parser as _;
use events::{Event, OrderId};
use sqlx::PgPool;
use testkit::{TestDatabase, eventually};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    laws,
    order::{self, Order},
};

/// For whatever is expected to happen: long, because it costs time only when it does not.
pub(crate) const SOON: Duration = Duration::from_secs(60);
pub(crate) const KEY: &str = "sk_test_of_payment";

pub(crate) struct Rig {
    database: TestDatabase,
    pub(crate) pool: PgPool,
    bus: Bus,
    prefix: String,
    producer: Producer,
    provider: Option<psp::Running>,
    provider_url: String,
    pub(crate) client: reqwest::Client,
    pub(crate) base: String,
    address: SocketAddr,
    arguments: Vec<String>,
    services: Vec<(CancellationToken, JoinHandle<anyhow::Result<()>>)>,
}

/// How a rig differs from the usual one.
#[derive(Default)]
pub(crate) struct Options<'a> {
    pub(crate) latency_ms: u64,
    pub(crate) workers: Option<&'a str>,
    /// The key that the service presents, when it is not the provider's.
    pub(crate) wrong_key: Option<&'a str>,
    /// Where the provider will be, when it is not there yet.
    pub(crate) absent_provider: Option<String>,
    /// Whether the log is Kafka, rather than in memory.
    pub(crate) kafka: bool,
}

impl Rig {
    pub(crate) async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    pub(crate) async fn start_with(options: Options<'_>) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let prefix = testkit::topic_prefix();
        let bus = start_log(&prefix, options.kafka).await;
        let database = TestDatabase::create_owned().await;
        let (provider, provider_url) = match options.absent_provider {
            Some(address) => (None, format!("http://{address}")),
            None => {
                let provider = start_provider("127.0.0.1:0", None, options.latency_ms).await;
                let url = provider.base_url();
                (Some(provider), url)
            }
        };
        let address = testkit::free_addr();
        let kafka = testkit::bootstrap_servers();
        let key = options.wrong_key.unwrap_or(KEY);
        let arguments = ["payment", "--database-url", database.url(), "--topic-prefix", &prefix]
            .into_iter()
            .chain(["--kafka-bootstrap-servers", &kafka, "--provider-url", &provider_url])
            .chain(["--provider-api-key", key])
            .chain(["--workers", options.workers.unwrap_or("1")])
            .map(str::to_owned)
            .collect();
        let mut rig = Self {
            address,
            pool: database.pool().await,
            producer: bus.producer().unwrap(),
            client: reqwest::Client::new(),
            base: format!("http://{address}"),
            services: Vec::new(),
            database,
            bus,
            prefix,
            provider,
            provider_url,
            arguments,
        };
        rig.start_service().await;
        rig
    }

    pub(crate) async fn start_service(&mut self) {
        self.start_service_at(self.address).await;
    }

    /// Another process of the service, beside the first.
    pub(crate) async fn start_another_service(&mut self) {
        self.start_service_at(testkit::free_addr()).await;
    }

    async fn start_service_at(&mut self, address: SocketAddr) {
        let address = address.to_string();
        let arguments = self.arguments.iter().map(String::as_str).chain(["--http-addr", &address]);
        let config = payment::Config::parse_from(arguments);
        let stop = CancellationToken::new();
        let running = payment::run_on(self.bus.clone(), config, stop.clone());
        self.services.push((stop, tokio::spawn(running)));
        // Migrated, and answering: what was sent by then, or is sent later, is read.
        eventually(SOON, "the service knows its payments", async || {
            let answer = self.client.get(format!("http://{address}/payments/{}", Uuid::nil())).send().await;
            match answer {
                Ok(answer) if answer.status() == 404 => Ok(()),
                Ok(answer) => Err(answer.text().await.unwrap_or_default()),
                Err(error) => Err(error.to_string()),
            }
        })
        .await;
    }

    pub(crate) async fn stop_service(&mut self) {
        for (stop, running) in std::mem::take(&mut self.services) {
            stop.cancel();
            running.await.unwrap().unwrap();
        }
    }

    /// Starts the provider where the service expects it, with a journal to remember by.
    pub(crate) async fn start_provider(&mut self, journal: &Path) {
        let address = self.provider_url.trim_start_matches("http://").to_owned();
        self.provider = Some(start_provider(&address, Some(journal), 0).await);
    }

    pub(crate) async fn stop_provider(&mut self) {
        self.provider.take().expect("a running provider").stop().await.unwrap();
    }

    // What the other services say.

    /// An order that is to be paid with `payment_method`, before anything was said of it.
    pub(crate) fn order(&self, payment_method: &str) -> Order {
        Order { id: OrderId::new(), payment_method: payment_method.to_owned() }
    }

    /// An order that is placed and has its stock.
    pub(crate) async fn placed(&self, payment_method: &str) -> Order {
        let order = self.order(payment_method);
        self.send(&order.placed()).await;
        self.send(&order.reserved()).await;
        order
    }

    pub(crate) async fn send<E: Event>(&self, event: &E) -> Uuid {
        let id = Uuid::now_v7();
        self.send_as(id, event).await;
        id
    }

    /// The same id again is a duplicate.
    pub(crate) async fn send_as<E: Event>(&self, id: Uuid, event: &E) {
        let topic = topics::name(&self.prefix, E::AGGREGATE.name());
        let record = order::cloud_event(id, event).into_record(topic.into(), event.key().into());
        self.producer.enqueue([record]).acknowledged().await.unwrap();
    }

    /// Has the service read everything again from the beginning.
    pub(crate) async fn rewind(&self) {
        self.bus.rewind(&format!("{}.payment", self.prefix)).await.unwrap();
    }

    /// Checks what must hold at the end of every test, and clears everything away.
    pub(crate) async fn finish(self) {
        self.finish_with(0, 0).await;
    }

    /// The same, with so many messages that were parked and calls that are open.
    pub(crate) async fn finish_with(self, letters: i64, calls: i64) {
        self.drained().await;
        assert_eq!(self.count("select count(*) from engine.dead_letter").await, letters, "dead letters");
        assert_eq!(self.count("select count(*) from engine.effect").await, calls, "open calls");
        laws::hold(&self.pool, &self.entries("").await).await;
        self.clear_away().await;
    }

    /// For a test in which somebody else has moved money, so that our books are not all.
    pub(crate) async fn clear_away(mut self) {
        self.stop_service().await;
        if self.provider.is_some() {
            self.stop_provider().await;
        }
        self.pool.close().await;
        self.database.close().await;
        if let Bus::Kafka(_) = self.bus {
            let topics: Vec<String> = plan(&self.prefix).into_iter().map(|it| it.name).collect();
            self.bus.delete_topics(&topics.iter().map(String::as_str).collect::<Vec<_>>()).await.unwrap();
        }
    }
}

fn plan(prefix: &str) -> Vec<TopicSpec> {
    topics::plan(prefix, &["payment"])
}

async fn start_log(prefix: &str, kafka: bool) -> Bus {
    let bus = match kafka {
        true => Bus::kafka(&testkit::bootstrap_servers()).unwrap(),
        false => Bus::memory(),
    };
    let specs = plan(prefix);
    bus.create_topics(&specs).await.unwrap();
    // A topic is created before its partitions have leaders: until then it cannot be looked into.
    eventually(SOON, "the topics can be read", async || {
        let there = bus.topics(prefix).await.map_err(|error| error.to_string())?.len();
        if there == specs.len() { Ok(()) } else { Err(format!("{there} topics")) }
    })
    .await;
    bus
}

async fn start_provider(address: &str, journal: Option<&Path>, latency_ms: u64) -> psp::Running {
    let config = psp::Config {
        http_addr: address.to_owned(),
        psp_api_key: KEY.to_owned(),
        ledger_file: journal.map(Into::into),
        psp_latency_ms: latency_ms,
    };
    psp::start(config).await.unwrap()
}
