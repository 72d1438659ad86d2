//! The customers.

use std::{
    panic::resume_unwind,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use reqwest::{Client, RequestBuilder};
use serde_json::Value;
use tokio::{
    select,
    task::{JoinError, JoinSet},
    time::{interval, sleep},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    Mix, Pace, Target,
    call::{TIMEOUT, Unanswered, call, keeping_connections, one_connection_a_request},
    tally::{Accepted, Tally},
    wish::{Cancel, Wish, Wishes},
};

/// After what was no answer, the same request is sent again after this time, and then after more and more.
pub(crate) const AGAIN: Duration = Duration::from_millis(50);
/// The most that a client waits before it asks again: a suite that is back has its customers back.
const SELDOM: Duration = Duration::from_secs(1);
/// Orders of an open loop that are under way at once. More of them would be a flood of connections on whatever comes
/// back after an outage; the others wait as a number.
const AT_ONCE: usize = 512;
/// What a client of a closed loop has still to do for orders that it has placed.
const LATER: usize = 64;

pub(crate) struct Clients {
    /// Where orders are placed.
    url: String,
    key: String,
    patience: Duration,
    /// Uses its connections again.
    keeping: Client,
    /// Uses each connection once.
    single: Client,
    wishes: Mutex<Wishes>,
    left: AtomicUsize,
    tally: Mutex<Tally>,
}

/// The answer to one request out of those sent for the same end.
struct Answer<T> {
    says: T,
    sent: Instant,
    took: Duration,
}

impl Clients {
    pub(crate) fn of(target: &Target, mix: Mix, orders: usize) -> reqwest::Result<Self> {
        Ok(Self {
            url: format!("{}/orders", target.order_url),
            key: target.key.clone(),
            patience: target.patience,
            keeping: keeping_connections()?,
            single: one_connection_a_request()?,
            wishes: Mutex::new(Wishes::of(mix)),
            left: AtomicUsize::new(orders),
            tally: Mutex::default(),
        })
    }

    pub(crate) async fn run(self: Arc<Self>, pace: Pace, enough: CancellationToken) {
        match pace {
            Pace::Clients(count) => {
                let mut clients = JoinSet::new();
                for _ in 0..count {
                    clients.spawn(self.clone().one_after_the_other(enough.clone()));
                }
                clients.join_all().await;
            }
            Pace::PerSecond(rate) => self.as_they_are_due(rate, enough).await,
        }
    }

    async fn one_after_the_other(self: Arc<Self>, enough: CancellationToken) {
        let mut later = JoinSet::new();
        while let Some(wish) = self.next(&enough) {
            self.fulfil(wish, Instant::now(), &mut later).await;
            at_most(&mut later, LATER).await;
        }
        later.join_all().await;
    }

    async fn as_they_are_due(self: Arc<Self>, rate: u32, enough: CancellationToken) {
        let every = Duration::from_secs(1) / rate;
        // Ticks that are missed are made up for, each with the time at which it was due.
        let (mut due, begun, mut count) = (interval(every), Instant::now(), 0_usize);
        let mut under_way = JoinSet::new();
        loop {
            let at = select! {
                biased;
                () = enough.cancelled() => break,
                at = due.tick() => at.into_std(),
            };
            select! {
                biased;
                () = enough.cancelled() => break,
                () = at_most(&mut under_way, AT_ONCE) => {}
            }
            let Some(wish) = self.next(&enough) else { break };
            count += 1;
            let clients = self.clone();
            under_way.spawn(async move {
                let mut later = JoinSet::new();
                clients.fulfil(wish, at, &mut later).await;
                later.join_all().await;
            });
        }
        if enough.is_cancelled() {
            let were_due = begun.elapsed().as_nanos() / every.as_nanos();
            let missed = usize::try_from(were_due).unwrap_or(usize::MAX).saturating_sub(count);
            self.tally().unsent = missed.min(self.left.load(Ordering::Relaxed));
        }
        under_way.join_all().await;
    }

    fn next(&self, enough: &CancellationToken) -> Option<Wish> {
        let one_less = |left: usize| left.checked_sub(1);
        if enough.is_cancelled()
            || self.left.try_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_err()
        {
            return None;
        }
        self.tally().sent += 1;
        self.wishes.lock().unwrap_or_else(PoisonError::into_inner).next()
    }

    pub(crate) fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Places an order. What is asked again, and what is to be done afterwards, goes on in `later`.
    async fn fulfil(self: &Arc<Self>, wish: Wish, due: Instant, later: &mut JoinSet<()>) {
        let wish = Arc::new(wish);
        for after in wish.repeats.iter().copied() {
            let (clients, wish) = (self.clone(), wish.clone());
            later.spawn(async move {
                sleep(after).await;
                clients.place(&wish, due, &clients.single).await;
            });
        }
        // Half of the clients keep their connections; the others tell better whose fault a closed one is.
        let keeps = wish.number.is_multiple_of(2);
        let placed = self.place(&wish, due, if keeps { &self.keeping } else { &self.single }).await;
        if let (Some(id), Some(cancel)) = (placed, wish.cancel) {
            later.spawn(self.clone().cancel(id, cancel));
        }
    }

    async fn place(&self, wish: &Wish, due: Instant, client: &Client) -> Option<Uuid> {
        let key = format!("{}-{}", self.key, wish.number);
        let post = || client.post(&self.url).json(&wish.body).header("idempotency-key", &key);
        let id = |status: u16, body: &Value| match status {
            201 => body["order_id"].as_str()?.parse().ok(),
            _ => None,
        };
        let kept = std::ptr::eq(client, &self.keeping);
        let Some(answer) = self.ask("POST /orders", kept, post, id).await else {
            self.tally().given_up.push(format!("POST /orders under the key {key}"));
            return None;
        };
        let Answer { says: id, sent, took } = answer;
        self.tally().answered(wish, key, Accepted { id, sent, answered: took, waited: due.elapsed() });
        Some(id)
    }

    async fn cancel(self: Arc<Self>, id: Uuid, Cancel { after, times }: Cancel) {
        sleep(after).await;
        let post = || self.single.post(format!("{}/{id}/cancel", self.url));
        for _ in 0..times {
            let told = |status: u16, _: &Value| matches!(status, 200 | 202 | 409).then_some(status);
            match self.ask("cancel", false, post, told).await {
                Some(answer) => self.tally().cancels.push((id, answer.says)),
                None => self.tally().given_up.push(format!("POST /orders/{id}/cancel")),
            }
        }
    }

    /// Asks the same until there is an answer that says something; none, when it is given up.
    async fn ask<T>(
        &self,
        what: &str,
        kept: bool,
        request: impl Fn() -> RequestBuilder,
        says: impl Fn(u16, &Value) -> Option<T>,
    ) -> Option<Answer<T>> {
        let (begun, mut pause) = (Instant::now(), AGAIN);
        loop {
            let sent = Instant::now();
            let answer = call(request()).await;
            if let Ok((status, body)) = &answer
                && let Some(says) = says(*status, body)
            {
                return Some(Answer { says, sent, took: sent.elapsed() });
            }
            self.note(what, kept, &answer);
            // Who is told that the request is wrong need not ask again.
            let wrong = matches!(answer, Ok((400..500, _)) if !matches!(answer, Ok((408 | 425 | 429, _))));
            if wrong || begun.elapsed() >= self.patience {
                return None;
            }
            // Those who were turned away together do not come back together.
            sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
            pause = (2 * pause).min(SELDOM);
        }
    }

    fn note(&self, what: &str, kept: bool, answer: &Result<(u16, Value), Unanswered>) {
        let mut tally = self.tally();
        match answer {
            Err(Unanswered::Refused) => tally.refused += 1,
            Err(Unanswered::Cut(_)) if kept => tally.raced += 1,
            Err(Unanswered::Cut(reason)) => tally.fail(format!("{what}: cut: {reason}")),
            Err(Unanswered::TimedOut) => tally.fail(format!("{what}: no answer in {TIMEOUT:?}")),
            Ok((status, body)) => tally.answered_otherwise(what, *status, body),
        }
    }
}

/// Lets go of what has ended, and waits while there is as much as `most`.
async fn at_most(tasks: &mut JoinSet<()>, most: usize) {
    while let Some(done) = tasks.try_join_next() {
        pass_on(done);
    }
    if tasks.len() >= most
        && let Some(done) = tasks.join_next().await
    {
        pass_on(done);
    }
}

/// A client that panics has a bug of its own: whoever waits for the load gets to see it.
pub(crate) fn pass_on(done: Result<(), JoinError>) {
    if let Err(error) = done
        && let Ok(panic) = error.try_into_panic()
    {
        resume_unwind(panic);
    }
}
