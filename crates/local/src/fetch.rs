//! The servers' programs, from Maven Central into [`home`](crate::home), once.

use std::{
    env,
    ffi::OsStr,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, bail, ensure};

use crate::home::{create_open, home};

const KAFKA: &str = "4.3.1";
const POSTGRES: &str = "18.6.0";
const LOG4J: &str = "2.24.3";

/// Downloads both servers, if they are not here yet.
pub async fn fetch() -> anyhow::Result<()> {
    kafka().await?;
    postgres().await?;
    Ok(())
}

/// The directory of Kafka's jars.
pub(crate) async fn kafka() -> anyhow::Result<PathBuf> {
    let artifacts = [
        format!("org.apache.kafka:kafka_2.13:{KAFKA}"),
        // The broker's logging is not among its own dependencies.
        format!("org.apache.logging.log4j:log4j-slf4j-impl:{LOG4J}"),
        format!("org.apache.logging.log4j:log4j-core:{LOG4J}"),
    ];
    once(format!("kafka-{KAFKA}"), move |dir| maven(&artifacts, dir)).await
}

/// The directory that has `bin`, `lib` and `share` of Postgres.
pub(crate) async fn postgres() -> anyhow::Result<PathBuf> {
    let platform = match env::consts::ARCH {
        _ if env::consts::OS != "linux" => {
            bail!("the local servers run on Linux, this is {}", env::consts::OS)
        }
        "x86_64" => "amd64",
        "aarch64" => "arm64v8",
        other => bail!("there is no PostgreSQL {POSTGRES} on Maven Central for Linux on {other}"),
    };
    let artifact = format!("io.zonky.test.postgres:embedded-postgres-binaries-linux-{platform}:{POSTGRES}");
    once(format!("postgres-{POSTGRES}-{platform}"), move |dir| {
        let jars = dir.join("jars");
        maven(std::slice::from_ref(&artifact), &jars)?;
        for jar in fs::read_dir(&jars)? {
            unpack(&jar?.path(), dir)?;
        }
        ensure!(dir.join("bin/postgres").exists(), "{artifact} holds no bin/postgres");
        Ok(fs::remove_dir_all(jars)?)
    })
    .await
}

/// The directory `name` of our home, filled by `fill` unless it is there.
async fn once(
    name: String,
    fill: impl FnOnce(&Path) -> anyhow::Result<()> + Send + 'static,
) -> anyhow::Result<PathBuf> {
    let home = std::path::absolute(home())?;
    tokio::task::spawn_blocking(move || once_in(&home, &name, fill)).await?
}

/// Filled aside, under a lock between processes, then renamed into place.
fn once_in(
    home: &Path,
    name: &str,
    fill: impl FnOnce(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<PathBuf> {
    let place = home.join(name);
    if place.exists() {
        return Ok(place);
    }
    create_open(home)?;
    let lock = File::create(home.join("fetch.lock"))?;
    lock.lock()?;
    if place.exists() {
        return Ok(place);
    }
    tracing::info!(name, "fetching from Maven Central");
    let aside = home.join(format!(".{name}.part"));
    if aside.exists() {
        fs::remove_dir_all(&aside)?;
    }
    create_open(&aside)?;
    fill(&aside).with_context(|| format!("fetching {name}"))?;
    fs::rename(&aside, &place)?;
    Ok(place)
}

/// Copies the artifacts and what they depend on into `dir`; Maven checks the checksums.
fn maven(artifacts: &[String], dir: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(dir)?;
    let pom = dir.join("pom.xml");
    fs::write(&pom, project(artifacts))?;
    let out = Command::new("mvn")
        .args(["--quiet", "--batch-mode", "--strict-checksums", "--file"])
        .arg(&pom)
        .args(["dependency:copy-dependencies", "-DincludeScope=runtime"])
        .arg([OsStr::new("-DoutputDirectory="), dir.as_os_str()].join(OsStr::new("")))
        .stdin(Stdio::null())
        .output();
    let out = match out {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            bail!("Maven is missing: install the package `maven` (mvn fetches Kafka and Postgres)")
        }
        out => out.context("running mvn")?,
    };
    let said = String::from_utf8_lossy(&out.stdout);
    ensure!(out.status.success(), "mvn failed:\n{}", said.lines().take(15).collect::<Vec<_>>().join("\n"));
    Ok(fs::remove_file(pom)?)
}

fn project(artifacts: &[String]) -> String {
    let dependency = |artifact: &String| {
        let mut part = artifact.split(':');
        let mut tag = |name| format!("<{name}>{}</{name}>", part.next().unwrap_or_default());
        format!("<dependency>{}{}{}</dependency>", tag("groupId"), tag("artifactId"), tag("version"))
    };
    format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\"><modelVersion>4.0.0</modelVersion>\
         <groupId>waybill</groupId><artifactId>local</artifactId><version>0</version><packaging>pom</packaging>\
         <dependencies>{}</dependencies></project>",
        artifacts.iter().map(dependency).collect::<String>()
    )
}

/// Unpacks the `.txz` inside a jar. The decoder is ours, as a bare machine has `tar` but not `xz`.
fn unpack(jar: &Path, dir: &Path) -> anyhow::Result<()> {
    let mut jar = zip::ZipArchive::new(File::open(jar)?)?;
    let name = jar.file_names().find(|name| name.ends_with(".txz")).map(str::to_owned);
    let archive = jar.by_name(&name.context("the jar holds no .txz")?)?;
    let mut tar = Command::new("sh")
        .args(["-c", "umask 022 && exec tar --extract --no-same-owner --file=- --directory \"$0\""])
        .arg(dir)
        .stdin(Stdio::piped())
        .spawn()
        .context("running tar")?;
    if let Some(mut stdin) = tar.stdin.take() {
        io::copy(&mut xz2::read::XzDecoder::new(archive), &mut stdin).context("unpacking")?;
    }
    ensure!(tar.wait()?.success(), "tar could not unpack the Postgres archive");
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        thread,
        time::Duration,
    };

    use super::*;

    #[test]
    fn concurrent_first_uses_fetch_once_and_see_it_complete() {
        let home = env::temp_dir().join(format!("fetch-{}", uuid::Uuid::now_v7()));
        let fetched = AtomicUsize::new(0);
        let fill = |dir: &Path| {
            fetched.fetch_add(1, Ordering::SeqCst);
            fs::write(dir.join("first"), "")?;
            thread::sleep(Duration::from_millis(30));
            Ok(fs::write(dir.join("last"), "")?)
        };

        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| assert!(once_in(&home, "it", fill).unwrap().join("last").exists()));
            }
        });

        assert_eq!(fetched.load(Ordering::SeqCst), 1);
        fs::remove_dir_all(home).unwrap();
    }

    #[test]
    fn a_failed_fetch_leaves_nothing_that_the_next_one_takes_for_complete() {
        let home = env::temp_dir().join(format!("fetch-{}", uuid::Uuid::now_v7()));
        let half = |dir: &Path| {
            fs::write(dir.join("half"), "")?;
            bail!("no network")
        };

        let failed = format!("{:#}", once_in(&home, "it", half).unwrap_err());
        let place = once_in(&home, "it", |_| Ok(())).unwrap();

        assert_eq!(failed, "fetching it: no network");
        assert_eq!(fs::read_dir(place).unwrap().count(), 0);
        fs::remove_dir_all(home).unwrap();
    }
}
