//! The suite as processes that outlive the command that started them.

use std::{
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::waybill::{Room, done, free_ports, processes_with, run, urls, waybill, within};

/// Takes everything down when the test ends, however it does.
pub(crate) struct Suite {
    name: String,
    ports: Vec<(String, String)>,
    _room: Room,
}

impl Suite {
    fn new(name: &str) -> Self {
        let _room = Room::take();
        Self { name: format!("{name}-{}", std::process::id()), ports: free_ports(), _room }
    }

    /// One that is up, natively.
    pub(crate) fn up(name: &str) -> Self {
        let suite = Self::new(name);
        done(&mut suite.command(&["up", "-d", "--native"]));
        suite
    }

    pub(crate) fn command(&self, args: &[&str]) -> std::process::Command {
        let mut command = waybill(args);
        command.envs(self.ports.clone()).envs(urls(&self.ports)).env("WAYBILL_SUITE", &self.name);
        command.env("CARRIER_DELAY_MS", "1");
        command
    }

    pub(crate) fn files(&self) -> PathBuf {
        let target = Path::new(env!("CARGO_BIN_EXE_waybill")).ancestors().nth(2).expect("a target directory");
        target.join(format!("up-{}", self.name))
    }

    fn pid(&self, part: &str) -> Pid {
        let file = std::fs::read_to_string(self.files().join(format!("{part}.pid"))).expect("a pid file");
        Pid::from_raw(file.split(' ').next().and_then(|it| it.parse().ok()).expect("a pid"))
    }
}

impl Drop for Suite {
    fn drop(&mut self) {
        let _ = self.command(&["down", "--purge"]).output();
    }
}

#[test]
fn it_comes_up_survives_a_kill_and_goes_down_without_a_trace() {
    let suite = Suite::new("native-test");
    let up = || done(&mut suite.command(&["up", "-d", "--native"]));

    let first = up();
    assert!(first.contains("products   12 seeded, 12 new") && first.contains("\nup after "), "{first}");
    assert_eq!(up(), "already up, nothing to do\n");
    let env = std::fs::read_to_string(suite.files().with_extension("env")).unwrap();
    assert!(env.contains("ORDER_DATABASE_URL=postgres://order:order@127.0.0.1:"), "{env}");

    kill(suite.pid("payment"), Signal::SIGKILL).unwrap();
    let again = within(Duration::from_secs(5), "the death is seen", || {
        Some(up()).filter(|said| !said.starts_with("already up"))
    });
    assert!(again.contains("payment") && !again.contains("order      http"), "{again}");

    let placed = done(&mut suite.command(&["orders", "place", "--sku", "MUG-01", "--watch"]));
    assert!(placed.ends_with("\ndelivered\n"), "{placed}");

    let other = run(suite.command(&["up", "-d", "--native"]).env("TOPIC_PREFIX", "other"));
    assert_eq!(other.code, Some(1));
    assert!(other.err.contains("it is up with other settings"), "{}", other.err);

    let down = done(&mut suite.command(&["down", "--purge"]));
    assert!(down.ends_with("its data is deleted\n"), "{down}");
    assert_eq!(done(&mut suite.command(&["down"])), "nothing is up\n");
    assert_eq!(processes_with(&format!("WAYBILL_SUITE={}", suite.name)), Vec::<String>::new());
}

#[test]
fn in_the_foreground_the_end_of_one_part_is_the_end_of_all() {
    let suite = Suite::new("native-front");
    let mut up =
        suite.command(&["up", "--native"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(up.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut seen = Vec::new();
    while seen.last().is_none_or(|it: &String| !it.contains("Ctrl-C")) {
        seen.push(lines.next().unwrap_or_else(|| {
            let mut err = String::new();
            let _ = up.stderr.take().unwrap().read_to_string(&mut err);
            panic!("it ended: {seen:?}: {err}")
        }));
    }

    kill(suite.pid("inventory"), Signal::SIGKILL).unwrap();

    let rest: Vec<String> = lines.collect();
    let said = up.wait_with_output().unwrap();
    let err = String::from_utf8(said.stderr).unwrap();
    assert!(said.status.code() == Some(1) && err.starts_with("waybill: inventory has ended"), "{err}");
    let stopped = rest.iter().filter(|it| it.ends_with(" stopped")).count();
    assert_eq!(stopped, 6, "{rest:?}");
    assert_eq!(processes_with(&format!("WAYBILL_SUITE={}", suite.name)), Vec::<String>::new());
}

#[test]
fn a_taken_port_is_named_with_its_variable_and_leaves_nothing() {
    let suite = Suite::new("native-taken");
    let (variable, port) = &suite.ports[3];
    let _holder = std::net::TcpListener::bind(format!("127.0.0.1:{port}")).unwrap();

    let said = run(&mut suite.command(&["up", "-d", "--native"]));

    let expected =
        format!("waybill: port {port} on 127.0.0.1 is taken: stop what listens there, or set {variable}");
    assert!(said.code == Some(1) && said.err.starts_with(&expected), "{}", said.err);
    assert!(!suite.files().exists(), "nothing was started");
    assert_eq!(done(&mut suite.command(&["down"])), "nothing is up\n");
    assert!(!suite.files().exists(), "nothing was there to stop");
}
