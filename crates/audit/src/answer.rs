//! No database is waited for without an end: a server, or something on the way to it, may fall silent in the middle of a
//! query, and an audit that watches would watch nothing from then on.

use std::{future::Future, time::Duration};

use anyhow::anyhow;
use sqlx::{
    Connection, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::time::timeout;

/// Longer than a database that is there takes to answer.
const CONNECT: Duration = Duration::from_secs(5);
/// For a last attempt, after those of [`CONNECT`] that were all in vain.
const ONCE_MORE: Duration = Duration::from_secs(1);
/// The server itself ends a statement after this, and says so.
const STATEMENT: &str = "120s";
/// The longest that the few statements of one step may take; a server that ends them in time is heard before.
const STEP: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 300 });

/// A pool for [`Sources`](crate::Sources). It connects when it is first asked; `Err`: this is no URL of a database.
pub fn pool(url: &str) -> sqlx::Result<PgPool> {
    pool_within(CONNECT, url)
}

fn pool_within(connect: Duration, url: &str) -> sqlx::Result<PgPool> {
    let options: PgConnectOptions = url.parse()?;
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(connect);
    // What a silent server holds is given up, and not waited for by the look that follows.
    let pool = pool.after_release(|connection, _| Box::pin(engine::is_answering(connection)));
    Ok(pool.connect_lazy_with(options.options([("statement_timeout", STATEMENT)])))
}

/// One step at a database. What the step is for the caller says; the error names the database and where it is.
pub(crate) async fn answered<T, E: Into<anyhow::Error>>(
    pool: &PgPool,
    step: impl Future<Output = Result<T, E>>,
) -> anyhow::Result<T> {
    let error = match timeout(STEP, step).await {
        Ok(Ok(answer)) => return Ok(answer),
        Ok(Err(error)) => error.into(),
        Err(_) => anyhow!("no answer from the database in {STEP:?}"),
    };
    let options = pool.connect_options();
    let error = match error.downcast_ref() {
        Some(sqlx::Error::PoolTimedOut) => unreached(&options).await.unwrap_or(error),
        _ => error,
    };
    Err(error.context(place(&options)))
}

/// Why there is no connection, which the pool that has waited for one keeps to itself; `None`: there is one now.
async fn unreached(options: &PgConnectOptions) -> Option<anyhow::Error> {
    match timeout(ONCE_MORE, PgConnection::connect_with(options)).await {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => Some(error.into()),
        Err(_) => Some(anyhow!("no connection in {CONNECT:?}")),
    }
}

/// A database and its server, without the rest of the URL: that may hold a password.
fn place(options: &PgConnectOptions) -> String {
    let database = options.get_database().unwrap_or(options.get_username());
    format!("{database} at {}:{}", options.get_host(), options.get_port())
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use bus::Bus;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;
    use crate::{SERVICES, Sources, findings, look::Look, report::Verdicts};

    /// Four services with a database at this address, which is one or not.
    fn sources(address: SocketAddr, connect: Duration) -> Sources {
        let url = format!("postgres://ada:lovelace@{address}/books?sslmode=disable");
        Sources {
            databases: SERVICES.map(|it| (it, pool_within(connect, &url).unwrap())).into(),
            bus: Bus::memory(),
            topic_prefix: "waybill".into(),
            http: reqwest::Client::new(),
            provider_url: String::new(),
        }
    }

    /// What a look comes to.
    async fn look(sources: &Sources) -> String {
        let mut verdicts = Verdicts::default();
        let look = async { Look::take(sources, None, &mut verdicts).await.map(drop) };
        let error = timeout(Duration::from_secs(20), look).await.expect("it gives up").unwrap_err();
        format!("{error:#}")
    }

    /// The address of a database that lets everybody in and then says nothing.
    async fn silent() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let mut connections = Vec::new();
            while let Ok((mut connection, _)) = listener.accept().await {
                let length = connection.read_u32().await.unwrap();
                let mut startup = vec![0; length as usize - 4];
                connection.read_exact(&mut startup).await.unwrap();
                // AuthenticationOk, ReadyForQuery.
                connection.write_all(b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I").await.unwrap();
                connections.push(connection);
            }
        });
        address
    }

    #[tokio::test]
    async fn a_database_that_falls_silent_is_given_up_and_named() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let address = silent().await;
        let sources = sources(address, CONNECT);
        // The second look does not wait for what the first has left.
        for _ in 0..2 {
            assert_eq!(
                look(&sources).await,
                format!(
                    "looking at the order service's database: books at {address}: no answer from the database in 1s"
                )
            );
        }
        let mut verdicts = Verdicts::default();
        let finds = timeout(Duration::from_secs(20), findings::find(&sources, &mut verdicts)).await;
        let error = format!("{:#}", finds.expect("it gives up").unwrap_err());
        assert_eq!(
            error,
            format!("looking at the engine of order: books at {address}: no answer from the database in 1s")
        );
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_named_with_what_is_wrong() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();

        let told = look(&sources(nobody, STEP / 4)).await;

        let named = format!("looking at the order service's database: books at {nobody}: ");
        assert!(told.starts_with(&named) && told.contains("Connection refused"), "{told}");
        assert!(!told.contains("lovelace"), "{told}");
    }
}
