//! A test's own database, topics and engines.

use std::time::Duration;

use bus::{Bus, CloudEvent, Producer, Received, TopicSpec, Trace, topics};
use engine::{Cause, Settings};
use events::Aggregate;
use sqlx::{PgPool, Postgres, Row, Transaction, postgres::PgPoolOptions};
use testkit::{TestDatabase, eventually};
use uuid::Uuid;

use crate::{
    account::{ORDERED_TYPE, Order, PUBLISHES, READS, SCHEMA, Twist},
    laws::Entry,
    metrics,
    running::{Prepared, Running},
    teller::Teller,
};

/// For whatever is expected to happen: long, because it costs time only when it does not.
pub(crate) const SOON: Duration = Duration::from_secs(30);
const PARTITIONS: i32 = 3;

pub(crate) struct Rig {
    database: Option<TestDatabase>,
    url: String,
    pub(crate) pool: PgPool,
    pub(crate) bus: Bus,
    pub(crate) prefix: String,
    pub(crate) teller: Teller,
    producer: Producer,
}

impl Rig {
    pub(crate) async fn new() -> Self {
        let database = TestDatabase::create().await;
        let url = database.url().to_owned();
        Self { database: Some(database), ..Self::on(&url, &testkit::bootstrap_servers()).await }
    }

    /// On servers of the test's own, which go with it.
    pub(crate) async fn on(database_url: &str, bootstrap_servers: &str) -> Self {
        metrics::install();
        // Outlives a restart of the server: a connection is tried before it is handed out.
        let pool = PgPoolOptions::new().max_connections(5).connect(database_url).await.unwrap();
        engine::migrate(&pool).await.unwrap();
        sqlx::raw_sql(SCHEMA).execute(&pool).await.unwrap();
        let bus = Bus::kafka(bootstrap_servers).unwrap();
        let prefix = testkit::topic_prefix();
        let specs = specs(&prefix);
        bus.create_topics(&specs).await.unwrap();
        // A topic is created before its partitions have leaders: until then it cannot be looked into.
        eventually(SOON, "the topics can be read", async || {
            let there = bus.topics(&prefix).await.map_err(|error| error.to_string())?.len();
            if there == specs.len() { Ok(()) } else { Err(format!("{there} topics")) }
        })
        .await;
        let (teller, producer) = (Teller::default(), bus.producer().unwrap());
        Self { database: None, url: database_url.to_owned(), pool, bus, prefix, teller, producer }
    }

    /// A healthy engine with all its tasks.
    pub(crate) fn start(&self) -> Running {
        self.engine("engine").run(|_| true)
    }

    /// An engine whose connections bear `name`.
    pub(crate) fn engine(&self, name: &str) -> Prepared {
        let options = engine::connect_options(&self.url, name).unwrap();
        Prepared {
            teller: self.teller.clone(),
            settings: Settings {
                pool: PgPoolOptions::new().max_connections(2).connect_lazy_with(options.clone()),
                options,
                bus: self.bus.clone(),
                topic_prefix: self.prefix.clone(),
                reads: READS,
                workers: 1,
                batch_size: 500,
                outbox_limit: 1_000_000,
                idempotency_key_ttl: Duration::from_secs(24 * 3_600),
                instance_id: None,
                traced: false,
                auto_redrive: None,
            },
            mutant: None,
            attempt: None,
        }
    }

    pub(crate) fn reads(&self) -> String {
        topics::name(&self.prefix, READS[0].name())
    }

    pub(crate) fn publishes(&self) -> String {
        topics::name(&self.prefix, PUBLISHES.name())
    }

    /// Puts orders on the log, in their order, and returns their events' ids.
    pub(crate) async fn send(&self, orders: &[Order]) -> Vec<Uuid> {
        let events: Vec<(Uuid, Order)> = orders.iter().map(|it| (Uuid::now_v7(), it.clone())).collect();
        self.send_as(&events).await;
        events.into_iter().map(|it| it.0).collect()
    }

    pub(crate) async fn send_as(&self, orders: &[(Uuid, Order)]) {
        let topic = self.reads();
        let records = orders.iter().map(|(id, order)| {
            event(*id, order).into_record(topic.as_str().into(), order.account.as_str().into())
        });
        self.produce(records).await;
    }

