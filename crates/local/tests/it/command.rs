use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use nix::{sys::signal, unistd::Pid};

use crate::{assert_no_process, processes_in};

/// A `waybill-local run` whose command says that it is there, and then waits.
struct Run {
    process: Child,
    data: PathBuf,
}

impl Run {
    fn begin() -> Run {
        let script = "echo $TEST_POSTGRES_URL $TEST_KAFKA_BOOTSTRAP_SERVERS; exec sleep 300";
        let mut process =
            waybill_local(&["run", "--", "sh", "-c", script]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let (url, brokers) = line.trim().split_once(' ').expect("both addresses");
        assert!(url.starts_with("postgres://postgres:") && brokers.starts_with("127.0.0.1:"), "{line}");
        let data = data_of(process.id());
        assert!(!processes_in(&data).is_empty());
        Run { process, data }
    }

    fn end(mut self, with: signal::Signal) -> (ExitStatus, PathBuf) {
        signal::kill(Pid::from_raw(self.process.id().cast_signed()), with).unwrap();
        (self.process.wait().unwrap(), self.data)
    }
}

fn waybill_local(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_waybill-local"));
    command.args(args).stdin(Stdio::null());
    command
}

/// Where the servers of a run keep their data: the children's working directories are below it.
fn data_of(pid: u32) -> PathBuf {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    let children: String =
        threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok()).collect();
    let cwds =
        children.split_whitespace().filter_map(|child| fs::read_link(format!("/proc/{child}/cwd")).ok());
    let data = cwds
        .filter_map(|cwd| cwd.parent().filter(|dir| dir.join("kafka").is_dir()).map(Path::to_path_buf))
        .next();
    data.expect("the run has servers")
}

fn settles(limit: Duration, holds: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    while !holds() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
    holds()
}

#[test]
fn the_commands_exit_code_is_that_of_the_run() {
    let status = waybill_local(&["run", "--", "sh", "-c", "exit 7"]).status().unwrap();

    assert_eq!(status.code(), Some(7));
}

#[test]
fn a_run_told_to_stop_takes_its_command_its_servers_and_its_data_along() {
    let (status, data) = Run::begin().end(signal::Signal::SIGTERM);

    assert_eq!((status.code(), status.signal()), (Some(128 + signal::Signal::SIGTERM as i32), None));
    assert_no_process(&data);
    assert!(!data.exists());
}

#[test]
fn a_killed_run_leaves_no_server_and_its_data_go_with_the_next_run() {
    let (_, data) = Run::begin().end(signal::Signal::SIGKILL);

    assert!(settles(Duration::from_secs(10), || processes_in(&data).is_empty()), "{:?}", processes_in(&data));
    assert!(data.exists());
    drop(local::Scratch::new().unwrap());
    assert!(!data.exists());
}
