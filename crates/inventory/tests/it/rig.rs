//! A service under test, and what surrounds it.

use std::{collections::BTreeMap, time::Duration};

use bus::{Bus, CloudEvent, Envelope, Producer, Trace, topics};
use clap::Parser;
use events::{Aggregate, Event, EventType, Timestamp};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;
use testkit::{TestDatabase, eventually};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{laws, told::order};

/// For whatever is expected to happen: long, because it costs time only when it does not.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// Reservations last until they are settled, and set no deadline.
pub(crate) const FOR_GOOD: &[&str] = &["--reservation-ttl-secs", "0"];

pub(crate) struct Rig {
    pub(crate) pool: PgPool,
    bus: Bus,
    prefix: String,
    producer: Producer,
    client: reqwest::Client,
    database: TestDatabase,
    instances: Vec<Instance>,
}

struct Instance {
    url: String,
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Rig {
    /// One instance of the service, told `args` besides what it needs.
    pub(crate) async fn start(args: &[&str]) -> Self {
        // The client's TLS provider; set before by another test of this process.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (bus, prefix) = (Bus::memory(), testkit::topic_prefix());
        bus.create_topics(&topics::plan(&prefix, &["inventory"])).await.unwrap();
        let database = TestDatabase::create_owned().await;
        let mut rig = Self {
            pool: database.pool().await,
            producer: bus.producer().unwrap(),
            client: reqwest::Client::new(),
            instances: Vec::new(),
            bus,
            prefix,
            database,
        };
        rig.add_instance(args).await;
        rig
    }

    /// Another instance beside those that run: same database, same consumer group.
    pub(crate) async fn add_instance(&mut self, args: &[&str]) {
        let address = testkit::free_addr().to_string();
        let (url, prefix) = (self.database.url(), self.prefix.as_str());
        let needed = ["x", "--database-url", url, "--topic-prefix", prefix, "--http-addr", &address];
        let config = inventory::Config::parse_from(needed.iter().chain(args));
        let stop = CancellationToken::new();
        let task = tokio::spawn(inventory::run_on(self.bus.clone(), config, stop.clone()));
        let url = format!("http://{address}");
        eventually(SOON, "the service is ready", async || {
            let answer =
                self.client.get(format!("{url}/readyz")).send().await.map_err(|it| it.to_string())?;
            match answer.status() {
                StatusCode::OK => Ok(()),
                _ => Err(answer.text().await.unwrap_or_default()),
            }
        })
        .await;
        self.instances.push(Instance { url, stop, task });
    }

    /// Stops the instance that was started last, as SIGTERM does.
    pub(crate) async fn stop_instance(&mut self) {
        let instance = self.instances.pop().unwrap();
        instance.stop.cancel();
        instance.task.await.unwrap().unwrap();
    }

    /// A request to an instance; the answer's status and JSON.
    pub(crate) async fn ask(&self, instance: usize, request: Request<'_>) -> (u16, Value) {
        let url = format!("{}{}", self.instances[instance].url, request.path);
        let mut sent = self.client.request(request.method, url);
        for (name, value) in request.headers {
            sent = sent.header(*name, *value);
        }
        if let Some(body) = request.body {
            sent = sent.body(body.to_owned());
        }
        let answer = sent.send().await.unwrap();
        let status = answer.status().as_u16();
        let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
        let expected = if status < 400 { "application/json" } else { "application/problem+json" };
        assert_eq!(kind, expected, "{status}");
        (status, answer.json().await.unwrap())
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        self.ask(0, Request { method: Method::GET, path, headers: &[], body: None }).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> (u16, Value) {
        self.send_json(Method::PUT, path, &[], body).await
    }

    pub(crate) async fn post(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> (u16, Value) {
        self.send_json(Method::POST, path, headers, body).await
    }

    async fn send_json(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> (u16, Value) {
        let headers: Vec<_> = [("content-type", "application/json")].iter().chain(headers).copied().collect();
        let body = body.to_string();
        self.ask(0, Request { method, path, headers: &headers, body: Some(&body) }).await
    }

    /// A product with so many on the shelf.
    pub(crate) async fn stock(&self, sku: &str, on_hand: i32) {
        let product = json!({"name": sku, "price": {"amount": 500, "currency": "USD"}});
        assert_eq!(self.put(&format!("/products/{sku}"), &product).await.0, 201);
        let adjustment = json!({"delta": on_hand, "reason": "goods received"});
        assert_eq!(self.post(&format!("/products/{sku}/adjustments"), &[], &adjustment).await.0, 200);
    }

    /// On hand, reserved and available, as HTTP tells them.
    pub(crate) async fn level(&self, sku: &str) -> [i64; 3] {
        let (status, product) = self.get(&format!("/products/{sku}")).await;
        assert_eq!(status, 200, "{product}");
        ["on_hand", "reserved", "available"].map(|it| product[it].as_i64().unwrap())
    }

    /// Puts an event on the log and returns its id.
    pub(crate) async fn tell<E: Event>(&self, event: &E) -> Uuid {
        let id = Uuid::now_v7();
        self.tell_as(id, event).await;
        id
    }

    pub(crate) async fn tell_as<E: Event>(&self, id: Uuid, event: &E) {
        let event_record = CloudEvent {
            id,
            source: format!("/waybill/{}", E::AGGREGATE).into(),
            r#type: E::TYPE.into(),
            subject: Some(event.key().into()),
            time: Some(Timestamp::now_utc()),
            sequence: Some(1),
            correlation_id: Some(CORRELATION),
            causation_id: None,
            actor: Some("customer:c-1".into()),
            trace: Trace::default(),
            data: serde_json::to_vec(event).unwrap().into(),
        };
        let topic = topics::name(&self.prefix, E::AGGREGATE.name());
        let record = event_record.into_record(topic.into(), event.key().into());
        self.producer.enqueue([record]).acknowledged().await.unwrap();
    }

    /// Waits until `count` events were published about aggregates of this kind, and returns all that there are.
    pub(crate) async fn published(&self, aggregate: Aggregate, count: usize) -> Vec<Published> {
        let topic = topics::name(&self.prefix, aggregate.name());
        let there_are = eventually(SOON, &format!("{count} events are on {topic}"), async || {
            let topics = self.bus.topics(&topic).await.map_err(|it| it.to_string())?;
            // The topic of dead letters begins with the same name.
            let partitions = topics.iter().filter(|it| it.name == topic).flat_map(|it| &it.partitions);
            match partitions.map(|it| it.high - it.low).sum::<i64>() as usize {
                it if it >= count => Ok(it),
                it => Err(format!("{it}")),
            }
        })
        .await;
        let mut consumer = self.bus.consumer(&Uuid::now_v7().to_string(), &[topic], None).unwrap();
        let mut events = Vec::new();
        while events.len() < there_are {
            let polled = tokio::time::timeout(SOON, consumer.poll(1_000, Duration::ZERO)).await;
            events.extend(polled.unwrap().unwrap().iter().map(Published::read));
        }
        events
    }

    /// Waits until a reservation has `status`.
    pub(crate) async fn reservation_is(&self, number: u128, status: &str) -> Value {
        let path = format!("/reservations/{}", order(number));
        eventually(SOON, &format!("reservation {number} is {status}"), async || {
            let (_, reservation) = self.get(&path).await;
            if reservation["status"] == status { Ok(reservation) } else { Err(reservation.to_string()) }
        })
        .await
    }

    pub(crate) async fn count(&self, query: &'static str) -> i64 {
        sqlx::query_scalar(query).fetch_one(&self.pool).await.unwrap()
    }

    /// Waits until a query counts `expected`.
    pub(crate) async fn counts(&self, query: &'static str, expected: i64) {
        eventually(SOON, query, async || match self.count(query).await {
            it if it == expected => Ok(()),
            it => Err(format!("{it}, not {expected}")),
        })
        .await;
    }

    /// Asserts the laws and that nothing is left to do, with no dead letters; then a clean stop.
    pub(crate) async fn finish(self) {
        self.finish_with_dead_letters(0).await;
    }

    pub(crate) async fn finish_with_dead_letters(mut self, letters: i64) {
        self.counts("select count(*) from engine.outbox", 0).await;
        assert_eq!(self.count("select count(*) from engine.dead_letter").await, letters, "dead letters");
        assert_eq!(self.count("select count(*) from engine.deadline").await, 0, "deadlines are left");
        assert_eq!(laws::broken(&self.pool).await, Vec::<String>::new());
        self.check_sequences().await;
        while !self.instances.is_empty() {
            self.stop_instance().await;
        }
        // Counted for good once the service's connections are gone. The engine would hide one by trying again.
        let ours = "select count(*) from pg_stat_activity
             where datname = current_database() and application_name like 'inventory%'";
        self.counts(ours, 0).await;
        let deadlocks = "select deadlocks from pg_stat_database where datname = current_database()";
        assert_eq!(self.count(deadlocks).await, 0, "deadlocks");
        self.pool.close().await;
        self.database.close().await;
    }

    /// Whatever was published is numbered 1, 2, 3, .. per aggregate, up to what its row has counted.
    async fn check_sequences(&self) {
        for (aggregate, query) in [
            (Aggregate::Inventory, "select order_id::text, sequence from reservation where sequence > 0"),
            (Aggregate::Product, "select sku, sequence from product"),
        ] {
            let counted: Vec<(String, i64)> = sqlx::query_as(query).fetch_all(&self.pool).await.unwrap();
            let total: i64 = counted.iter().map(|it| it.1).sum();
            let mut sequences: BTreeMap<String, Vec<i64>> = BTreeMap::new();
            for event in self.published(aggregate, total as usize).await {
                sequences.entry(event.subject).or_default().push(event.sequence);
            }
            let expected = counted.into_iter().map(|(key, last)| (key, (1..=last).collect::<Vec<_>>()));
            assert_eq!(sequences, expected.collect(), "{aggregate}");
        }
    }
}

pub(crate) struct Request<'a> {
    pub(crate) method: Method,
    pub(crate) path: &'a str,
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) body: Option<&'a str>,
}

/// An event as any reader sees it.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) name: String,
    pub(crate) subject: String,
    pub(crate) sequence: i64,
    pub(crate) causation_id: Uuid,
    pub(crate) correlation_id: Uuid,
    pub(crate) actor: String,
    pub(crate) data: Value,
}

impl Published {
    fn read(record: &bus::Received) -> Self {
        let event = Envelope::open(record).and_then(Envelope::read).unwrap();
        assert_eq!(record.key.as_deref(), event.subject.as_deref().map(str::as_bytes));
        Self {
            name: EventType::parse(&event.r#type).unwrap().name.to_owned(),
            subject: event.subject.unwrap().into_owned(),
            sequence: event.sequence.unwrap(),
            causation_id: event.causation_id.unwrap(),
            correlation_id: event.correlation_id.unwrap(),
            actor: event.actor.unwrap().into_owned(),
            data: serde_json::from_slice(&event.data).unwrap(),
        }
    }
}

/// What every event that a test tells belongs to.
pub(crate) const CORRELATION: Uuid = Uuid::from_u128(0xc0);
