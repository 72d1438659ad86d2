//! The suite as processes of this machine.

use std::{fs, time::Duration};

use anyhow::{Context, anyhow, bail};
use bus::{Bus, topics};
use local::{Kafka, Life, Postgres, Process};
use tokio::time::{sleep, timeout};

use super::{Up, databases, programs, welcome};
use crate::{
    client::Client,
    output::{Steps, say},
    place::{Place, shown},
    products,
    signals::Stops,
    suite::{Part, SERVICES, Settings},
};

/// How soon the end of a part is noticed.
const WATCH: Duration = Duration::from_millis(300);

/// What this process has started. Dropped, it ends, unless it was started detached.
#[derive(Default)]
struct Held {
    kafka: Option<Kafka>,
    postgres: Option<Postgres>,
    programs: Vec<Process>,
}

pub(super) async fn up(up: &Up) -> anyhow::Result<()> {
    let (place, steps) = (Place::of(up.name.as_deref())?, Steps::begin());
    let environment = up.settings.environment()?;
    let mut stops = Stops::new()?;
    let turn = tokio::select! {
        turn = place.turn() => turn?,
        () = stops.next() => bail!("interrupted"),
    };
    let before = place.running()?;
    if !before.is_empty() && place.read_env() != environment {
        bail!("it is up with other settings, see {}: `waybill down` first", shown(&place.env));
    }
    if before.len() == Part::ALL.len() {
        say!("already up, nothing to do");
        return Ok(());
    }
    let start = Start { place: &place, settings: &up.settings, steps: &steps, before: &before };
    let missing = start.missing();
    // What was left running is completed in kind: half of a suite that ends with this process helps nobody.
    let life = if up.detach || !before.is_empty() { Life::Detached } else { Life::Bound };
    let mut held = Held::default();
    let started = tokio::select! {
        started = start.all(&mut held, life) => started,
        () = stops.next() => Err(anyhow!("interrupted while starting")),
    };
    if let Err(error) = started {
        if let Err(stuck) = place.stop(&missing, &steps).await {
            say!("{stuck:#}");
        }
        return Err(error);
    }
    place.write_env(&environment)?;
    drop(turn);
    let logs = format!("{}/*.log", shown(&place.files));
    welcome(&place, up, life == Life::Detached, &logs, &steps);
    if life == Life::Detached {
        return Ok(());
    }
    hold(&place, &mut stops).await
}

/// Waits for the end, asked for or not, and makes it everybody's.
async fn hold(place: &Place, stops: &mut Stops) -> anyhow::Result<()> {
    let ended = tokio::select! {
        ended = first_end(place) => Err(ended?),
        () = stops.next() => Ok(()),
    };
    say!("{}", if ended.is_ok() { "stopping" } else { "a part has ended: stopping the rest" });
    let steps = Steps::begin();
    tokio::select! {
        stopped = place.stop(&Part::ALL, &steps) => stopped?,
        // The kernel ends what is left, as we end.
        () = stops.next() => bail!("ended at once by a second signal"),
    }
    ended
}

/// One start: of all that does not run yet.
struct Start<'a> {
    place: &'a Place,
    settings: &'a Settings,
    steps: &'a Steps,
    before: &'a [Part],
}

