//! A short run of the fault machine, as anybody runs it.

use std::{env, fs, path::Path, process::Command};

use serde_json::Value;

use crate::waybill::{Room, done, run, waybill};

/// One fault of each family, on real processes, Kafka and Postgres. Another plan by `CHAOS_SEED`.
#[test]
fn a_suite_is_broken_in_every_way_and_the_books_are_in_order() {
    let _room = Room::take();
    let scratch = local::Scratch::new().expect("a directory");
    let (json, html) = (scratch.path().join("report.json"), scratch.path().join("report.html"));
    let seed = env::var("CHAOS_SEED").unwrap_or_else(|_| "1".to_owned());
    let args = ["chaos", "--faults", "families", "--duration", "60s", "--rate", "15", "--seed", &seed];

    let said = done(waybill(&args).arg("--json").arg(&json).arg("--html").arg(&html));

    let report: Value = serde_json::from_slice(&fs::read(json).expect("a report")).expect("JSON");
    let faults = report["faults"].as_array().expect("faults");
    let left_out = report["left_out"].as_array().expect("what was left out");
    let selected = faults.iter().filter(|it| it["added"] == false).count();
    assert_eq!(selected + left_out.len().min(1), FAMILIES, "{said}");
    for fault in faults {
        let is_proven = fault["proof"].as_str().is_some_and(|it| !it.is_empty());
        assert!(is_proven && fault["recovered_ms"].is_u64() && fault["failure"].is_null(), "{fault}");
    }
    assert!(report["figures"]["counted"]["duplicates_dropped"].as_u64() > Some(0), "{said}");
    assert!(report["audit"]["laws"].as_array().is_some_and(|it| it.iter().all(|law| law["violations"] == 0)));
    let page = fs::read_to_string(html).expect("a page");
    assert!(page.contains("<svg") && page.contains("kill"), "a page without a picture");
}

/// What is named by families, less the disks where they cannot be mounted.
const FAMILIES: usize = 9;

#[test]
fn a_run_that_fails_keeps_its_logs_beside_the_report() {
    let _room = Room::take();
    let scratch = local::Scratch::new().expect("a directory");
    // Alone it finds no programs beside it.
    let alone = scratch.path().join("waybill");
    fs::copy(env!("CARGO_BIN_EXE_waybill"), &alone).expect("a copy");
    let report = scratch.path().join("report.json");

    let mut chaos = Command::new(alone);
    let said = run(chaos.args(["chaos", "--faults", "kill", "--seed", "7", "--json"]).arg(&report));

    assert_eq!(said.code, Some(1), "{}{}", said.out, said.err);
    assert!(said.err.contains("is not built"), "{}", said.err);
    let logs = said.out.lines().find_map(|it| it.strip_prefix("logs")).expect("logs").trim();
    let begins = scratch.path().join("waybill-chaos-seed-7-").display().to_string();
    assert!(logs.starts_with(&begins), "{logs}");
    for log in ["kafka/kafka.log", "postgres/postgres.log"] {
        assert!(Path::new(logs).join(log).is_file(), "{log}");
    }
}

#[test]
fn it_says_what_it_can_break() {
    let list = done(&mut waybill(&["chaos", "--list"]));
    for fault in ["kill", "half-open", "stale-relay", "postgres-disk"] {
        assert!(list.lines().any(|line| line.starts_with(fault)), "{fault}: {list}");
    }
    for (args, told) in [
        (
            &["chaos", "--faults", "lightning"][..],
            "no fault and no family `lightning`; there are all, families, backend-storm, broker",
        ),
        (&["chaos", "--faults", "all,lightning"], "no fault and no family `lightning`"),
        (&["chaos", "--mutants", "all,gremlin"], "no mutant `gremlin`"),
        (&["chaos", "--faults", "kill,crash"], "`crash` is not possible here: these programs carry neither"),
        (
            &["chaos", "--mutants", "gremlin"],
            "no mutant `gremlin`; known are all, none, offset-before-commit",
        ),
        (&["chaos", "--duration", "5d"], "expected 10s, 500ms, 2m or 1h"),
        (&["chaos", "--rate", "0"], "--rate"),
    ] {
        if bus::crash::POSSIBLE && args.contains(&"kill,crash") {
            continue;
        }
        let said = run(&mut waybill(args));
        assert_eq!(said.code, Some(2), "{args:?}: {}{}", said.out, said.err);
        assert!(said.err.contains(told), "{args:?}: {}", said.err);
    }
}

#[test]
fn a_run_that_is_misused_leaves_the_report_of_the_last_one() {
    let scratch = local::Scratch::new().expect("a directory");
    let report = scratch.path().join("report.json");
    fs::write(&report, "of the last run").expect("a report");

    for args in [["chaos", "--faults", "lightning"], ["chaos", "--mutants", "gremlin"]] {
        let said = run(waybill(&args).arg("--json").arg(&report));
        assert_eq!(said.code, Some(2), "{args:?}: {}", said.err);
        assert_eq!(fs::read_to_string(&report).expect("a report"), "of the last run", "{args:?}");
    }
}