    pub(crate) async fn produce<'r>(&self, records: impl IntoIterator<Item = bus::Record<'r>>) {
        let records: Vec<_> = records.into_iter().collect();
        let count = records.len();
        let mut delivery = self.producer.enqueue(records);
        assert_eq!(delivery.taken, count, "the producer's queue is full");
        delivery.acknowledged().await.unwrap();
    }

    pub(crate) async fn journal(&self) -> Vec<Entry> {
        let rows = sqlx::query("select * from journal order by account_id, sequence");
        let entry = |row: sqlx::postgres::PgRow| Entry {
            event_id: row.get("event_id"),
            account: row.get("account_id"),
            sequence: row.get("sequence"),
            cause_id: row.get("cause_id"),
            kind: row.get("kind"),
        };
        rows.fetch_all(&self.pool).await.unwrap().into_iter().map(entry).collect()
    }

    /// Waits until the journal has `count` lines.
    #[track_caller]
    pub(crate) fn journal_of(&self, count: usize) -> impl Future<Output = Vec<Entry>> {
        eventually(SOON, "the journal is as long as it should be", async move || {
            let journal = self.journal().await;
            if journal.len() >= count { Ok(journal) } else { Err(format!("{} of {count}", journal.len())) }
        })
    }

    /// Waits until the relay has nothing left to do.
    #[track_caller]
    pub(crate) fn drained(&self) -> impl Future<Output = ()> {
        eventually(SOON, "the outbox is empty", async || {
            match self.count("select count(*) from engine.outbox").await {
                0 => Ok(()),
                left => Err(format!("{left} rows left")),
            }
        })
    }

    /// Opens a transaction that holds the locks which `sql` takes, until it is dropped or rolled back.
    pub(crate) async fn hold(&self, sql: &'static str) -> Transaction<'static, Postgres> {
        let mut tx = self.pool.begin().await.unwrap();
        sqlx::raw_sql(sql).execute(&mut *tx).await.unwrap();
        tx
    }

    /// Waits until a connection of the engine called `name` waits for a lock, and returns its backend's pid.
    #[track_caller]
    pub(crate) fn blocked(&self, name: &str) -> impl Future<Output = i32> {
        eventually(SOON, "the engine waits for the lock", async move || {
            let pid: Option<i32> = sqlx::query_scalar(
                "select pid from pg_stat_activity where datname = current_database()
                 and application_name = $1 and wait_event_type = 'Lock'",
            )
            .bind(name)
            .fetch_optional(&self.pool)
            .await
            .unwrap();
            pid.ok_or("nobody waits")
        })
    }

    /// Ends a backend as a crash of it would; panics if there is none to end.
    pub(crate) async fn terminate(&self, pid: i32) {
        let ended: bool = sqlx::query_scalar("select pg_terminate_backend($1)")
            .bind(pid)
            .fetch_one(&self.pool)
            .await
            .unwrap();
        assert!(ended, "there was no backend {pid}");
        self.gone(pid).await;
    }

    /// Waits until there is no such backend.
    #[track_caller]
    pub(crate) fn gone(&self, pid: i32) -> impl Future<Output = ()> {
        eventually(SOON, "the backend is gone", async move || {
            let left = sqlx::query_scalar("select count(*) from pg_stat_activity where pid = $1").bind(pid);
            match left.fetch_one(&self.pool).await.unwrap() {
                0_i64 => Ok(()),
                _ => Err("it is there"),
            }
        })
    }

    /// The dead letters, in their order.
    pub(crate) async fn letters(&self) -> Vec<Letter> {
        let rows = sqlx::query("select * from engine.dead_letter order by dead_letter_id");
        let letter = |row: sqlx::postgres::PgRow| Letter {
            key: String::from_utf8_lossy(row.get("key")).into_owned(),
            event_id: row.get("event_id"),
            status: row.get("status"),
            cause: row.get("cause"),
            error: row.get("error"),
            topic: row.get("topic"),
            partition: row.get("partition"),
            offset: row.get("offset"),
        };
        rows.fetch_all(&self.pool).await.unwrap().into_iter().map(letter).collect()
    }

    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.pool).await.unwrap()
    }

    /// An account whose balance is not what its journal says, if there is one.
    pub(crate) async fn unbalanced(&self) -> Option<String> {
        let sql = "select account_id from account a
            join (select account_id, sum(amount) as balance, max(sequence) as sequence from journal group by 1) j
            using (account_id) where a.balance <> j.balance or a.sequence <> j.sequence limit 1";
        sqlx::query_scalar(sql).fetch_optional(&self.pool).await.unwrap()
    }

    pub(crate) fn group(&self) -> String {
        format!("{}.account", self.prefix)
    }

    /// Waits until the group has stored the end of every partition: there is nothing left to consume.
    #[track_caller]
    pub(crate) fn at_rest(&self) -> impl Future<Output = ()> {
        eventually(SOON, "the group is at the end of its topic", async || {
            let progress =
                self.bus.progress(&self.group(), &[self.reads()]).await.map_err(|it| it.to_string())?;
            match progress.into_iter().find(|it| it.end > 0 && it.committed != Some(it.end)) {
                Some(behind) => Err(format!("{behind:?}")),
                None => Ok(()),
            }
        })
    }

    /// Waits until so many transactions have been rolled back from now on: Postgres counts them itself, where
    /// looking every now and then would miss the short ones.
    pub(crate) async fn rollbacks(&self, count: i64) {
        let so_far = async || -> i64 {
            let query = "select xact_rollback from pg_stat_database where datname = current_database()";
            sqlx::query_scalar(query).fetch_one(&self.pool).await.unwrap()
        };
        let before = so_far().await;
        eventually(SOON, "the engine has tried often enough", async || match so_far().await - before {
            more if more >= count => Ok(()),
            more => Err(format!("{more} of {count}")),
        })
        .await
    }

    /// Waits until there are `count` dead letters.
    #[track_caller]
    pub(crate) fn letters_of(&self, count: usize) -> impl Future<Output = Vec<Letter>> {
        eventually(SOON, "there are as many dead letters as there should be", async move || {
            let letters = self.letters().await;
            if letters.len() >= count { Ok(letters) } else { Err(format!("{} of {count}", letters.len())) }
        })
    }

    /// All that was published.
    pub(crate) async fn published(&self) -> Vec<Received> {
        self.read_all(&self.publishes()).await
    }

    /// Waits until so many records were published.
    pub(crate) async fn published_of(&self, count: i64) -> Vec<Received> {
        eventually(SOON, "it is published", async || {
            let infos = self.bus.topics(&self.publishes()).await.map_err(|it| it.to_string())?;
            let there: i64 = infos.iter().flat_map(|it| &it.partitions).map(|it| it.high).sum();
            if there >= count { Ok(()) } else { Err(format!("{there} of {count}")) }
        })
        .await;
        self.published().await
    }

    /// Everything in a topic, by a reader of its own.
    pub(crate) async fn read_all(&self, topic: &str) -> Vec<Received> {
        let infos = self.bus.topics(topic).await.unwrap();
        let total: i64 = infos.iter().flat_map(|it| &it.partitions).map(|it| it.high - it.low).sum();
        let group = format!("reader-{}", Uuid::now_v7());
        let mut consumer = self.bus.consumer(&group, &[topic.to_owned()], None).unwrap();
        let mut records = Vec::new();
        while (records.len() as i64) < total {
            let polled = tokio::time::timeout(SOON, consumer.poll(10_000, Duration::ZERO)).await;
            records.extend(polled.expect("a topic can be read to its end").unwrap());
        }
        consumer.close().await;
        records
    }

    /// Deletes what this test has created. (After a failed test the run's servers go anyway.)
    pub(crate) async fn close(self) {
        let names: Vec<String> = specs(&self.prefix).into_iter().map(|it| it.name).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        self.bus.delete_topics(&names).await.unwrap();
        self.pool.close().await;
        if let Some(database) = self.database {
            database.close().await;
        }
    }
}

