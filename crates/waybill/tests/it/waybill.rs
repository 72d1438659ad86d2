//! Running it.

use std::{
    process::{Child, Command, Output},
    sync::{Condvar, Mutex},
    thread,
    time::{Duration, Instant},
};

/// A command in an environment without any of the variables that it reads, whatever the tests run in.
pub(crate) fn waybill(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_waybill"));
    command.args(args);
    for service in ["ORDER", "INVENTORY", "PAYMENT", "SHIPPING", "PSP", "KAFKA", "POSTGRES"] {
        for what in ["PORT", "URL", "ADMIN_PORT", "ADMIN_URL", "DB_PASSWORD"] {
            command.env_remove(format!("{service}_{what}"));
        }
    }
    for name in ["KAFKA_BOOTSTRAP_SERVERS", "TOPIC_PREFIX", "WAYBILL_RUNTIME", "WAYBILL_SUITE"] {
        command.env_remove(name);
    }
    command
}

/// What a command ended with and said.
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

pub(crate) fn run(command: &mut Command) -> Said {
    command.output().expect("the binary runs").into()
}

/// Runs it and expects success.
#[track_caller]
pub(crate) fn done(command: &mut Command) -> String {
    let said = run(command);
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
    said.out
}

/// A running command; killed if the test fails, and its servers go with it.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Room for a suite with servers of its own, held as long as it runs.
///
/// Each begins with a JVM and an `initdb`: seconds of nothing but computing. With as many at once as tests run, none
/// would serve in the time that a start may take.
pub(crate) struct Room(());

const ROOMS: usize = 3;
static TAKEN: Mutex<usize> = Mutex::new(0);
static LEFT: Condvar = Condvar::new();

impl Room {
    /// Waits for one.
    pub(crate) fn take() -> Self {
        let taken = TAKEN.lock().expect("nobody panics counting");
        *LEFT.wait_while(taken, |taken| *taken == ROOMS).expect("nobody panics counting") += 1;
        Self(())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        *TAKEN.lock().expect("nobody panics counting") -= 1;
        LEFT.notify_one();
    }
}

/// Free ports for all parts, as variables.
pub(crate) fn free_ports() -> Vec<(String, String)> {
    let parts = ["KAFKA", "POSTGRES", "ORDER", "INVENTORY", "PAYMENT", "SHIPPING", "PSP"];
    let admins = ["ORDER_ADMIN", "INVENTORY_ADMIN", "PAYMENT_ADMIN", "SHIPPING_ADMIN"];
    let port = || local::free_port().expect("a free port").to_string();
    parts.iter().chain(&admins).map(|part| (format!("{part}_PORT"), port())).collect()
}

/// The URLs that go with the ports, as variables.
pub(crate) fn urls(ports: &[(String, String)]) -> Vec<(String, String)> {
    let url =
        |(name, port): &(String, String)| (name.replace("_PORT", "_URL"), format!("http://127.0.0.1:{port}"));
    ports.iter().map(url).collect()
}

/// Polls until `probe` is `Some`, and returns that.
#[track_caller]
pub(crate) fn within<T>(limit: Duration, what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(begun.elapsed() < limit, "not within {limit:?}: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// The processes whose command line or environment mentions `mark`.
pub(crate) fn processes_with(mark: &str) -> Vec<String> {
    let mut found = Vec::new();
    for process in std::fs::read_dir("/proc").expect("/proc").flatten() {
        let read = |file| std::fs::read(process.path().join(file)).unwrap_or_default();
        let of = [read("cmdline"), read("environ")].concat();
        let of = String::from_utf8_lossy(&of).replace('\0', " ");
        let ours = process.file_name().to_string_lossy() == std::process::id().to_string();
        if of.contains(mark) && !ours {
            found.push(of);
        }
    }
    found
}
