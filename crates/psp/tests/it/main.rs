//! The provider as its clients see it: over real HTTP, and for restarts as a real process.

mod api;
mod idempotency;
mod ledger;
mod process;
mod refunds;
mod throughput;
mod tokens;

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::Value;

const KEY: &str = "sk_test_of_these_tests";

fn config(ledger_file: Option<PathBuf>) -> psp::Config {
    psp::Config {
        http_addr: "127.0.0.1:0".to_owned(),
        psp_api_key: KEY.to_owned(),
        ledger_file,
        psp_latency_ms: 0,
    }
}

async fn start() -> (psp::Running, Api) {
    let running = psp::start(config(None)).await.expect("a provider");
    let api = Api::new(running.base_url());
    (running, api)
}

/// A file that no other test has.
fn journal_file(name: &str) -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{number}.jsonl"));
    let _ = std::fs::remove_file(&path);
    path
}

/// A client of the provider.
#[derive(Clone)]
struct Api {
    client: Client,
    base: String,
}

#[derive(Debug, Clone, PartialEq)]
struct Answer {
    status: StatusCode,
    replayed: bool,
    text: String,
}

impl Answer {
    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// `200 requires_capture`, `402 card_declined insufficient_funds`: what a client branches on.
    #[track_caller]
    fn brief(&self) -> String {
        let json = self.json();
        let words = ["/status", "/error/code", "/error/decline_code", "/error/param"]
            .into_iter()
            .filter_map(|pointer| json.pointer(pointer).and_then(Value::as_str));
        let first = json.pointer("/error/type").and_then(Value::as_str).filter(|kind| *kind != "card_error");
        [self.status.as_str()].into_iter().chain(first).chain(words).collect::<Vec<_>>().join(" ")
    }
}

impl Api {
    fn new(base: String) -> Self {
        // The clients here speak plain HTTP, but the library does not start without a TLS provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().timeout(Duration::from_secs(10)).build().expect("a client");
        Self { client, base }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base)).bearer_auth(KEY)
    }

    async fn send(&self, request: RequestBuilder) -> reqwest::Result<Answer> {
        let response = request.send().await?;
        let status = response.status();
        let replayed = response.headers().get("idempotent-replayed").is_some_and(|value| value == "true");
        Ok(Answer { status, replayed, text: response.text().await? })
    }

    async fn try_post(
        &self,
        path: &str,
        key: &str,
        form: &[(&str, &str)],
        patience: u64,
    ) -> reqwest::Result<Answer> {
        let request = self.request(Method::POST, path).header("idempotency-key", key).form(form);
        self.send(request.timeout(Duration::from_millis(patience))).await
    }

    async fn post(&self, path: &str, key: &str, form: &[(&str, &str)]) -> Answer {
        self.try_post(path, key, form, 10_000).await.expect("an answer")
    }

    async fn authorize(&self, token: &str, order_id: &str, key: &str) -> Answer {
        self.post("/v1/payment_intents", key, &intent_form(token, order_id)).await
    }

    /// The id of a new intent that is authorised.
    async fn authorized(&self, token: &str, order_id: &str) -> String {
        let answer = self.authorize(token, order_id, &format!("{order_id}-authorize")).await;
        id_of(&answer)
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await.expect("an answer")
    }

    /// `200 pending`: one a refund of the intent, the newest first.
    async fn refunds(&self, id: &str) -> Vec<String> {
        let list = self.get(&format!("/v1/refunds?payment_intent={id}")).await.json();
        let text = |it: &Value| format!("{} {}", it["amount"], it["status"].as_str().expect("a status"));
        list["data"].as_array().expect("refunds").iter().map(text).collect()
    }

    /// Waits until the intent's refunds are as told.
    async fn refunds_become(&self, id: &str, expected: &[&str]) {
        let started = Instant::now();
        while self.refunds(id).await != expected {
            assert!(started.elapsed() < Duration::from_secs(10), "{:?}", self.refunds(id).await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// `authorize 1000 usd by key`, one a movement.
    async fn movements(&self, order_id: &str) -> Vec<String> {
        let ledger = self.get(&format!("/ledger?order_id={order_id}")).await.json();
        let entries = ledger["entries"].as_array().expect("entries").clone();
        let text = |entry: &Value, name: &str| entry[name].as_str().unwrap_or("-").to_owned();
        entries
            .iter()
            .map(|entry| {
                let [kind, currency, key] =
                    ["kind", "currency", "idempotency_key"].map(|name| text(entry, name));
                format!("{kind} {} {currency} by {key}", entry["amount"])
            })
            .collect()
    }
}

fn intent_form<'a>(token: &'a str, order_id: &'a str) -> [(&'a str, &'a str); 6] {
    [
        ("amount", "1000"),
        ("currency", "usd"),
        ("payment_method", token),
        ("capture_method", "manual"),
        ("confirm", "true"),
        ("metadata[order_id]", order_id),
    ]
}

#[track_caller]
fn id_of(answer: &Answer) -> String {
    answer.json()["id"].as_str().expect("an id").to_owned()
}

fn capture_of(id: &str) -> String {
    format!("/v1/payment_intents/{id}/capture")
}

fn cancel_of(id: &str) -> String {
    format!("/v1/payment_intents/{id}/cancel")
}
