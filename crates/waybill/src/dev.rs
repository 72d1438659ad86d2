//! `waybill dev`: the whole suite in this process, for development.

use std::{env, ffi::OsString, fs, future::pending, path::PathBuf, time::Duration};

use anyhow::{Context, bail};
use bus::{Bus, topics};
use clap::{Parser, ValueEnum};
use local::{Kafka, Postgres, Scratch};
use service::Tasks;
use tokio_util::sync::CancellationToken;

use crate::{
    client::Client,
    output::{Steps, say},
    products,
    signals::Stops,
    suite::{Part, SERVICES, Settings},
    up::{databases, programs},
};

/// Run all services and the provider in one process, with one log, until Ctrl-C.
///
/// Postgres is a server of its own. If one service ends, all are stopped and the exit code is 1.
#[derive(clap::Args)]
pub(crate) struct Dev {
    /// Where the events go.
    #[arg(long, value_name = "LOG", default_value = "kafka")]
    bus: Log,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Log {
    /// A real Kafka of its own; it and the databases keep their data.
    Kafka,
    /// This process's memory: the databases are new each time too, as nothing survives.
    Memory,
}

/// A little less than a supervisor's usual patience, a little more than the services' own deadlines.
const STOP: Duration = Duration::from_secs(20);

pub(crate) async fn run(dev: Dev) -> anyhow::Result<()> {
    let _telemetry = service::telemetry::init("waybill")?;
    let (mut stops, steps) = (Stops::new()?, Steps::begin());
    let ours = Part::ALL.into_iter().filter(|it| *it != Part::Kafka || dev.bus == Log::Kafka);
    dev.settings.ports.check_free(&ours.collect::<Vec<_>>()).await?;
    let ground = tokio::select! {
        ground = Ground::lay(&dev, &steps) => ground?,
        () = stops.next() => bail!("interrupted while starting"),
    };
    let shutdown = CancellationToken::new();
    let tasks = spawn(&ground, &dev.settings, &shutdown)?;
    let (ended, attended) = tokio::join!(tasks.wait(), attend(&dev.settings, &steps, &mut stops, &shutdown));
    ground.clear().await?;
    ended.and(attended)
}

/// What the services stand on. Dropping it ends the servers at once.
struct Ground {
    bus: Bus,
    kafka: Option<Kafka>,
    postgres: Postgres,
    dir: PathBuf,
    /// Deleted when the servers have ended: fields are dropped in this order.
    scratch: Option<Scratch>,
}

impl Ground {
    async fn lay(dev: &Dev, steps: &Steps) -> anyhow::Result<Ground> {
        let ports = &dev.settings.ports;
        let scratch = if dev.bus == Log::Memory { Some(Scratch::new()?) } else { None };
        let dir = scratch.as_ref().map_or_else(|| local::home().join("dev"), |it| it.path().to_owned());
        let dir = std::path::absolute(dir)?;
        let kafka = async {
            if dev.bus == Log::Memory {
                return Ok(None);
            }
            Kafka::start(&dir.join("kafka"), Some(ports.of(Part::Kafka))).await.map(Some)
        };
        let postgres_dir = dir.join("postgres");
        let postgres = Postgres::start(&postgres_dir, Some(ports.of(Part::Postgres)));
        let (kafka, postgres) = tokio::try_join!(kafka, postgres)?;
        steps.done("postgres", format_args!("127.0.0.1:{}", postgres.port()));
        let bus = match &kafka {
            Some(kafka) => Bus::kafka(&kafka.bootstrap_servers())?,
            None => Bus::memory(),
        };
        if let Some(kafka) = &kafka {
            steps.done("kafka", kafka.bootstrap_servers());
        }
        databases::prepare(&postgres.url("postgres")).await?;
        bus.create_topics(&topics::plan(&dev.settings.topic_prefix, &SERVICES)).await?;
        fs::create_dir_all(dir.join("psp"))?;
        Ok(Ground { bus, kafka, postgres, dir, scratch })
    }

