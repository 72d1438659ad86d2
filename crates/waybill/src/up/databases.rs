//! A database and a role for each service, as `deploy/postgres/databases.sql` makes them in containers.

use anyhow::Context;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::suite::{SERVICES, Settings};

/// Creates what is missing on the server at `superuser`, and sets the passwords to what they are now.
///
/// Each role owns its database and may not connect to any other.
pub(crate) async fn prepare(superuser: &str) -> anyhow::Result<()> {
    let mut server = PgConnection::connect(superuser).await.context("connecting to Postgres")?;
    for service in SERVICES {
        let made = prepare_one(&mut server, service).await;
        made.with_context(|| format!("preparing the database of {service}"))?;
    }
    server.execute("revoke connect, temporary on database postgres from public").await?;
    Ok(server.close().await?)
}

async fn prepare_one(server: &mut PgConnection, service: &str) -> anyhow::Result<()> {
    let role: bool = sqlx::query_scalar("select exists (select from pg_roles where rolname = $1)")
        .bind(service)
        .fetch_one(&mut *server)
        .await?;
    // Statements of this kind take no parameters. Names are ours, a password has letters and digits only.
    let (verb, password) = (if role { "alter" } else { "create" }, Settings::password(service)?);
    server.execute(AssertSqlSafe(format!("{verb} role \"{service}\" login password '{password}'"))).await?;

    let name = format!("waybill_{service}");
    let database: bool = sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
        .bind(&name)
        .fetch_one(&mut *server)
        .await?;
    if !database {
        server.execute(AssertSqlSafe(format!("create database {name} owner \"{service}\""))).await?;
    }
    // Everybody may connect to a new database until this is taken back.
    server
        .execute(AssertSqlSafe(format!("revoke connect, temporary on database {name} from public")))
        .await?;
    Ok(())
}
