//! The four services, their topics, and everybody else who acts, as one state machine.

use std::{sync::Arc, time::Duration};

use inventory::Inventory;
use order::Orders;
use payment::{Call, Payments};
use shipping::{Carrier, Leg, Shipments};
use stateright::{Model, Property};

use super::{
    Minds, Scenario,
    interned::{Interned, Remembered},
    provider::Provider,
    service::{Desk, Message, Part, Record, Service},
    shop,
};

/// The disks of the services, how far their outboxes are relayed and their topics are read, and the provider's books.
///
/// A process that has crashed is one that does not act: what it had not committed is not on its disk. There is no
/// clock: whatever is set may be due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct State {
    pub(super) disks: [u32; SERVICES],
    pub(super) relayed: [u8; SERVICES],
    /// By reader, then by topic.
    offsets: [[u8; SERVICES]; SERVICES],
    pub(super) provider: u32,
}

pub(super) const SERVICES: usize = 4;
pub(super) const ORDER: usize = 0;
pub(super) const INVENTORY: usize = 1;
pub(super) const PAYMENT: usize = 2;
pub(super) const SHIPPING: usize = 3;

/// The deadlines that end an order or its stock; the others are the carrier's, who always comes.
const LIMITS: [&str; 2] = ["confirmation", "reservation"];

/// Services, each with a topic that it may read.
fn readers() -> impl Iterator<Item = (usize, usize)> {
    (0..SERVICES).flat_map(|by| (0..SERVICES).map(move |topic| (by, topic)))
}

/// What can happen. Services and topics go by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Place,
    Cancel,
    /// The next row of an outbox goes to its topic.
    Relay(usize),
    /// A service takes the next event of a topic that it handles, and stores its offset.
    Take {
        by: usize,
        record: Record,
    },
    /// A consumer is put back to an event that it has taken: its offset was not stored, its partition was somebody
    /// else's for a while, an operator wants it, or the relay has begun again and the topic repeats itself.
    Back {
        by: usize,
        topic: usize,
        to: usize,
    },
    Due {
        of: usize,
        kind: &'static str,
    },
    /// The provider does what it is asked, and its answer is lost.
    Work(u8),
    Answer(u8),
    /// Somebody captures the amount, or lets it go, at the provider's own desk.
    ByHand(&'static str),
    /// Somebody says what a parcel has done.
    Carry(Leg),
}

/// The model of a scenario.
pub(super) struct Saga {
    pub(super) scenario: Scenario,
    pub(super) order: Service<Orders>,
    pub(super) inventory: Service<Inventory>,
    pub(super) payment: Service<Payments>,
    pub(super) shipping: Service<Shipments>,
    pub(super) messages: Arc<Interned<Message>>,
    pub(super) providers: Interned<Provider>,
    answers: Remembered<(u32, u32, u8), (u32, u32)>,
    first: State,
}

impl Saga {
    pub(super) fn new(scenario: Scenario, minds: Minds) -> Self {
        let messages = Arc::new(Interned::new());
        let inventory =
            Inventory { reservation_ttl: scenario.reservation_ends.then_some(Duration::from_secs(3_600)) };
        let shipping = Shipments { carrier: scenario.carrier };
        let mut saga = Self {
            scenario,
            order: Service::new(Orders::default(), minds.order, scenario.inbox, &messages),
            inventory: Service::new(inventory, minds.inventory, scenario.inbox, &messages),
            payment: Service::new(Payments, minds.payment, scenario.inbox, &messages),
            shipping: Service::new(shipping, minds.shipping, scenario.inbox, &messages),
            messages,
            providers: Interned::new(),
            answers: Remembered::new(),
            first: State {
                disks: [0; SERVICES],
                relayed: [0; SERVICES],
                offsets: [[0; SERVICES]; SERVICES],
                provider: 0,
            },
        };
        let (inventory, told) = saga.inventory.open(&shop::stocked(&scenario));
        let (order, _) = saga.order.open(&shop::priced(&told));
        let (payment, shipping) = (saga.payment.open(&[]).0, saga.shipping.open(&[]).0);
        saga.first.disks = [order, inventory, payment, shipping];
        saga.first.provider = saga.providers.number(Provider::default());
        saga
    }

    pub(super) fn part(&self, index: usize) -> &dyn Part {
        match index {
            ORDER => &self.order,
            INVENTORY => &self.inventory,
            PAYMENT => &self.payment,
            _ => &self.shipping,
        }
    }

    pub(super) fn desks(&self, state: &State) -> [Arc<Desk>; SERVICES] {
        std::array::from_fn(|index| self.part(index).desk(state.disks[index]))
    }

    /// What brings the order on; where there is none of it, the order is at rest.
    pub(super) fn progress(&self, state: &State, actions: &mut Vec<Action>) {
        if !self.is_placed(state) {
            actions.push(Action::Place);
        }
        let desks = self.desks(state);
        for (of, desk) in desks.iter().enumerate() {
            if usize::from(state.relayed[of]) < desk.outbox.len() {
                actions.push(Action::Relay(of));
            }
            let due = desk.deadlines.iter().filter(|kind| self.scenario.late || !LIMITS.contains(kind));
            actions.extend(due.map(|kind| Action::Due { of, kind }));
        }
        for (by, topic) in readers() {
            let next = self.next(state, &desks[topic], by, topic);
            actions.extend(next.map(|record| Action::Take { by, record }));
        }
        actions.extend(desks[PAYMENT].calls.keys().map(|key| Action::Answer(*key)));
        if let (Carrier::Manual, Some(leg)) = (self.scenario.carrier, self.leg(state)) {
            actions.push(Action::Carry(leg));
        }
    }

