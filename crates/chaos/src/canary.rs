//! One order, to see when a suite is itself again.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use tokio::time::sleep;
use uuid::Uuid;

use crate::suite::Suite;

/// More than a service gives itself.
const ANSWER: Duration = Duration::from_secs(15);
const AGAIN: Duration = Duration::from_millis(100);
/// What is not over by then has not recovered.
const PATIENCE: Duration = Duration::from_secs(120);

/// Orders that were placed beside the load.
#[derive(Debug, Default)]
pub(crate) struct Own(Mutex<BTreeMap<Uuid, Option<Uuid>>>);

impl Own {
    /// By the keys under which they were asked for; none where nobody has answered.
    fn by_key(&self) -> MutexGuard<'_, BTreeMap<Uuid, Option<Uuid>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What each was answered with; nothing where nobody has answered: such an order may be there all the same.
    pub(crate) fn answers(&self) -> Vec<Option<Uuid>> {
        self.by_key().values().copied().collect()
    }
}

/// Places an order as soon as one is accepted, and waits until it is delivered: behind everything that waits.
pub(crate) async fn delivered(suite: &Suite) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let mut id = place(suite).await?;
    loop {
        let url = suite.url("order-1", &format!("/orders/{id}")).await?;
        let answer = suite.json(suite.http.get(url).timeout(ANSWER)).await;
        match &answer {
            Ok((200, order)) if order["status"] == "delivered" => return Ok(begun.elapsed()),
            // Given up for its time, which is short here: the suite has not recovered yet.
            Ok((200, order))
                if ["timed-out", "reservation-expired"].iter().any(|it| order["cancel_reason"] == *it) =>
            {
                id = place(suite).await?;
            }
            Ok((200, order)) if order["status"] == "cancelled" => bail!("the order was cancelled: {order}"),
            Ok((status, body)) if load::is_defect(*status) => bail!("GET /orders/{id}: {status} {body}"),
            _ => {}
        }
        ensure!(begun.elapsed() < PATIENCE, "an order is not delivered in {PATIENCE:?}: {answer:?}");
        sleep(AGAIN).await;
    }
}

/// Places an order as soon as one is accepted; returns its id.
pub(crate) async fn place(suite: &Suite) -> anyhow::Result<String> {
    let (begun, key) = (Instant::now(), Uuid::now_v7());
    suite.own.by_key().insert(key, None);
    let url = suite.url("order-1", "/orders").await?;
    let order = load::an_order("LOAD-MUG", 1, "pm_card_visa");
    loop {
        let post = suite.http.post(&url).header("idempotency-key", key.to_string()).json(&order);
        let answer = suite.json(post.timeout(ANSWER)).await;
        match &answer {
            Ok((201, order)) => {
                let id = order["order_id"].as_str().and_then(|it| it.parse().ok());
                let id: Uuid = id.with_context(|| format!("an order without an id: {order}"))?;
                suite.own.by_key().insert(key, Some(id));
                return Ok(id.to_string());
            }
            Ok((status, body)) if load::is_defect(*status) => bail!("POST /orders: {status} {body}"),
            _ => {}
        }
        ensure!(begun.elapsed() < PATIENCE, "no order is accepted in {PATIENCE:?}: {answer:?}");
        sleep(AGAIN).await;
    }
}
