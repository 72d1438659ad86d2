//! A test's own service, database and log, and the rules that hold whenever a test ends.

mod given;
mod wire;

use std::{collections::BTreeMap, time::Duration};

use bus::{Bus, Producer, topics};
use clap::Parser as _;
use events::{Event, OrderId};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use sqlx::{PgPool, Row, postgres::PgRow};
use testkit::{TestDatabase, eventually};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub(crate) use self::given::{cancelled, captured, confirmed, confirmed_until, kept, requested};
use self::wire::{Published, envelope, open};

/// For whatever is expected to happen: long, because it costs time only when it does not.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// Nothing moves but by HTTP.
pub(crate) const NO_CARRIER: &[&str] = &["--carrier-simulated", "false"];
/// Deadlines that do not come by themselves within a test.
pub(crate) const SLOW: &[&str] = &["--carrier-simulated", "true", "--carrier-delay-ms", "3600000"];
pub(crate) const AT_ONCE: &[&str] = &["--carrier-simulated", "true", "--carrier-delay-ms", "0"];

pub(crate) struct Rig {
    database: TestDatabase,
    pub(crate) pool: PgPool,
    bus: Bus,
    prefix: String,
    producer: Producer,
    http: reqwest::Client,
    service: Option<Service>,
}

struct Service {
    base: String,
    shutdown: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

/// A status and a body.
pub(crate) type Answer = (u16, Value);

impl Rig {
    /// A running service with these settings of its own.
    pub(crate) async fn start(args: &[&str]) -> Self {
        // The client's TLS provider; set before by another test of this process.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let database = TestDatabase::create_owned().await;
        let (pool, bus, prefix) = (database.pool().await, Bus::memory(), testkit::topic_prefix());
        bus.create_topics(&topics::plan(&prefix, &["shipping"])).await.unwrap();
        let (producer, http) = (bus.producer().unwrap(), reqwest::Client::new());
        let mut rig = Self { database, pool, bus, prefix, producer, http, service: None };
        rig.start_service(args).await;
        rig
    }

    /// Starts the service and waits until its tables are there. Its consumers begin by themselves, and lose
    /// nothing that is on the log before.
    pub(crate) async fn start_service(&mut self, args: &[&str]) {
        let url = self.database.url().to_owned();
        self.service = Some(launch(&url, self.bus.clone(), &self.prefix, args));
        let unknown = format!("/shipments/{}", Uuid::nil());
        eventually(SOON, "the service answers", async || {
            let answer = self.build(Method::GET, &unknown).send().await.map_err(|error| error.to_string())?;
            match answer.status() {
                StatusCode::NOT_FOUND => Ok(()),
                _ => Err(answer.text().await.unwrap_or_default()),
            }
        })
        .await;
    }

    /// Stops the service as SIGTERM does.
    pub(crate) async fn stop_service(&mut self) {
        let service = self.service.take().expect("a running service");
        service.shutdown.cancel();
        service.task.await.unwrap().expect("a clean stop");
    }

    /// Puts an event on its topic and returns its id.
    pub(crate) async fn send<E: Event>(&self, event: &E) -> Uuid {
        let id = Uuid::now_v7();
        self.send_as(id, event).await;
        id
    }

    pub(crate) async fn send_as<E: Event>(&self, id: Uuid, event: &E) {
        let topic = topics::name(&self.prefix, E::AGGREGATE.name());
        let record = envelope(id, event).into_record(topic.into(), event.key().into());
        let mut delivery = self.producer.enqueue([record]);
        assert_eq!(delivery.taken, 1);
        delivery.acknowledged().await.unwrap();
    }

    /// Puts an event on its topic and waits until it has been taken in, whatever came of it.
    pub(crate) async fn deliver<E: Event>(&self, event: &E) -> Uuid {
        let id = self.send(event).await;
        self.taken_in(&[id]).await;
        id
    }

