//! The crates depend on each other in one direction.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use serde_json::Value;

/// What each crate may depend on, of ours. Leaves are depended on by nobody but those who run or test them.
const ALLOWED: &[(&str, &[&str])] = &[
    ("events", &[]),
    ("bus", &["events"]),
    ("engine", &["bus", "events"]),
    ("service", &["bus", "engine", "events"]),
    ("order", &["bus", "engine", "events", "service"]),
    ("inventory", &["bus", "engine", "events", "service"]),
    ("payment", &["bus", "engine", "events", "service"]),
    ("shipping", &["bus", "engine", "events", "service"]),
    ("audit", &["bus", "engine", "events", "inventory", "order", "payment", "shipping"]),
    ("chaos", &["audit", "bus", "events", "load", "local", "report"]),
    ("bench", &["audit", "bus", "engine", "events", "local", "report", "service"]),
    ("psp", &[]),
    ("local", &[]),
    ("testkit", &[]),
    ("load", &[]),
    ("report", &[]),
    (
        "waybill",
        &[
            "audit",
            "bench",
            "bus",
            "chaos",
            "engine",
            "events",
            "inventory",
            "local",
            "order",
            "payment",
            "psp",
            "service",
            "shipping",
        ],
    ),
    (
        "saga-tests",
        &[
            "audit",
            "bus",
            "engine",
            "events",
            "inventory",
            "load",
            "local",
            "order",
            "payment",
            "psp",
            "service",
            "shipping",
            "testkit",
        ],
    ),
];

#[test]
fn dependencies_point_one_way() {
    let (ours, external) = dependencies();
    let allowed: BTreeMap<&str, BTreeSet<&str>> =
        ALLOWED.iter().map(|(name, to)| (*name, to.iter().copied().collect())).collect();
    assert_eq!(
        ours.keys().map(String::as_str).collect::<Vec<_>>(),
        allowed.keys().copied().collect::<Vec<_>>(),
        "every crate has its place"
    );
    for (name, to) in &ours {
        for dependency in to {
            assert!(
                allowed[name.as_str()].contains(dependency.as_str()),
                "{name} must not depend on {dependency}"
            );
        }
    }
    for (name, to) in &external {
        assert!(name == "bus" || !to.contains("rdkafka"), "only bus names rdkafka, and {name} does");
    }
    for io in ["tokio", "sqlx", "reqwest", "rdkafka", "axum"] {
        assert!(!external["events"].contains(io), "events has no I/O, and depends on {io}");
    }
}

type Dependencies = BTreeMap<String, BTreeSet<String>>;

/// The normal dependencies of each of our crates: ours, and theirs.
fn dependencies() -> (Dependencies, Dependencies) {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--format-version", "1", "--no-deps", "--offline", "--manifest-path"]);
    let output = cargo.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml")).output().expect("cargo");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("metadata");
    let (mut ours, mut external) = (Dependencies::new(), Dependencies::new());
    for package in metadata["packages"].as_array().expect("packages") {
        let name = package["name"].as_str().expect("a name").to_owned();
        let (here, there) = (ours.entry(name.clone()).or_default(), external.entry(name).or_default());
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            if !dependency["kind"].is_null() {
                continue;
            }
            let on = dependency["name"].as_str().expect("a name").to_owned();
            if dependency["path"].is_null() {
                there.insert(on)
            } else {
                here.insert(on)
            };
        }
    }
    (ours, external)
}
