//! Commands, answers and due deadlines: one queue, committed in groups.
//!
//! What is submitted while a transaction is under way goes into the next one together, so that an idle
//! service adds no wait and a busy one shares its commits.

use std::{sync::Arc, time::Duration};

use bus::crash::{self, Crash};
use opentelemetry::KeyValue;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::{
    mpsc::{self, error::TrySendError},
    oneshot,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    database::Link,
    deadline::DeadlineId,
    decider::{Cause, Decider},
    idempotency::IdempotencyKey,
    metrics::Metrics,
    shedding::Valve,
    unit::{Item, Origin, Outcome, Unit},
};

/// Why a command was not carried out.
#[derive(Debug)]
pub enum Rejected<R> {
    /// The decider refused it.
    Refused(R),
    /// Its idempotency key was used for something else.
    KeyReused,
    /// The queue is full: try again later.
    Overloaded,
    /// More waits to be published than may: nothing new is begun until that is less. What ends or undoes
    /// something is carried out.
    Congested,
    /// Somebody else is at work for long on what it concerns. It was not carried out.
    Busy,
    /// The database is away, or the service is stopping. Whether the command was carried out is not known;
    /// asked again under the same idempotency key it is carried out once.
    Unavailable,
    /// It cannot be carried out; the reason is for the log, not for the client.
    Failed(String),
}

type Answer<D> = Result<Option<<D as Decider>::Reply>, Rejected<<D as Decider>::Refusal>>;

pub(crate) struct Submission<D: Decider> {
    item: Item<D>,
    answer: oneshot::Sender<Answer<D>>,
}

/// Where commands are submitted; cheap to clone.
pub struct Commands<D: Decider> {
    queue: mpsc::Sender<Submission<D>>,
    valve: Valve,
    metrics: Metrics,
}

impl<D: Decider> Clone for Commands<D> {
    fn clone(&self) -> Self {
        let Self { queue, valve, metrics } = self;
        Self { queue: queue.clone(), valve: valve.clone(), metrics: metrics.clone() }
    }
}

impl<D: Decider> Commands<D> {
    pub(crate) fn new(depth: usize, valve: Valve, metrics: Metrics) -> (Self, mpsc::Receiver<Submission<D>>) {
        let (queue, submissions) = mpsc::channel(depth);
        (Self { queue, valve, metrics }, submissions)
    }

    /// Carries out a command and returns the decider's reply, once it is committed.
    pub async fn submit(
        &self,
        input: D::Input,
        cause: Cause,
        key: Option<IdempotencyKey>,
    ) -> Result<D::Reply, Rejected<D::Refusal>> {
        if self.valve.is_shut() && D::sheds(&input) {
            count(&self.metrics, "congested");
            return Err(Rejected::Congested);
        }
        let item = Item { origin: Origin::Command { key }, input: Ok(Some(input)), cause };
        let (answer, answered) = oneshot::channel();
        self.queue.try_send(Submission { item, answer }).map_err(|error| match error {
            TrySendError::Full(_) => {
                count(&self.metrics, "overloaded");
                Rejected::Overloaded
            }
            TrySendError::Closed(_) => Rejected::Unavailable,
        })?;
        let reply = answered.await.unwrap_or(Err(Rejected::Unavailable))?;
        reply.ok_or_else(|| Rejected::Failed("the decider has no reply to this command".into()))
    }

    /// Applies the answer of an effect; `Err` says why it has to be asked again.
    pub(crate) async fn submit_answer(&self, id: Uuid, input: D::Input, cause: Cause) -> Result<(), String> {
        self.wait(Item { origin: Origin::Effect(id), input: Ok(Some(input)), cause }).await
    }

    /// Hands in a deadline that seems to be due; `Err` says why it could not be taken.
    pub(crate) async fn submit_due(
        &self,
        id: DeadlineId,
        input: D::Input,
        cause: Cause,
    ) -> Result<(), String> {
        self.wait(Item { origin: Origin::Deadline(id), input: Ok(Some(input)), cause }).await
    }

