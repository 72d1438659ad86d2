//! No database is waited for without an end: a server, or something on the way to it, may fall silent in the middle of a
//! query, and an audit that watches would watch nothing from then on.

use std::{future::Future, time::Duration};

use anyhow::anyhow;
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::time::timeout;

/// Longer than a database that is there takes to answer.
const CONNECT: Duration = Duration::from_secs(5);
/// The server itself ends a statement after this, and says so.
const STATEMENT: &str = "120s";
/// The longest that the few statements of one step may take; a server that ends them in time is heard before.
const STEP: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 300 });

/// A pool for [`Sources`](crate::Sources). It connects when it is first asked; `Err`: this is no URL of a database.
pub fn pool(url: &str) -> sqlx::Result<PgPool> {
    let options: PgConnectOptions = url.parse()?;
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(CONNECT);
    // What a silent server holds is given up, and not waited for by the look that follows.
    let pool = pool.after_release(|connection, _| Box::pin(engine::is_answering(connection)));
    Ok(pool.connect_lazy_with(options.options([("statement_timeout", STATEMENT)])))
}

/// One step at a database. Which one it is the caller says.
pub(crate) async fn answered<T, E: Into<anyhow::Error>>(
    step: impl Future<Output = Result<T, E>>,
) -> anyhow::Result<T> {
    let answer = timeout(STEP, step).await;
    answer.map_err(|_| anyhow!("no answer from the database in {STEP:?}"))?.map_err(Into::into)
}

#[cfg(test)]
mod tests {
    use bus::Bus;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;
    use crate::{SERVICES, Sources, findings, look::Look, report::Verdicts};

    /// The URL of a database that lets everybody in and then says nothing.
    async fn silent() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("postgres://x@{}/x?sslmode=disable", listener.local_addr().unwrap());
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
        url
    }

    #[tokio::test]
    async fn a_database_that_falls_silent_is_given_up_and_named() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let url = silent().await;
        let sources = Sources {
            databases: SERVICES.map(|it| (it, pool(&url).unwrap())).into(),
            bus: Bus::memory(),
            topic_prefix: "waybill".into(),
            http: reqwest::Client::new(),
            provider_url: String::new(),
        };
        let mut verdicts = Verdicts::default();
        // The second look does not wait for what the first has left.
        for _ in 0..2 {
            let looks = async { Look::take(&sources, None, &mut verdicts).await.map(drop) };
            let error = timeout(Duration::from_secs(20), looks).await.expect("it gives up").unwrap_err();
            assert_eq!(
                format!("{error:#}"),
                "looking at the order service's database: no answer from the database in 1s"
            );
        }
        let finds = timeout(Duration::from_secs(20), findings::find(&sources, &mut verdicts)).await;
        let error = format!("{:#}", finds.expect("it gives up").unwrap_err());
        assert_eq!(error, "looking at the engine of order: no answer from the database in 1s");
    }
}
