//! A payment service with a database, a log and a provider of its own.

use std::{path::Path, time::Duration};

use bus::{Bus, MemoryLog, Producer, cloud_event::Envelope, topics};
use clap::Parser as _;
use events::{Event, OrderId};
use serde_json::Value;
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
    log: MemoryLog,
    prefix: String,
    producer: Producer,
    provider: Option<psp::Running>,
    provider_url: String,
    pub(crate) client: reqwest::Client,
    pub(crate) base: String,
    arguments: Vec<String>,
    service: Option<(CancellationToken, JoinHandle<anyhow::Result<()>>)>,
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
}

impl Rig {
    pub(crate) async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    pub(crate) async fn start_with(options: Options<'_>) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let log = MemoryLog::default();
        let bus = Bus::Memory(log.clone());
        let prefix = testkit::topic_prefix();
        bus.create_topics(&topics::plan(&prefix, &["payment"])).await.unwrap();
        let database = TestDatabase::create_owned().await;
        let (provider, provider_url) = match options.absent_provider {
            Some(address) => (None, format!("http://{address}")),
            None => {
                let provider = start_provider("127.0.0.1:0", None, options.latency_ms).await;
                let url = provider.base_url();
                (Some(provider), url)
            }
        };
        let address = testkit::free_addr().to_string();
        let key = options.wrong_key.unwrap_or(KEY);
        let arguments = ["payment", "--database-url", database.url(), "--topic-prefix", &prefix]
            .into_iter()
            .chain(["--http-addr", &address, "--provider-url", &provider_url, "--provider-api-key", key])
            .chain(["--workers", options.workers.unwrap_or("1")])
            .map(str::to_owned)
            .collect();
        let mut rig = Self {
            pool: database.pool().await,
            producer: bus.producer().unwrap(),
            client: reqwest::Client::new(),
            base: format!("http://{address}"),
            service: None,
            database,
            log,
            prefix,
            provider,
            provider_url,
            arguments,
        };
        rig.start_service().await;
        rig
    }

    pub(crate) async fn start_service(&mut self) {
        let config = payment::Config::parse_from(&self.arguments);
        let stop = CancellationToken::new();
        let running = payment::run_on(Bus::Memory(self.log.clone()), config, stop.clone());
        self.service = Some((stop, tokio::spawn(running)));
        // Migrated, and answering: what was sent by then, or is sent later, is read.
        eventually(SOON, "the service knows its payments", async || {
            let answer = self.client.get(format!("{}/payments/{}", self.base, Uuid::nil())).send().await;
            match answer {
                Ok(answer) if answer.status() == 404 => Ok(()),
                Ok(answer) => Err(answer.text().await.unwrap_or_default()),
                Err(error) => Err(error.to_string()),
            }
        })
        .await;
    }

