//! The smallest service with an engine: it reads notes off the order topic, and cannot abide some of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bus::{Bus, CloudEvent, Trace, topics};
use clap::Parser;
use engine::{Arrival, Decided, Decider, Decision, Declined, NoOutside, Publication, Recorded, Writes};
use events::{Aggregate, Timestamp, Unreadable};
use sqlx::PgConnection;
use sqlx::migrate::Migrator;
use tokio_util::sync::CancellationToken;
use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;

/// Calls a note with a `!` impossible until it is mended.
#[derive(Clone, Default)]
pub(crate) struct Notes {
    mended: Arc<AtomicBool>,
}

impl Notes {
    pub(crate) fn mend(&self) {
        self.mended.store(true, Ordering::Relaxed);
    }
}

impl Decider for Notes {
    type Input = String;
    type Event = ();
    type World = ();
    type Reply = ();
    type Refusal = ();

    const SERVICE: &'static str = "notes";

    fn read(&self, event: &Arrival<'_>) -> Result<Option<String>, Unreadable> {
        Ok(Some(String::from_utf8_lossy(event.data).into_owned()))
    }

    async fn load(&self, _: &mut PgConnection, _: &[&String]) -> sqlx::Result<()> {
        Ok(())
    }

    fn decide(&self, _: &(), note: &String, _: Timestamp) -> Decided<Self> {
        if note.contains('!') && !self.mended.load(Ordering::Relaxed) {
            return Err(Declined::Impossible("a note does not shout".into()));
        }
        Ok(Decision::nothing())
    }

    fn evolve(&self, _: &mut (), _: &()) {}

    fn reply(&self, _: &(), _: &String) -> Option<()> {
        None
    }

    fn publish(&self, _: &(), _: &()) -> Option<Publication> {
        None
    }

    fn save(&self, _: &mut Writes, _: &(), _: &[Recorded<()>]) {}
}

#[derive(Parser)]
struct Config {
    #[command(flatten)]
    chassis: service::Config,
}

const PREFIX: &str = "t";

/// The configuration that these arguments stand for, whatever the environment says.
pub(crate) fn config(args: &[&str]) -> service::Config {
    let always = ["notes", "--topic-prefix", PREFIX];
    Config::parse_from(always.iter().chain(args)).chassis
}

pub(crate) async fn bus() -> Bus {
    let bus = Bus::memory();
    bus.create_topics(&topics::plan(PREFIX, &["notes"])).await.unwrap();
    bus
}

pub(crate) async fn send(bus: &Bus, key: &str, note: &[u8]) {
    let event = CloudEvent {
        id: Uuid::now_v7(),
        source: "/it".into(),
        r#type: "waybill.note.taken.v1".into(),
        subject: None,
        time: None,
        sequence: None,
        correlation_id: None,
        causation_id: None,
        actor: None,
        trace: Trace::default(),
        data: note.into(),
    };
    let topic = topics::name(PREFIX, Aggregate::Order.name());
    let mut delivery = bus.producer().unwrap().enqueue([event.into_record(topic.into(), key.into())]);
    delivery.acknowledged().await.unwrap();
}

pub(crate) async fn run(
    config: service::Config,
    bus: Bus,
    notes: Notes,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let parts = service::Parts {
        decider: notes,
        outside: NoOutside::default(),
        reads: &[Aggregate::Order],
        migrations: Migrator::with_migrations(Vec::new()),
        routes: |_| OpenApiRouter::new(),
        operator: None,
    };
    service::host(config, bus, parts, shutdown).await
}
