use std::{future::Future, time::Duration};

use backon::{BackoffBuilder, ExponentialBuilder};
use sqlx::{Connection, PgConnection, PgPool, postgres::PgConnectOptions};
use time::OffsetDateTime;

use crate::inbox;

/// The options of every connection of a service to its database.
///
/// Sequential scans and JIT are off: the tables are young or nearly empty when they are planned for, and a
/// plan with a scan costs half of the database's time once they are not. Each statement is planned once: for the few
/// rows of a small batch Postgres would find a plan of its own cheaper by a little, and plan at every execution, which
/// takes longer than what is planned.
pub fn connect_options(database_url: &str, application: &str) -> sqlx::Result<PgConnectOptions> {
    let options: PgConnectOptions = database_url.parse()?;
    Ok(options.application_name(application).options([
        ("enable_seqscan", "off"),
        ("jit", "off"),
        ("plan_cache_mode", "force_generic_plan"),
        ("statement_timeout", "30s"),
        ("lock_timeout", "10s"),
        // A client that has vanished without a word holds its locks for no longer than this.
        ("idle_in_transaction_session_timeout", "15s"),
        ("tcp_user_timeout", "10000"),
        ("tcp_keepalives_idle", "10"),
        ("tcp_keepalives_interval", "5"),
        ("tcp_keepalives_count", "3"),
        ("client_connection_check_interval", "5s"),
        // Not a line for every partition that is there already.
        ("client_min_messages", "warning"),
    ]))
}

/// Creates or upgrades the schema `engine`, and the inbox's partitions of these days. Safe to be run by several
/// processes at once.
pub async fn migrate(pool: &PgPool) -> Result<(), sqlx::migrate::MigrateError> {
    let mut migrator = sqlx::migrate!("./migrations");
    // The services keep their own migrations in the default table of the same database.
    migrator.dangerous_set_table_name("_engine_migrations");
    migrator.run(pool).await?;
    // Before the first event: a day of which the default partition has one gets no partition of its own any more.
    Ok(inbox::create_partitions(pool, OffsetDateTime::now_utc()).await?)
}

/// Pauses between attempts at something that is away: 50 ms to 2 s, with jitter, without an end.
pub(crate) fn backoff() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(Duration::from_secs(2))
        .with_jitter()
        .without_max_times()
        .build()
}

/// Waits out what is away: asks until it answers, with growing pauses, and says so once.
pub async fn wait_for<T, E: std::fmt::Display, F: Future<Output = Result<T, E>>>(
    what: &str,
    mut ask: impl FnMut() -> F,
) -> T {
    let mut pauses = backoff();
    let mut said = false;
    loop {
        match ask().await {
            Ok(it) => {
                if said {
                    tracing::info!("{what}: available again");
                }
                return it;
            }
            Err(error) if !said => {
                tracing::warn!(%error, "{what}: waiting for it");
                said = true;
            }
            Err(error) => tracing::debug!(%error, "{what}: still waiting"),
        }
        tokio::time::sleep(pauses.next().unwrap_or(Duration::from_secs(2))).await;
    }
}

/// Gives up what takes longer than `within`, and with it the connection that it was asked on: a server, or something
/// on the way to it, may vanish without a word, and nothing would ever tell. What became of it is not known then.
pub(crate) async fn answered<T>(
    within: Duration,
    asked: impl Future<Output = sqlx::Result<T>>,
) -> sqlx::Result<T> {
    tokio::time::timeout(within, asked).await.unwrap_or_else(|_| {
        let error = format!("no answer from the database in {within:?}");
        Err(std::io::Error::new(std::io::ErrorKind::TimedOut, error).into())
    })
}

/// How long a statement or two are waited for that take no time.
pub(crate) const ANSWER: Duration = Duration::from_secs(10);

/// Whether a connection that goes back to its pool still has somebody at its other end; the pool itself would wait for
/// that without an end, and one connection after the other would be lost to it.
pub async fn is_answering(connection: &mut PgConnection) -> sqlx::Result<bool> {
    answered(Duration::from_secs(2), connection.ping()).await.map(|()| true)
}

/// A connection of one task's own, opened when it is needed and thrown away when it has failed.
pub(crate) struct Link {
    options: PgConnectOptions,
    connection: Option<PgConnection>,
    /// The most inputs of a transaction on it.
    pub(crate) most: usize,
}

impl Link {
    pub(crate) fn new(options: PgConnectOptions) -> Self {
        Self { options, connection: None, most: usize::MAX }
    }

    /// The open connection, or a new one. The time for that is ample: one that is given up is begun anew, and on a
    /// busy machine none would ever be done.
    pub(crate) async fn get(&mut self) -> sqlx::Result<&mut PgConnection> {
        if self.connection.is_none() {
            let connect = PgConnection::connect_with(&self.options);
            let connected = tokio::time::timeout(ANSWER, connect).await;
            self.connection = Some(connected.map_err(|_| sqlx::Error::PoolTimedOut)??);
        }
        match &mut self.connection {
            Some(connection) => Ok(connection),
            None => Err(sqlx::Error::PoolClosed),
        }
    }

    /// After an error: what state the connection is in is not known.
    pub(crate) fn drop_connection(&mut self) {
        self.connection = None;
    }
}
