//! A service of the model: its real decider, and what the engine keeps beside its world.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    hash::{Hash, Hasher},
    sync::Arc,
};

use engine::{Arrival, Deadline, Decided, Decider, Declined, Publication, Timestamp};
use events::EventType;

use super::{
    interned::{Interned, Remembered},
    saga::SERVICES,
};

/// How a decider decides: in its own way, or with the mistake that is to be seen.
pub type Decide<D> = fn(&D, &<D as Decider>::World, &<D as Decider>::Input, Timestamp) -> Decided<D>;

/// The clock stands still: nothing in the saga may depend on how long things take.
const NOW: Timestamp = Timestamp::UNIX_EPOCH;

/// An event as it is on its topic. Its sequence is its place there.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Message {
    pub(super) r#type: &'static str,
    pub(super) name: &'static str,
    data: Vec<u8>,
}

/// A message on a topic: the topic, its place there, and its number among all messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Record {
    pub(super) topic: usize,
    pub(super) place: usize,
    pub(super) message: u32,
}

/// What the engine keeps for the service in the same database.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Desk {
    /// All that was ever put into the outbox: the service's topic, as far as it is relayed.
    pub(super) outbox: Vec<u32>,
    /// By topic, the places of what was taken, in the order of being taken.
    pub(super) inbox: [Vec<usize>; SERVICES],
    pub(super) deadlines: BTreeSet<&'static str>,
    /// The calls that have no answer, by idempotency key.
    pub(super) calls: BTreeMap<u8, String>,
    keys: u8,
    /// What can never be: the message would be a dead letter, and nobody goes on from here.
    pub(super) broken: Option<String>,
}

/// All that a service has on disk.
pub(super) struct Disk<W> {
    pub(super) world: W,
    pub(super) desk: Arc<Desk>,
    /// Worlds are compared by this: it shows all there is of them. The one map without an order in them, of prices, is
    /// written once and then cloned as it is; were it shown otherwise, there would be more states, and none missing.
    shown: String,
}

impl<W: Debug> Disk<W> {
    fn new(world: W, desk: Desk) -> Self {
        Self { shown: format!("{world:?}"), world, desk: Arc::new(desk) }
    }
}

impl<W> PartialEq for Disk<W> {
    fn eq(&self, other: &Self) -> bool {
        self.desk == other.desk && self.shown == other.shown
    }
}

impl<W> Eq for Disk<W> {}

impl<W> Hash for Disk<W> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.desk.hash(hasher);
        self.shown.hash(hasher);
    }
}

