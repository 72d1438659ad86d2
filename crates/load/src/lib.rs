//! Load on a running suite: customers who place orders over HTTP, and cancel some, and what they see of it.
//!
//! A [`Mix`] says what is ordered, a [`Pace`] when. Whatever was no answer is asked again under the same
//! `Idempotency-Key`, as a good client does, so that a load goes on through outages of any length.
//!
//! Invariants:
//! - Nothing that the suite does or fails to do is a panic here: it is counted in the [`Tally`].
//! - An order counts as accepted once, however often it was asked for; an answer that names another order for the
//!   same key is kept as such.
//! - In an open loop latency counts from when an order was due, also when the client was late to send it. What is
//!   under way at once is bounded: when the suite stands still, the orders that are due wait their turn as a number.
//!
//! Absent on purpose: any look behind the suite's HTTP, and any judgement of what is too slow or too much. Whoever
//! uses this has set a process-wide TLS provider of `rustls`, as for any client of `reqwest`.

mod call;
mod clients;
mod stock;
mod tally;
mod wish;

use std::{sync::Arc, time::Duration};

use anyhow::ensure;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use self::clients::{Clients, pass_on};
pub use self::{
    call::{Unanswered, call, one_connection_a_request},
    tally::{Accepted, Counts, Defect, Latency, Other, Tally, is_defect},
    wish::{EVERYTHING, Mix, PLAIN, an_order},
};

/// The suite that is ordered from.
#[derive(Debug, Clone)]
pub struct Target {
    /// Where the order service is: `http://127.0.0.1:8080`.
    pub order_url: String,
    /// Where the inventory service is.
    pub inventory_url: String,
    /// The first part of all idempotency keys. A suite answers a key that it knows with the order that it has: each
    /// load needs a new one.
    pub key: String,
    /// How long the same is asked again and again before it is given up.
    pub patience: Duration,
}

/// When orders are placed.
#[derive(Debug, Clone, Copy)]
pub enum Pace {
    /// Closed loop: each of so many clients places its next order when the last one was accepted.
    Clients(usize),
    /// Open loop: so many a second, however long the answers take.
    PerSecond(u32),
}

/// Sees how a load goes.
#[derive(Clone)]
pub struct Meter(Arc<Clients>);

impl Meter {
    /// What has happened so far, in numbers.
    pub fn counts(&self) -> Counts {
        self.0.tally().counts()
    }
}

/// Orders being placed; dropped, it places no more and forgets those under way.
pub struct Load {
    clients: Arc<Clients>,
    enough: CancellationToken,
    task: AbortOnDropHandle<()>,
}

impl Load {
    /// Places orders until there are `orders`, or until [`stop`](Self::stop). They must be in stock:
    /// [`Mix::stock`]. Fails if there is no HTTP client to be had, or nothing can be ordered at such a pace
    /// or of such a mix.
    pub fn begin(target: &Target, mix: Mix, pace: Pace, orders: usize) -> anyhow::Result<Self> {
        let possible = matches!(pace, Pace::Clients(1..) | Pace::PerSecond(1..=1_000_000));
        ensure!(possible, "{pace:?} is no pace at which orders can be placed");
        ensure!(mix.tokens.iter().any(|it| it.1 > 0), "a mix without a payment method");
        let clients = Arc::new(Clients::of(target, mix, orders)?);
        let enough = CancellationToken::new();
        let task = AbortOnDropHandle::new(tokio::spawn(clients.clone().run(pace, enough.clone())));
        Ok(Self { clients, enough, task })
    }

    /// Sees how it goes, also while somebody else waits for its end.
    pub fn meter(&self) -> Meter {
        Meter(self.clients.clone())
    }

    /// How many orders were accepted so far.
    pub fn accepted(&self) -> usize {
        self.counts().accepted
    }

    /// What has happened so far, in numbers: cheap enough to be asked many times a second.
    pub fn counts(&self) -> Counts {
        self.clients.tally().counts()
    }

    /// Places no more; returns when those begun are accepted, and cancelled where they are to be, or given up.
    pub async fn stop(self) -> Tally {
        self.enough.cancel();
        self.done().await
    }

    /// Waits until all are placed.
    pub async fn done(self) -> Tally {
        pass_on(self.task.await);
        // Whoever has a meter goes on seeing what has happened.
        self.clients.tally().clone()
    }
}
