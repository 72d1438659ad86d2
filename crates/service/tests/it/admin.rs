//! The operator's address: off unless it is set, and what it says about dead letters.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::{TestDatabase, eventually};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::harness::{Answer, get, post};
use crate::notes::{self, Notes};

const SOON: Duration = Duration::from_secs(20);
const NOBODY: &str = "postgres://nobody@127.0.0.1:1/none";

struct Running {
    admin: SocketAddr,
    http: SocketAddr,
    shutdown: CancellationToken,
    stopped: JoinHandle<anyhow::Result<()>>,
}

impl Running {
    async fn start(database: &str, with_admin: bool, bus: bus::Bus, notes: Notes) -> Self {
        let (admin, http, shutdown) = (testkit::free_addr(), testkit::free_addr(), CancellationToken::new());
        let (said, http_said) = (admin.to_string(), http.to_string());
        let mut args = vec!["--database-url", database, "--http-addr", &http_said];
        if with_admin {
            args.extend(["--admin-addr", &said]);
        }
        let stopped = tokio::spawn(notes::run(notes::config(&args), bus, notes, shutdown.clone()));
        eventually(SOON, "it listens", async || tokio::net::TcpStream::connect(http).await.map(drop)).await;
        Self { admin, http, shutdown, stopped }
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        let headers = "content-type: application/json\r\nx-actor: operator:jane\r\n";
        post(self.admin, path, headers, &body.to_string()).await
    }

    /// What a listing of dead letters has, once it is as long as it should be.
    async fn letters(&self, query: &str, count: usize) -> Value {
        eventually(SOON, "as many dead letters as there should be", async || {
            let page = get(self.admin, &format!("/dead-letters{query}")).await;
            let found = page.json()["dead_letters"].as_array().map_or(0, Vec::len);
            if page.status == 200 && found == count { Ok(page.json()) } else { Err(page.body) }
        })
        .await
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.stopped.await.unwrap().unwrap();
    }
}

#[track_caller]
fn check_problem(answer: &Answer, status: u16, errors: Value) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some(service::PROBLEM_JSON));
    assert_eq!(answer.json()["errors"], errors, "{}", answer.body);
}

/// The description knows each field of `value` and no other, and all that it refers to.
#[track_caller]
fn check_described(description: &Value, name: &str, value: &Value) {
    let fields = |it: &Value| it.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(fields(&description["components"]["schemas"][name]["properties"]), fields(value), "{name}");
    for reference in description.to_string().split("#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(description["components"]["schemas"][name].is_object(), "{name}");
    }
}

#[tokio::test]
async fn without_an_address_there_is_nothing_of_it() {
    let it = Running::start(NOBODY, false, notes::bus().await, Notes::default()).await;
    assert!(tokio::net::TcpStream::connect(it.admin).await.is_err());
    assert_eq!(get(it.http, "/dead-letters").await.status, 404);
    it.stop().await;
}

#[tokio::test]
async fn a_taken_address_names_its_variable_before_anything_is_started() {
    let holder = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let taken = holder.local_addr().unwrap().to_string();
    let config =
        notes::config(&["--database-url", NOBODY, "--http-addr", "127.0.0.1:0", "--admin-addr", &taken]);
    let run = notes::run(config, notes::bus().await, Notes::default(), CancellationToken::new());
    let error = run.await.unwrap_err();
    let expected = format!("ADMIN_ADDR {taken} is already in use: set ADMIN_ADDR to a free address");
    assert_eq!(format!("{error:#}"), expected);
}

