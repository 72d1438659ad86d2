use std::{borrow::Cow, future::Future};

use bus::Trace;
use events::{Aggregate, Event, Timestamp, Unreadable};
use serde::{Serialize, de::DeserializeOwned};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{Deadline, Effect, Writes};

/// A service's part: pure decisions over a world of aggregates that the engine has locked and loaded.
///
/// Per batch the engine calls [`load`](Self::load) once, then for each input in order of arrival
/// [`decide`](Self::decide) and, for each event decided, [`evolve`](Self::evolve); then
/// [`save`](Self::save) once. A later input of the batch sees what earlier ones did.
pub trait Decider: Send + Sync + 'static {
    /// Everything that can happen to this service; a closed enum.
    type Input: Send + Sync + 'static;
    /// The facts it records.
    type Event: Send + Sync + 'static;
    /// The aggregates of one batch, in memory.
    type World: Send + Sync;
    /// What a command that was carried out is answered with.
    type Reply: Serialize + DeserializeOwned + Send + 'static;
    /// Why a command was not carried out.
    type Refusal: Send + 'static;

    /// The service's name: its inbox consumer, its consumer group, the `source` of its events.
    const SERVICE: &'static str;
    /// The kinds of deadlines that it knows. One of another kind is left alone, and counted.
    const DEADLINES: &'static [&'static str] = &[];

    /// Reads an event of the log; `None` is an event that this service does not handle, told by its name
    /// alone.
    fn read(&self, event: &Arrival<'_>) -> Result<Option<Self::Input>, Unreadable>;

    /// The input that a deadline of `kind` set for `key` stands for; `None` when it cannot be read.
    fn due(&self, _kind: &str, _key: &str) -> Option<Self::Input> {
        None
    }

    /// Whether a command begins something new, which is put off while the log cannot follow. What ends or
    /// undoes something is always let in.
    fn sheds(_input: &Self::Input) -> bool {
        false
    }

    /// Locks every aggregate that `inputs` touch, in the order of their keys, and reads them.
    fn load(
        &self,
        tx: &mut PgConnection,
        inputs: &[&Self::Input],
    ) -> impl Future<Output = sqlx::Result<Self::World>> + Send;

    /// What follows from `input`. Pure: the clock is `at`. A business refusal of an event's demand is an
    /// event itself; [`Declined`] is for commands and for what can never be.
    fn decide(&self, world: &Self::World, input: &Self::Input, at: Timestamp) -> Decided<Self>;

    /// Applies a decided event to the world. Pure and infallible.
    fn evolve(&self, world: &mut Self::World, event: &Self::Event);

    /// The answer to a command, from the world after its events.
    fn reply(&self, world: &Self::World, input: &Self::Input) -> Option<Self::Reply>;

    /// What of `event` is for others to read, from the world after it was applied.
    fn publish(&self, world: &Self::World, event: &Self::Event) -> Option<Publication>;

    /// Adds what changed to what the transaction writes: each row once, as it is after all events.
    fn save(&self, writes: &mut Writes, world: &Self::World, events: &[Recorded<Self::Event>]);

    /// The world of a batch whose transaction has committed, for who keeps some of it at hand.
    fn committed(&self, _world: Self::World) {}
}

/// The result of [`Decider::decide`].
pub type Decided<D> = Result<Decision<<D as Decider>::Event>, Declined<<D as Decider>::Refusal>>;

/// What follows from an input; empty for a duplicate or for one that comes too late.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision<E> {
    pub events: Vec<E>,
    pub effects: Vec<Effect>,
    pub deadlines: Vec<Deadline>,
}

impl<E> Decision<E> {
    pub fn nothing() -> Self {
        Self { events: Vec::new(), effects: Vec::new(), deadlines: Vec::new() }
    }

    pub fn events(events: impl IntoIterator<Item = E>) -> Self {
        Self { events: events.into_iter().collect(), ..Self::nothing() }
    }

    #[must_use]
    pub fn with_effect(mut self, effect: Effect) -> Self {
        self.effects.push(effect);
        self
    }

    #[must_use]
    pub fn with_deadline(mut self, deadline: Deadline) -> Self {
        self.deadlines.push(deadline);
        self
    }
}

/// Why nothing follows from an input, though something should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Declined<R> {
    /// The command is refused; its sender is told.
    Refused(R),
    /// This can never be, whenever it is tried: the message is poison.
    Impossible(String),
}

/// An event of the log that is about to be read.
pub struct Arrival<'a> {
    /// The type's name without prefix and version: `order.placed`.
    pub name: &'a str,
    pub version: u32,
    pub data: &'a [u8],
}

impl Arrival<'_> {
    /// The event's data, as the version that this code speaks.
    pub fn data<E: Event>(&self) -> Result<E, Unreadable> {
        E::decode(self.version, self.data)
    }
}

/// Who or what set something off: it becomes the causation, correlation and trace of all that follows.
#[derive(Debug, Clone)]
pub struct Cause {
    /// The id of the event, the command, or the effect.
    pub id: Uuid,
    /// The same from the first request to the last event that follows from it.
    pub correlation_id: Uuid,
    /// `service:order`, `customer:c-1`, `operator:jane`.
    pub actor: Cow<'static, str>,
    pub trace: Trace<'static>,
}

/// A decided event as it is written down.
#[derive(Debug, Clone)]
pub struct Recorded<E> {
    /// UUIDv7. A published event is published under this id.
    pub id: Uuid,
    pub event: E,
    pub at: Timestamp,
    pub correlation_id: Uuid,
    pub causation_id: Uuid,
    pub actor: Cow<'static, str>,
}

/// An event on its way to the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    pub aggregate: Aggregate,
    /// The aggregate's id: the record's key.
    pub key: String,
    pub r#type: &'static str,
    /// Counts the published events of this aggregate from 1, without a gap.
    pub sequence: i64,
    pub data: Vec<u8>,
}

impl Publication {
    /// Serialises `event`, the `sequence`-th that its aggregate publishes.
    pub fn of<E: Event>(event: &E, sequence: i64) -> Self {
        // An event is a plain struct of strings, numbers and lists: there is no value that JSON lacks.
        let data = serde_json::to_vec(event).expect("an event serialises");
        Self { aggregate: E::AGGREGATE, key: event.key(), r#type: E::TYPE, sequence, data }
    }
}
