//! Many clients at once, and what they see.

mod tally;
mod wish;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use reqwest::{Client, RequestBuilder};
use serde_json::Value;
use tokio::{
    task::{JoinHandle, JoinSet},
    time::{interval, sleep},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::wish::{Wish, Wishes};
pub use self::{
    tally::{Accepted, Latency, Tally},
    wish::{EVERYTHING, Mix, PLAIN},
};
use crate::processes::Processes;

/// When orders are placed.
#[derive(Debug, Clone, Copy)]
pub enum Pace {
    /// Closed loop: each of so many clients places its next order when the last one was accepted.
    Clients(usize),
    /// Open loop: so many a second, however long the answers take.
    PerSecond(u32),
}

/// After what was no answer, the same request is sent again after this time.
const AGAIN: Duration = Duration::from_millis(50);
/// Longer than any deadline of the service's own.
const TIMEOUT: Duration = Duration::from_secs(20);
/// A client that is not served in this time fails the test.
const PATIENCE: Duration = Duration::from_secs(120);

/// What became of a request that was not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unanswered {
    /// Nobody took the connection.
    Refused,
    /// The connection was taken, and closed before the answer was complete.
    Cut(String),
    TimedOut,
}

/// Sends a request once; status and body of the answer.
pub async fn call(request: RequestBuilder) -> Result<(u16, Value), Unanswered> {
    let unanswered = |error: reqwest::Error| match () {
        () if error.is_timeout() => Unanswered::TimedOut,
        () if error.is_connect() => Unanswered::Refused,
        () => Unanswered::Cut(innermost(&error)),
    };
    let answer = request.send().await.map_err(unanswered)?;
    let (status, body) = (answer.status().as_u16(), answer.bytes().await.map_err(unanswered)?);
    Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
}

/// What has really happened, below what the client's layers make of it.
fn innermost(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), innermost)
}

/// A client that uses each connection once, so that whatever goes wrong on one is not due to its age.
pub fn one_connection_a_request() -> Client {
    Client::builder().pool_max_idle_per_host(0).timeout(TIMEOUT).build().expect("a client")
}

/// Orders being placed.
pub struct Load {
    clients: Arc<Clients>,
    enough: CancellationToken,
    task: JoinHandle<()>,
}

impl Load {
    /// Places orders until there are `orders`, or until [`stop`](Self::stop).
    pub fn begin(suite: &Processes, mix: Mix, pace: Pace, orders: usize) -> Self {
        let clients = Arc::new(Clients {
            url: suite.url("order", "/orders"),
            key: suite.prefix.clone(),
            keeping: Client::builder().timeout(TIMEOUT).build().expect("a client"),
            single: one_connection_a_request(),
            wishes: Mutex::new(Wishes::of(mix)),
            left: AtomicUsize::new(orders),
            tally: Mutex::default(),
        });
        let enough = CancellationToken::new();
        let task = tokio::spawn(clients.clone().run(pace, enough.clone()));
        Self { clients, enough, task }
    }

    /// How many orders were accepted so far.
    pub fn accepted(&self) -> usize {
        self.clients.tally().accepted.len()
    }

    /// Places no more; returns when those begun are accepted, and cancelled where they are to be.
    pub async fn stop(self) -> Tally {
        self.enough.cancel();
        self.done().await
    }

    /// Waits until all are placed.
    pub async fn done(self) -> Tally {
        self.task.await.expect("clients that are served");
        self.clients.tally().clone()
    }
}

struct Clients {
    url: String,
    /// The first part of all idempotency keys.
    key: String,
    /// Uses its connections again.
    keeping: Client,
    /// Uses each connection once.
    single: Client,
    wishes: Mutex<Wishes>,
    left: AtomicUsize,
    tally: Mutex<Tally>,
}