/// A row of `engine.dead_letter`.
#[derive(Debug, Clone)]
pub(crate) struct Letter {
    pub(crate) key: String,
    pub(crate) event_id: Uuid,
    pub(crate) status: String,
    pub(crate) cause: String,
    pub(crate) error: String,
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}

/// All topics that a relay expects; those that accounts do not use have the fewest partitions.
fn specs(prefix: &str) -> Vec<TopicSpec> {
    let mut specs = topics::plan(prefix, &["account"]);
    let used = [READS[0], PUBLISHES].map(|it: Aggregate| topics::name(prefix, it.name()));
    for spec in &mut specs {
        spec.partitions = if used.contains(&spec.name) { PARTITIONS } else { 1 };
    }
    specs
}

/// An order as an event of the log.
pub(crate) fn event(id: Uuid, order: &Order) -> CloudEvent<'static> {
    CloudEvent {
        id,
        source: "/waybill/test".into(),
        r#type: ORDERED_TYPE.into(),
        subject: Some(order.account.clone().into()),
        time: None,
        sequence: None,
        correlation_id: None,
        causation_id: None,
        actor: None,
        trace: Trace::default(),
        data: serde_json::to_vec(order).unwrap().into(),
    }
}

pub(crate) fn book(account: impl Into<String>, amount: i64) -> Order {
    twisted(account, amount, Twist::Plain)
}

pub(crate) fn twisted(account: impl Into<String>, amount: i64, twist: Twist) -> Order {
    Order { account: account.into(), amount, twist }
}

pub(crate) fn cause() -> Cause {
    let id = Uuid::now_v7();
    Cause { id, correlation_id: id, actor: "customer:test".into(), trace: Trace::default() }
}