/// What sets a service off; with the disk it says all that the outcome depends on.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Cause {
    Record(Record),
    Deadline(&'static str),
    /// Of the call with this key, by the provider with these books.
    Answer(u8, u32),
    Command(&'static str),
}

/// A service whose disks are known by number. Its decider is pure, and so is asked once what follows from a cause
/// on each of them.
pub(super) struct Service<D: Decider> {
    decider: D,
    decide: Decide<D>,
    /// Whether what was taken before is dropped.
    inbox: bool,
    disks: Interned<Disk<D::World>>,
    steps: Remembered<(u32, Cause), u32>,
    handled: Remembered<u32, bool>,
    messages: Arc<Interned<Message>>,
}

/// A service, whatever its decider.
pub(super) trait Part {
    fn name(&self) -> &'static str;
    fn desk(&self, at: u32) -> Arc<Desk>;
    fn handles(&self, message: u32) -> bool;
    /// Takes a record in, as one transaction; one that it has taken before changes nothing.
    fn take(&self, at: u32, record: Record) -> u32;
    /// Takes a deadline in that is set.
    fn due(&self, at: u32, kind: &'static str) -> u32;
}

impl<D: Decider<World: Clone + Debug + Default>> Service<D> {
    pub(super) fn new(decider: D, decide: Decide<D>, inbox: bool, messages: &Arc<Interned<Message>>) -> Self {
        let (disks, steps, handled) = (Interned::new(), Remembered::new(), Remembered::new());
        Self { decider, decide, inbox, disks, steps, handled, messages: Arc::clone(messages) }
    }

    /// The disk that all begins with, after `inputs`, and what was told of them.
    pub(super) fn open(&self, inputs: &[D::Input]) -> (u32, Vec<Publication>) {
        let mut world = D::World::default();
        let mut told = Vec::new();
        for input in inputs {
            let Ok(decision) = self.decider.decide(&world, input, NOW) else { panic!("the shop opens") };
            for event in decision.events {
                self.decider.evolve(&mut world, &event);
                told.extend(self.decider.publish(&world, &event));
            }
        }
        (self.disks.number(Disk::new(world, Desk::default())), told)
    }

    pub(super) fn disk(&self, at: u32) -> Arc<Disk<D::World>> {
        self.disks.get(at)
    }

    pub(super) fn command(&self, at: u32, name: &'static str, input: &D::Input) -> u32 {
        self.step(at, Cause::Command(name), |_| Ok(Some(input)))
    }

    /// Takes the answer of a call in; one that was answered before changes nothing.
    pub(super) fn answer(&self, at: u32, (key, books): (u8, u32), input: &D::Input) -> u32 {
        self.step(at, Cause::Answer(key, books), |desk| Ok(desk.calls.remove(&key).map(|_| input)))
    }

    /// One transaction: all that follows is on the disk after it, or nothing is.
    fn step<I: std::borrow::Borrow<D::Input>>(
        &self,
        at: u32,
        cause: Cause,
        input: impl FnOnce(&mut Desk) -> Result<Option<I>, String>,
    ) -> u32 {
        self.steps.or((at, cause), || {
            let before = self.disks.get(at);
            let (mut world, mut desk) = (before.world.clone(), Desk::clone(&before.desk));
            let outcome = input(&mut desk).and_then(|input| match input {
                Some(input) => self.apply(&mut world, &mut desk, input.borrow()),
                None => Ok(()),
            });
            if let Err(reason) = outcome {
                world = before.world.clone();
                desk =
                    Desk { broken: Some(format!("{}: {reason}", D::SERVICE)), ..Desk::clone(&before.desk) };
            }
            self.disks.number(Disk::new(world, desk))
        })
    }

    fn apply(&self, world: &mut D::World, desk: &mut Desk, input: &D::Input) -> Result<(), String> {
        let decision = match (self.decide)(&self.decider, world, input, NOW) {
            Ok(decision) => decision,
            Err(Declined::Refused(_)) => return Ok(()),
            Err(Declined::Impossible(reason)) => return Err(format!("poison: {reason}")),
        };
        for event in decision.events {
            self.decider.evolve(world, &event);
            if let Some(it) = self.decider.publish(world, &event) {
                desk.put(it, &self.messages)?;
            }
        }
        for effect in decision.effects {
            desk.calls.insert(desk.keys, effect.request);
            desk.keys += 1;
        }
        for change in decision.deadlines {
            match change {
                Deadline::Set { kind, .. } => desk.deadlines.insert(kind),
                Deadline::Clear { kind, .. } => desk.deadlines.remove(kind),
            };
        }
        Ok(())
    }

    fn read(&self, message: &Message) -> Result<Option<D::Input>, String> {
        let event_type = EventType::parse(message.r#type).map_err(|error| error.to_string())?;
        let arrival = Arrival { name: event_type.name, version: event_type.version, data: &message.data };
        self.decider.read(&arrival).map_err(|error| error.to_string())
    }
}

impl Desk {
    /// Appends to the outbox: an order's events are numbered without a gap, and each is told once.
    fn put(&mut self, it: Publication, messages: &Interned<Message>) -> Result<(), String> {
        let expected = self.outbox.len() as i64 + 1;
        if it.sequence != expected {
            return Err(format!("{} is number {}, not {expected}", it.r#type, it.sequence));
        }
        let name = EventType::parse(it.r#type).map_err(|error| error.to_string())?.name;
        if self.outbox.iter().any(|told| messages.get(*told).name == name) {
            return Err(format!("{name} is told twice"));
        }
        self.outbox.push(messages.number(Message { r#type: it.r#type, name, data: it.data }));
        Ok(())
    }
}

impl<D: Decider<World: Clone + Debug + Default>> Part for Service<D> {
    fn name(&self) -> &'static str {
        D::SERVICE
    }

    fn desk(&self, at: u32) -> Arc<Desk> {
        Arc::clone(&self.disks.get(at).desk)
    }

    fn handles(&self, message: u32) -> bool {
        // What is handled and cannot be read is poison when it is taken.
        self.handled.or(message, || !matches!(self.read(&self.messages.get(message)), Ok(None)))
    }

    fn take(&self, at: u32, record: Record) -> u32 {
        self.step(at, Cause::Record(record), |desk| {
            let inbox = &mut desk.inbox[record.topic];
            if !inbox.contains(&record.place) {
                inbox.push(record.place);
            } else if self.inbox {
                return Ok(None);
            }
            self.read(&self.messages.get(record.message))
        })
    }

    fn due(&self, at: u32, kind: &'static str) -> u32 {
        self.step(at, Cause::Deadline(kind), |desk| {
            desk.deadlines.remove(kind);
            let input = self.decider.due(kind, &super::shop::ORDER_ID.to_string());
            input.map(Some).ok_or_else(|| format!("no deadline is called {kind}"))
        })
    }
}
