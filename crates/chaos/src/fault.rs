//! What can be broken.

mod broker;
mod consumer;
mod crash;
mod database;
mod disk;
mod network;
mod poison;
mod process;
mod relay;

use std::{fmt, time::Duration};

use bus::crash::Crash;
use fastrand::Rng;

use crate::{SERVICES, suite::Suite};

/// A service, by its name.
pub(crate) type Service = &'static str;

/// A way that a proxy stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Of all services to Kafka.
    Kafka,
    /// Of a service to its database.
    Postgres(Service),
    /// Of payment to the provider.
    Provider,
}

/// One fault, with whom it hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Kill(Service),
    KillStuck(Service),
    Freeze(Service),
    RelayFailover(Service),
    StaleRelay(Service),
    Refusal(Service),
    BrokerKill,
    BrokerPause,
    BackendStorm(Service),
    PostgresRestart,
    IdleInTransaction(Service),
    Slow(Way),
    Cut(Way),
    HalfOpen(Way),
    Poison,
    Rewind(Service),
    Churn(Service),
    BrokerDisk,
    PostgresDisk,
    Crash(Crash, Service),
}

/// A kind of faults, as the command line knows it.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    pub name: &'static str,
    pub family: &'static str,
    pub about: &'static str,
    /// One of each that this kind has, in no particular order.
    all: fn() -> Vec<Fault>,
}

/// Everything that can be asked for.
pub const KINDS: [Kind; 20] = [
    kind("kill", "process", "kill -9 of a service", || SERVICES.map(Fault::Kill).to_vec()),
    kind("kill-stuck", "process", "kill -9 of a service whose database does not answer", || {
        SERVICES.map(Fault::KillStuck).to_vec()
    }),
    kind("freeze", "process", "SIGSTOP and SIGCONT of a service", || SERVICES.map(Fault::Freeze).to_vec()),
    kind("relay-failover", "relay", "a second relay stands by, the active one is killed", || {
        SERVICES.map(Fault::RelayFailover).to_vec()
    }),
    kind("stale-relay", "relay", "the active relay is frozen, loses its lock, and wakes up again", || {
        SERVICES.map(Fault::StaleRelay).to_vec()
    }),
    kind("refusal", "relay", "the broker refuses the larger records of a topic", || {
        vec![Fault::Refusal("order")]
    }),
    kind("broker-kill", "broker", "kill -9 of Kafka, and its restart", || vec![Fault::BrokerKill]),
    kind("broker-pause", "broker", "SIGSTOP and SIGCONT of Kafka", || vec![Fault::BrokerPause]),
    kind("backend-storm", "database", "pg_terminate_backend on all of a service, over and over", || {
        SERVICES.map(Fault::BackendStorm).to_vec()
    }),
    kind("postgres-restart", "database", "an immediate shutdown of Postgres, and recovery", || {
        vec![Fault::PostgresRestart]
    }),
    kind("idle-in-transaction", "database", "somebody holds rows and a snapshot, and does nothing", || {
        SERVICES.map(Fault::IdleInTransaction).to_vec()
    }),
    kind("slow", "network", "everything takes longer on the way", || ways().map(Fault::Slow).collect()),
    kind("cut", "network", "connections are reset, over and over", || ways().map(Fault::Cut).collect()),
    kind("half-open", "network", "connections stay open, and nothing arrives any more", || {
        ways().map(Fault::HalfOpen).collect()
    }),
    kind("poison", "poison", "messages of every unreadable kind on every topic", || vec![Fault::Poison]),
    kind("rewind", "consumer", "a consumer group begins again at offset 0", || {
        SERVICES.map(Fault::Rewind).to_vec()
    }),
    kind("churn", "consumer", "members join and leave a consumer group", || {
        SERVICES.map(Fault::Churn).to_vec()
    }),
    kind("broker-disk", "disk", "Kafka's disk is full", || vec![Fault::BrokerDisk]),
    kind("postgres-disk", "disk", "Postgres's disk is full", || vec![Fault::PostgresDisk]),
    kind("crash", "crash", "a process aborts at a line where that hurts", || {
        Crash::ALL
            .into_iter()
            .flat_map(|it| crash::passers(it).iter().map(move |of| Fault::Crash(it, of)))
            .collect()
    }),
];

const fn kind(
    name: &'static str,
    family: &'static str,
    about: &'static str,
    all: fn() -> Vec<Fault>,
) -> Kind {
    Kind { name, family, about, all }
}

fn ways() -> impl Iterator<Item = Way> {
    [Way::Kafka, Way::Provider].into_iter().chain(SERVICES.map(Way::Postgres))
}

impl Kind {
    /// Whether it takes disks that can be made small.
    pub(crate) fn needs_disks(&self) -> bool {
        self.family == "disk"
    }

    /// Whether it takes programs that are built to be broken.
    pub(crate) fn needs_crash_points(&self) -> bool {
        self.family == "crash"
    }