    pub(crate) async fn taken_in(&self, ids: &[Uuid]) {
        eventually(SOON, "the events are taken in", async || {
            let query = "select count(*) from engine.inbox where event_id = any($1)";
            let known: i64 = sqlx::query_scalar(query).bind(ids).fetch_one(&self.pool).await.unwrap();
            if known == ids.len() as i64 { Ok(()) } else { Err(format!("{known} of {}", ids.len())) }
        })
        .await;
    }

    /// Reads all topics from their beginning again, and waits until that is done.
    pub(crate) async fn replay(&mut self, args: &[&str]) {
        self.stop_service().await;
        let group = format!("{}.shipping", self.prefix);
        self.bus.rewind(&group).await.unwrap();
        self.start_service(args).await;
        let read: Vec<String> =
            ["order", "payment", "inventory"].map(|it| topics::name(&self.prefix, it)).into();
        eventually(SOON, "everything is read again", async || {
            let progress = self.bus.progress(&group, &read).await.unwrap();
            match progress.iter().find(|it| it.committed.unwrap_or(0) < it.end) {
                None => Ok(()),
                Some(behind) => Err(format!("{behind:?}")),
            }
        })
        .await;
    }

    pub(crate) async fn request(&self, method: Method, path: &str) -> Answer {
        self.answer(self.build(method, path)).await
    }

    pub(crate) fn build(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let service = self.service.as_ref().expect("a running service");
        self.http.request(method, format!("{}{path}", service.base))
    }

    pub(crate) async fn answer(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let (status, body) = (response.status(), response.headers().get("content-type").cloned());
        if status.is_client_error() || status.is_server_error() {
            assert_eq!(body.unwrap(), "application/problem+json");
        }
        (status.as_u16(), response.json().await.unwrap_or_default())
    }

    pub(crate) async fn shipment(&self, order: OrderId) -> Answer {
        self.request(Method::GET, &format!("/shipments/{order}")).await
    }

    pub(crate) async fn dispatch(&self, order: OrderId) -> Answer {
        self.request(Method::POST, &format!("/shipments/{order}/dispatch")).await
    }

    pub(crate) async fn deliver_parcel(&self, order: OrderId) -> Answer {
        self.request(Method::POST, &format!("/shipments/{order}/deliver")).await
    }

    /// Waits until a shipment stands so, and returns it.
    #[track_caller]
    pub(crate) fn becomes(&self, order: OrderId, status: &str) -> impl Future<Output = Value> {
        eventually(SOON, "the shipment has moved", async move || {
            let (_, shipment) = self.shipment(order).await;
            if shipment["status"] == status { Ok(shipment) } else { Err(shipment.to_string()) }
        })
    }

    pub(crate) async fn count(&self, query: &'static str) -> i64 {
        sqlx::query_scalar(query).fetch_one(&self.pool).await.unwrap()
    }

    /// The kinds of an order's deadlines that are set.
    pub(crate) async fn deadlines(&self, order: OrderId) -> Vec<String> {
        let query = "select kind from engine.deadline where key = $1 order by kind";
        sqlx::query_scalar(query).bind(order.to_string()).fetch_all(&self.pool).await.unwrap()
    }

    /// Lets an hour go by for what is due.
    pub(crate) async fn an_hour_passes(&self) {
        let passed = sqlx::query("update engine.deadline set due_at = due_at - interval '1 hour'");
        passed.execute(&self.pool).await.unwrap();
    }

