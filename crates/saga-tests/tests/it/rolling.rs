//! One service after the other is stopped as a deployment does it, under load.

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, Instant},
};

use load::{Latency, Load, PLAIN, Pace, Unanswered};
use saga_tests::{Processes, processes::STOP, suite::SERVICES};
use serde_json::Value;
use tokio::{
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{PATIENCE, all_have_ended, setting};

/// SIGTERM to each service, and a new start at once: whoever was let in is served. More often by `ROUNDS=5`,
/// with more orders a second by `RATE=50`: where others are at work too, debug builds have little room, and one that is
/// overloaded from its first moment on is not ready for minutes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopping_service_serves_whom_it_has_let_in() {
    let mut suite = Processes::start().await;
    PLAIN.stock(&suite.target(), 0).await.expect("stock");
    let load = Load::begin(&suite.target(), PLAIN, Pace::PerSecond(setting("RATE", 10) as u32), usize::MAX)
        .expect("a load");
    let enough = CancellationToken::new();
    let readers: Vec<_> = SERVICES.map(|service| Reader::begin(&suite, service, enough.clone())).into();

    let mut stops = Vec::new();
    for _ in 0..setting("ROUNDS", 1) {
        for service in SERVICES {
            let stopped = suite.terminate(service).await;
            suite.restart(service);
            let restarted = Instant::now();
            suite.ready(service).await;
            stops.push((service, stopped, restarted.elapsed()));
        }
    }
    enough.cancel();
    let tally = load.stop().await;
    all_have_ended(&suite, &tally, 4 * PATIENCE).await;

    for (service, stopped, ready) in &stops {
        eprintln!("{service}: stopped in {:.2?}, ready {ready:.2?} after its start", stopped.took);
    }
    eprintln!("rolling stop: {tally}");
    let mut failed = tally.failed.clone();
    for reader in readers {
        let seen = reader.await.expect("a reader");
        eprintln!("{seen}");
        failed.extend(seen.failed);
    }
    for (service, stopped, _) in stops {
        assert_eq!(stopped.code, Some(0), "{service}");
        assert!(stopped.took < STOP, "{service} stopped in {:?}", stopped.took);
    }
    assert!(failed.is_empty(), "{failed:?}");
    suite.finish().await;
}

/// As long as a read waits for a connection to the database before it is given up. A 503 that took so long tells of
/// a busy machine; those of a service that stops too early come at once.
const NO_CONNECTION: Duration = Duration::from_secs(2);

/// Somebody who reads from one service all the time, on a new connection each time.
struct Reader {
    service: &'static str,
    times: Vec<Duration>,
    refused: usize,
    overloaded: usize,
    failed: BTreeMap<String, usize>,
}

impl Reader {
    fn begin(suite: &Processes, service: &'static str, enough: CancellationToken) -> JoinHandle<Self> {
        let path = match service {
            "order" => "/orders?limit=1".to_owned(),
            "inventory" => "/products".to_owned(),
            "payment" => format!("/payments/{}", Uuid::nil()),
            _ => format!("/shipments/{}", Uuid::nil()),
        };
        let (client, url) = (load::one_connection_a_request().expect("a client"), suite.url(service, &path));
        let mut reader = Self { service, times: vec![], refused: 0, overloaded: 0, failed: BTreeMap::new() };
        tokio::spawn(async move {
            let mut every = interval(Duration::from_millis(100));
            every.set_missed_tick_behavior(MissedTickBehavior::Delay);
            while !enough.is_cancelled() {
                every.tick().await;
                let sent = Instant::now();
                let answer = load::call(client.get(&url)).await;
                reader.note(answer, sent.elapsed());
            }
            reader
        })
    }

    fn note(&mut self, answer: Result<(u16, Value), Unanswered>, took: Duration) {
        match answer {
            Ok((200 | 404, _)) => self.times.push(took),
            Err(Unanswered::Refused) => self.refused += 1,
            Ok((503, _)) if took >= NO_CONNECTION => self.overloaded += 1,
            other => *self.failed.entry(format!("GET {}: {other:?}", self.service)).or_default() += 1,
        }
    }
}

impl fmt::Display for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { service, times, refused, overloaded, .. } = self;
        let (count, latency) = (times.len(), Latency::of(times.clone()));
        write!(
            f,
            "{service} read: {count} answered, {latency}; {refused} connections refused, {overloaded} without a \
             database connection in time"
        )
    }
}
