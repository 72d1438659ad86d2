//! Arguments, errors and exit codes.

use std::net::TcpListener;

use crate::waybill::{run, waybill};

/// The exit code, and that an error is told in full on standard error and nowhere else.
#[track_caller]
fn check(args: &[&str], code: i32, told: &str) {
    check_with(args, &[], code, told);
}

#[track_caller]
fn check_with(args: &[&str], variables: &[(&str, &str)], code: i32, told: &str) {
    let said = run(waybill(args).envs(variables.iter().copied()));
    assert_eq!(said.code, Some(code), "{args:?}: {}{}", said.out, said.err);
    assert!(said.err.contains(told), "{args:?}: expected {told:?} in {:?}", said.err);
    assert!(said.out.is_empty(), "{args:?}: {}", said.out);
}

#[test]
fn wrong_usage_is_2_and_says_what_is_wrong() {
    check(&[], 2, "Usage: waybill");
    check(&["frobnicate"], 2, "unrecognized subcommand");
    check(&["orders", "place"], 2, "--sku");
    check(&["orders", "place", "--sku", "mug 1"], 2, "a SKU is");
    check(&["orders", "place", "--sku", "MUG-01:none"], 2, "no quantity");
    check(&["orders", "place", "--sku", "MUG-01", "--timeout", "3"], 2, "--watch");
    check(&["orders", "show", "17"], 2, "invalid value '17'");
    check(&["orders", "list", "--order-url", "localhost"], 2, "--order-url");
    check(&["up", "--native", "--compose"], 2, "cannot be used with");
    check(&["up", "--name", "../x"], 2, "out of a-z");
    check(&["dead-letters", "show", "17"], 2, "--service");
    check(&["dead-letters", "redrive"], 2, "<ID|--key <KEY>|--type <TYPE>|--all>");
    check(&["dead-letters", "redrive", "17"], 2, "--service");
    check(&["dead-letters", "redrive", "--all", "--key", "a"], 2, "cannot be used with");
    check(&["dead-letters", "redrive", "--all", "--actor", "two words"], 2, "visible ASCII");
    let discard = ["dead-letters", "discard", "--service", "order"];
    check(&[&discard[..], &["17"]].concat(), 2, "--reason");
    check(&[&discard[..], &["17", "--reason", " "]].concat(), 2, "it must say why");
    check(&[&discard[..], &["--all", "--reason", "x"]].concat(), 2, "unexpected argument '--all'");
    check(&["dead-letters", "list", "--service", "psp"], 2, "order, inventory, payment, shipping");
    check(&["dead-letters", "list", "--status", "gone"], 2, "poison, waiting");
    check(&["audit", "--watch", "--every", "0s"], 2, "expected a pause of 1ms or more");
    check(&["dev", "--bus", "pigeon"], 2, "[possible values: kafka, memory]");
    check_with(&["up", "--native"], &[("KAFKA_PORT", "none")], 2, "--kafka-port");
    check_with(&["up"], &[("WAYBILL_RUNTIME", "podman")], 2, "native, compose");
    check_with(
        &["up", "--native", "--name", "usage"],
        &[("ORDER_DB_PASSWORD", "a b")],
        2,
        "ORDER_DB_PASSWORD may have letters and digits only",
    );
}

#[test]
fn a_database_that_is_none_is_named() {
    for service in ["order", "inventory", "payment", "shipping"] {
        let option = format!("--{service}-database-url");
        for command in ["audit", "repair"] {
            check(&[command, &option, "nonsense"], 2, &format!("{option}: "));
        }
    }
}

#[test]
fn a_report_that_cannot_be_written_is_2_at_once() {
    for command in [&["chaos"][..], &["bench", "saga"]] {
        for option in ["--json", "--html"] {
            let args = [command, &[option, "/dev/null/report"]].concat();
            check(&args, 2, "writing /dev/null/report: Not a directory");
        }
    }
}

#[test]
fn two_reports_in_one_file_are_2_and_leave_it_alone() {
    let scratch = local::Scratch::new().unwrap();
    let (dir, file) = (scratch.path().to_str().unwrap(), scratch.path().join("report"));
    let (name, spelt) = (format!("{dir}/report"), format!("{dir}/./report"));
    for command in [&["chaos"][..], &["bench", "saga"]] {
        let args = [command, &["--json", &name, "--html", &spelt]].concat();
        check(&args, 2, "--json and --html need a file each");
        assert!(!file.exists(), "{args:?}");
    }
    std::fs::write(&file, "an older report").unwrap();
    check(&["bench", "saga", "--json", &name, "--html", &spelt], 2, "--json and --html need a file each");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "an older report");
}

#[test]
fn nobody_there_is_3_in_one_line() {
    let port = local::free_port().unwrap();
    let url = format!("http://127.0.0.1:{port}");
    let id = "01890a5d-ac96-774b-bcce-b302099a8057";
    for args in [
        &["orders", "place", "--sku", "MUG-01"][..],
        &["orders", "show", id],
        &["orders", "list"],
        &["orders", "watch", id],
        &["orders", "cancel", id],
        &["products", "seed"],
        &["dead-letters", "list", "--service", "order"],
        &["dead-letters", "show", "17", "--service", "order"],
        &["dead-letters", "redrive", "--all", "--service", "order"],
        &["dead-letters", "discard", "17", "--service", "order", "--reason", "x"],
        &["dead-letters", "actions", "--service", "order"],
    ] {
        let variables =
            [("ORDER_URL", url.as_str()), ("INVENTORY_URL", url.as_str()), ("ORDER_ADMIN_URL", url.as_str())];
        check_with(args, &variables, 3, &format!("nobody answers at {url}"));
        assert_eq!(run(waybill(args).envs(variables)).err.lines().count(), 1, "{args:?}");
    }
    let broker = format!("127.0.0.1:{port}");
    let topics = ["topics", "create", "--timeout", "1", "--bootstrap-servers", &broker];
    check(&topics, 3, &format!("no broker answers at {broker} within 1 s"));
}

#[test]
fn an_answer_that_never_comes_leaves_the_key_to_ask_again_with() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let cut_off = std::thread::spawn(move || drop(listener.accept()));

    let place = ["orders", "place", "--sku", "MUG-01", "--idempotency-key", "k-1"];
    check_with(&place, &[("ORDER_URL", &url)], 3, "with --idempotency-key k-1 asking again places no second");

    cut_off.join().unwrap();
}

#[test]
fn a_file_of_products_is_read_before_anything_is_sent() {
    let file = std::env::temp_dir().join(format!("waybill-products-{}.jsonl", std::process::id()));
    let line = r#"{"sku":"A-1","name":"A","price":{"amount":1,"currency":"USD"},"stock":1}"#;
    std::fs::write(&file, format!("{line}\n\n{}\n", line.replace("stock", "stork"))).unwrap();

    let name = file.to_str().unwrap();
    check(&["products", "seed", "--file", name], 2, "line 3: unknown field `stork`");

    std::fs::remove_file(&file).unwrap();
    check(&["products", "seed", "--file", name], 2, &format!("reading {name}"));
}

#[test]
fn a_healthcheck_is_0_or_1() {
    let url = format!("http://127.0.0.1:{}", local::free_port().unwrap());
    check(&["healthcheck", &url], 1, &format!("{url} is not ready: nobody answers"));
}
