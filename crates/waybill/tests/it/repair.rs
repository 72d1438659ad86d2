//! `waybill repair` on a suite of processes: what it sends, and what it is told not to. What it finds and proposes is
//! tried where the services are.

use std::{
    fs::{self, File},
    io::Write,
    process::{Command, Stdio},
};

use nix::pty::openpty;
use serde_json::Value;
use uuid::Uuid;

use crate::{
    up::Suite,
    waybill::{Said, run},
};

impl Suite {
    /// Where all its parts are, by the variables that name them.
    fn env(&self) -> Vec<(String, String)> {
        let env = fs::read_to_string(self.files().with_extension("env")).expect("the suite's environment");
        let pairs = env.lines().filter_map(|it| it.split_once('='));
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    fn repair(&self, args: &[&str]) -> Command {
        let mut command = self.command(&["repair", "--patience", "10s"]);
        command.args(args).envs(self.env()).env_remove("PROVIDER_API_KEY").env_remove("PSP_API_KEY");
        command.stdin(Stdio::null());
        command
    }

    fn provider(&self) -> String {
        self.env().into_iter().find(|it| it.0 == "PSP_URL").expect("the provider's address").1
    }

    /// Money taken for an order that nobody has placed; the order's id.
    fn surplus(&self, token: &str) -> String {
        let id = Uuid::now_v7().to_string();
        let form = [
            ("amount", "1999"),
            ("currency", "usd"),
            ("payment_method", token),
            ("capture_method", "manual"),
            ("confirm", "true"),
            ("metadata[order_id]", &id),
        ];
        let provider = self.provider();
        let post = |path: &str, form: &[(&str, &str)]| {
            let url = format!("{provider}/v1/payment_intents{path}");
            answer(|http| http.post(url).bearer_auth("sk_test_waybill").form(form))
        };
        let intent = post("", &form);
        let capture = format!("/{}/capture", intent["id"].as_str().expect("an id"));
        assert_eq!(post(&capture, &[])["status"], "succeeded", "{intent}");
        id
    }

    /// What has become of an order's money, by the provider's ledger.
    fn ledger(&self, order_id: &str) -> Vec<String> {
        let provider = self.provider();
        let ledger = answer(|http| http.get(format!("{provider}/ledger?order_id={order_id}")));
        let entries = ledger["entries"].as_array().expect("entries");
        entries.iter().map(|it| it["kind"].as_str().expect("a kind").to_owned()).collect()
    }
}

fn answer(request: impl FnOnce(reqwest::Client) -> reqwest::RequestBuilder) -> Value {
    // Set before, by another test of this process.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        request(reqwest::Client::new()).send().await.expect("the provider").json().await.expect("JSON")
    })
}

/// Runs a command at a terminal at which somebody types.
fn at_a_terminal(command: &mut Command, typed: &str) -> Said {
    let terminal = openpty(None, None).expect("a terminal");
    command.stdin(terminal.slave).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("the binary runs");
    let mut keys = File::from(terminal.master);
    keys.write_all(typed.as_bytes()).expect("keys are typed");
    child.wait_with_output().expect("it ends").into()
}

const UNKNOWN: &str = "--unknown-orders";
const TAKEN: [&str; 2] = ["authorize", "capture"];

#[test]
fn at_a_terminal_it_asks_and_only_a_yes_sends() {
    let suite = Suite::up("repair-asks");
    let id = suite.surplus("pm_card_visa");
    assert_eq!(suite.ledger(&id), TAKEN);

    let end_of_input = "\u{4}";
    for typed in ["n\n", "\n", end_of_input, "maybe\n", "yn\n"] {
        let said = at_a_terminal(&mut suite.repair(&[UNKNOWN]), typed);
        assert_eq!(said.code, Some(1), "{typed:?}: {}{}", said.out, said.err);
        assert!(said.err.contains("send 1 command? [y/N]"), "{typed:?}: {}", said.err);
        assert!(said.out.ends_with("nothing was sent: --yes sends them\n"), "{typed:?}: {}", said.out);
        assert_eq!(suite.ledger(&id), TAKEN, "{typed:?}");
    }
    // It may be somebody else's.
    let said = run(&mut suite.repair(&["--yes"]));
    assert!(said.code == Some(1) && said.out.contains(UNKNOWN), "{}{}", said.out, said.err);
    assert_eq!(suite.ledger(&id), TAKEN);
    // Where nobody can be asked, and where a program reads, nobody is.
    for said in
        [run(&mut suite.repair(&[UNKNOWN])), at_a_terminal(&mut suite.repair(&["--json", UNKNOWN]), "y\n")]
    {
        assert_eq!((said.code, said.err.contains("[y/N]")), (Some(1), false), "{}{}", said.out, said.err);
        assert_eq!(suite.ledger(&id), TAKEN);
    }

    let said = at_a_terminal(&mut suite.repair(&[UNKNOWN]), "y\n");
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
    assert!(said.out.contains("\nsent: POST ") && said.out.contains("says: succeeded"), "{}", said.out);
    assert_eq!(suite.ledger(&id), ["authorize", "capture", "refund"]);
}

#[test]
fn nothing_is_sent_while_a_database_is_away_and_a_refund_that_fails_is_left_to_a_person() {
    let suite = Suite::up("repair-fails");
    let id = suite.surplus("pm_card_refundFail");

    for service in ["ORDER", "INVENTORY", "PAYMENT", "SHIPPING"] {
        let away = format!("postgres://x:secret@127.0.0.1:{}/x", local::free_port().expect("a free port"));
        let said = run(suite.repair(&["--yes", UNKNOWN]).env(format!("{service}_DATABASE_URL"), away));
        assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{service}: {}", said.err);
        assert!(said.err.contains(&service.to_lowercase()) && !said.err.contains("secret"), "{}", said.err);
        assert_eq!(suite.ledger(&id), TAKEN, "{service}");
    }

    // Also when it is sent again: the provider's answer is kept under the key.
    for _ in 0..2 {
        let said = run(&mut suite.repair(&["--yes", UNKNOWN]));
        assert_eq!(said.code, Some(1), "{}{}", said.out, said.err);
        let told =
            ["the provider says: failed", "do:   the provider could not give this back", "left: known"];
        for it in told {
            assert!(said.out.contains(it), "{it}: {}", said.out);
        }
        assert!(!suite.ledger(&id).contains(&"refund".to_owned()), "{:?}", suite.ledger(&id));
    }
}
