//! Apache Kafka, one KRaft node in one directory.

use std::{
    env,
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail, ensure};
use nix::sys::signal::Signal;
use tokio::process::Command;

use crate::{
    fetch,
    launch::{Launch, Life, which},
    port,
    server::{Server, ask, settle},
};

/// 16 bytes in base64url, as Kafka wants it. Every local cluster may bear the same: none ever meets another.
const CLUSTER_ID: &str = "d2F5YmlsbC1sb2NhbC0wMQ";
const PROPERTIES: &str = "server.properties";
const HEAP: &str = "-Xms256m -Xmx512m";

/// A running Kafka. Dropping it ends it, unless it is detached.
#[derive(Debug)]
pub struct Kafka {
    server: Server,
    front: Option<Front>,
}

/// A second way to the node, for clients that are to go through something in between, a proxy that breaks
/// connections for one: a broker tells its clients where to connect, so that it has to know of it.
#[derive(Debug, Clone, Copy)]
pub struct Front {
    /// Where the node listens for what comes that way.
    pub port: u16,
    /// Where those clients are told to connect, on 127.0.0.1.
    pub advertised: u16,
}

impl Kafka {
    /// Starts a node with data in `dir` (formatted if empty) on `port`, or on a free one.
    /// `KAFKA_HEAP_OPTS` sets its heap.
    pub async fn start(dir: &Path, port: Option<u16>) -> anyhow::Result<Kafka> {
        Kafka::launch(dir, port, None, Life::Bound).await
    }

    /// As [`start`](Self::start), with a second way in.
    pub async fn start_behind(dir: &Path, front: Front) -> anyhow::Result<Kafka> {
        Kafka::launch(dir, None, Some(front), Life::Bound).await
    }

    /// As [`start`](Self::start), but the node outlives this process: [`find`](Self::find) gets it back.
    pub async fn start_detached(dir: &Path, port: Option<u16>) -> anyhow::Result<Kafka> {
        Kafka::launch(dir, port, None, Life::Detached).await
    }

    /// The node that runs in `dir`, whoever started it. Dropping what is returned leaves it running.
    pub async fn find(dir: &Path) -> anyhow::Result<Option<Kafka>> {
        let mut launch =
            Launch { life: Life::Detached, ..Launch::new("kafka", std::path::absolute(dir)?, "") };
        let Some(found) = Server::find(launch.clone())? else { return Ok(None) };
        configure(&mut launch).await?;
        Ok(Some(Kafka { server: Server { launch, ..found }, front: None }))
    }

    async fn launch(
        dir: &Path,
        port: Option<u16>,
        front: Option<Front>,
        life: Life,
    ) -> anyhow::Result<Kafka> {
        let mut launch = Launch { life, ..Launch::new("kafka", std::path::absolute(dir)?, "") };
        fs::create_dir_all(dir.join("tmp")).with_context(|| format!("creating {}", dir.display()))?;
        launch.refuse_second()?;
        let port = port::claim(port, "KAFKA_PORT")?;
        configure(&mut launch).await?;
        let data = launch.dir.join("data");
        let (properties, controller) = (launch.dir.join(PROPERTIES), port::free()?);
        fs::write(launch.dir.join("log4j2.properties"), LOGGING)?;
        if !data.exists() {
            format(&launch, &properties, &settings(port, controller, front, &launch.dir.join("data.part")))
                .await?;
        }
        fs::write(&properties, settings(port, controller, front, &data))?;
        Ok(Kafka { server: Server::start(launch, port, serves).await?, front })
    }

    /// What clients connect to: `127.0.0.1:port`.
    pub fn bootstrap_servers(&self) -> String {
        format!("127.0.0.1:{}", self.server.port)
    }

    /// What clients connect to that go the second way, if there is one.
    pub fn front_servers(&self) -> Option<String> {
        self.front.map(|it| format!("127.0.0.1:{}", it.advertised))
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.server.port
    }

    /// The process id of the broker.
    pub fn pid(&self) -> u32 {
        self.server.process.pid()
    }

    /// A controlled shutdown, and waits for its end.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.server.stop(Signal::SIGTERM).await
    }

    /// Whether it runs; it ends by itself when it cannot write, for one.
    pub fn is_running(&self) -> bool {
        self.server.process.is_running()
    }

    /// An error if it has ended, with how and its last words.
    pub fn check(&self) -> anyhow::Result<()> {
        self.server.process.check(&self.server.launch)
    }

    /// Sends a signal, for fault runs.
    pub fn signal(&mut self, signal: Signal) -> anyhow::Result<()> {
        self.server.process.signal(signal)
    }

    /// Its output so far.
    pub fn log(&self) -> PathBuf {
        self.server.launch.log()
    }

    /// SIGKILL, for fault runs.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        self.server.process.kill().await
    }

    /// The same data on the same port again, after a kill or in place of the running one.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.server.restart(Signal::SIGTERM, serves).await
    }
}

