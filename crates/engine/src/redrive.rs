//! Redriving: dead letters are run again, in their order, through the same unit of work as everything else.

mod request;

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use bus::Received;
use opentelemetry::KeyValue;
use sqlx::{PgConnection, postgres::PgConnectOptions};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub(crate) use self::request::Request;
pub use self::request::{DeadLetters, RedriveError, Redriven, Which};
use crate::{
    consumer,
    database::Link,
    dead_letter::{self, By, Fate, Rerun, parked_as},
    decider::Decider,
    unit::{Item, Origin, Outcome, Unit},
};

/// Letters that failed are tried again by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AutoRedrive {
    /// How often, before only an operator does.
    pub attempts: i32,
    /// After the first failure; twice as long after each further one, an hour at the most.
    pub after: Duration,
}

/// The task that redrives, one per process.
pub(crate) struct Redrive<D: Decider> {
    pub(crate) unit: Arc<Unit<D>>,
    pub(crate) options: PgConnectOptions,
    pub(crate) batch_size: usize,
    pub(crate) auto: Option<AutoRedrive>,
    pub(crate) requests: mpsc::Receiver<Request>,
}

/// Keys that are worked on together.
const KEYS: usize = 100;
/// For how long one request is worked on; then its sender is told how to go on.
const TURN: Duration = Duration::from_secs(4);
const SWEEP_EVERY: Duration = Duration::from_secs(2);

