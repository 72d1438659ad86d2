//! What joins the chassis to the engine: the same for all services, so that none of them repeats it.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use bus::{Bus, Trace};
use engine::{Cause, Commands, Decider, Engine, Outside, Rejected, Settings};
use events::Aggregate;
use sqlx::{
    PgPool,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio_util::sync::CancellationToken;
use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;

use crate::{Config, Problem, Readiness, RequestContext, Tasks, admin, http, telemetry};

/// What a service brings along.
pub struct Parts<D: Decider, O> {
    pub decider: D,
    /// Who performs its effects.
    pub outside: O,
    /// The topics that it reads.
    pub reads: &'static [Aggregate],
    /// Its own tables.
    pub migrations: Migrator,
    pub routes: fn(Api<D>) -> OpenApiRouter,
    /// What the operator alone may ask of it, on the operator's address; beside the dead letters.
    pub operator: Option<fn(Api<D>) -> OpenApiRouter>,
}

/// What a service's routes have at hand.
pub struct Api<D: Decider> {
    pub commands: Commands<D>,
    /// For reading. What changes state goes through the commands.
    pub pool: PgPool,
}

impl<D: Decider> Clone for Api<D> {
    fn clone(&self) -> Self {
        Self { commands: self.commands.clone(), pool: self.pool.clone() }
    }
}

/// Connections for HTTP reads, and as many for what the engine is not in a hurry about. Consumers, commands and relay
/// have one of their own each, so that none of them waits for another's.
const POOL: u32 = 4;
/// Whoever reads over HTTP is told soon that the database is not there; but not while a connection is still being opened
/// on a machine with much else to do: several answers and some computing, which have been seen to take two seconds.
const READ: Duration = Duration::from_secs(5);
/// To open a connection takes several answers and some computing, which may take long on a busy machine. One that is
/// given up is begun anew: were this too short, the service would never begin.
const CONNECT: Duration = Duration::from_secs(10);

/// Runs a service on `bus` until `shutdown`.
///
/// The addresses are taken first. HTTP answers at once, with 503 where the database is needed and is not there
/// yet; the rest begins when the database has answered and is migrated.
pub async fn host<D, O>(
    config: Config,
    bus: Bus,
    parts: Parts<D, O>,
    shutdown: CancellationToken,
) -> anyhow::Result<()>
where
    D: Decider,
    O: Outside<Input = D::Input>,
{
    engine::check_environment().map_err(anyhow::Error::msg)?;
    let listener = http::bind("HTTP_ADDR", config.http_addr).await?;
    let admin = match config.admin_addr {
        Some(addr) => Some(http::bind("ADMIN_ADDR", addr).await?),
        None => None,
    };
    let options = engine::connect_options(&config.database_url, D::SERVICE).context("DATABASE_URL")?;
    let (reads, pool) = (pool(&options, READ), pool(&options, CONNECT));
    let settings = settings(config, bus, (options, pool.clone()), parts.reads);
    let engine = Engine::new(parts.decider, parts.outside, settings);
    let readiness = readiness(&engine.health());
    let api = Api { commands: engine.commands(), pool: reads.clone() };
    let operator = parts.operator.map(|it| it(api.clone())).unwrap_or_default();
    let routes = (parts.routes)(api);
    let mut tasks = Tasks::new(shutdown);
    if let Some(listener) = admin {
        let routes = admin::routes(D::SERVICE, engine.dead_letters().read_over(reads)).merge(operator);
        let readiness = readiness.clone();
        tasks.spawn_intake("admin", |stop| http::serve(D::SERVICE, listener, routes, readiness, stop));
    }
    tasks.spawn_intake("http", |stop| http::serve(D::SERVICE, listener, routes, readiness, stop));
    let migrated = spawn_migration(&mut tasks, pool, parts.migrations);
    spawn_engine(&mut tasks, engine, &migrated);
    tasks.wait().await
}

fn pool(options: &PgConnectOptions, patience: Duration) -> PgPool {
    PgPoolOptions::new()
        .max_connections(POOL)
        .acquire_timeout(patience)
        .after_release(|connection, _| Box::pin(engine::is_answering(connection)))
        .connect_lazy_with(options.clone())
}

/// What the engine needs to know of the configuration.
fn settings(
    config: Config,
    bus: Bus,
    (options, pool): (PgConnectOptions, PgPool),
    reads: &'static [Aggregate],
) -> Settings {
    Settings {
        options,
        pool,
        bus,
        auto_redrive: config.auto_redrive(),
        topic_prefix: config.topic_prefix,
        reads,
        workers: config.workers,
        batch_size: config.batch_size,
        outbox_limit: config.outbox_limit,
        idempotency_key_ttl: Duration::from_secs(config.idempotency_key_ttl_secs),
        instance_id: config.instance_id,
        traced: telemetry::traced(),
    }
}

/// Migrates the database as soon as it is there; what is returned tells when that is done.
fn spawn_migration(tasks: &mut Tasks, pool: PgPool, migrations: Migrator) -> CancellationToken {
    let migrated = CancellationToken::new();
    let done = migrated.clone();
    let migrations = Arc::new(migrations);
    tasks.spawn("migration", |stop| async move {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = engine::wait_for("Postgres", || migrate(&pool, &migrations)) => done.cancel(),
        }
        stop.cancelled().await;
        Ok(())
    });
    migrated
}