    /// What a full plan has of it: kills and freezes of every service, every way and every point once, and otherwise
    /// one service drawn.
    pub(crate) fn full(&self, rng: &mut Rng) -> Vec<Fault> {
        let all = (self.all)();
        match self.name {
            "kill" | "freeze" => all,
            "slow" | "cut" | "half-open" => {
                let (databases, others): (Vec<_>, Vec<_>) =
                    all.into_iter().partition(Fault::is_of_a_database);
                others.into_iter().chain(rng.choice(databases)).collect()
            }
            "crash" => {
                let at = |point: Crash, rng: &mut Rng| {
                    let of = |it: &&Fault| matches!(it, Fault::Crash(its, _) if *its == point);
                    rng.choice(all.iter().filter(of).copied().collect::<Vec<_>>())
                };
                Crash::ALL.into_iter().filter_map(|it| at(it, rng)).collect()
            }
            _ => rng.choice(all).into_iter().collect(),
        }
    }

    /// One of it.
    pub(crate) fn one(&self, rng: &mut Rng) -> Option<Fault> {
        rng.choice((self.all)())
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kafka => f.write_str("kafka"),
            Self::Postgres(service) => write!(f, "postgres of {service}"),
            Self::Provider => f.write_str("provider"),
        }
    }
}

impl Fault {
    fn is_of_a_database(&self) -> bool {
        matches!(
            self,
            Self::Slow(Way::Postgres(_)) | Self::Cut(Way::Postgres(_)) | Self::HalfOpen(Way::Postgres(_))
        )
    }

    /// Whether it cannot take hold without events that come twice. Others make some, if what they hit is in the midst of it.
    pub(crate) fn makes_duplicates(&self) -> bool {
        matches!(self, Self::Rewind(_))
    }

    /// The kind's name, and whom it hits.
    pub(crate) fn name(&self) -> (&'static str, String) {
        match self {
            Self::Kill(it) => ("kill", (*it).to_owned()),
            Self::KillStuck(it) => ("kill-stuck", (*it).to_owned()),
            Self::Freeze(it) => ("freeze", (*it).to_owned()),
            Self::RelayFailover(it) => ("relay-failover", (*it).to_owned()),
            Self::StaleRelay(it) => ("stale-relay", (*it).to_owned()),
            Self::Refusal(it) => ("refusal", format!("topic of {it}")),
            Self::BrokerKill => ("broker-kill", "kafka".into()),
            Self::BrokerPause => ("broker-pause", "kafka".into()),
            Self::BackendStorm(it) => ("backend-storm", (*it).to_owned()),
            Self::PostgresRestart => ("postgres-restart", "postgres".into()),
            Self::IdleInTransaction(it) => ("idle-in-transaction", (*it).to_owned()),
            Self::Slow(way) => ("slow", way.to_string()),
            Self::Cut(way) => ("cut", way.to_string()),
            Self::HalfOpen(way) => ("half-open", way.to_string()),
            Self::Poison => ("poison", "all topics".into()),
            Self::Rewind(it) => ("rewind", (*it).to_owned()),
            Self::Churn(it) => ("churn", (*it).to_owned()),
            Self::BrokerDisk => ("broker-disk", "kafka".into()),
            Self::PostgresDisk => ("postgres-disk", "postgres".into()),
            Self::Crash(point, service) => ("crash", format!("{service} at {}", point.name())),
        }
    }

    /// Breaks it, holds that for `hold`, and mends it. What is returned proves that it took hold; an error says that
    /// it did not, or that it could not be mended.
    pub(crate) async fn strike(self, suite: &Suite, hold: Duration, rng: &mut Rng) -> anyhow::Result<String> {
        match self {
            Self::Kill(it) => process::kill(suite, it, hold).await,
            Self::KillStuck(it) => process::kill_stuck(suite, it, hold).await,
            Self::Freeze(it) => process::freeze(suite, it, hold).await,
            Self::RelayFailover(it) => relay::failover(suite, it).await,
            Self::StaleRelay(it) => relay::stale(suite, it, hold).await,
            Self::Refusal(it) => relay::refusal(suite, it, hold).await,
            Self::BrokerKill => broker::kill(suite, hold).await,
            Self::BrokerPause => broker::pause(suite, hold).await,
            Self::BackendStorm(it) => database::storm(suite, it, hold).await,
            Self::PostgresRestart => database::restart(suite).await,
            Self::IdleInTransaction(it) => database::idle_in_transaction(suite, it, hold).await,
            Self::Slow(way) => network::slow(suite, way, hold, rng).await,
            Self::Cut(way) => network::cut(suite, way, hold).await,
            Self::HalfOpen(way) => network::half_open(suite, way, hold).await,
            Self::Poison => poison::poison(suite).await,
            Self::Rewind(it) => consumer::rewind(suite, it).await,
            Self::Churn(it) => consumer::churn(suite, it).await,
            Self::BrokerDisk => disk::broker(suite, hold).await,
            Self::PostgresDisk => disk::postgres(suite, hold).await,
            Self::Crash(point, service) => crash::crash(suite, point, service, rng).await,
        }
    }
}
