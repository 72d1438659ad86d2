//! A Postgres that counts: every statement that services send, and every byte of its log.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use local::{Postgres, Scratch};
use saga_tests::suite::SERVICES;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

/// A server of its own, so that nothing else writes to its log. Whole pages, which depend on when the last checkpoint
/// was, are left out of that, and so is autovacuum.
pub(super) struct Meter {
    connection: PgConnection,
    postgres: Postgres,
    _scratch: Scratch,
}

const SETTINGS: [&str; 4] = [
    "shared_preload_libraries = 'pg_stat_statements'",
    "full_page_writes = off",
    "autovacuum = off",
    "checkpoint_timeout = '1h'",
];

/// What was counted since a mark.
#[derive(Debug, Default)]
pub(super) struct Counted {
    /// By service and statement; begin and commit are statements too. Each is one round trip: they are prepared
    /// once for a connection. What services ask by the clock is left out.
    pub(super) statements: BTreeMap<&'static str, BTreeMap<String, i64>>,
    /// What the relay of each service has done, which depends on what happens to come together in a page.
    pub(super) relays: BTreeMap<&'static str, Relayed>,
    /// How long it was counted.
    pub(super) took: Duration,
    /// Of the server's log, as far as transactions write it.
    pub(super) wal_records: i64,
    pub(super) wal_bytes: i64,
}

/// The statements of a relay.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Relayed {
    /// Looks for rows, also those by the clock that found none.
    pub(super) reads: i64,
    /// Deletes of pages that were published, most of them in the statement of the next look.
    pub(super) deletes: i64,
    /// Rows that were found: each is read once.
    pub(super) rows: i64,
}

/// Where a count begins.
pub(super) struct Mark {
    lsn: String,
    at: Instant,
}

impl Meter {
    pub(super) async fn start() -> Self {
        let scratch = Scratch::new().expect("a directory");
        let mut postgres = Postgres::start(&scratch.path().join("postgres"), None).await.expect("Postgres");
        let mut first = PgConnection::connect(&postgres.url("postgres")).await.expect("a connection");
        for setting in SETTINGS {
            run(&mut first, &format!("alter system set {setting}")).await;
        }
        first.close().await.expect("closed");
        postgres.restart().await.expect("Postgres with its counters");
        let mut connection = PgConnection::connect(&postgres.url("postgres")).await.expect("a connection");
        for extension in ["pg_stat_statements", "pg_walinspect"] {
            run(&mut connection, &format!("create extension {extension}")).await;
        }
        Self { connection, postgres, _scratch: scratch }
    }

    /// A database for each service of a suite, owned by a role of the same name: what that role does is counted.
    pub(super) async fn databases(&mut self) -> BTreeMap<&'static str, String> {
        let mut urls = BTreeMap::new();
        for service in SERVICES {
            run(&mut self.connection, &format!("drop database if exists {service}_cost with (force)")).await;
            run(&mut self.connection, &format!("drop role if exists {service}_cost")).await;
            run(&mut self.connection, &format!("create role {service}_cost login password 'cost'")).await;
            run(&mut self.connection, &format!("create database {service}_cost owner {service}_cost")).await;
            let port = self.postgres.port();
            urls.insert(service, format!("postgres://{service}_cost:cost@127.0.0.1:{port}/{service}_cost"));
        }
        urls
    }

    /// The superuser's URL of a service's database: what is asked there is not counted.
    pub(super) fn url(&self, database: &str) -> String {
        self.postgres.url(database)
    }

    /// Begins to count anew.
    pub(super) async fn mark(&mut self) -> Mark {
        run(&mut self.connection, "select pg_stat_statements_reset()").await;
        let lsn =
            sqlx::query_scalar("select pg_current_wal_insert_lsn()::text").fetch_one(&mut self.connection);
        Mark { lsn: lsn.await.expect("the end of the log"), at: Instant::now() }
    }

    pub(super) async fn since(&mut self, mark: &Mark) -> Counted {
        let mut counted = Counted { took: mark.at.elapsed(), ..Counted::default() };
        let rows = sqlx::query(
            "select rolname::text, query, calls, rows
             from pg_stat_statements join pg_roles r on r.oid = userid",
        )
        .fetch_all(&mut self.connection)
        .await
        .expect("the statements");
        for row in rows {
            let (role, query, calls, rows): (String, String, i64, i64) =
                (row.get(0), row.get(1), row.get(2), row.get(3));
            let Some(service) = SERVICES.into_iter().find(|it| role.strip_suffix("_cost") == Some(it)) else {
                continue;
            };
            let query = query.split_whitespace().collect::<Vec<_>>().join(" ");
            let relay = counted.relays.entry(service).or_default();
            match query.as_str() {
                it if it.starts_with("delete from engine.outbox") => relay.deletes += calls,
                it if it.contains("select outbox_id,") => {
                    relay.deletes += if it.starts_with("with gone as") { calls } else { 0 };
                    relay.reads += calls;
                    relay.rows += rows;
                }
                it if by_the_clock(it) => {}
                it => *counted.statements.entry(service).or_default().entry(named(it)).or_default() += calls,
            }
        }
        // Written for a transaction's sake: neither checkpoints nor what tells standbys who runs.
        let wal = "select sum(count)::bigint, sum(record_size)::bigint
             from pg_get_wal_stats($1::pg_lsn, pg_current_wal_flush_lsn())
             where \"resource_manager/record_type\" in ('Heap', 'Heap2', 'Btree', 'Transaction', 'Sequence')";
        let row = sqlx::query(wal).bind(&mark.lsn).fetch_one(&mut self.connection).await.expect("the log");
        (counted.wal_records, counted.wal_bytes) = (row.get(0), row.get(1));
        counted
    }
}

/// What a statement does, to which table: `lock order_view`; of one that does several things all of them.
fn named(query: &str) -> String {
    if query.starts_with("with write_0 as (") {
        return query.split(" as (").skip(1).map(named).collect::<Vec<_>>().join(", ");
    }
    let words: Vec<&str> = query.split_whitespace().collect();
    let after = |word: &str| words.iter().skip_while(|it| **it != word).nth(1).copied().unwrap_or_default();
    match words[0].to_lowercase().as_str() {
        "insert" => format!("insert {}", after("into")),
        "update" => format!("update {}", words[1]),
        "delete" => format!("delete {}", after("from")),
        "select" if query.contains(" engine.claim(") => "claim engine.inbox".to_owned(),
        "select" if query.contains("for update") => format!("lock {}", after("from")),
        "select" => format!("read {}", after("from")),
        other => other.to_owned(),
    }
}

/// What services ask every now and then, whether there are orders or not. Whoever looks at the engine's tables without
/// locking what it finds does so by the clock.
fn by_the_clock(query: &str) -> bool {
    let looks =
        query.starts_with("select") && !query.contains("for update") || query.starts_with("with recursive");
    let ours =
        [" engine.", " pg_stat_user_tables", "select 1", "select $1"].iter().any(|it| query.contains(it));
    let rounds = [
        "update engine.effect set due_at",
        "delete from engine.idempotency_key",
        "delete from engine.dead_letter_action",
        "vacuum",
    ];
    looks && ours && ![" engine.idempotency_key", " engine.claim("].iter().any(|it| query.contains(it))
        || rounds.iter().any(|it| query.starts_with(it))
}

async fn run(connection: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(connection)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
}
