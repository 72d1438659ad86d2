//! What `docker` is told. It is a script here that writes that down; the compose file itself is tried with an engine.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use crate::waybill::{done, run, waybill};

/// Ends well, unless its last argument is what `fails` says.
const DOCKER: &str = r#"#!/bin/sh
here=$(dirname "$0")
echo "docker $* (order $ORDER_PORT, in $(basename "$PWD"))" >> "$here/told"
for last; do :; done
[ "$last" != "$(cat "$here/fails")" ]
"#;

struct Docker {
    dir: PathBuf,
    name: String,
}

impl Docker {
    fn new(name: &str, fails: &str) -> Self {
        let name = format!("{name}-{}", std::process::id());
        let dir = std::env::temp_dir().join(format!("waybill-docker-{name}"));
        fs::create_dir_all(&dir).expect("a writable directory");
        fs::write(dir.join("docker"), DOCKER).expect("a writable directory");
        fs::set_permissions(dir.join("docker"), Permissions::from_mode(0o755)).expect("a writable directory");
        fs::write(dir.join("fails"), fails).expect("a writable directory");
        Self { dir, name }
    }

    fn waybill(&self, args: &[&str]) -> Command {
        let path = format!("{}:{}", self.dir.display(), std::env::var("PATH").expect("PATH"));
        let mut command = waybill(args);
        command.env("PATH", path).env("WAYBILL_SUITE", &self.name).env("ORDER_PORT", "18080");
        command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests"));
        command
    }

    /// What it was told since it was asked last, with the suite's name and the repository's left out.
    fn told(&self) -> String {
        let told = fs::read_to_string(self.dir.join("told")).unwrap_or_default();
        let _ = fs::remove_file(self.dir.join("told"));
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the root");
        let root = root.file_name().expect("a name").to_string_lossy();
        told.replace(&self.name, "NAME").replace(&format!("in {root})"), "in ROOT)")
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        let _ = self.waybill(&["down", "--native", "--purge"]).output();
        let _ = fs::remove_dir_all(&self.dir);
    }
}

#[test]
fn where_an_engine_answers_it_runs_the_suite_and_down_stops_it_once() {
    let docker = Docker::new("answers", "");

    let up = done(&mut docker.waybill(&["up", "-d"]));
    assert!(up.contains("\nup after ") && up.contains("127.0.0.1:18080/docs"), "{up}");
    let told = docker.told();
    let asked: Vec<&str> = told.lines().map(|it| it.split(" (").next().unwrap()).collect();
    let started = "docker compose --project-name waybill-NAME up --build --wait";
    assert_eq!(asked, ["docker info", "docker compose version", started]);
    assert!(told.ends_with("(order 18080, in ROOT)\n"), "{told}");

    done(&mut docker.waybill(&["down", "--purge"]));
    let stopped = "docker compose --project-name waybill-NAME down --volumes (order 18080, in ROOT)\n";
    assert_eq!(docker.told(), stopped);
    assert_eq!(done(&mut docker.waybill(&["down"])), "nothing is up\n");
    assert_eq!(docker.told(), "");
}

#[test]
fn containers_that_do_not_become_healthy_are_a_failure_and_wait_for_down() {
    let docker = Docker::new("unhealthy", "--wait");

    let up = run(&mut docker.waybill(&["up", "-d"]));
    assert!(up.code == Some(1) && up.err.starts_with("waybill: docker compose failed"), "{}", up.err);
    docker.told();

    done(&mut docker.waybill(&["down"]));
    assert!(docker.told().contains(" down (order"));
}

#[test]
fn in_the_foreground_the_end_of_the_containers_is_the_end() {
    let docker = Docker::new("front", "");

    let up = run(&mut docker.waybill(&["up", "--compose"]));

    assert!(up.code == Some(1) && up.err.starts_with("waybill: the containers have ended"), "{}", up.err);
    let told = docker.told();
    let asked: Vec<&str> = told.lines().map(|it| it.split(" (").next().unwrap()).collect();
    let last = ["logs --follow --since 1s", "down"]
        .map(|it| format!("docker compose --project-name waybill-NAME {it}"));
    assert_eq!(asked[1..], last, "{told}");
}