    pub(crate) async fn stop_service(&mut self) {
        let (stop, running) = self.service.take().expect("a running service");
        stop.cancel();
        running.await.unwrap().unwrap();
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
    pub(crate) fn rewind(&self) {
        self.log.rewind(&format!("{}.payment", self.prefix));
    }

    // What is to be seen from outside.

    pub(crate) async fn get(&self, order: &Order) -> Option<Value> {
        let answer = self.client.get(format!("{}/payments/{}", self.base, order.id)).send().await.unwrap();
        (answer.status() == 200).then_some(answer.json().await.unwrap())
    }

    /// Waits until a payment has `status`, and returns it.
    #[track_caller]
    pub(crate) fn reaches(&self, order: &Order, status: &str) -> impl Future<Output = Value> {
        let what = format!("the payment with {} is {status}", order.payment_method);
        async move {
            let probe = async || match self.get(order).await {
                Some(payment) if payment["status"] == status => Ok(payment),
                other => Err(format!("{other:?}")),
            };
            eventually(SOON, &what, probe).await
        }
    }

    /// The provider's own books on an order: `authorize 3998 usd`, in order.
    pub(crate) async fn ledger(&self, order: &Order) -> Vec<String> {
        let entries = self.entries(&format!("?order_id={}", order.id)).await;
        let text = |entry: &Value, name: &str| entry[name].as_str().unwrap().to_owned();
        entries
            .iter()
            .map(|it| format!("{} {} {}", text(it, "kind"), it["amount"], text(it, "currency")))
            .collect()
    }

    /// Waits until the provider has done `count` things for an order.
    pub(crate) async fn ledger_of(&self, order: &Order, count: usize) {
        eventually(SOON, "the provider has done its work", async || {
            let ledger = self.ledger(order).await;
            if ledger.len() == count { Ok(()) } else { Err(format!("{ledger:?}")) }
        })
        .await;
    }

    /// What somebody does at the provider's own desk.
    pub(crate) async fn at_the_desk(&self, payment: &Value, what: &str) {
        let reference = payment["provider_reference"].as_str().expect("a reference");
        let url = format!("{}/v1/payment_intents/{reference}/{what}", self.provider_url);
        let done = self.client.post(url).bearer_auth(KEY).send().await.unwrap();
        assert_eq!(done.status(), 200);
    }

    /// What was published of an order: `1 payment.authorized`, in order.
    pub(crate) async fn published(&self, order: &Order) -> Vec<String> {
        self.drained().await;
        let mut published = Vec::new();
        for record in self.topic("payment").await {
            let sequence = record.header("ce_sequence").map(|it| String::from_utf8_lossy(it).into_owned());
            let envelope = Envelope::open(&record).unwrap();
            let name = envelope.event_type().unwrap().trim_start_matches("waybill.");
            let name = name.rsplit_once(".v").unwrap().0;
            if record.key.as_deref() == Some(order.id.to_string().as_bytes()) {
                published.push(format!("{} {name}", sequence.unwrap()));
            }
        }
        published
    }

    /// The provider's own books.
    async fn entries(&self, query: &str) -> Vec<Value> {
        let url = format!("{}/ledger{query}", self.provider_url);
        let ledger: Value = self.client.get(url).send().await.unwrap().json().await.unwrap();
        ledger["entries"].as_array().unwrap().clone()
    }

    async fn topic(&self, aggregate: &str) -> Vec<bus::Received> {
        let name = topics::name(&self.prefix, aggregate);
        let bus = Bus::Memory(self.log.clone());
        let infos = bus.topics(&name).await.unwrap();
        let count: i64 = infos.iter().flat_map(|it| &it.partitions).map(|it| it.high).sum();
        let mut reader = bus.consumer(&Uuid::now_v7().to_string(), &[name], None).unwrap();
        match usize::try_from(count).unwrap() {
            0 => Vec::new(),
            count => reader.poll(count, SOON).await.unwrap(),
        }
    }

    pub(crate) async fn drained(&self) {
        eventually(SOON, "nothing is left to publish", async || {
            match self.count("select count(*) from engine.outbox").await {
                0 => Ok(()),
                left => Err(format!("{left} rows left")),
            }
        })
        .await;
    }

    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.pool).await.unwrap()
    }

    /// Waits until a call was made in vain, and returns what is said of it.
    pub(crate) async fn unanswered(&self, order: &Order) -> String {
        eventually(SOON, "a call is known to be unanswered", async || {
            let sql = "select error from engine.effect where key = $1 and error is not null";
            let error: Option<String> =
                sqlx::query_scalar(sql).bind(order.id.to_string()).fetch_optional(&self.pool).await.unwrap();
            error.ok_or("no error yet")
        })
        .await
    }

    /// Checks what must hold at the end of every test, and clears everything away.
    pub(crate) async fn finish(self) {
        self.finish_with(0, 0).await;
    }

    /// The same, with so many messages that were parked and calls that are open.
    pub(crate) async fn finish_with(mut self, letters: i64, calls: i64) {
        self.drained().await;
        assert_eq!(self.count("select count(*) from engine.dead_letter").await, letters, "dead letters");
        assert_eq!(self.count("select count(*) from engine.effect").await, calls, "open calls");
        laws::hold(&self.pool, &self.entries("").await).await;
        self.stop_service().await;
        if self.provider.is_some() {
            self.stop_provider().await;
        }
        self.pool.close().await;
        self.database.close().await;
    }
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