    /// What may happen as well, and nobody may wait for.
    pub(super) fn whims(&self, state: &State, actions: &mut Vec<Action>) {
        if self.scenario.cancel && self.is_placed(state) {
            actions.push(Action::Cancel);
        }
        let desks = self.desks(state);
        actions.extend(desks[PAYMENT].calls.keys().map(|key| Action::Work(*key)));
        if self.scenario.by_hand {
            actions.extend(["capture", "cancel"].map(Action::ByHand));
        }
        if self.scenario.carrier == Carrier::Manual {
            let wrong = [Leg::Dispatch, Leg::Deliver].into_iter().filter(|it| self.leg(state) != Some(*it));
            actions.extend(wrong.map(Action::Carry));
        }
        let taken = |by: usize, topic: usize| &desks[by].inbox[topic];
        let offset = |by: usize, topic: usize| usize::from(state.offsets[by][topic]);
        let is_behind = |(by, topic)| taken(by, topic).last().is_some_and(|last| offset(by, topic) <= *last);
        let are_behind = readers().filter(|it| is_behind(*it)).count();
        for (by, topic) in readers() {
            if are_behind < self.scenario.behind || is_behind((by, topic)) {
                let earlier = taken(by, topic).iter().filter(|to| **to < offset(by, topic));
                actions.extend(earlier.map(|to| Action::Back { by, topic, to: *to }));
            }
        }
    }

    pub(super) fn is_placed(&self, state: &State) -> bool {
        state.disks[ORDER] != self.first.disks[ORDER]
    }

    fn leg(&self, state: &State) -> Option<Leg> {
        let disk = self.shipping.disk(state.disks[SHIPPING]);
        disk.world.shipments.get(&shop::ORDER_ID).and_then(|it| it.next_leg())
    }

    /// The next event of a topic that a service handles; the others cost it nothing, and no step.
    fn next(&self, state: &State, owner: &Desk, by: usize, topic: usize) -> Option<Record> {
        let mut unread = usize::from(state.offsets[by][topic])..usize::from(state.relayed[topic]);
        let place = unread.find(|place| self.part(by).handles(owner.outbox[*place]))?;
        Some(Record { topic, place, message: owner.outbox[place] })
    }

    /// What becomes of the provider and of payment when a call is performed and answered.
    fn answered(&self, state: &State, key: u8) -> (u32, u32) {
        let at = (state.provider, state.disks[PAYMENT]);
        self.answers.or((at.0, at.1, key), || {
            let desk = self.payment.desk(at.1);
            let call: Call = serde_json::from_str(&desk.calls[&key]).expect("a call");
            let (provider, answer) = self.providers.get(at.0).perform(key, &call, self.scenario.card);
            let input = payment::Input::Answered(call.order_id(), answer);
            (self.providers.number(provider), self.payment.answer(at.1, (key, at.0), &input))
        })
    }

    /// Whether what can never be has happened: nobody goes on from here.
    fn is_broken(&self, state: &State) -> bool {
        let broken = self.desks(state).iter().any(|it| it.broken.is_some());
        broken || self.providers.get(state.provider).broken.is_some()
    }
}

impl Model for Saga {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![self.first]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if !self.is_broken(state) {
            self.progress(state, actions);
            self.whims(state, actions);
        }
    }

    fn next_state(&self, before: &State, action: Action) -> Option<State> {
        let mut state = *before;
        let [order, .., shipping] = before.disks;
        match action {
            Action::Place => {
                let input = shop::place(&self.scenario);
                state.disks[ORDER] = self.order.command(order, "place", &input);
            }
            Action::Cancel => {
                let input = order::Input::Cancel(shop::ORDER_ID, None);
                state.disks[ORDER] = self.order.command(order, "cancel", &input);
            }
            Action::Relay(of) => state.relayed[of] += 1,
            Action::Take { by, record } => {
                state.disks[by] = self.part(by).take(before.disks[by], record);
                state.offsets[by][record.topic] = record.place as u8 + 1;
            }
            Action::Back { by, topic, to } => state.offsets[by][topic] = to as u8,
            Action::Due { of, kind } => state.disks[of] = self.part(of).due(before.disks[of], kind),
            Action::Work(key) => state.provider = self.answered(before, key).0,
            Action::Answer(key) => (state.provider, state.disks[PAYMENT]) = self.answered(before, key),
            Action::ByHand(entry) => {
                let provider = self.providers.get(before.provider).by_hand(entry)?;
                state.provider = self.providers.number(provider);
            }
            Action::Carry(Leg::Dispatch) => {
                let input = shipping::Input::Dispatch(shop::ORDER_ID);
                state.disks[SHIPPING] = self.shipping.command(shipping, "dispatch", &input);
            }
            Action::Carry(Leg::Deliver) => {
                let input = shipping::Input::Deliver(shop::ORDER_ID);
                state.disks[SHIPPING] = self.shipping.command(shipping, "deliver", &input);
            }
        }
        (state != *before).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("at every moment", |saga, state| saga.safe(state).is_ok()),
            Property::always("at rest", |saga, state| saga.sound_at_rest(state).is_ok()),
        ]
    }
}