impl Start<'_> {
    fn missing(&self) -> Vec<Part> {
        Part::ALL.into_iter().filter(|it| !self.before.contains(it)).collect()
    }

    async fn all(&self, held: &mut Held, life: Life) -> anyhow::Result<()> {
        let missing = self.missing();
        programs::check_built()?;
        // All at once, before anything is started: a taken port leaves nothing to clear away.
        self.settings.ports.check_free(&missing).await?;
        fetch(self.steps).await?;
        let (kafka, postgres) = tokio::join!(self.kafka(life), self.postgres(life));
        held.kafka = kafka?;
        let (postgres, superuser) = postgres?;
        held.postgres = postgres;
        databases::prepare(&superuser).await?;
        self.topics().await?;
        fs::create_dir_all(self.place.data.join("psp"))?;
        let programs: Vec<Part> = Part::PROGRAMS.into_iter().filter(|it| missing.contains(it)).collect();
        for part in &programs {
            held.programs.push(programs::start(*part, self.place, self.settings, life)?);
        }
        let client = Client::new()?;
        for part in programs {
            programs::ready(part, self.place, self.settings, &client).await?;
            self.steps.done(part.name(), self.settings.ports.shown(part));
        }
        if let Some(seeded) =
            products::seed_if_none(&client, &self.settings.ports.url(Part::Inventory)).await?
        {
            self.steps.done("products", seeded);
            self.priced().await?;
        }
        Ok(())
    }

    /// Waits until the order service has read the products: an order that is placed now is to be accepted.
    async fn priced(&self) -> anyhow::Result<()> {
        let prefix = &self.settings.topic_prefix;
        let (group, topic) = (topics::name(prefix, "order"), topics::name(prefix, "product"));
        let bus = Bus::kafka(&self.settings.bootstrap_servers())?;
        let read = async {
            loop {
                let progress = bus.progress(&group, std::slice::from_ref(&topic)).await?;
                if progress.iter().all(|it| it.end == 0 || it.committed == Some(it.end)) {
                    return anyhow::Ok(());
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), read)
            .await
            .context("the order service does not read the products")?
    }

    async fn kafka(&self, life: Life) -> anyhow::Result<Option<Kafka>> {
        if self.before.contains(&Part::Kafka) {
            return Ok(None);
        }
        let (dir, port) = (self.place.dir(Part::Kafka), Some(self.settings.ports.of(Part::Kafka)));
        let kafka = match life {
            Life::Bound => Kafka::start(&dir, port).await?,
            Life::Detached => Kafka::start_detached(&dir, port).await?,
        };
        self.steps.done("kafka", kafka.bootstrap_servers());
        Ok(Some(kafka))
    }

    /// The server, if it was started now, and in any case its superuser's URL.
    async fn postgres(&self, life: Life) -> anyhow::Result<(Option<Postgres>, String)> {
        let (dir, port) = (self.place.dir(Part::Postgres), Some(self.settings.ports.of(Part::Postgres)));
        if self.before.contains(&Part::Postgres) {
            let running = Postgres::find(&dir).await?.context("Postgres has just ended: try again")?;
            return Ok((None, running.url("postgres")));
        }
        let postgres = match life {
            Life::Bound => Postgres::start(&dir, port).await?,
            Life::Detached => Postgres::start_detached(&dir, port).await?,
        };
        self.steps.done("postgres", format_args!("127.0.0.1:{}", postgres.port()));
        let superuser = postgres.url("postgres");
        Ok((Some(postgres), superuser))
    }

    async fn topics(&self) -> anyhow::Result<()> {
        let bus = Bus::kafka(&self.settings.bootstrap_servers())?;
        let plan = topics::plan(&self.settings.topic_prefix, &SERVICES);
        let created = bus.create_topics(&plan).await.context("creating the topics")?;
        self.steps.done("topics", format_args!("{} created, {} in all", created.len(), plan.len()));
        Ok(())
    }
}

/// The servers' programs. The first time that takes a while, so it is said.
async fn fetch(steps: &Steps) -> anyhow::Result<()> {
    let fetching = local::fetch();
    tokio::pin!(fetching);
    if let Ok(fetched) = timeout(Duration::from_secs(1), &mut fetching).await {
        return fetched;
    }
    say!("fetching Kafka and PostgreSQL from Maven Central, once");
    fetching.await?;
    steps.done("servers", "fetched");
    Ok(())
}

/// Waits until a part has ended, and says which one.
async fn first_end(place: &Place) -> anyhow::Result<anyhow::Error> {
    loop {
        for part in Part::ALL {
            if place.find(part)?.is_none() {
                let (name, words) = (part.name(), place.last_words(part));
                return Ok(anyhow!("{name} has ended; see {words}"));
            }
        }
        sleep(WATCH).await;
    }
}
