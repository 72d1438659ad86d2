use std::time::Duration;

use axum::response::IntoResponse as _;
use service::http::Limits;
use service::{PROBLEM_JSON, Problem, Readiness};

use crate::harness::{self, Answer, exchange, get, post};

const JSON: &str = "content-type: application/json\r\n";

/// Every refusal is a problem with its status in it, and repeats nothing of what was sent.
#[track_caller]
fn check(answer: &Answer, status: u16, detail: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some(PROBLEM_JSON), "{answer:?}");
    let problem = answer.json();
    assert_eq!(problem["status"], status, "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains(detail), "{problem}");
    assert!(!answer.body.contains("secret"), "{problem}");
}

#[track_caller]
fn check_fault(answer: &Answer, pointer: &str, detail: &str) {
    check(answer, 422, "not valid");
    assert_eq!(answer.json()["errors"], serde_json::json!([{"pointer": pointer, "detail": detail}]));
}

#[tokio::test]
async fn what_is_valid_is_served() {
    let it = harness::default().await;
    let note = r#"{"text":"hi","tags":[{"weight":3}]}"#;
    let answer = post(it.addr, "/notes", JSON, note).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, note));
    assert_eq!(get(it.addr, "/pages?limit=7").await.body, "7");
}

#[tokio::test]
async fn a_malformed_body_is_400_with_its_position() {
    let it = harness::default().await;
    check(&post(it.addr, "/notes", JSON, "{\"text\": secret").await, 400, "at line 1 column 10");
    check(&post(it.addr, "/notes", JSON, "").await, 400, "EOF");
}

