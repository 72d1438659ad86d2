//! A way through the model, as it is told to people.

use std::fmt::Write as _;

use serde_json::Value;
use stateright::Model as _;

use super::{
    saga::{Action, ORDER, PAYMENT, Saga, State},
    shop,
};

impl Saga {
    /// What happens along a way from the beginning, and what the services tell of it.
    pub(super) fn story(&self, actions: &[Action]) -> String {
        let mut story = String::new();
        let mut state = self.init_states()[0];
        for action in actions {
            let _ = write!(story, "  {}", self.words(&state, *action));
            if let Some(next) = self.next_state(&state, *action) {
                for event in self.told(&state, &next) {
                    let _ = write!(story, " -> {event}");
                }
                state = next;
            }
            story.push('\n');
        }
        story
    }

    fn words(&self, state: &State, action: Action) -> String {
        let name = |service: usize| self.part(service).name();
        let event = |of: usize, place: usize| {
            self.messages.get(self.part(of).desk(state.disks[of]).outbox[place]).name
        };
        match action {
            Action::Place => "the customer orders".into(),
            Action::Cancel => "the customer cancels".into(),
            Action::Relay(of) => format!("{} is relayed", event(of, usize::from(state.relayed[of]))),
            Action::Take { by, record } => {
                format!("{} takes {}", name(by), event(record.topic, record.place))
            }
            Action::Back { by, topic, to } => format!("{} is put back to {}", name(by), event(topic, to)),
            Action::Due { of, kind } => format!("{}: {kind} is due", name(of)),
            Action::Work(key) => format!("the provider does {}, its answer is lost", self.call(state, key)),
            Action::Answer(key) => format!("the provider answers {}", self.call(state, key)),
            Action::ByHand(entry) => format!("{entry} at the provider's own desk"),
            Action::Carry(leg) => format!("the carrier: {leg:?}"),
        }
    }

    fn call(&self, state: &State, key: u8) -> String {
        let desk = self.part(PAYMENT).desk(state.disks[PAYMENT]);
        let request = desk.calls.get(&key).and_then(|it| serde_json::from_str::<Value>(it).ok());
        request.map_or_else(|| "nothing".into(), |it| it["call"].to_string())
    }

    /// The order's end: how it stands, and the last word of each of the others.
    pub(super) fn end(&self, state: &State) -> String {
        let [_, others @ ..] = self.desks(state);
        let words = others.iter().filter_map(|it| it.outbox.last()).map(|it| self.messages.get(*it).name);
        let order = self.order.disk(state.disks[ORDER]);
        let order = match order.world.orders.get(&shop::ORDER_ID).map(|it| &it.state) {
            Some(order::State::Cancelled { reason, .. }) => format!("cancelled, {reason:?}"),
            Some(order::State::Delivered { .. }) => "delivered".into(),
            _ => "on its way".into(),
        };
        format!("{order}: {}", words.collect::<Vec<_>>().join(", "))
    }

    /// What the outboxes of a state have that those of an earlier one have not.
    fn told(&self, before: &State, after: &State) -> Vec<&'static str> {
        let (before, after) = (self.desks(before), self.desks(after));
        let new = before.iter().zip(&after).flat_map(|(old, new)| &new.outbox[old.outbox.len()..]);
        new.map(|it| self.messages.get(*it).name).collect()
    }
}
