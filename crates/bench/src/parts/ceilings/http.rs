//! The same request through the engine, whose commands share their commits, and by a handler with a transaction each.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use anyhow::ensure;
use axum::{
    Json, Router,
    extract::State,
    http::{Method, StatusCode},
    routing::post,
};
use engine::Commands;
use service::{Problem, Readiness, RequestContext, rejected};
use sqlx::{PgPool, postgres::PgPoolOptions};
use tokio::{net::TcpListener, task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;
use utoipa_axum::router::OpenApiRouter;

use super::{KEYS, bare};
use crate::{
    figures::{Figures, Latencies},
    http::Connection,
    parts::{
        counter::{Counters, Raise},
        machine::{Machine, Service},
    },
};

/// Connections of the plain handler: more than Postgres has use for on a few cores.
const CONNECTIONS: u32 = 16;

/// What is asked of each.
pub(super) struct Turn {
    pub(super) seconds: u32,
    pub(super) clients: u32,
}

impl Turn {
    pub(super) async fn run(
        &self,
        machine: &Machine,
        name: &str,
        part: &str,
    ) -> anyhow::Result<(Figures, Vec<String>)> {
        let service = machine.service(name).await?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let to = listener.local_addr()?;
        let (stop, mut served) = (CancellationToken::new(), JoinSet::new());
        // The relay, which the plain handler has none of, would share the cores.
        let engine = service.run(|it| it == "commands");
        if part == "ingest" {
            let routes =
                OpenApiRouter::new().route("/counters", post(ours)).with_state(engine.commands.clone());
            served.spawn(service::http::serve("counter", listener, routes, Readiness::new(), stop.clone()));
        } else {
            served.spawn(plain(listener, &service, stop.clone()).await?);
        }
        // Connections are opened, statements are prepared.
        let first = self.ask(to, Duration::from_secs(1)).await?;
        let before = machine.components.usage()?;
        let answered = self.ask(to, Duration::from_secs(self.seconds.into())).await?;
        let spent = machine.components.usage()?.since(&before);
        stop.cancel();
        while let Some(ended) = served.join_next().await {
            ended??;
        }
        engine.stop().await?;
        let mut figures = Figures::default();
        figures.put("rate", answered.count() as f64 / spent.took.as_secs_f64(), "/s");
        figures.put_latencies("answer", &answered);
        figures.put_cpu(&spent, answered.count() as f64 / 1e3, "1,000");
        Ok((figures, check(&service, first.count() + answered.count()).await?))
    }

    /// Every client asks again as soon as it is answered.
    async fn ask(&self, to: SocketAddr, time: Duration) -> anyhow::Result<Latencies> {
        let until = Instant::now() + time;
        let mut clients = JoinSet::new();
        for _ in 0..self.clients {
            clients.spawn(client(Connection::new(to), until));
        }
        let mut all = Latencies::default();
        while let Some(one) = clients.join_next().await {
            all.add(&one??);
        }
        Ok(all)
    }
}

async fn client(mut connection: Connection, until: Instant) -> anyhow::Result<Latencies> {
    let mut latencies = Latencies::default();
    while Instant::now() < until {
        let raise = Raise::of(format!("counter-{}", fastrand::u32(..KEYS)));
        let asked = Instant::now();
        let body = serde_json::to_string(&raise)?;
        let answer = connection.send(Method::POST, "/counters", None, body).await?;
        ensure!(
            answer.status == StatusCode::CREATED,
            "{}: {}",
            answer.status,
            String::from_utf8_lossy(&answer.body)
        );
        latencies.record(asked.elapsed());
    }
    Ok(latencies)
}

async fn ours(
    State(commands): State<Commands<Counters>>,
    context: RequestContext,
    service::Json(raise): service::Json<Raise>,
) -> Result<(StatusCode, Json<i64>), Problem> {
    let raised = commands.submit(raise, context.cause("bench"), None).await;
    raised.map(|it| (StatusCode::CREATED, Json(it))).map_err(|it| rejected(it, |never| match never {}))
}

/// A handler as one writes it without an engine.
async fn plain(
    listener: TcpListener,
    service: &Service,
    stop: CancellationToken,
) -> anyhow::Result<impl Future<Output = anyhow::Result<()>> + use<>> {
    let pool = PgPoolOptions::new().max_connections(CONNECTIONS);
    let pool = pool.connect_with(service.settings.options.clone()).await?;
    let routes = Router::new().route("/counters", post(theirs)).with_state(pool);
    let serve = axum::serve(listener, routes).with_graceful_shutdown(stop.cancelled_owned());
    Ok(async move { Ok(serve.await?) })
}

async fn theirs(
    State(pool): State<PgPool>,
    Json(raise): Json<Raise>,
) -> Result<(StatusCode, Json<i64>), (StatusCode, String)> {
    let failed = |error: anyhow::Error| (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}"));
    transact(&pool, &raise).await.map(|it| (StatusCode::CREATED, Json(it))).map_err(failed)
}

/// Two requests that create one counter at once: the second is begun again, as the engine does.
async fn transact(pool: &PgPool, raise: &Raise) -> anyhow::Result<i64> {
    let mut attempts = 3;
    loop {
        attempts -= 1;
        let mut tx = pool.begin().await?;
        match bare::write(&mut tx, std::iter::once(raise)).await {
            Ok(value) => {
                tx.commit().await?;
                return Ok(value);
            }
            Err(error) if attempts == 0 || !is_conflict(&error) => return Err(error),
            Err(_) => tx.rollback().await?,
        }
    }
}

fn is_conflict(error: &anyhow::Error) -> bool {
    let sql = error.downcast_ref::<sqlx::Error>();
    sql.and_then(|it| it.as_database_error()).is_some_and(|it| it.is_unique_violation())
}

/// Whether each request that was answered has had its effect once.
async fn check(service: &Service, answered: u64) -> anyhow::Result<Vec<String>> {
    let mut failures = Vec::new();
    for (what, sql) in [
        ("raised a counter", "select coalesce(sum(value), 0)::bigint from counter"),
        ("are told of", "select count(*) from engine.outbox"),
    ] {
        let found = service.count(sql).await?;
        if found != i64::try_from(answered)? {
            failures.push(format!("{answered} requests were answered, {found} {what}"));
        }
    }
    Ok(failures)
}
