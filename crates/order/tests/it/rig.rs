//! A test's own order service, and the hands to play the others with.

use std::time::Duration;

use bus::{Bus, CloudEvent, Trace, topics};
use clap::Parser as _;
use events::{Event, OrderId};
use reqwest::Method;
use serde_json::Value;
use sqlx::{Connection as _, PgConnection, PgPool};
use testkit::{TestDatabase, eventually};
use time::OffsetDateTime;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    answer::Answer,
    laws::{self, Published},
    words::{authorized, product, stock_reserved},
};

/// For whatever is expected to happen: long, because it costs time only when it does not.
pub(crate) const SOON: Duration = Duration::from_secs(30);

pub(crate) struct Rig {
    database: TestDatabase,
    pub(crate) pool: PgPool,
    pub(crate) bus: Bus,
    pub(crate) prefix: String,
    base: String,
    http: reqwest::Client,
    service: Option<(CancellationToken, JoinHandle<anyhow::Result<()>>)>,
    /// How many dead letters the test has made.
    pub(crate) dead_letters: i64,
    /// What was published before the log was replaced.
    pub(crate) earlier: Vec<Published>,
}

impl Rig {
    /// A running service that sells a mug (19.99 USD), a pen (2.50 USD), a gift (0.00 USD), a tea (800 JPY), gold
    /// and silver, of which two cost more than an amount can be.
    pub(crate) async fn new() -> Self {
        Self::with(&[]).await
    }

    /// The same, with arguments of its own.
    pub(crate) async fn with(arguments: &[&str]) -> Self {
        // The client's TLS provider; another test of this process may have set it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let database = TestDatabase::create_owned().await;
        let mut rig = Self {
            pool: database.pool().await,
            database,
            bus: Bus::memory(),
            prefix: testkit::topic_prefix(),
            base: String::new(),
            http: reqwest::Client::new(),
            service: None,
            dead_letters: 0,
            earlier: Vec::new(),
        };
        rig.create_topics().await;
        rig.start(arguments).await;
        for (sku, amount, currency) in [
            ("MUG-01", 1999, "USD"),
            ("PEN-01", 250, "USD"),
            ("GIFT", 0, "USD"),
            ("TEA", 800, "JPY"),
            ("GOLD", i64::MAX / 2 + 1, "USD"),
            ("SILVER", i64::MAX / 2 + 1, "USD"),
        ] {
            rig.tell(&product(sku, amount, currency)).await;
        }
        rig.settled().await;
        rig
    }

    pub(crate) async fn create_topics(&self) {
        self.bus.create_topics(&topics::plan(&self.prefix, &["order"])).await.unwrap();
    }

    /// Starts the service on the rig's log.
    pub(crate) async fn start(&mut self, arguments: &[&str]) {
        let address = testkit::free_addr().to_string();
        self.base = format!("http://{address}");
        let ours = [
            "order",
            "--database-url",
            self.database.url(),
            "--topic-prefix",
            &self.prefix,
            "--http-addr",
            &address,
        ];
        let config = order::Config::parse_from(ours.iter().chain(arguments));
        let stop = CancellationToken::new();
        self.service = Some((stop.clone(), tokio::spawn(order::run_on(self.bus.clone(), config, stop))));
        eventually(SOON, "the service listens", async || {
            self.request(Method::GET, "/livez").send().await.map_err(|error| error.to_string())
        })
        .await;
    }

    /// Stops the service as SIGTERM does.
    pub(crate) async fn stop(&mut self) {
        let (stop, service) = self.service.take().expect("a running service");
        stop.cancel();
        tokio::time::timeout(SOON, service)
            .await
            .expect("it stops")
            .expect("no panic")
            .expect("a clean stop");
    }

    /// Waits until `/readyz` answers with `status`, and returns what it says.
    pub(crate) async fn readiness(&self, status: u16) -> Value {
        eventually(SOON, &format!("/readyz is {status}"), async || {
            let answer = self.request(Method::GET, "/readyz").send().await.map_err(|it| it.to_string())?;
            let given = answer.status().as_u16();
            let body: Value = answer.json().await.map_err(|it| it.to_string())?;
            if given == status { Ok(body) } else { Err(body.to_string()) }
        })
        .await
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, order: &Value) -> Answer {
        Answer::of(self.request(Method::POST, "/orders").json(order)).await
    }

    /// The status that an order is answered with; none when nobody answers.
    pub(crate) async fn try_post(&self, order: &Value) -> Option<u16> {
        Some(self.request(Method::POST, "/orders").json(order).send().await.ok()?.status().as_u16())
    }

    pub(crate) async fn cancel(&self, order_id: OrderId) -> Answer {
        Answer::of(self.request(Method::POST, &format!("/orders/{order_id}/cancel"))).await
    }

    /// Places an order and returns its id.
    pub(crate) async fn place(&self, order: &Value) -> OrderId {
        let answer = self.post(order).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.order_id()
    }

    pub(crate) async fn order(&self, order_id: OrderId) -> Value {
        let answer = self.get(&format!("/orders/{order_id}")).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body
    }