#[tokio::test]
async fn a_wrong_shape_is_422_with_a_pointer() {
    let it = harness::default().await;
    let wrong_type = post(it.addr, "/notes", JSON, r#"{"text":"x","tags":[{"weight":"secret"}]}"#).await;
    check_fault(&wrong_type, "/tags/0/weight", "expected u32");
    let unknown = post(it.addr, "/notes", JSON, r#"{"text":"x","tags":[],"price":"secret"}"#).await;
    check_fault(&unknown, "/price", "is not a known field");
    check_fault(&post(it.addr, "/notes", JSON, r#"{"text":"x"}"#).await, "/tags", "is required");
    check_fault(&post(it.addr, "/notes", JSON, r#"["x",[]]"#).await, "", "must be an object");
}

#[tokio::test]
async fn another_content_type_is_415() {
    let it = harness::default().await;
    for headers in ["", "content-type: text/plain\r\n", "content-type: application/x-www-form-urlencoded\r\n"]
    {
        check(&post(it.addr, "/notes", headers, "{}").await, 415, "Content-Type");
    }
}

#[tokio::test]
async fn an_optional_body_may_be_absent_and_not_wrong() {
    let it = harness::default().await;
    assert_eq!(post(it.addr, "/optional", "", "").await.body, "false");
    assert_eq!(post(it.addr, "/optional", JSON, r#"{"text":"x","tags":[]}"#).await.body, "true");
    check(&post(it.addr, "/optional", JSON, "secret").await, 400, "not JSON");
    check(&post(it.addr, "/optional", "", "{}").await, 415, "Content-Type");
}

#[tokio::test]
async fn a_body_over_64_kib_is_413_announced_or_chunked() {
    let it = harness::default().await;
    let note = |length: usize| {
        let frame = r#"{"text":"","tags":[]}"#;
        frame.replacen(r#""""#, &format!("{:?}", "x".repeat(length - frame.len())), 1)
    };
    let chunked = |body: &str| {
        let mut request = format!("POST /notes HTTP/1.1\r\nhost: it\r\nconnection: close\r\n{JSON}");
        request.push_str("transfer-encoding: chunked\r\n\r\n");
        for chunk in body.as_bytes().chunks(4096) {
            request.push_str(&format!("{:x}\r\n{}\r\n", chunk.len(), str::from_utf8(chunk).unwrap()));
        }
        request + "0\r\n\r\n"
    };

    assert_eq!(post(it.addr, "/notes", JSON, &note(64 * 1024)).await.status, 200);
    assert_eq!(exchange(it.addr, chunked(&note(64 * 1024)).as_bytes()).await.status, 200);
    check(&post(it.addr, "/notes", JSON, &note(65 * 1024)).await, 413, "65536 bytes");
    check(&exchange(it.addr, chunked(&note(65 * 1024)).as_bytes()).await, 413, "65536 bytes");
    // Refused by its length alone, also where nobody reads it.
    let ignored = "GET /pages HTTP/1.1\r\nhost: it\r\nconnection: close\r\ncontent-length: 65537\r\n\r\n";
    check(&exchange(it.addr, ignored.as_bytes()).await, 413, "65536 bytes");
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems() {
    let it = harness::default().await;
    check(&get(it.addr, "/nowhere").await, 404, "nothing at this path");
    let answer = get(it.addr, "/notes").await;
    check(&answer, 405, "method");
    assert_eq!(answer.header("allow"), Some("post"));
    check(&post(it.addr, "/readyz", "", "").await, 405, "method");
}

#[tokio::test]
async fn parameters_that_do_not_parse_are_400() {
    let it = harness::default().await;
    check(&get(it.addr, "/notes/42").await, 400, "path parameter");
    check(&get(it.addr, "/pages?limit=many").await, 400, "limit");
}

#[tokio::test]
async fn a_correlation_id_is_repeated_made_or_refused() {
    let it = harness::default().await;
    let with = async |id: &str| {
        let request = format!(
            "GET /context HTTP/1.1\r\nhost: it\r\nconnection: close\r\nx-correlation-id: {id}\r\n\r\n"
        );
        exchange(it.addr, request.as_bytes()).await
    };
    let id = "018f3b5c-1111-7222-8333-444455556666";

    let given = with(id).await;
    assert_eq!((given.header("x-correlation-id"), given.json().as_str()), (Some(id), Some(id)));
    let made = get(it.addr, "/context").await;
    assert_eq!(made.header("x-correlation-id"), made.json().as_str());
    check(&with("secret").await, 400, "X-Correlation-Id");
    assert!(get(it.addr, "/nowhere").await.header("x-correlation-id").is_some());
}

#[tokio::test]
async fn a_panic_and_a_failure_are_500_without_their_cause() {
    let it = harness::default().await;
    check(&get(it.addr, "/panic").await, 500, "failed");
    check(&get(it.addr, "/failure").await, 500, "failed");
    assert_eq!(get(it.addr, "/pages").await.status, 200);
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_503() {
    let limits = Limits { request_timeout: Duration::from_millis(50), ..Limits::default() };
    let it = harness::start(limits, Readiness::new()).await;
    let answer = get(it.addr, "/slow/20000").await;
    check(&answer, 503, "too long");
    assert_eq!(answer.header("retry-after"), Some("1"));
}

#[tokio::test]
async fn requests_beyond_the_cap_are_shed_and_health_is_still_answered() {
    let it = harness::start(Limits { in_flight: 1, ..Limits::default() }, Readiness::new()).await;
    let addr = it.addr;
    let first = tokio::spawn(async move { get(addr, "/slow/1000").await });
    let shed = loop {
        let answer = get(addr, "/pages").await;
        assert!(!first.is_finished(), "nothing was shed while the only place was taken");
        if answer.status != 200 {
            break answer;
        }
    };
    check(&shed, 503, "too many requests");
    assert_eq!(shed.header("retry-after"), Some("1"));
    assert_eq!(get(addr, "/readyz").await.status, 200);
    assert_eq!(first.await.unwrap().status, 200);
    assert_eq!(get(addr, "/pages").await.status, 200);
}

#[tokio::test]
async fn new_work_that_is_put_off_is_503_and_says_for_how_long() {
    let problem = service::rejected(engine::Rejected::<()>::Congested, |()| Problem::internal());
    let response = problem.into_response();
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "5");
    let body = axum::body::to_bytes(response.into_body(), 1_000).await.unwrap();
    assert!(String::from_utf8_lossy(&body).contains("too much waits to be published"), "{body:?}");
}
