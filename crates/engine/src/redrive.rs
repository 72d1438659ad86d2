//! Redriving: dead letters are run again, in their order, through the same unit of work as everything else.

mod request;
mod turn;

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
use self::turn::{Discard, Turn};
use crate::{
    consumer,
    database::{Link, answered},
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
/// More than a turn and the transaction that it ends in.
const TURN_TIME: Duration = Duration::from_secs(25);
const SWEEP_EVERY: Duration = Duration::from_secs(2);
/// A row that somebody holds for longer is not waited for: an operator waits, and others behind them.
const LOCK_TIMEOUT: &str = "1s";

impl<D: Decider> Redrive<D> {
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        let mut link = Link::new(self.options.clone().options([("lock_timeout", LOCK_TIMEOUT)]));
        let mut sweep = tokio::time::interval(SWEEP_EVERY);
        sweep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let done = tokio::select! {
                () = shutdown.cancelled() => return,
                _ = sweep.tick() => answered(TURN_TIME, self.sweep(&mut link)).await,
                Some(request) = self.requests.recv() => answered(TURN_TIME, self.serve(&mut link, request)).await,
            };
            if let Err(error) = done {
                link.drop_connection();
                tracing::debug!(%error, "dead letters cannot be redriven");
            }
        }
    }

    async fn serve(&self, link: &mut Link, request: Request) -> sqlx::Result<()> {
        let (told, result) = match self.redrive(link, &request).await {
            Ok(told) => (told, Ok(())),
            Err(error) => (Err(RedriveError::Unavailable), Err(error)),
        };
        // Nobody may wait any more: what was done is done.
        let _ = request.answer.send(told);
        result
    }

    async fn redrive(
        &self,
        link: &mut Link,
        request: &Request,
    ) -> sqlx::Result<Result<Redriven, RedriveError>> {
        let (mut key, mut kind, mut discard) = (None, None, Discard::Nothing);
        if request.discard {
            discard = Discard::Heads;
        }
        match (&request.which, &request.from) {
            // The letter has left with the first call; this one goes on behind it.
            (Which::Id(_), Some(from)) => (key, discard) = (Some(from.clone()), Discard::Nothing),
            (Which::Id(id), None) => match self.key_of(link.get().await?, *id).await? {
                Some((_, false)) if request.discard => return Ok(Err(RedriveError::NotFirst)),
                Some((found, _)) => {
                    key = Some(found);
                    discard = if request.discard { Discard::Only(*id) } else { Discard::Nothing };
                }
                None => return Ok(Err(RedriveError::Unknown)),
            },
            (Which::Key(it), _) => key = Some(parked_as(it.as_bytes()).into_owned()),
            (Which::Type(it), _) => kind = Some(it.as_str()),
            (Which::All, _) => {}
        }
        let mut turn = Turn {
            by: Arc::new(request.by.clone()),
            discard,
            until: Instant::now() + TURN,
            asker: Some(&request.answer),
            total: Redriven::default(),
        };
        let mut next = Some(request.from.clone().unwrap_or_default());
        while let Some(from) = next.take_if(|_| !turn.is_over()) {
            let keys = self.keys(link.get().await?, key.as_deref(), kind, &from).await?;
            let mut following = keys.last().filter(|_| keys.len() == KEYS).cloned();
            // The least key that is greater.
            following.iter_mut().for_each(|it| it.push(0));
            next = self.rerun(link, keys, &mut turn).await?.or(following);
        }
        if let (Discard::Only(_), 0) = (discard, turn.total.discarded) {
            return Ok(Err(RedriveError::Unknown));
        }
        Ok(Ok(Redriven { next, ..turn.total }))
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

    /// Runs the letters of `keys` until each key is free or has failed, or until the turn is over. Returns the
    /// key at which to go on, if any.
    async fn rerun(
        &self,
        link: &mut Link,
        keys: Vec<Vec<u8>>,
        turn: &mut Turn<'_>,
    ) -> sqlx::Result<Option<Vec<u8>>> {
        let mut open: BTreeSet<Vec<u8>> = keys.into_iter().collect();
        while !open.is_empty() {
            let keys: Vec<&[u8]> = open.iter().map(Vec::as_slice).collect();
            let (limit, mutation) = (self.batch_size, self.unit.mutation);
            let connection = link.get().await?;
            let letters = dead_letter::read(connection, D::SERVICE, &keys, limit, &turn.by, mutation).await?;
            let Some((last, _)) = letters.last() else { break };
            let last = last.key.clone();
            if turn.is_over() {
                return Ok(open.pop_first());
            }
            let mut items = self.items(letters, turn.discard);
            let mut outcomes = Vec::with_capacity(items.len());
            let run = self.unit.run(link, &mut items, &mut outcomes).await;
            // Outcomes there are for what has committed, whatever came after.
            let mut moved = false;
            for (item, outcome) in items.iter().zip(outcomes) {
                let (Origin::Letter(letter), Outcome::Settled(fate)) = (&item.origin, outcome) else {
                    continue;
                };
                moved |= fate != Fate::Waiting;
                turn.total.count(fate);
                self.count(fate);
                if fate == Fate::Failed {
                    open.remove(&letter.key);
                }
            }
            run?;
            if turn.is_over() && open.contains(&last) {
                return Ok(Some(last));
            }
            if !moved {
                break;
            }
        }
        Ok(None)
    }

    fn items(&self, letters: Vec<(Rerun, Received)>, discard: Discard) -> Vec<Item<D>> {
        let mut before: Option<Vec<u8>> = None;
        let item = |(mut letter, record): (Rerun, Received)| {
            // The first of its key: earlier ones have left.
            let first = before.as_ref() != Some(&letter.key);
            before = Some(letter.key.clone());
            letter.discard = first && letter.poison && discard.means(letter.id);
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
        self.sweep_where(link, "first.status = 'waiting'", "nothing holds the key up").await?;
        let Some(AutoRedrive { attempts, after }) = self.auto else { return Ok(()) };
        let due = format!(
            "first.attempt <= {attempts} and tried_at + make_interval(secs =>
                 least({} * 2 ^ least(first.attempt - 1, 20), 3600)) <= clock_timestamp()",
            after.as_secs_f64()
        );
        self.sweep_where(link, &due, "tried again by itself").await
    }

    async fn sweep_where(&self, link: &mut Link, condition: &str, reason: &str) -> sqlx::Result<()> {
        let sql = format!(
            "select k.key from engine.parked_key k
             cross join lateral (select status, attempt from engine.dead_letter d
                 where d.consumer = k.consumer and d.key = k.key order by dead_letter_id limit 1) first
             where consumer = $1 and {condition} order by k.key limit $2"
        );
        let by = Arc::new(By { actor: format!("service:{}", D::SERVICE), reason: reason.to_owned() });
        let mut turn = Turn {
            by,
            discard: Discard::Nothing,
            until: Instant::now() + TURN,
            asker: None,
            total: Redriven::default(),
        };
        while !turn.is_over() {
            let query = sqlx::query_scalar(sqlx::AssertSqlSafe(sql.clone()));
            let keys: Vec<Vec<u8>> =
                query.bind(D::SERVICE).bind(KEYS as i64).fetch_all(link.get().await?).await?;
            if keys.is_empty() {
                break;
            }
            self.rerun(link, keys, &mut turn).await?;
            tracing::info!(total = ?turn.total, reason, "dead letters were run again");
        }
        Ok(())
    }

    fn count(&self, fate: Fate) {
        let outcome = KeyValue::new("outcome", fate.name());
        self.unit.metrics.redriven.add(1, &[self.unit.metrics.service.clone(), outcome]);
    }
}
