//! The binary: killed and restarted on its journal, stopped, and started where it cannot start.

use std::{
    fs::OpenOptions,
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, ChildStderr, Command, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{Answer, Api, KEY, capture_of, config, id_of, journal_file};

/// The provider as a process of its own, killed when this is dropped.
struct Process {
    child: Child,
    stderr: BufReader<ChildStderr>,
}

impl Process {
    fn spawn(http_addr: &str, journal: Option<&Path>) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_waybill-psp"));
        command.env_clear().env("HTTP_ADDR", http_addr).env("PSP_API_KEY", KEY).stderr(Stdio::piped());
        if let Some(path) = journal {
            command.env("LEDGER_FILE", path);
        }
        let mut child = command.spawn().expect("the provider's binary");
        let stderr = BufReader::new(child.stderr.take().expect("its log"));
        Self { child, stderr }
    }

    /// Waits for the log line that names the address.
    fn serving(journal: &Path) -> (Self, Api) {
        let mut process = Self::spawn("127.0.0.1:0", Some(journal));
        let mut log = String::new();
        loop {
            let read = process.stderr.read_line(&mut log).expect("its log");
            assert!(read > 0, "it ended: {log}");
            if let Some((_, base)) = log.split_once("serving on ") {
                let base: String =
                    base.chars().take_while(|c| c.is_ascii_graphic() && *c != '\u{1b}').collect();
                return (process, Api::new(base));
            }
        }
    }

    fn kill(mut self) {
        self.child.kill().expect("kill -9");
        self.child.wait().expect("its end");
    }

    /// What it said before it ended by itself, and whether it called that a success.
    fn end(mut self) -> (bool, String) {
        let mut log = String::new();
        self.stderr.read_to_string(&mut log).expect("its log");
        (self.child.wait().expect("its end").success(), log)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Everything that a client can see of these orders.
async fn view(api: &Api, ids: &[String]) -> Vec<Answer> {
    let mut view = vec![api.get("/ledger").await, api.get("/ledger?order_id=captured").await];
    for id in ids {
        view.push(api.get(&format!("/v1/payment_intents/{id}")).await);
    }
    view
}

#[tokio::test]
async fn a_killed_provider_knows_everything_again_and_forgives_a_torn_last_line() {
    let journal = journal_file("killed");
    let (process, api) = Process::serving(&journal);
    let first = api.authorize("pm_card_visa", "captured", "k1").await;
    let ids = [id_of(&first), api.authorized("pm_card_captureFails", "refused").await];
    let captured = api.post(&capture_of(&ids[0]), "k2", &[]).await;
    let refused = api.post(&capture_of(&ids[1]), "k3", &[]).await;
    let declined = api.authorize("pm_card_chargeDeclined", "declined", "k4").await;
    let refund = [("payment_intent", ids[0].as_str()), ("amount", "250")];
    let refunded = api.post("/v1/refunds", "k5", &refund).await;
    let before = view(&api, &ids).await;
    process.kill();
    let whole = std::fs::metadata(&journal).expect("the journal").len();
    let mut file = OpenOptions::new().append(true).open(&journal).expect("the journal");
    file.write_all(br#"{"at":"2026-01-01T00:00:00Z","idempotency_key":"k6","fing"#).expect("half a line");

    let (process, api) = Process::serving(&journal);
    assert_eq!(std::fs::metadata(&journal).expect("the journal").len(), whole, "the torn line is cut off");
    assert_eq!(view(&api, &ids).await, before);
    let replays = [
        (first, api.authorize("pm_card_visa", "captured", "k1").await),
        (captured, api.post(&capture_of(&ids[0]), "k2", &[]).await),
        (refused, api.post(&capture_of(&ids[1]), "k3", &[]).await),
        (declined, api.authorize("pm_card_chargeDeclined", "declined", "k4").await),
        (refunded, api.post("/v1/refunds", "k5", &refund).await),
    ];
    for (once, again) in replays {
        assert!(again.replayed);
        assert_eq!((again.status, again.text), (once.status, once.text));
    }
    assert_eq!(api.post(&capture_of(&ids[0]), "k1", &[]).await.brief(), "400 idempotency_error");
    api.post("/v1/refunds", "k6", &[("payment_intent", &ids[0])]).await;
    let before = view(&api, &ids).await;
    process.kill();

    let (_process, api) = Process::serving(&journal);
    assert_eq!(view(&api, &ids).await, before, "what was written after the torn line is read back");
    assert_eq!(
        api.movements("captured").await,
        [
            "authorize 1000 usd by k1",
            "capture 1000 usd by k2",
            "refund 250 usd by k5",
            "refund 750 usd by k6"
        ]
    );
}

#[tokio::test]
async fn a_refund_that_was_pending_when_the_provider_was_killed_succeeds() {
    let journal = journal_file("killed-pending");
    let (process, api) = Process::serving(&journal);
    let id = api.authorized("pm_card_pendingRefund", "o1").await;
    api.post(&capture_of(&id), "k2", &[]).await;
    let pending = api.post("/v1/refunds", "k3", &[("payment_intent", &id)]).await;
    process.kill();

    let (_process, api) = Process::serving(&journal);
    api.refunds_become(&id, &["1000 succeeded"]).await;
    let again = api.post("/v1/refunds", "k3", &[("payment_intent", &id)]).await;
    assert_eq!((again.replayed, again.text), (true, pending.text));
    assert_eq!(api.movements("o1").await.last().expect("a refund"), "refund 1000 usd by k3");
}

#[tokio::test]
async fn damage_before_the_last_line_is_not_guessed_over() {
    let journal = journal_file("damaged");
    let running = psp::start(config(Some(journal.clone()))).await.expect("a provider");
    Api::new(running.base_url()).authorized("pm_card_visa", "o1").await;
    running.stop().await.expect("a clean stop");
    let sound = std::fs::read_to_string(&journal).expect("the journal");
    std::fs::write(&journal, format!("{sound}{{\"at\":\n{sound}")).expect("a damaged journal");

    let error = psp::start(config(Some(journal))).await.err().expect("a refusal");
    let error = format!("{error:#}");
    assert!(error.contains("LEDGER_FILE") && error.contains("line 2"), "{error}");
}

#[tokio::test]
async fn a_record_whose_beginning_is_missing_is_damage() {
    let journal = journal_file("beheaded");
    let running = psp::start(config(Some(journal.clone()))).await.expect("a provider");
    let api = Api::new(running.base_url());
    let id = api.authorized("pm_card_visa", "o1").await;
    api.post(&capture_of(&id), "k2", &[]).await;
    running.stop().await.expect("a clean stop");
    let sound = std::fs::read_to_string(&journal).expect("the journal");
    let (_, rest) = sound.split_once('\n').expect("two lines");
    std::fs::write(&journal, rest).expect("a damaged journal");

    let error = format!("{:#}", psp::start(config(Some(journal))).await.err().expect("a refusal"));
    assert!(error.contains("line 1") && error.contains("never opened"), "{error}");
}

#[tokio::test]
async fn a_journal_has_one_owner() {
    let journal = journal_file("owned");
    let running = psp::start(config(Some(journal.clone()))).await.expect("a provider");
    let error = psp::start(config(Some(journal.clone()))).await.err().expect("a refusal");
    assert!(error.to_string().contains("in use by another process"), "{error:#}");
    running.stop().await.expect("a clean stop");
    psp::start(config(Some(journal))).await.expect("the next owner");
}

#[tokio::test]
async fn a_terminated_provider_ends_well() {
    let (process, api) = Process::serving(&journal_file("terminated"));
    assert_eq!(api.get("/readyz").await.text, "ready");
    kill(Pid::from_raw(process.child.id().cast_signed()), Signal::SIGTERM).expect("SIGTERM");
    let (success, log) = process.end();
    assert!(success, "{log}");
}

#[tokio::test]
async fn a_taken_port_is_one_clear_line() {
    let (_running, api) = crate::start().await;
    let addr = api.base.trim_start_matches("http://");
    let (success, log) = Process::spawn(addr, None).end();
    assert!(!success);
    assert_eq!(log.lines().count(), 1, "{log}");
    assert!(log.contains(&format!("HTTP_ADDR={addr}")), "{log}");
}

#[tokio::test]
async fn the_binary_asks_a_running_one_how_it_is() {
    let (running, api) = crate::start().await;
    let addr = api.base.trim_start_matches("http://").to_owned();
    let asked = |addr: String| {
        tokio::task::spawn_blocking(move || {
            let mut command = Command::new(env!("CARGO_BIN_EXE_waybill-psp"));
            command.arg("healthcheck").env("HTTP_ADDR", addr).stderr(Stdio::null());
            command.status().expect("the provider's binary").success()
        })
    };
    assert!(asked(addr.clone()).await.unwrap());
    running.stop().await.expect("a clean stop");
    assert!(!asked(addr).await.unwrap());
}