fn spawn_engine<D, O>(tasks: &mut Tasks, engine: Engine<D, O>, migrated: &CancellationToken)
where
    D: Decider,
    O: Outside<Input = D::Input>,
{
    let stop_engine = CancellationToken::new();
    for task in engine.tasks(stop_engine.clone()) {
        let (migrated, stop_engine) = (migrated.clone(), stop_engine.clone());
        tasks.spawn(task.name, |stop| async move {
            // Who waits for an answer has one from the beginning, if only that the database is not there.
            if !matches!(task.name, "commands" | "redrive") {
                tokio::select! {
                    () = stop.cancelled() => return Ok(()),
                    () = migrated.cancelled() => {}
                }
            }
            tokio::pin! {
                let running = task.future;
            }
            let ended = tokio::select! {
                ended = &mut running => ended,
                () = stop.cancelled() => {
                    stop_engine.cancel();
                    running.await
                }
            };
            ended.map_err(Into::into)
        });
    }
}

async fn migrate(pool: &PgPool, migrations: &Migrator) -> anyhow::Result<()> {
    engine::migrate(pool).await?;
    migrations.run(pool).await?;
    Ok(())
}

fn readiness(health: &engine::Health) -> Readiness {
    let (database, broker, relay, consumer) =
        (health.clone(), health.clone(), health.clone(), health.clone());
    Readiness::new()
        .with("database", move || database.database())
        .with("broker", move || broker.broker())
        .with("relay", move || relay.relay())
        .with("consumer", move || consumer.consumers())
}

impl RequestContext {
    /// What everything that follows from this request is caused by; `actor` where the caller names none.
    pub fn cause(self, actor: impl Into<String>) -> Cause {
        Cause {
            id: Uuid::now_v7(),
            correlation_id: self.correlation_id,
            actor: self.actor.unwrap_or_else(|| actor.into()).into(),
            trace: Trace {
                parent: self.traceparent.map(Into::into),
                state: self.tracestate.map(Into::into),
                baggage: self.baggage.map(Into::into),
            },
        }
    }
}

/// The problem that a rejected command is answered with; `refusal` knows the service's own.
pub fn rejected<R>(rejected: Rejected<R>, refusal: impl FnOnce(R) -> Problem) -> Problem {
    match rejected {
        Rejected::Refused(it) => refusal(it),
        Rejected::KeyReused => {
            Problem::unprocessable("this Idempotency-Key was used for a request with another body")
        }
        Rejected::Overloaded => Problem::unavailable("too many requests are waiting", 1),
        Rejected::Congested => Problem::unavailable("too much waits to be published", 5),
        Rejected::Busy => Problem::unavailable("somebody else is at work on this", 1),
        Rejected::Unavailable => Problem::unavailable("the database is not available", 2),
        Rejected::Failed(error) => {
            tracing::error!(error, "a command cannot be carried out");
            Problem::internal()
        }
    }
}

/// The problem that a failed read is answered with.
pub fn unreadable(error: sqlx::Error) -> Problem {
    match error {
        sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } | sqlx::Error::ColumnNotFound(_) => {
            tracing::error!(%error, "a row cannot be read");
            Problem::internal()
        }
        other => {
            tracing::warn!(error = %other, "the database does not answer a read");
            Problem::unavailable("the database is not available", 2)
        }
    }
}
