//! `waybill audit` as it is typed.

use std::process::Stdio;

use ::load::PLAIN;
use nix::{sys::signal, unistd::Pid};
use saga_tests::processes::{PROVIDER, program};
use serde_json::Value;
use sqlx::ConnectOptions;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{ChildStdout, Command},
    time::timeout,
};

use super::{PATIENCE, Processes};

fn command(suite: &Processes, provider: &str, more: &[&str]) -> Command {
    let mut command = Command::new(program("waybill"));
    command.args(["audit", "--patience", "60s", "--psp-url", provider]).args(more);
    command.args(["--bootstrap-servers", &testkit::bootstrap_servers(), "--topic-prefix", &suite.prefix]);
    for (service, pool) in &suite.pools {
        let url = pool.connect_options().to_url_lossy().to_string();
        command.env(format!("{}_DATABASE_URL", service.to_uppercase()), url);
    }
    command
}

/// Its exit code, and what it says on standard output.
async fn run(suite: &Processes, provider: &str, more: &[&str]) -> (Option<i32>, String) {
    let output = command(suite, provider, more).output().await.expect("the command runs");
    (output.status.code(), String::from_utf8(output.stdout).expect("UTF-8"))
}

async fn break_stock(suite: &Processes) {
    let update = sqlx::query("update product set on_hand = on_hand - 1 where sku = 'LOAD-MUG'");
    update.execute(&suite.pools["inventory"]).await.expect("an update");
}

/// By its exit code and on standard output, of one look and while it watches.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_says_what_it_has_seen() {
    let suite = Processes::start().await;
    PLAIN.stock(&suite.target(), 0).await.expect("stock");
    let provider = suite.url(PROVIDER, "");

    let clean = run(&suite, &provider, &["--json"]).await;
    let unseen = run(&suite, &format!("http://{}", testkit::free_addr()), &["--json"]).await;
    watches_and_ends_with_the_code_of_its_last_look(&suite, &provider).await;
    let violated = run(&suite, &provider, &["--json"]).await;
    suite.clear().await;

    assert_eq!((clean.0, violated.0), (Some(0), Some(1)), "{clean:?}, {violated:?}");
    let report: Value = serde_json::from_str(&violated.1).expect("JSON");
    let violation = &report["violations"][0];
    assert_eq!((&violation["law"], &violation["sku"]), (&"stock".into(), &"LOAD-MUG".into()), "{report}");
    assert_eq!(unseen, (Some(2), String::new()));
}

/// What is said from here to the line that ends a look.
async fn a_look(lines: &mut Lines<BufReader<ChildStdout>>) -> Vec<String> {
    let mut said = Vec::new();
    loop {
        let line = timeout(PATIENCE, lines.next_line()).await.expect("a line").expect("UTF-8");
        said.push(line.unwrap_or_else(|| panic!("it ended after {said:#?}")));
        if said.last().is_some_and(|it| it.starts_with("clean: ") || it.starts_with("not clean: ")) {
            return said;
        }
    }
}

/// What it watches breaks while it does, and stays broken.
async fn watches_and_ends_with_the_code_of_its_last_look(suite: &Processes, provider: &str) {
    let products = suite.count("inventory", "product").await;
    let mut command = command(suite, provider, &["--watch", "--every", "100ms"]);
    let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().expect("the command runs");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();

    let first = a_look(&mut lines).await;
    let second = a_look(&mut lines).await;
    break_stock(suite).await;
    let mut broken = a_look(&mut lines).await;
    // One that had begun before.
    if broken.last().is_some_and(|it| it.starts_with("clean")) {
        broken = a_look(&mut lines).await;
    }
    let pid = Pid::from_raw(child.id().expect("it runs").try_into().expect("a pid"));
    signal::kill(pid, signal::Signal::SIGINT).expect("a signal");
    let ended = timeout(PATIENCE, child.wait()).await.expect("it ends").expect("a status");

    assert_eq!(ended.code(), Some(1));
    assert!(first[0].starts_with("LAW") && first[0].ends_with("VIOLATED"), "{first:#?}");
    let stock = |said: &[String]| {
        let row = said.iter().find(|it| it.starts_with("stock ")).expect("the law is told");
        row.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(stock(&first), format!("stock {products} 0"));
    assert_eq!(stock(&broken), format!("stock {products} 1"));
    for clean in [first, second] {
        assert!(
            clean.last().is_some_and(|it| it.starts_with("clean: no orders; 0 cannot be judged yet; ")),
            "{clean:#?}"
        );
    }
    let told = |it: &&String| it.starts_with("violated: stock, SKU LOAD-MUG: on hand ");
    assert!(broken.iter().any(|it| told(&it)), "{broken:#?}");
}
