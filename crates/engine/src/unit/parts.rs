//! A batch, in as many transactions as it takes.

use std::{ops::Range, time::Duration};

use opentelemetry::KeyValue;

use super::{Item, Outcome, Unit};
use crate::{
    database::Link,
    decider::Decider,
    fault::{self, Fault, Remedy},
};

/// How often a part of a batch is begun again for a conflict before that counts as a failure.
const CONFLICTS: u32 = 6;

impl<D: Decider> Unit<D> {
    /// Applies `items` in their order and appends their outcomes. On an error the outcomes are those of the
    /// items that are committed; the others have had no effect, and the connection is gone.
    pub(crate) async fn run(
        &self,
        link: &mut Link,
        items: &mut [Item<D>],
        outcomes: &mut Vec<Outcome<D>>,
    ) -> sqlx::Result<()> {
        let done = self.run_in_parts(link, items, outcomes).await;
        if let Err(error) = &done {
            // What state it is in is not known.
            link.drop_connection();
            if fault::is_too_long(error) {
                tracing::warn!(%error, "the next transaction has half as many inputs, or the same one");
            }
        }
        done
    }

    async fn run_in_parts(
        &self,
        link: &mut Link,
        items: &mut [Item<D>],
        outcomes: &mut Vec<Outcome<D>>,
    ) -> sqlx::Result<()> {
        let all = 0..items.len();
        let mut open = vec![all];
        let mut hurried = false;
        while let Some(range) = next(&mut open, link.most) {
            let done = self.insist(link, &items[range.clone()], hurried).await;
            let Err(fault) = done.map(|it| outcomes.extend(it)) else { continue };
            // Of what did not come by the log, none is to wait for the one whose aggregate is held by somebody: that
            // one is found, in a hurry.
            let busy = is_busy(&fault, &items[range.clone()]);
            hurried |= busy;
            match (fault.remedy(), fault) {
                (Remedy::Wait, Fault::Sql(error)) => return Err(error),
                // Whoever holds the lock for so long, the inputs are not to blame.
                (Remedy::Again, Fault::Sql(error)) if !busy => return Err(error),
                (_, fault) if range.len() > 1 => {
                    self.count_retry("bisected");
                    tracing::debug!(%fault, len = range.len(), "the batch is halved");
                    let middle = range.start + range.len() / 2;
                    open.push(middle..range.end);
                    open.push(range.start..middle);
                }
                (_, _) if busy => outcomes.push(Outcome::Busy),
                // The dead letter itself cannot be written: nothing is lost by waiting.
                (_, Fault::Sql(error)) if items[range.start].input.is_err() => return Err(error),
                (_, fault) => match poisoned(&mut items[range.start], fault) {
                    Some(outcome) => outcomes.push(outcome),
                    None => open.push(range),
                },
            }
        }
        Ok(())
    }

    /// One transaction, begun again after a conflict.
    async fn insist(
        &self,
        link: &mut Link,
        items: &[Item<D>],
        hurried: bool,
    ) -> Result<Vec<Outcome<D>>, Fault> {
        let mut conflicts = 0;
        loop {
            match self.attempt(link, items, hurried).await {
                Err(fault) if fault.is_conflict() && !is_busy(&fault, items) && conflicts < CONFLICTS => {
                    conflicts += 1;
                    self.count_retry("conflict");
                    tracing::debug!(%fault, "decided anew after a conflict");
                    tokio::time::sleep(Duration::from_millis(u64::from(conflicts * conflicts))).await;
                }
                done => return done,
            }
        }
    }

    fn count_retry(&self, reason: &'static str) {
        self.metrics.retries.add(1, &[self.metrics.service.clone(), KeyValue::new("reason", reason)]);
    }
}

/// The next part of a batch, of `most` inputs at most.
fn next(open: &mut Vec<Range<usize>>, most: usize) -> Option<Range<usize>> {
    let range = open.pop()?;
    let end = range.end.min(range.start.saturating_add(most));
    if end < range.end {
        open.push(end..range.end);
    }
    Some(range.start..end)
}

/// Whether somebody holds an aggregate of what is not to wait for it. What came by the log waits in its order.
fn is_busy<D: Decider>(fault: &Fault, items: &[Item<D>]) -> bool {
    fault.is_lock_timeout() && !items.iter().any(|it| it.origin.is_of_the_log())
}

/// What becomes of an input that cannot be applied. None: it is to be parked, as what it is from now on.
fn poisoned<D: Decider>(item: &mut Item<D>, fault: Fault) -> Option<Outcome<D>> {
    tracing::warn!(%fault, event.id = %item.cause.id, "an input cannot be applied");
    let poison = fault.into_poison();
    if item.origin.is_of_the_log() {
        item.input = Err(poison);
        return None;
    }
    // Nothing was written: a deadline and an effect are there to be tried again.
    Some(Outcome::Failed(poison.error))
}
