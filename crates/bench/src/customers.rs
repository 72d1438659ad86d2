//! The load: an open loop of orders over kept connections.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use hyper::{Method, StatusCode};
use tokio::{sync::Semaphore, task::JoinSet};
use uuid::Uuid;

use crate::{
    arrivals::Arrivals,
    http::{Answer, Connection},
    orders::{Order, Orders},
};

/// Requests in flight at once. Orders that are due beyond them wait as a number.
const CONNECTIONS: usize = 256;

/// An order that was accepted; times are since the start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Placed {
    pub(crate) id: Uuid,
    /// How it is to end.
    pub(crate) end: &'static str,
    pub(crate) due: Duration,
    pub(crate) sent: Duration,
    pub(crate) answered: Duration,
}

/// A request that was not answered with an order.
#[derive(Debug, Clone)]
pub(crate) struct Failed {
    pub(crate) due: Duration,
    /// A status, or how the connection ended.
    pub(crate) what: String,
}

/// What all customers have seen.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) placed: Vec<Placed>,
    pub(crate) failed: Vec<Failed>,
}

/// Counts so far, for whoever looks on.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) due: AtomicU64,
    pub(crate) placed: AtomicU64,
    pub(crate) failed: AtomicU64,
}

struct Customers {
    begun: Instant,
    to: SocketAddr,
    /// The first part of all idempotency keys.
    key: String,
    /// A permit for each order that is due and that nobody has taken up.
    due: Semaphore,
    next: Mutex<(u64, Arrivals, Orders)>,
    counts: Arc<Counts>,
}

/// Places all orders when they are due, counted from `begun`; returns when all are answered.
pub(crate) async fn place(
    begun: Instant,
    to: SocketAddr,
    key: &str,
    arrivals: Arrivals,
    orders: Orders,
    counts: Arc<Counts>,
) -> anyhow::Result<Tally> {
    let (due, next) = (Semaphore::new(0), Mutex::new((0, arrivals.clone(), orders)));
    let customers = Arc::new(Customers { begun, to, key: key.to_owned(), due, next, counts });
    let clock = customers.clone();
    // A thread of its own sleeps to the microsecond; a runtime's timer only to the millisecond.
    let clock = thread::Builder::new().name("arrivals".into()).spawn(move || clock.call(arrivals))?;
    let mut all = JoinSet::new();
    (0..CONNECTIONS).for_each(|_| drop(all.spawn(customers.clone().order())));
    let mut tally = Tally::default();
    for one in all.join_all().await {
        tally.placed.extend(one.placed);
        tally.failed.extend(one.failed);
    }
    clock.join().map_err(|_| anyhow::anyhow!("the clock of the arrivals has panicked"))?;
    tally.placed.sort_by_key(|it| it.due);
    Ok(tally)
}

impl Customers {
    /// Says of each order when it is due, and at the end that there are no more.
    fn call(&self, arrivals: Arrivals) {
        for at in arrivals {
            thread::sleep(at.saturating_sub(self.begun.elapsed()));
            self.counts.due.fetch_add(1, Ordering::Relaxed);
            self.due.add_permits(1);
            // Nobody is left to take them up: the run was broken off.
            if Arc::strong_count(&self.counts) == 1 {
                return;
            }
        }
        self.due.add_permits(CONNECTIONS);
    }

    fn next(&self) -> Option<(u64, Duration, Order)> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let (number, arrivals, orders) = &mut *next;
        let (at, order) = (arrivals.next()?, orders.next()?);
        *number += 1;
        Some((*number, at, order))
    }

    async fn order(self: Arc<Self>) -> Tally {
        let (mut connection, mut tally) = (Connection::new(self.to), Tally::default());
        while let Ok(permit) = self.due.acquire().await {
            permit.forget();
            let Some((number, due, Order { body, end })) = self.next() else { break };
            let key = format!("{}-{number}", self.key);
            let sent = self.begun.elapsed();
            let answer = connection.send(Method::POST, "/orders", Some(&key), body).await;
            let answered = self.begun.elapsed();
            match answer.map_err(|it| it.to_string()).and_then(|it| accepted(&it)) {
                Ok(id) => {
                    self.counts.placed.fetch_add(1, Ordering::Relaxed);
                    tally.placed.push(Placed { id, end, due, sent, answered });
                }
                Err(what) => {
                    self.counts.failed.fetch_add(1, Ordering::Relaxed);
                    tally.failed.push(Failed { due, what });
                }
            }
        }
        tally
    }
}

/// The order's id is the end of its address: the body need not be read.
fn accepted(answer: &Answer) -> Result<Uuid, String> {
    let id = || answer.location.as_deref()?.rsplit('/').next()?.parse().ok();
    match answer.status {
        StatusCode::CREATED => id().ok_or_else(|| "201 without an address".to_owned()),
        status => Err(status.as_u16().to_string()),
    }
}
