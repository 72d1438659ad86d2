//! The smallest service: one route, one loop. The tests run it as a process.

use std::process::ExitCode;
use std::time::Duration;

use service::{Json, Path, Readiness, RequestContext, Tasks, http};
use tokio_util::sync::CancellationToken;
use utoipa_axum::{router::OpenApiRouter, routes};

/// Greets.
#[derive(clap::Parser)]
#[command(mut_arg("http_addr", |arg| arg.default_value("127.0.0.1:8089")))]
struct Config {
    #[command(flatten)]
    chassis: service::Config,
    /// End the loop by itself after so many milliseconds, to see what then happens.
    #[arg(long, env = "GIVE_UP_AFTER_MS")]
    give_up_after_ms: Option<u64>,
}

/// Greets by name.
#[utoipa::path(get, path = "/greetings/{name}", params(RequestContext), responses((status = 200, body = String)))]
async fn greet(Path(name): Path<String>, context: RequestContext) -> Json<String> {
    tracing::info!(actor = context.actor, "greeting");
    Json(format!("Hello, {name}!"))
}

async fn run(config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    let listener = http::bind("HTTP_ADDR", config.chassis.http_addr).await?;
    let api = OpenApiRouter::new().routes(routes!(greet));
    let mut tasks = Tasks::new(shutdown);
    tasks.spawn_intake("http", |stop| http::serve("minimal", listener, api, Readiness::new(), stop));
    tasks.spawn("loop", async move |stop| {
        let patience = config.give_up_after_ms.map_or(Duration::MAX, Duration::from_millis);
        let _ = tokio::time::timeout(patience, stop.cancelled()).await;
        Ok(())
    });
    tasks.wait().await
}

fn main() -> ExitCode {
    service::main("minimal", run)
}