#[tokio::test]
async fn wrong_requests_are_problems_that_point_at_what_is_wrong() {
    let it = Running::start(NOBODY, true, notes::bus().await, Notes::default()).await;
    let error = |pointer: &str, detail: &str| json!([{"pointer": pointer, "detail": detail}]);

    let none = it.post("/dead-letters/redrive", json!({})).await;
    check_problem(&none, 422, error("", "must have one of id, key, type and all"));
    let two = it.post("/dead-letters/redrive", json!({"id": 1, "all": true})).await;
    check_problem(&two, 422, error("/all", "is one selector too many"));
    let all = it.post("/dead-letters/discard", json!({"all": true, "reason": "x"})).await;
    check_problem(&all, 422, error("/all", "is not for discarding: choose by id, key or type"));
    let unknown = it.post("/dead-letters/redrive", json!({"ids": [1]})).await;
    check_problem(&unknown, 422, error("/ids", "is not a known field"));
    // A page of some website can send text without asking, and this content type only after it was refused.
    let text = post(it.admin, "/dead-letters/redrive", "content-type: text/plain\r\n", r#"{"all":true}"#);
    check_problem(&text.await, 415, Value::Null);
    for query in ["?limit=0", "?limit=101", "?status=gone", "?cursor=x", "?colour=red", "?type=%00"] {
        check_problem(&get(it.admin, &format!("/dead-letters{query}")).await, 400, Value::Null);
    }
    check_problem(&get(it.admin, "/dead-letters/x").await, 400, Value::Null);
    it.stop().await;
}

#[tokio::test]
async fn a_database_that_is_away_is_503_and_the_rest_is_there() {
    let it = Running::start(NOBODY, true, notes::bus().await, Notes::default()).await;
    let answers = [
        get(it.admin, "/dead-letters").await,
        get(it.admin, "/dead-letters/1").await,
        get(it.admin, "/dead-letters/actions").await,
        it.post("/dead-letters/redrive", json!({"all": true})).await,
        it.post("/dead-letters/discard", json!({"id": 1, "reason": "x"})).await,
    ];
    for answer in answers {
        check_problem(&answer, 503, Value::Null);
        assert_eq!(answer.header("retry-after"), Some("2"), "{answer:?}");
    }
    assert_eq!(get(it.admin, "/livez").await.status, 200);
    assert_eq!(get(it.admin, "/readyz").await.status, 503);
    assert_eq!(get(it.admin, "/metrics").await.status, 200);
    let description = get(it.admin, "/openapi.json").await.json();
    assert_eq!(description["info"]["title"], "notes: operator");
    assert!(description["paths"]["/dead-letters/redrive"]["post"].is_object(), "{description}");
    it.stop().await;
}

#[tokio::test]
async fn letters_are_listed_shown_redriven_and_discarded() {
    let (database, bus, notes) = (TestDatabase::create_owned().await, notes::bus().await, Notes::default());
    let it = Running::start(database.url(), true, bus.clone(), notes.clone()).await;
    notes::send(&bus, "a", b"\xff!").await;
    notes::send(&bus, "a", br#"{"text":"quiet"}"#).await;
    notes::send(&bus, "b", b"so loud!").await;

    let all = it.letters("", 3).await;
    assert_eq!(all.get("next_cursor"), None);
    let page = it.letters("?limit=2", 2).await;
    let rest = it.letters(&format!("?limit=2&cursor={}", page["next_cursor"]), 1).await;
    assert_eq!(rest["dead_letters"][0], all["dead_letters"][2]);
    let waiting = it.letters("?key=a&status=waiting&type=note.taken", 1).await["dead_letters"][0].clone();
    assert_eq!((&waiting["cause"], &waiting["key"]), (&json!("key-parked"), &json!("a")));
    it.letters("?cause=impossible", 2).await;

    let poison = it.letters("?key=a&status=poison", 1).await["dead_letters"][0].clone();
    assert_eq!((&poison["error"], &poison["headers"]), (&json!("a note does not shout"), &Value::Null));
    let (id, behind) = (&poison["dead_letter_id"], &waiting["dead_letter_id"]);
    let shown = get(it.admin, &format!("/dead-letters/{id}")).await.json();
    assert_eq!(shown["payload"], json!({"base64": "/yE="}));
    let description = get(it.admin, "/openapi.json").await.json();
    check_described(&description, "DeadLetter", &shown);
    let typed = shown["headers"].as_array().unwrap().contains(&json!(["ce_type", "waybill.note.taken.v1"]));
    assert!(typed, "{shown}");
    let shown = get(it.admin, &format!("/dead-letters/{behind}")).await.json();
    assert_eq!(shown["payload"], r#"{"text":"quiet"}"#);
    check_problem(&get(it.admin, "/dead-letters/999").await, 404, Value::Null);

    let outcome = |failed: u64, applied: u64, discarded: u64| {
        json!({
            "applied": applied, "duplicates": 0, "skipped": 0, "discarded": discarded, "failed": failed,
        })
    };
    let redrive = async |which: Value| it.post("/dead-letters/redrive", which).await;
    assert_eq!(redrive(json!({"all": true, "reason": "again"})).await.json(), outcome(2, 0, 0));
    check_problem(&redrive(json!({"id": 999})).await, 404, Value::Null);
    let discard =
        async |id: &Value| it.post("/dead-letters/discard", json!({"id": id, "reason": "junk"})).await;
    check_problem(&discard(behind).await, 409, Value::Null);
    assert_eq!(discard(id).await.json(), outcome(0, 1, 1));
    notes.mend();
    assert_eq!(redrive(json!({"key": "b"})).await.json(), outcome(0, 1, 0));
    assert_eq!(redrive(json!({"type": "note.taken"})).await.json(), outcome(0, 0, 0));
    it.letters("", 0).await;

    let actions = get(it.admin, "/dead-letters/actions?limit=3").await.json();
    check_described(&description, "Action", &actions["actions"][0]);
    let told = |it: &Value| format!("{} {} {}: {}", it["actor"], it["outcome"], it["key"], it["reason"]);
    let told: Vec<String> = actions["actions"].as_array().unwrap().iter().map(told).collect();
    assert_eq!(told[0], r#""operator:jane" "applied" "b": """#);
    assert!(told[1..].contains(&r#""operator:jane" "discarded" "a": "junk""#.to_owned()), "{told:?}");
    let cursor = &actions["next_cursor"];
    let before = get(it.admin, &format!("/dead-letters/actions?cursor={cursor}")).await.json();
    assert_eq!(before["actions"].as_array().unwrap().len(), 2, "{before}");
    it.stop().await;
    database.close().await;
}
