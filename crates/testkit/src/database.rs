//! A database per test.

use std::{str::FromStr, thread};

use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use uuid::Uuid;

use crate::variable;

/// How many connections [`TestDatabase::pool`] may open: tests run side by side on one server.
const CONNECTIONS: u32 = 5;

/// An empty database that no other test knows, dropped with all its connections when this is.
#[derive(Debug)]
pub struct TestDatabase {
    name: String,
    url: String,
    server: PgConnectOptions,
    has_owner: bool,
    closed: bool,
}

impl TestDatabase {
    /// A database whose [`url`](Self::url) is the superuser's.
    pub async fn create() -> TestDatabase {
        TestDatabase::with_owner(false).await
    }

    /// A database whose [`url`](Self::url) is that of an owner with no other rights, as in production.
    pub async fn create_owned() -> TestDatabase {
        TestDatabase::with_owner(true).await
    }

    async fn with_owner(has_owner: bool) -> TestDatabase {
        let url = variable("TEST_POSTGRES_URL");
        let server = PgConnectOptions::from_str(&url).expect("TEST_POSTGRES_URL is not a Postgres URL");
        let name = format!("test_{}", Uuid::now_v7().simple());
        let mut options = server.clone().database(&name);
        let mut statements = vec![format!("create database {name}")];
        if has_owner {
            let password = Uuid::new_v4().simple();
            options = options.username(&name).password(&password.to_string());
            statements.insert(0, format!("create role {name} login password '{password}'"));
            statements.push(format!("alter database {name} owner to {name}"));
            statements.push(format!("revoke connect on database {name} from public"));
        }
        // Made before the statements run: what they leave behind when one fails is dropped too.
        let url = options.to_url_lossy().to_string();
        let database = TestDatabase { name, url, server, has_owner, closed: false };
        run(&database.server, &statements).await.expect("creating a test database");
        database
    }

    /// Where it is, for a service's `DATABASE_URL`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its name, which is also its owner's.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A new pool of a few connections.
    pub async fn pool(&self) -> PgPool {
        let pool = PgPoolOptions::new().max_connections(CONNECTIONS).connect(&self.url).await;
        pool.expect("connecting to the test database")
    }

    /// Drops it now, and fails the test if that fails; dropping the value does the same, silently.
    pub async fn close(mut self) {
        self.closed = true;
        run(&self.server, &self.farewell()).await.expect("dropping the test database");
    }

    fn farewell(&self) -> Vec<String> {
        let mut statements = vec![format!("drop database if exists {} with (force)", self.name)];
        if self.has_owner {
            statements.push(format!("drop role if exists {}", self.name));
        }
        statements
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        if self.closed {
            return;
        }
        let (server, statements) = (self.server.clone(), self.farewell());
        // In a thread of its own, as a runtime cannot be entered from within another.
        let dropping = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
            runtime.block_on(run(&server, &statements)).ok()
        });
        // Best effort: the server of the tests, and its data, go anyway.
        let _ = dropping.join();
    }
}

async fn run(server: &PgConnectOptions, statements: &[String]) -> sqlx::Result<()> {
    let mut connection = PgConnection::connect_with(server).await?;
    for statement in statements {
        // Names and passwords are made up here, of hexadecimal digits.
        connection.execute(AssertSqlSafe(statement.as_str())).await?;
    }
    connection.close().await
}