    /// All that was published, once nothing is left to publish.
    pub(crate) async fn published(&self) -> Vec<Published> {
        eventually(SOON, "the outbox is empty", async || {
            match self.count("select count(*) from engine.outbox").await {
                0 => Ok(()),
                left => Err(format!("{left} rows left")),
            }
        })
        .await;
        let topic = topics::name(&self.prefix, "shipping");
        let info = self.bus.topics(&topic).await.unwrap().into_iter().find(|it| it.name == topic).unwrap();
        let expected: i64 = info.partitions.iter().map(|it| it.high - it.low).sum();
        let reader = format!("reader-{}", Uuid::now_v7());
        let mut consumer = self.bus.consumer(&reader, &[topic], None).unwrap();
        let mut published = Vec::new();
        while (published.len() as i64) < expected {
            let polled = tokio::time::timeout(SOON, consumer.poll(1_000, Duration::ZERO)).await;
            published.extend(polled.expect("records in time").unwrap().iter().map(open));
        }
        consumer.close().await;
        published
    }

    /// What was published about an order, by name, in its order.
    pub(crate) async fn trace(&self, order: OrderId) -> String {
        let published = self.published().await;
        let own = published.iter().filter(|it| it.key == order.to_string());
        let names = own.map(|it| it.r#type.trim_start_matches("waybill.shipping.").to_owned());
        names.collect::<Vec<_>>().join(", ")
    }

    pub(crate) async fn dead_letters(&self) -> Vec<(String, String)> {
        let rows = sqlx::query("select type, error from engine.dead_letter order by dead_letter_id");
        let letter = |row: &PgRow| (row.get("type"), row.get("error"));
        rows.fetch_all(&self.pool).await.unwrap().iter().map(letter).collect()
    }

    /// Ends a test in which no message was poison.
    pub(crate) async fn finish(self) {
        assert_eq!(self.dead_letters().await, []);
        self.finish_with_dead_letters().await;
    }

    pub(crate) async fn finish_with_dead_letters(mut self) {
        let published = self.published().await;
        if self.service.is_some() {
            self.stop_service().await;
        }
        self.check(&published).await;
        self.pool.close().await;
        self.database.close().await;
    }

    /// What holds of every shipment, whatever has happened to it.
    async fn check(&self, published: &[Published]) {
        let mut by_order: BTreeMap<&str, Vec<&Published>> = BTreeMap::new();
        published.iter().for_each(|it| by_order.entry(&it.key).or_default().push(it));
        for (order, events) in &by_order {
            let sequences: Vec<i64> = events.iter().map(|it| it.sequence).collect();
            assert_eq!(sequences, (1..=events.len() as i64).collect::<Vec<_>>(), "{order}: a gap");
            let count = |name: &str| {
                events.iter().filter(|it| it.r#type == format!("waybill.shipping.{name}.v1")).count()
            };
            let once = ["shipment-scheduled", "dispatched", "delivered", "cancelled", "cancellation-refused"];
            assert!(once.iter().all(|it| count(it) <= 1), "{order}: {events:?}");
            assert!(count("dispatched") + count("cancelled") <= 1, "{order}: sent and held back: {events:?}");
            assert!(count("cancellation-refused") <= count("dispatched"), "{order}: {events:?}");
        }
        let rows = sqlx::query("select order_id::text, sequence from shipment").fetch_all(&self.pool).await;
        for row in rows.unwrap() {
            let (order, sequence): (String, i64) = (row.get(0), row.get(1));
            assert_eq!(by_order.get(order.as_str()).map_or(0, Vec::len) as i64, sequence, "{order}");
        }
        let aimless =
            "select count(*) from engine.deadline d left join shipment s on s.order_id::text = d.key
             where (d.kind, s.status) not in (('dispatch', 'scheduled'), ('deliver', 'dispatched'))
                 or s.status is null";
        assert_eq!(self.count(aimless).await, 0, "a deadline that nothing waits for");
    }
}

fn launch(database_url: &str, bus: Bus, prefix: &str, args: &[&str]) -> Service {
    let address = testkit::free_addr().to_string();
    let chassis =
        ["shipping", "--database-url", database_url, "--topic-prefix", prefix, "--http-addr", &address];
    let config = shipping::Config::parse_from(chassis.iter().chain(args));
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(shipping::run_on(bus, config, shutdown.clone()));
    Service { base: format!("http://{address}"), shutdown, task }
}
