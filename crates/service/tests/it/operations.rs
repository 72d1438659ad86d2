use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use service::http::{self, Limits};
use service::{Readiness, healthcheck};

use crate::harness::{self, get};

#[tokio::test]
async fn readiness_follows_its_checks_and_the_stop() {
    let moving = Arc::new(AtomicBool::new(true));
    let seen = Arc::clone(&moving);
    let readiness = Readiness::new().with("consumer", move || {
        seen.load(Ordering::Relaxed).then_some(()).ok_or_else(|| "no progress for 12 s".to_owned())
    });
    let it = harness::start(Limits::default(), readiness).await;
    let asked = async || {
        let answer = get(it.addr, "/readyz").await;
        (answer.status, answer.body)
    };

    assert_eq!(asked().await, (200, r#"{"status":"ready","checks":{"consumer":"ok"}}"#.to_owned()));
    moving.store(false, Ordering::Relaxed);
    let stuck = r#"{"status":"unready","checks":{"consumer":"no progress for 12 s"}}"#;
    assert_eq!(asked().await, (503, stuck.to_owned()));
    assert_eq!(get(it.addr, "/livez").await.status, 200);
    moving.store(true, Ordering::Relaxed);
    assert_eq!(asked().await.0, 200);
    it.readiness.draining();
    assert_eq!(asked().await.0, 503);
}

#[tokio::test]
async fn the_healthcheck_says_what_readiness_says() {
    let it = harness::default().await;
    let ask = async |addr| tokio::task::spawn_blocking(move || healthcheck(addr)).await.unwrap();

    ask(it.addr).await.unwrap();
    ask(([0, 0, 0, 0], it.addr.port()).into()).await.unwrap();
    it.readiness.draining();
    let error = ask(it.addr).await.unwrap_err().to_string();
    assert!(error.contains("stopping"), "{error}");
    it.shutdown.cancel();
    it.stopped.await.unwrap().unwrap();
    assert!(ask(it.addr).await.is_err());
}

#[tokio::test]
async fn metrics_count_requests_by_route_and_status() {
    let it = harness::default().await;
    get(it.addr, "/notes/42").await;
    get(it.addr, "/notes/43").await;
    let answer = get(it.addr, "/metrics").await;
    assert!(answer.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
    let counted = answer.body.lines().find(|line| {
        line.starts_with("http_server_request_duration_seconds_count")
            && [r#"http_route="/notes/{id}""#, r#"http_response_status_code="400""#, r#"service="it""#]
                .iter()
                .all(|label| line.contains(label))
    });
    let counted = counted.unwrap_or_else(|| panic!("no such metric in\n{}", answer.body));
    // Other tests of this process ask the same route: at least ours are there.
    assert!(counted.rsplit(' ').next().unwrap().parse::<u64>().unwrap() >= 2, "{counted}");
}

#[tokio::test]
async fn metrics_of_others_are_in_the_same_registry() {
    let _once = service::telemetry::init("it").unwrap();
    let _twice = service::telemetry::init("another").unwrap();
    opentelemetry::global::meter("engine").u64_counter("engine.batches").build().add(3, &[]);
    let text = service::metrics_text();
    assert!(text.contains("engine_batches_total 3"), "{text}");
}

#[tokio::test]
async fn the_description_is_openapi_3_1_and_knows_problems() {
    let it = harness::default().await;
    let description = get(it.addr, "/openapi.json").await.json();
    assert!(description["openapi"].as_str().unwrap().starts_with("3.1"), "{description}");
    assert_eq!(description["info"], serde_json::json!({"title": "it", "version": "1"}));
    assert_eq!(
        description["paths"]["/notes"]["post"]["responses"]["default"]["content"]["application/problem+json"]
            ["schema"]["$ref"],
        "#/components/schemas/Problem"
    );
    let schemas = &description["components"]["schemas"];
    assert_eq!(
        schemas["Problem"]["properties"]["errors"]["items"]["$ref"],
        "#/components/schemas/FieldError"
    );
    assert!(schemas["FieldError"].is_object() && schemas["Note"].is_object(), "{schemas}");
    let body = &description["paths"]["/notes"]["post"]["requestBody"]["content"];
    assert_eq!(body["application/json"]["schema"]["$ref"], "#/components/schemas/Note");
    let headers = description["paths"]["/context"]["get"]["parameters"].as_array().unwrap();
    let names: Vec<_> = headers.iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["X-Correlation-Id", "X-Actor", "traceparent"]);
    assert!(headers.iter().all(|it| it["required"] == false && it["in"] == "header"), "{headers:?}");
}

#[tokio::test]
async fn the_docs_serve_their_own_assets() {
    let it = harness::default().await;
    assert_eq!(get(it.addr, "/docs").await.header("location"), Some("/docs/"));
    assert!(get(it.addr, "/docs/").await.body.contains("swagger-ui"));
    assert!(get(it.addr, "/docs/swagger-initializer.js").await.body.contains("/openapi.json"));
    let script = get(it.addr, "/docs/swagger-ui-bundle.js").await;
    assert!(script.status == 200 && script.body.len() > 100_000, "{}", script.body.len());
}

#[tokio::test]
async fn a_taken_port_is_one_clear_error() {
    let it = harness::default().await;
    let error = http::bind("HTTP_ADDR", it.addr).await.unwrap_err();
    let expected = format!("HTTP_ADDR {} is already in use: set HTTP_ADDR to a free address", it.addr);
    assert_eq!(format!("{error:#}"), expected);
}