    async fn wait(&self, item: Item<D>) -> Result<(), String> {
        let (answer, answered) = oneshot::channel();
        let stopping = || "the service is stopping".to_owned();
        self.queue.send(Submission { item, answer }).await.map_err(|_| stopping())?;
        match answered.await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(Rejected::Failed(error))) => Err(error),
            Ok(Err(Rejected::Busy)) => Err("somebody else holds its aggregate".to_owned()),
            Ok(Err(_)) => Err("the database is not available".to_owned()),
            Err(_) => Err(stopping()),
        }
    }
}

/// How long a new attempt at the database is put off after a failed one, so that an outage is answered with
/// refusals and not with a queue.
const PAUSE: Duration = Duration::from_millis(50);

/// A row that somebody holds for longer is not waited for: all that is submitted goes through this one connection.
const LOCK_TIMEOUT: &str = "1s";

/// Carries out what is submitted, until `shutdown` and until the queue is empty then.
pub(crate) async fn run<D: Decider>(
    mut queue: mpsc::Receiver<Submission<D>>,
    unit: Arc<Unit<D>>,
    options: PgConnectOptions,
    batch_size: usize,
    shutdown: CancellationToken,
) {
    let mut link = Link::new(options.options([("lock_timeout", LOCK_TIMEOUT)]));
    let mut waiting = Vec::with_capacity(batch_size);
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled(), if !queue.is_closed() => queue.close(),
            count = queue.recv_many(&mut waiting, batch_size) => {
                if count == 0 {
                    return;
                }
                let (mut items, answers): (Vec<_>, Vec<_>) =
                    waiting.drain(..).map(|it| (it.item, it.answer)).unzip();
                if !carry_out(&unit, &mut link, &mut items, answers).await {
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

/// Answers each submission with what became of it. `false`: the database was not available.
async fn carry_out<D: Decider>(
    unit: &Unit<D>,
    link: &mut Link,
    items: &mut [Item<D>],
    answers: Vec<oneshot::Sender<Answer<D>>>,
) -> bool {
    let mut outcomes = Vec::with_capacity(items.len());
    let result = unit.run(link, items, &mut outcomes).await;
    if let Err(error) = &result {
        tracing::warn!(%error, count = answers.len() - outcomes.len(), "commands not carried out");
    }
    let is_done = |(item, outcome): (&Item<D>, &Outcome<D>)| {
        matches!((&item.origin, outcome), (Origin::Command { .. }, Outcome::Done(_)))
    };
    if items.iter().zip(&outcomes).any(is_done) {
        crash::point(Crash::AfterCommand);
    }
    // Outcomes there are for a beginning of the items: those whose transaction has committed.
    let mut outcomes = outcomes.into_iter();
    for answer in answers {
        let outcome = match outcomes.next() {
            Some(Outcome::Done(reply)) => Ok(reply),
            Some(Outcome::Duplicate | Outcome::Parked | Outcome::Settled(_)) => Ok(None),
            Some(Outcome::Refused(refusal)) => Err(Rejected::Refused(refusal)),
            Some(Outcome::KeyReused) => Err(Rejected::KeyReused),
            Some(Outcome::Failed(error)) => Err(Rejected::Failed(error)),
            Some(Outcome::Busy) => Err(Rejected::Busy),
            None => Err(Rejected::Unavailable),
        };
        let named = match &outcome {
            Ok(_) => "done",
            Err(Rejected::Refused(_) | Rejected::KeyReused) => "refused",
            Err(Rejected::Failed(_)) => "failed",
            Err(Rejected::Busy) => "busy",
            Err(Rejected::Overloaded | Rejected::Congested | Rejected::Unavailable) => "unavailable",
        };
        count(&unit.metrics, named);
        let _ = answer.send(outcome);
    }
    result.is_ok()
}

fn count(metrics: &Metrics, outcome: &'static str) {
    metrics.commands.add(1, &[metrics.service.clone(), KeyValue::new("outcome", outcome)]);
}