/// Whether a client would find a broker: a Metadata request (version 4, no topics) is answered with at least one.
/// Request: length, key 3, version, correlation id, client id null, no topics, no auto-creation.
/// Answer: length, correlation id, throttle time, and the number of brokers, each four bytes.
async fn serves(port: u16) -> io::Result<bool> {
    let request = [0, 0, 0, 15, 0, 3, 0, 4, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0];
    let answer: [u8; 16] = ask(port, &request).await?;
    Ok(answer[12..] != [0; 4])
}

/// Fills in what the launch runs. Files are named relative to the working directory.
async fn configure(launch: &mut Launch) -> anyhow::Result<()> {
    launch.program = java().await?;
    launch.args = options().await?;
    launch.args.extend(["kafka.Kafka".into(), PROPERTIES.into()]);
    Ok(())
}

/// The JVM's options. Native libraries are unpacked into its temporary directory, and a killed one leaves them there.
///
/// On two cores, with half a gigabyte, the serial collector takes a seventh off what the broker costs with G1, which
/// Kafka's scripts ask for, and a quarter off its memory.
async fn options() -> anyhow::Result<Vec<OsString>> {
    let libs = fetch::kafka().await?.join("*");
    let heap = env::var("KAFKA_HEAP_OPTS").unwrap_or_else(|_| HEAP.to_owned());
    let mut options: Vec<OsString> = heap.split_whitespace().map(Into::into).collect();
    let fixed = ["-XX:+UseSerialGC", "-XX:-UsePerfData", "-Djava.awt.headless=true"];
    options.extend(fixed.map(Into::into));
    options.extend(["-Djava.io.tmpdir=tmp", "-Dlog4j2.configurationFile=log4j2.properties"].map(Into::into));
    options.extend(["-cp".into(), libs.into()]);
    Ok(options)
}

async fn java() -> anyhow::Result<PathBuf> {
    let missing =
        "Java is missing: install the package `openjdk-17-jre-headless` (Kafka needs Java 17 or later)";
    let java = match env::var_os("JAVA_HOME") {
        Some(home) => PathBuf::from(home).join("bin/java"),
        None => which("java").context(missing)?,
    };
    let out = Command::new(&java).arg("-version").output().await;
    let out = out.with_context(|| format!("running {} (see JAVA_HOME)", java.display()))?;
    let said = String::from_utf8_lossy(&out.stderr);
    let version = said.split('"').nth(1).unwrap_or_default();
    let major = version.split(['.', '-', '+']).next().unwrap_or_default();
    match major.parse::<u16>() {
        Ok(17..) => Ok(java),
        _ => bail!(
            "Kafka needs Java 17 or later, {} is {version}: install `openjdk-17-jre-headless`",
            java.display()
        ),
    }
}

async fn format(launch: &Launch, properties: &Path, settings: &str) -> anyhow::Result<()> {
    let aside = launch.dir.join("data.part");
    if aside.exists() {
        fs::remove_dir_all(&aside)?;
    }
    fs::write(properties, settings)?;
    let mut tool = Command::new(&launch.program);
    tool.arg("-XX:TieredStopAtLevel=1").args(options().await?).args(["kafka.tools.StorageTool", "format"]);
    tool.args(["--cluster-id", CLUSTER_ID, "--config"]).arg(properties);
    let out = tool.current_dir(&launch.dir).kill_on_drop(true).output().await.context("running java")?;
    let said = [out.stdout, out.stderr].concat();
    ensure!(
        out.status.success(),
        "Kafka's storage could not be formatted:\n{}",
        String::from_utf8_lossy(&said)
    );
    settle(&aside, &launch.dir.join("data"))
}

const LOGGING: &str = "\
status = error
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{yyyy-MM-dd'T'HH:mm:ss.SSS} %p %m (%c)%n
rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
";

fn settings(port: u16, controller: u16, front: Option<Front>, data: &Path) -> String {
    let (mut listeners, mut advertised) =
        (format!("PLAINTEXT://127.0.0.1:{port}"), format!("PLAINTEXT://127.0.0.1:{port}"));
    if let Some(front) = front {
        listeners.push_str(&format!(",FRONT://127.0.0.1:{}", front.port));
        advertised.push_str(&format!(",FRONT://127.0.0.1:{}", front.advertised));
    }
    format!(
        "\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners={listeners},CONTROLLER://127.0.0.1:{controller}
advertised.listeners={advertised}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,FRONT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs={}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# A lone consumer does not wait for others to join its group.
group.initial.rebalance.delay.ms=0
# After a kill the controller refuses the broker until its old session is over: 9 s by default, on top of the start.
broker.session.timeout.ms=5000
broker.heartbeat.interval.ms=1000
# Twice a second, unless told otherwise, the controller writes a record that says nothing, for followers to measure
# how far behind they are.
metadata.max.idle.interval.ms=5000
# The cleaner's buffer comes out of the heap, and its default (128 MB) is made for large brokers.
log.cleaner.dedupe.buffer.size=16777216
# Tests create and delete many topics.
log.segment.delete.delay.ms=1000
",
        data.display()
    )
}