    /// Waits until an order has `status`, and returns it.
    pub(crate) async fn reaches(&self, order_id: OrderId, status: &str) -> Value {
        eventually(SOON, &format!("the order is {status}"), async || {
            let order = self.order(order_id).await;
            if order["status"] == status { Ok(order) } else { Err(order.to_string()) }
        })
        .await
    }

    /// Puts an event on the log, as its service would, and returns its id.
    pub(crate) async fn tell<E: Event>(&self, event: &E) -> Uuid {
        let id = Uuid::now_v7();
        self.tell_as(id, event).await;
        id
    }

    pub(crate) async fn tell_as<E: Event>(&self, id: Uuid, event: &E) {
        let key = event.key();
        let cloud_event = CloudEvent {
            id,
            source: format!("/waybill/{}", E::AGGREGATE).into(),
            r#type: E::TYPE.into(),
            subject: Some(key.as_str().into()),
            time: Some(OffsetDateTime::now_utc()),
            sequence: None,
            correlation_id: None,
            causation_id: None,
            actor: None,
            trace: Trace::default(),
            data: serde_json::to_vec(event).unwrap().into(),
        };
        let topic = topics::name(&self.prefix, E::AGGREGATE.name());
        let record = cloud_event.into_record(topic.into(), key.as_str().into());
        self.bus.producer().unwrap().enqueue([record]).acknowledged().await.unwrap();
    }

    /// The same, and waits until the service has done with it, whatever it has made of it.
    pub(crate) async fn told<E: Event>(&self, event: &E) {
        self.tell(event).await;
        self.settled().await;
    }

    /// Waits until the service has read its topics to their ends.
    pub(crate) async fn settled(&self) {
        let names = ["inventory", "payment", "shipping", "product"].map(|it| topics::name(&self.prefix, it));
        let group = format!("{}.order", self.prefix);
        eventually(SOON, "all topics are read", async || {
            let progress = self.bus.progress(&group, &names).await.unwrap();
            match progress.iter().find(|it| it.committed.unwrap_or(0) < it.end) {
                Some(behind) => Err(format!("{behind:?}")),
                None => Ok(()),
            }
        })
        .await;
    }

    /// Goes all the way to `confirmed`.
    pub(crate) async fn confirm(&self, order_id: OrderId) {
        self.told(&stock_reserved(order_id)).await;
        self.told(&authorized(order_id)).await;
        assert_eq!(self.order(order_id).await["status"], "confirmed");
    }

    pub(crate) async fn count(&self, from: &str) -> i64 {
        let sql = sqlx::AssertSqlSafe(format!("select count(*) from {from}"));
        sqlx::query_scalar(sql).fetch_one(&self.pool).await.unwrap()
    }

    /// What the service has written, as rows and records; the inbox and what it makes of events left out.
    pub(crate) async fn written(&self) -> Vec<i64> {
        let mut counts = Vec::new();
        for table in
            ["order_event", "order_view", "engine.idempotency_key", "engine.deadline", "engine.dead_letter"]
        {
            counts.push(self.count(table).await);
        }
        counts.push(
            self.count("engine.outbox").await + laws::published(&self.bus, &self.prefix).await.len() as i64,
        );
        counts
    }

    /// What has happened to an order: each stored event and, where there is one, the published one.
    pub(crate) async fn trace(&self, order_id: OrderId) -> String {
        self.drained().await;
        let published = laws::published(&self.bus, &self.prefix).await;
        let history = self.get(&format!("/orders/{order_id}/history")).await.body;
        let mut trace = String::new();
        for entry in history["events"].as_array().unwrap() {
            let own = published.iter().find(|it| it.id.to_string() == entry["event_id"].as_str().unwrap());
            let own = own
                .map(|it| format!(" -> {} #{}", it.r#type.trim_start_matches("waybill."), it.sequence))
                .unwrap_or_default();
            let (version, stored) = (&entry["version"], entry["type"].as_str().unwrap());
            trace.push_str(&format!("{version} {stored}{own}\n"));
        }
        trace
    }

    /// Ends all connections to the database, and lets nobody open another.
    pub(crate) async fn shut_out(&self) {
        self.allow_connections(false).await;
        let name = self.database.name();
        let sql = format!("select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'");
        self.as_superuser(sql).await;
    }

    pub(crate) async fn let_in(&self) {
        self.allow_connections(true).await;
    }

    async fn allow_connections(&self, allowed: bool) {
        self.as_superuser(format!("alter database {} allow_connections {allowed}", self.database.name()))
            .await;
    }

    async fn as_superuser(&self, sql: String) {
        let url = std::env::var("TEST_POSTGRES_URL").unwrap();
        let mut connection = PgConnection::connect(&url).await.unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    }

    /// Waits until the relay has nothing left to do.
    pub(crate) async fn drained(&self) {
        eventually(SOON, "the outbox is empty", async || match self.count("engine.outbox").await {
            0 => Ok(()),
            left => Err(format!("{left} rows left")),
        })
        .await;
    }

    /// Asserts what always holds, and clears everything away.
    pub(crate) async fn finish(mut self) {
        self.settled().await;
        self.drained().await;
        laws::hold(&self).await;
        self.stop().await;
        self.pool.close().await;
        self.database.close().await;
    }
}
