use std::env;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn minimal(http_addr: &str) -> Command {
    let tests = env::current_exe().unwrap();
    let built: PathBuf = tests.ancestors().nth(2).unwrap().join("examples/minimal");
    assert!(built.exists(), "{} is not built: cargo build -p service --examples", built.display());
    let mut command = Command::new(built);
    command.env_clear().env("DATABASE_URL", "postgres://nobody@127.0.0.1/none").env("HTTP_ADDR", http_addr);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Starts it and reads from its log where it listens.
fn start(command: &mut Command) -> (Child, SocketAddr) {
    let mut child = command.env("LOG_FORMAT", "json").spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = lines.find(|line| line.as_ref().unwrap().contains("listening")).unwrap().unwrap();
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    // Whatever else it logs must find a reader, or it would block.
    std::thread::spawn(move || lines.for_each(drop));
    (child, line["addr"].as_str().unwrap().parse().unwrap())
}

fn stop(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
}

fn greet(addr: SocketAddr) -> String {
    let mut stream = TcpStream::connect(addr).unwrap();
    let head =
        format!("GET /greetings/you HTTP/1.1\r\nhost: it\r\ntraceparent: 00-{TRACE}-00f067aa0ba902b7-01\r\n");
    write!(stream, "{head}connection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn it_serves_is_healthy_and_stops_cleanly_on_either_signal() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let (mut child, addr) = start(&mut minimal("127.0.0.1:0"));
        let check = || minimal(&addr.to_string()).arg("healthcheck").status().unwrap().code();
        assert!(greet(addr).ends_with(r#""Hello, you!""#));
        assert_eq!(check(), Some(0));
        stop(&child, signal);
        assert_eq!(child.wait().unwrap().code(), Some(0), "{signal}");
        assert_eq!(check(), Some(1));
    }
}

#[test]
fn a_task_that_gives_up_ends_the_process_with_an_error() {
    let output = minimal("127.0.0.1:0").env("GIVE_UP_AFTER_MS", "50").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said, "minimal: the task loop ended before the stop\n");
}

#[test]
fn a_taken_port_and_a_wrong_setting_are_one_line_each() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    for (command, code, expected) in [
        (&mut minimal(&addr), 1, "is already in use: set HTTP_ADDR to a free address"),
        (minimal(&addr).env("LOG_FORMAT", "xml"), 1, "LOG_FORMAT must be text or json"),
        (minimal(&addr).env("RUST_LOG", "a=b=c"), 1, "RUST_LOG"),
        (minimal(&addr).env_remove("DATABASE_URL"), 2, "--database-url"),
        (minimal(&addr).env("WORKERS", "0"), 2, "expected a whole number from 1 to 64"),
    ] {
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn spans_are_exported_at_the_latest_when_it_stops_and_continue_the_callers_trace() {
    let collector = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", collector.local_addr().unwrap());
    let collected = std::thread::spawn(move || collect(&collector));
    let (mut child, addr) = start(minimal("127.0.0.1:0").env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint));
    greet(addr);
    stop(&child, Signal::SIGTERM);

    let request = collected.join().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let has = |needle: &[u8]| request.windows(needle.len()).any(|it| it == needle);
    assert!(request.starts_with(b"POST /v1/traces "));
    assert!(has(&u128::from_str_radix(TRACE, 16).unwrap().to_be_bytes()), "another trace");
    assert!(has(b"GET /greetings/{name}") && has(b"minimal"), "another span");
}

/// One export, as an OTLP collector receives it.
fn collect(collector: &TcpListener) -> Vec<u8> {
    let (mut stream, _) = collector.accept().unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !is_whole(&request) {
        let read = stream.read(&mut buffer).expect("an export within 10 s");
        assert_ne!(read, 0, "the export broke off");
        request.extend_from_slice(&buffer[..read]);
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
    request
}

fn is_whole(request: &[u8]) -> bool {
    let Some(end) = request.windows(4).position(|it| it == b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&request[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    request.len() - end - 4 >= length.parse::<usize>().unwrap()
}