    async fn clear(self) -> anyhow::Result<()> {
        // What is thrown away is not written down first: on a busy disk a checkpoint takes longer than the whole stop.
        if self.scratch.is_some() {
            return Ok(());
        }
        if let Some(kafka) = self.kafka {
            kafka.stop().await?;
        }
        self.postgres.stop().await
    }
}

/// All of them as tasks: if one ends, the others are stopped.
fn spawn(ground: &Ground, settings: &Settings, shutdown: &CancellationToken) -> anyhow::Result<Tasks> {
    let mut tasks = Tasks::new(shutdown.clone()).stop_within(STOP);
    let key = env::var_os("PROVIDER_API_KEY").filter(|it| !it.is_empty());

    let mut args = address(Part::Psp, settings);
    args.extend(["--ledger-file".into(), ground.dir.join("psp/ledger.jsonl").into()]);
    args.extend(key.into_iter().flat_map(|it| ["--psp-api-key".into(), it]));
    let config: psp::Config = parse(args)?;
    tasks.spawn("psp", |stop| psp::run(config, stop));

    let config: order::Config = parse(chassis(Part::Order, settings)?)?;
    tasks.spawn("order", |stop| order::run_on(ground.bus.clone(), config, stop));
    let config: inventory::Config = parse(chassis(Part::Inventory, settings)?)?;
    tasks.spawn("inventory", |stop| inventory::run_on(ground.bus.clone(), config, stop));
    let mut args = chassis(Part::Payment, settings)?;
    args.extend(["--provider-url".into(), settings.ports.url(Part::Psp).to_string().into()]);
    let config: payment::Config = parse(args)?;
    tasks.spawn("payment", |stop| payment::run_on(ground.bus.clone(), config, stop));
    let config: shipping::Config = parse(chassis(Part::Shipping, settings)?)?;
    tasks.spawn("shipping", |stop| shipping::run_on(ground.bus.clone(), config, stop));
    Ok(tasks)
}

/// The arguments that go before what the environment has for everyone.
fn chassis(part: Part, settings: &Settings) -> anyhow::Result<Vec<OsString>> {
    let mut args = address(part, settings);
    for (name, value) in [
        ("--database-url", settings.database_url(part.name())?),
        ("--kafka-bootstrap-servers", settings.bootstrap_servers()),
        ("--topic-prefix", settings.topic_prefix.clone()),
        ("--instance-id", format!("{}-1", part.name())),
    ] {
        args.extend([name.into(), value.into()]);
    }
    Ok(args)
}

fn address(part: Part, settings: &Settings) -> Vec<OsString> {
    let on = |port| OsString::from(format!("127.0.0.1:{port}"));
    let mut args = vec![part.name().into(), "--http-addr".into(), on(settings.ports.of(part))];
    args.extend(settings.ports.admin_of(part).into_iter().flat_map(|port| ["--admin-addr".into(), on(port)]));
    args
}

/// A service's configuration, as its own program would read it: from these arguments and the environment.
fn parse<C: Parser>(args: Vec<OsString>) -> anyhow::Result<C> {
    let name = args.first().map(|it| it.display().to_string()).unwrap_or_default();
    C::try_parse_from(args).map_err(|error| crate::exit::Misused(format!("{name}: {error}")).into())
}

/// Says when all are ready, and has them stopped on request, or when they do not become ready.
async fn attend(
    settings: &Settings,
    steps: &Steps,
    stops: &mut Stops,
    shutdown: &CancellationToken,
) -> anyhow::Result<()> {
    let failure = async {
        match announce(settings, steps).await {
            Ok(()) => pending().await,
            failed => failed,
        }
    };
    let outcome = tokio::select! {
        failed = failure => failed,
        () = stops.next() => Ok(()),
        // One of them has ended.
        () = shutdown.cancelled() => Ok(()),
    };
    shutdown.cancel();
    outcome
}

async fn announce(settings: &Settings, steps: &Steps) -> anyhow::Result<()> {
    let client = Client::new()?;
    for part in Part::PROGRAMS {
        let url = settings.ports.url(part);
        programs::answers(&client, &url, || Ok(())).await.with_context(|| part.name())?;
        steps.done(part.name(), settings.ports.shown(part));
    }
    if let Some(seeded) = products::seed_if_none(&client, &settings.ports.url(Part::Inventory)).await? {
        steps.done("products", seeded);
    }
    say!("all are ready after {:.1} s; Ctrl-C stops them", steps.seconds());
    Ok(())
}
