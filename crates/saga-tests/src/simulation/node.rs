//! A service in memory: its real decider over a world that holds all its aggregates.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

use engine::{Arrival, Deadline, Decider, Declined, Effect};
use events::EventType;
use uuid::Uuid;

use super::{Broken, log::Message, now, pairs::Pair};

/// What became of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Applied {
    Done,
    Duplicate,
    Refused,
}

/// A service of the simulation, whatever its decider.
pub(super) trait Service {
    fn name(&self) -> &'static str;
    /// Whether this is an event that it reads.
    fn handles(&mut self, message: &Message) -> bool;
    /// Takes an event in, as one transaction; `Err` is poison.
    fn receive(&mut self, message: &Message) -> Result<Applied, Broken>;
    /// The first row of the outbox; with `delete` it is taken out.
    fn relay(&mut self, delete: bool) -> Option<Message>;
    fn deadlines(&self) -> &BTreeSet<(String, &'static str)>;
    /// Takes a deadline in, if it is still set.
    fn due(&mut self, deadline: &(String, &'static str)) -> Result<Applied, Broken>;
    fn outbox_is_empty(&self) -> bool;
    /// Every state that a decision was made in, with what it was about.
    fn met(&self) -> &BTreeSet<Pair>;
}

pub(super) struct Node<D: Decider> {
    decider: D,
    pub(super) world: D::World,
    inbox: HashSet<Uuid>,
    outbox: VecDeque<Message>,
    deadlines: BTreeSet<(String, &'static str)>,
    pub(super) effects: BTreeMap<Uuid, Effect>,
    /// The last id that was given out: the same in every run of a schedule.
    ids: u128,
    handled: HashMap<&'static str, bool>,
    pair: fn(&D::World, &D::Input) -> Pair,
    met: BTreeSet<Pair>,
}

impl<D: Decider<World: Default>> Node<D> {
    /// Ids are taken from `ids` on, so that no two services give out the same.
    pub(super) fn new(decider: D, ids: u128, pair: fn(&D::World, &D::Input) -> Pair) -> Self {
        Self {
            decider,
            world: D::World::default(),
            inbox: HashSet::new(),
            outbox: VecDeque::new(),
            deadlines: BTreeSet::new(),
            effects: BTreeMap::new(),
            ids,
            handled: HashMap::new(),
            pair,
            met: BTreeSet::new(),
        }
    }

    /// Takes an input in, as one transaction: all that follows is there together, or nothing is.
    pub(super) fn apply(&mut self, input: &D::Input) -> Result<Applied, Broken> {
        self.met.insert((self.pair)(&self.world, input));
        let decision = match self.decider.decide(&self.world, input, now()) {
            Ok(decision) => decision,
            Err(Declined::Refused(_)) => return Ok(Applied::Refused),
            Err(Declined::Impossible(reason)) => {
                let about = format!("{:?}", (self.pair)(&self.world, input));
                return Err(Broken::new(format!("poison for {}: {reason}", D::SERVICE), about));
            }
        };
        for event in decision.events {
            self.decider.evolve(&mut self.world, &event);
            if let Some(it) = self.decider.publish(&self.world, &event) {
                let id = self.next_id();
                self.outbox.push_back(Message {
                    id,
                    aggregate: it.aggregate,
                    key: it.key,
                    r#type: it.r#type,
                    sequence: it.sequence,
                    data: it.data,
                });
            }
        }
        for effect in decision.effects {
            let id = self.next_id();
            self.effects.insert(id, effect);
        }
        for change in decision.deadlines {
            match change {
                Deadline::Set { key, kind, .. } => drop(self.deadlines.insert((key, kind))),
                Deadline::Clear { key, kind } => drop(self.deadlines.remove(&(key, kind))),
            }
        }
        Ok(Applied::Done)
    }

    fn next_id(&mut self) -> Uuid {
        self.ids += 1;
        Uuid::from_u128(self.ids)
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

    fn handles(&mut self, message: &Message) -> bool {
        if let Some(known) = self.handled.get(message.r#type) {
            return *known;
        }
        let handles = !matches!(self.read(message), Ok(None));
        self.handled.insert(message.r#type, handles);
        handles
    }

    fn receive(&mut self, message: &Message) -> Result<Applied, Broken> {
        if self.inbox.contains(&message.id) {
            return Ok(Applied::Duplicate);
        }
        let read = self.read(message).map_err(|error| Broken::new("unreadable", error))?;
        self.inbox.insert(message.id);
        read.map_or(Ok(Applied::Done), |input| self.apply(&input))
    }

    fn relay(&mut self, delete: bool) -> Option<Message> {
        if delete { self.outbox.pop_front() } else { self.outbox.front().cloned() }
    }

    fn deadlines(&self) -> &BTreeSet<(String, &'static str)> {
        &self.deadlines
    }

    fn due(&mut self, deadline: &(String, &'static str)) -> Result<Applied, Broken> {
        if !self.deadlines.remove(deadline) {
            return Ok(Applied::Duplicate);
        }
        let (key, kind) = deadline;
        let input = self.decider.due(kind, key);
        self.apply(&input.ok_or_else(|| Broken::new("a deadline of nobody's", *kind))?)
    }

    fn outbox_is_empty(&self) -> bool {
        self.outbox.is_empty()
    }

    fn met(&self) -> &BTreeSet<Pair> {
        &self.met
    }
}
