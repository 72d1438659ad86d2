//! A service in memory: its real decider over a world that holds all its aggregates.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet, VecDeque},
    sync::atomic::{AtomicU64, Ordering},
};

use engine::{Arrival, Deadline, Decider, Declined, Effect};
use events::{Aggregate, EventType, Timestamp};
use uuid::Uuid;

/// An event on the log.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) id: Uuid,
    pub(super) aggregate: Aggregate,
    pub(super) key: String,
    pub(super) r#type: &'static str,
    pub(super) sequence: i64,
    pub(super) data: Vec<u8>,
}

/// The log: an order of its own for every key of every topic, and none between them.
pub(super) type Log = BTreeMap<(Aggregate, String), Vec<Message>>;

/// Ids that are the same in every run of a seed.
#[derive(Debug, Default)]
pub(super) struct Ids(AtomicU64);

impl Ids {
    pub(super) fn next(&self) -> Uuid {
        Uuid::from_u128(u128::from(self.0.fetch_add(1, Ordering::Relaxed)) + 1)
    }
}

/// What became of an input.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Applied {
    Done,
    Duplicate,
    NotHandled,
    Refused,
}

/// A service of the simulation, whatever its decider.
pub(super) trait Service {
    fn name(&self) -> &'static str;
    /// Takes an event in, as one transaction; `Err` is poison.
    fn receive(&mut self, message: &Message, ids: &Ids, at: Timestamp) -> Result<Applied, String>;
    /// The first row of the outbox; with `delete` it is taken out.
    fn relay(&mut self, delete: bool) -> Option<Message>;
    fn deadlines(&self) -> Vec<(String, &'static str)>;
    /// Takes a deadline in, if it is still set.
    fn due(&mut self, deadline: &(String, &'static str), ids: &Ids, at: Timestamp)
    -> Result<Applied, String>;
    fn effects(&self) -> Vec<(Uuid, Effect)>;
    fn outbox_is_empty(&self) -> bool;
}

pub(super) struct Node<D: Decider> {
    decider: D,
    pub(super) world: D::World,
    inbox: HashSet<Uuid>,
    outbox: VecDeque<Message>,
    deadlines: BTreeSet<(String, &'static str)>,
    effects: BTreeMap<Uuid, Effect>,
}

impl<D: Decider<World: Default>> Node<D> {
    pub(super) fn new(decider: D) -> Self {
        Self {
            decider,
            world: D::World::default(),
            inbox: HashSet::new(),
            outbox: VecDeque::new(),
            deadlines: BTreeSet::new(),
            effects: BTreeMap::new(),
        }
    }

    /// Takes an input in, as one transaction: all that follows is there together, or nothing is.
    pub(super) fn apply(&mut self, input: &D::Input, ids: &Ids, at: Timestamp) -> Result<Applied, String> {
        let decision = match self.decider.decide(&self.world, input, at) {
            Ok(decision) => decision,
            Err(Declined::Refused(_)) => return Ok(Applied::Refused),
            Err(Declined::Impossible(reason)) => return Err(format!("{}: poison: {reason}", D::SERVICE)),
        };
        for event in decision.events {
            self.decider.evolve(&mut self.world, &event);
            if let Some(it) = self.decider.publish(&self.world, &event) {
                self.outbox.push_back(Message {
                    id: ids.next(),
                    aggregate: it.aggregate,
                    key: it.key,
                    r#type: it.r#type,
                    sequence: it.sequence,
                    data: it.data,
                });
            }
        }
        self.effects.extend(decision.effects.into_iter().map(|effect| (ids.next(), effect)));
        for change in decision.deadlines {
            match change {
                Deadline::Set { key, kind, .. } => drop(self.deadlines.insert((key, kind))),
                Deadline::Clear { key, kind } => drop(self.deadlines.remove(&(key, kind))),
            }
        }
        Ok(Applied::Done)
    }

    /// Takes the answer of an effect in; one that was answered before changes nothing.
    pub(super) fn answer(
        &mut self,
        id: Uuid,
        input: &D::Input,
        ids: &Ids,
        at: Timestamp,
    ) -> Result<Applied, String> {
        match self.effects.remove(&id) {
            Some(_) => self.apply(input, ids, at),
            None => Ok(Applied::Duplicate),
        }
    }

    fn read(&self, message: &Message) -> Result<Option<D::Input>, String> {
        let event_type = EventType::parse(message.r#type).map_err(|error| error.to_string())?;
        let arrival = Arrival { name: event_type.name, version: event_type.version, data: &message.data };
        self.decider.read(&arrival).map_err(|error| error.to_string())
    }
}

impl<D: Decider<World: Default>> Service for Node<D> {
    fn name(&self) -> &'static str {
        D::SERVICE
    }

    fn receive(&mut self, message: &Message, ids: &Ids, at: Timestamp) -> Result<Applied, String> {
        let Some(input) = self.read(message)? else { return Ok(Applied::NotHandled) };
        if !self.inbox.insert(message.id) {
            return Ok(Applied::Duplicate);
        }
        self.apply(&input, ids, at)
    }

    fn relay(&mut self, delete: bool) -> Option<Message> {
        if delete { self.outbox.pop_front() } else { self.outbox.front().cloned() }
    }

    fn deadlines(&self) -> Vec<(String, &'static str)> {
        self.deadlines.iter().cloned().collect()
    }

    fn due(
        &mut self,
        deadline: &(String, &'static str),
        ids: &Ids,
        at: Timestamp,
    ) -> Result<Applied, String> {
        if !self.deadlines.remove(deadline) {
            return Ok(Applied::Duplicate);
        }
        let (key, kind) = deadline;
        let input = self.decider.due(kind, key).ok_or_else(|| format!("no deadline is called {kind}"))?;
        self.apply(&input, ids, at)
    }

    fn effects(&self) -> Vec<(Uuid, Effect)> {
        self.effects.iter().map(|(id, effect)| (*id, effect.clone())).collect()
    }

    fn outbox_is_empty(&self) -> bool {
        self.outbox.is_empty()
    }
}
