//! What figures are of: which build, on which servers and which machine, and when. Without it a figure is a number.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::UNIX_EPOCH,
};

use serde::Serialize;
use time::{OffsetDateTime, macros::format_description};

use crate::ground::Ground;

/// How variables begin that change what is measured: of the JVM, of allocators, of Postgres' clients. Services see none.
const OF_SERVERS: [&str; 8] = [
    "JAVA_TOOL_OPTIONS=",
    "JDK_JAVA_OPTIONS=",
    "KAFKA_HEAP_OPTS=",
    "LD_PRELOAD=",
    "MALLOC_",
    "MIMALLOC_",
    "PGOPTIONS=",
    "PGSSLMODE=",
];
/// Nobody could say.
const UNKNOWN: &str = "unknown";

#[derive(Debug, Clone, Default, Serialize)]
pub struct Provenance {
    /// UTC, when it was begun.
    pub date: String,
    /// Of the sources around the programs, as git has them now; with `+changes` where they differ from it, and with
    /// `(built before it)` where the programs are older.
    pub commit: String,
    /// `release` or `debug`.
    pub build: String,
    pub kafka: String,
    pub postgres: String,
    pub cores: usize,
    pub processor: String,
    pub memory: String,
    pub kernel: String,
    /// The variables of the bench's environment that Kafka's JVM, Postgres or their clients read: `NAME=value`.
    pub environment: Vec<String>,
}

impl Provenance {
    pub(crate) async fn of(ground: &Ground, programs: &Path) -> Self {
        let date = format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC");
        let server = sqlx::query_scalar("select current_setting('server_version')").fetch_one(&ground.admin);
        Self {
            date: OffsetDateTime::now_utc().format(date).unwrap_or_else(|_| UNKNOWN.to_owned()),
            commit: commit(programs).unwrap_or_else(|| UNKNOWN.to_owned()),
            build: if cfg!(debug_assertions) { "debug" } else { "release" }.to_owned(),
            kafka: known(kafka(&read(&format!("/proc/{}/cmdline", ground.kafka.pid())))),
            postgres: server.await.unwrap_or_else(|_| UNKNOWN.to_owned()),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            processor: known(field(&read("/proc/cpuinfo"), "model name")),
            memory: known(field(&read("/proc/meminfo"), "MemTotal").and_then(|it| gibibytes(&it))),
            kernel: known(Some(read("/proc/sys/kernel/osrelease").trim().to_owned())),
            environment: std::env::vars_os()
                .map(|(name, value)| format!("{}={}", name.display(), value.display()))
                .filter(|it| OF_SERVERS.iter().any(|of| it.starts_with(of)))
                .collect(),
        }
    }

    /// Name and value of all of it, in the order in which it is told.
    pub fn rows(&self) -> Vec<[String; 2]> {
        let machine = format!("{} cores, {}, {}", self.cores, self.processor, self.memory);
        let rows = [
            ("date", &self.date),
            ("commit", &self.commit),
            ("build", &self.build),
            ("Kafka", &self.kafka),
            ("Postgres", &self.postgres),
            ("machine", &machine),
            ("kernel", &self.kernel),
        ];
        rows.map(|(name, value)| [name.to_owned(), value.clone()]).into()
    }

    /// Why these figures say nothing of what they are of, or of something else than others do.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let debug =
            "this is a DEBUG build: it costs many times what a release costs, and its figures are of no use";
        let debug = Some(debug.to_owned()).filter(|_| self.build == "debug");
        let set = self.environment.join(", ");
        let set = Some(format!("what is measured has other settings than usual, of the environment: {set}"))
            .filter(|_| !self.environment.is_empty());
        debug.into_iter().chain(set).collect()
    }
}

fn read(file: &str) -> String {
    fs::read_to_string(file).unwrap_or_default()
}

fn known(text: Option<String>) -> String {
    text.filter(|it| !it.is_empty()).unwrap_or_else(|| UNKNOWN.to_owned())
}