impl Clients {
    async fn run(self: Arc<Self>, pace: Pace, enough: CancellationToken) {
        let mut placing = JoinSet::new();
        match pace {
            Pace::Clients(count) => {
                for _ in 0..count {
                    placing.spawn(self.clone().one_after_the_other(enough.clone()));
                }
            }
            Pace::PerSecond(rate) => {
                let mut due = interval(Duration::from_secs(1) / rate);
                while let Some(wish) = self.next(&enough) {
                    let at = due.tick().await.into_std();
                    placing.spawn(self.clone().fulfil(wish, at));
                    // What has ended is let go; a client that has failed fails all.
                    while let Some(done) = placing.try_join_next() {
                        done.expect("a client that is served");
                    }
                }
            }
        }
        while let Some(done) = placing.join_next().await {
            done.expect("a client that is served");
        }
    }

    async fn one_after_the_other(self: Arc<Self>, enough: CancellationToken) {
        let mut cancelling = JoinSet::new();
        while let Some(wish) = self.next(&enough) {
            let id = self.place(&wish, Instant::now()).await;
            cancelling.spawn(self.clone().cancel(id, wish.cancel));
        }
        while let Some(done) = cancelling.join_next().await {
            done.expect("a client that is served");
        }
    }

    async fn fulfil(self: Arc<Self>, wish: Wish, due: Instant) {
        let id = self.place(&wish, due).await;
        self.cancel(id, wish.cancel).await;
    }

    fn next(&self, enough: &CancellationToken) -> Option<Wish> {
        let one_less = |left: usize| left.checked_sub(1);
        if enough.is_cancelled()
            || self.left.try_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_err()
        {
            return None;
        }
        self.wishes.lock().unwrap_or_else(PoisonError::into_inner).next()
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Half of the clients keep their connections, as browsers and gateways do; the others tell better whose
    /// fault a closed one is.
    async fn place(&self, wish: &Wish, due: Instant) -> Uuid {
        let keeps = wish.number.is_multiple_of(2);
        let client = if keeps { &self.keeping } else { &self.single };
        loop {
            let post = client.post(&self.url).json(&wish.body);
            let post = post.header("idempotency-key", format!("{}-{}", self.key, wish.number));
            let sent = Instant::now();
            let answer = call(post).await;
            if let Ok((201, order)) = &answer {
                let id = order["order_id"].as_str().and_then(|it| it.parse().ok()).expect("an id");
                let (answered, waited) = (sent.elapsed(), due.elapsed());
                self.tally().accepted.push(Accepted { id, sent, answered, waited });
                return id;
            }
            self.note("POST /orders", keeps, &answer);
            assert!(due.elapsed() < PATIENCE, "order {} is not accepted: {answer:?}", wish.number);
            sleep(AGAIN).await;
        }
    }

    async fn cancel(self: Arc<Self>, id: Uuid, when: Option<(Duration, bool)>) {
        let Some((after, twice)) = when else { return };
        sleep(after).await;
        let begun = Instant::now();
        let mut times = if twice { 2 } else { 1 };
        while times > 0 {
            let answer = call(self.single.post(format!("{}/{id}/cancel", self.url))).await;
            match answer {
                Ok((status @ (200 | 202 | 409), _)) => {
                    self.tally().cancels.push((id, status));
                    times -= 1;
                }
                answer => {
                    self.note("cancel", false, &answer);
                    assert!(begun.elapsed() < PATIENCE, "order {id} cannot be cancelled: {answer:?}");
                    sleep(AGAIN).await;
                }
            }
        }
    }

    fn note(&self, what: &str, kept: bool, answer: &Result<(u16, Value), Unanswered>) {
        let mut tally = self.tally();
        let kind = match answer {
            Err(Unanswered::Refused) => return tally.refused += 1,
            Err(Unanswered::Cut(_)) if kept => return tally.raced += 1,
            Err(Unanswered::Cut(reason)) => format!("{what}: cut: {reason}"),
            Err(Unanswered::TimedOut) => format!("{what}: no answer in {TIMEOUT:?}"),
            Ok((status, body)) => format!("{what}: {status} {body}"),
        };
        *tally.failed.entry(kind).or_default() += 1;
    }
}