impl<D: Decider> Redrive<D> {
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        let mut link = Link::new(self.options.clone());
        let mut sweep = tokio::time::interval(SWEEP_EVERY);
        sweep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let done = tokio::select! {
                () = shutdown.cancelled() => return,
                _ = sweep.tick() => self.sweep(&mut link).await,
                Some(request) = self.requests.recv() => self.serve(&mut link, request).await,
            };
            if let Err(error) = done {
                link.drop_connection();
                tracing::debug!(%error, "dead letters cannot be redriven");
            }
        }
    }

    async fn serve(&self, link: &mut Link, request: Request) -> sqlx::Result<()> {
        let Request { which, by, discard, from, answer } = request;
        let done = match link.get().await {
            Ok(connection) => self.redrive(connection, &which, &Arc::new(by), discard, from).await,
            Err(error) => Err(error),
        };
        let (told, result) = match done {
            Ok(told) => (told, Ok(())),
            Err(error) => (Err(RedriveError::Unavailable), Err(error)),
        };
        // Nobody may wait any more: what was done is done.
        let _ = answer.send(told);
        result
    }

    async fn redrive(
        &self,
        connection: &mut PgConnection,
        which: &Which,
        by: &Arc<By>,
        discard: bool,
        from: Option<Vec<u8>>,
    ) -> sqlx::Result<Result<Redriven, RedriveError>> {
        let key = match which {
            Which::Id(id) => match self.key_of(connection, *id).await? {
                Some((_, false)) if discard => return Ok(Err(RedriveError::NotFirst)),
                Some((key, _)) => Some(key),
                None => return Ok(Err(RedriveError::Unknown)),
            },
            Which::Key(key) => Some(parked_as(key.as_bytes()).into_owned()),
            Which::Type(_) | Which::All => None,
        };
        let kind = if let Which::Type(kind) = which { Some(kind.as_str()) } else { None };
        let mut total = Redriven { next: Some(from.unwrap_or_default()), ..Redriven::default() };
        let until = Instant::now() + TURN;
        while let Some(from) = total.next.take() {
            let keys = self.keys(connection, key.as_deref(), kind, &from).await?;
            let mut following = keys.last().filter(|_| keys.len() == KEYS).cloned();
            // The least key that is greater.
            following.iter_mut().for_each(|it| it.push(0));
            total.next = self.rerun(connection, keys, by, discard, until, &mut total).await?.or(following);
            if Instant::now() > until {
                break;
            }
        }
        Ok(Ok(total))
    }

    /// The key of a letter, and whether the letter is the poison that holds it up.
    async fn key_of(&self, connection: &mut PgConnection, id: i64) -> sqlx::Result<Option<(Vec<u8>, bool)>> {
        sqlx::query_as(
            "select key, status = 'poison' and not exists (select from engine.dead_letter e
                 where e.consumer = d.consumer and e.key = d.key and e.dead_letter_id < d.dead_letter_id)
             from engine.dead_letter d where consumer = $1 and dead_letter_id = $2",
        )
        .bind(D::SERVICE)
        .bind(id)
        .fetch_optional(connection)
        .await
    }

    /// Parked keys in their order, `from` on.
    async fn keys(
        &self,
        connection: &mut PgConnection,
        key: Option<&[u8]>,
        kind: Option<&str>,
        from: &[u8],
    ) -> sqlx::Result<Vec<Vec<u8>>> {
        sqlx::query_scalar(
            "select k.key from engine.parked_key k
             cross join lateral (select type from engine.dead_letter d
                 where d.consumer = k.consumer and d.key = k.key order by dead_letter_id limit 1) first
             where consumer = $1 and k.key >= $2 and ($3::bytea is null or k.key = $3)
                 and ($4::text is null or type = $4 or starts_with(type, 'waybill.' || $4 || '.v'))
             order by k.key limit $5",
        )
        .bind(D::SERVICE)
        .bind(from)
        .bind(key)
        .bind(kind)
        .bind(KEYS as i64)
        .fetch_all(connection)
        .await
    }

    /// Runs the letters of `keys` until each key is free or has failed, or until the time is over. Returns the
    /// key at which to go on, if any.
    async fn rerun(
        &self,
        connection: &mut PgConnection,
        keys: Vec<Vec<u8>>,
        by: &Arc<By>,
        discard: bool,
        until: Instant,
        total: &mut Redriven,
    ) -> sqlx::Result<Option<Vec<u8>>> {
        let mut open: BTreeSet<Vec<u8>> = keys.into_iter().collect();
        while !open.is_empty() {
            let keys: Vec<&[u8]> = open.iter().map(Vec::as_slice).collect();
            let letters = dead_letter::read(connection, D::SERVICE, &keys, self.batch_size, by).await?;
            let Some((last, _)) = letters.last() else { break };
            let last = last.key.clone();
            let mut items = self.items(letters, discard);
            let mut outcomes = Vec::with_capacity(items.len());
            let run = self.unit.run(connection, &mut items, &mut outcomes).await;
            // Outcomes there are for what has committed, whatever came after.
            let mut moved = false;
            for (item, outcome) in items.iter().zip(outcomes) {
                let (Origin::Letter(letter), Outcome::Settled(fate)) = (&item.origin, outcome) else {
                    continue;
                };
                moved |= fate != Fate::Waiting;
                total.count(fate);
                self.count(fate);
                if fate == Fate::Failed {
                    open.remove(&letter.key);
                }
            }
            run?;
            if Instant::now() > until && open.contains(&last) {
                return Ok(Some(last));
            }
            if !moved {
                break;
            }
        }
        Ok(None)
    }

    fn items(&self, letters: Vec<(Rerun, Received)>, discard: bool) -> Vec<Item<D>> {
        let mut before: Option<Vec<u8>> = None;
        let item = |(mut letter, record): (Rerun, Received)| {
            // The first of its key: earlier ones have left.
            let first = before.as_ref() != Some(&letter.key);
            before = Some(letter.key.clone());
            letter.discard = discard && first && letter.poison;
            let read = if letter.discard { Ok(None) } else { consumer::read(&self.unit.decider, &record) };
            let (input, cause) = match read {
                Ok(Some((input, cause))) => (Ok(Some(input)), Some(cause)),
                Ok(None) => (Ok(None), None),
                Err(poison) => (Err(poison), None),
            };
            let cause = cause.unwrap_or_else(|| consumer::cause_of_unread::<D>(letter.event_id, &record));
            Item { origin: Origin::Letter(letter), input, cause }
        };
        letters.into_iter().map(item).collect()
    }

    /// Frees keys that no poison holds up: what waited behind one that is gone, after a crash for example. Then
    /// tries again what is to be tried by itself.
    async fn sweep(&self, link: &mut Link) -> sqlx::Result<()> {
        let connection = link.get().await?;
        self.sweep_where(connection, "first.status = 'waiting'", "nothing holds the key up").await?;
        let Some(AutoRedrive { attempts, after }) = self.auto else { return Ok(()) };
        let due = format!(
            "first.attempt <= {attempts} and tried_at + make_interval(secs =>
                 least({} * 2 ^ least(first.attempt - 1, 20), 3600)) <= clock_timestamp()",
            after.as_secs_f64()
        );
        self.sweep_where(connection, &due, "tried again by itself").await
    }

    async fn sweep_where(
        &self,
        connection: &mut PgConnection,
        condition: &str,
        reason: &str,
    ) -> sqlx::Result<()> {
        let sql = format!(
            "select k.key from engine.parked_key k
             cross join lateral (select status, attempt from engine.dead_letter d
                 where d.consumer = k.consumer and d.key = k.key order by dead_letter_id limit 1) first
             where consumer = $1 and {condition} order by k.key limit $2"
        );
        let by = Arc::new(By { actor: format!("service:{}", D::SERVICE), reason: reason.to_owned() });
        let until = Instant::now() + TURN;
        while Instant::now() < until {
            let query = sqlx::query_scalar(sqlx::AssertSqlSafe(sql.clone()));
            let keys: Vec<Vec<u8>> =
                query.bind(D::SERVICE).bind(KEYS as i64).fetch_all(&mut *connection).await?;
            if keys.is_empty() {
                break;
            }
            let mut total = Redriven::default();
            self.rerun(connection, keys, &by, false, until, &mut total).await?;
            tracing::info!(?total, reason, "dead letters were run again");
        }
        Ok(())
    }

    fn count(&self, fate: Fate) {
        let outcome = KeyValue::new("outcome", fate.name());
        self.unit.metrics.redriven.add(1, &[self.unit.metrics.service.clone(), outcome]);
    }
}