/// The value after `name:` in a file of `/proc`.
fn field(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find_map(|it| it.strip_prefix(name)?.trim_start().strip_prefix(':'));
    line.map(|it| it.trim().to_owned())
}

fn gibibytes(kib: &str) -> Option<String> {
    let kib: f64 = kib.strip_suffix(" kB")?.parse().ok()?;
    Some(format!("{:.1} GiB", kib / f64::from(1 << 20)))
}

/// By the name of its jars, which are on the command line: `kafka_2.13-4.3.1.jar`, or in `kafka-4.3.1`.
fn kafka(command: &str) -> Option<String> {
    let version = |(at, name): (usize, &str)| {
        let rest = &command[at + name.len()..];
        let end = rest.find(|it: char| !it.is_ascii_digit() && it != '.').unwrap_or(rest.len());
        Some(rest[..end].trim_end_matches('.').to_owned()).filter(|it| it.contains('.'))
    };
    command.match_indices("kafka-").find_map(version)
}

fn commit(programs: &Path) -> Option<String> {
    let git = |args: &[&str]| {
        let mut git = Command::new("git");
        git.arg("-C").arg(programs).args(args).stdin(Stdio::null()).stderr(Stdio::null());
        let out = git.output().ok().filter(|it| it.status.success())?;
        Some(String::from_utf8(out.stdout).ok()?.trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    let changed =
        git(&["status", "--porcelain", "--untracked-files=no", ":/"]).is_none_or(|it| !it.is_empty());
    // What was committed since has not been built, unless it was built before it was committed.
    let sources = [":/crates", ":/Cargo.toml", ":/Cargo.lock", ":(top,exclude,glob)crates/*/tests/**"];
    let committed = git(&[&["log", "-1", "--format=%ct", "HEAD", "--"][..], &sources].concat());
    let built = fs::metadata(std::env::current_exe().ok()?).and_then(|it| it.modified()).ok()?;
    let built = built.duration_since(UNIX_EPOCH).ok()?.as_secs();
    let older = committed.and_then(|it| it.parse().ok()).is_some_and(|it: u64| built < it);
    let notes = [(changed, " +changes"), (older, " (built before it)")];
    Some(notes.iter().filter(|it| it.0).fold(commit, |commit, note| commit + note.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_machine_says_of_itself_is_read() {
        let cpu = "processor\t: 0\nmodel name\t: Some CPU @ 2.10GHz\ncache size\t: 1 KB\n";
        assert_eq!(field(cpu, "model name").as_deref(), Some("Some CPU @ 2.10GHz"));
        assert_eq!(field(cpu, "MemTotal"), None);
        assert_eq!(gibibytes("24641000 kB").as_deref(), Some("23.5 GiB"));
        let command = "java\0-Xmx512m\0-cp\0/x/waybill/kafka-4.3.1/*\0kafka.Kafka\0";
        assert_eq!(kafka(command).as_deref(), Some("4.3.1"));
        assert_eq!(kafka("java\0kafka-logs\0"), None);
        assert_eq!(commit(Path::new("/nowhere")), None);
    }

    #[test]
    fn a_debug_build_is_warned_of_and_a_release_is_not() {
        let of = |build: &str| Provenance { build: build.into(), ..Provenance::default() }.warnings();
        assert!(of("debug").iter().any(|it| it.contains("DEBUG")));
        assert!(of("release").is_empty());
    }

    #[test]
    fn other_settings_of_the_servers_are_warned_of() {
        let environment = vec!["PGOPTIONS=-c synchronous_commit=off".to_owned()];
        let warnings = Provenance { environment, ..Provenance::default() }.warnings();
        assert!(
            warnings.iter().any(|it| it.ends_with("PGOPTIONS=-c synchronous_commit=off")),
            "{warnings:?}"
        );
    }
}
