//! What happens next: one step of the scheduler's choice.

use events::{Currency, Money, OrderId};
use order::{PlaceOrder, State};
use uuid::Uuid;

use super::{
    Cast, NODES, Position, Simulation,
    node::{Applied, Service as _},
    now,
};

const SKUS: [&str; 2] = ["MUG-01", "TEA-02"];
const TOKENS: [&str; 8] = [
    "pm_card_visa",
    "pm_card_visa",
    "pm_card_visa",
    "pm_card_visa",
    "pm_card_visa",
    "pm_card_visa",
    "pm_card_chargeDeclined",
    "pm_card_captureFails",
];

impl<C: Cast> Simulation<C> {
    pub(super) fn open_shop(&mut self) -> Result<(), String> {
        for sku in SKUS {
            let (sku, delta) = (sku.parse().expect("a SKU"), self.rng.i32(3..20));
            let price = Money { amount: 1_999, currency: Currency::USD };
            for input in [
                inventory::Input::Describe { sku: Clone::clone(&sku), name: "a product".into(), price },
                inventory::Input::Adjust { sku, delta, reason: "goods received".into() },
            ] {
                self.inventory.apply(&input, &self.ids, now())?;
            }
        }
        Ok(())
    }

    /// One step of the scheduler's choice.
    pub(super) fn step(&mut self) -> Result<(), String> {
        match self.rng.u8(0..100) {
            0..4 => self.place(),
            4 | 5 if self.rng.u8(0..3) < self.mood.regret => self.cancel(),
            6..34 => {
                let waiting: Vec<_> = (0..NODES).filter(|it| !self.node(*it).outbox_is_empty()).collect();
                let Some(index) = self.rng.choice(waiting) else { return self.deliver() };
                let delete = self.rng.u8(0..8) > 0;
                self.relay(index, delete);
                Ok(())
            }
            34..76 => self.deliver(),
            76..78 => {
                self.rewind();
                Ok(())
            }
            _ if self.rng.u32(0..1_000) < self.mood.haste => match self.any_deadline() {
                Some((index, deadline)) => self.due(index, &deadline),
                None => self.deliver(),
            },
            _ => self.ask_provider(),
        }
    }

    fn place(&mut self) -> Result<(), String> {
        if self.orders.len() == 4 {
            return Ok(());
        }
        let order_id = OrderId(self.ids.next());
        let skus = self.rng.choose_multiple(SKUS, self.rng.clone().usize(1..=2));
        let token = TOKENS[self.rng.usize(0..TOKENS.len())];
        let input = order::Input::Place(Box::new(PlaceOrder {
            order_id,
            customer: events::Customer {
                id: "c-1".parse().expect("an id"),
                name: "Ada".into(),
                email: "ada@example.com".into(),
            },
            currency: Currency::USD,
            lines: skus.iter().map(|sku| (sku.parse().expect("a SKU"), self.rng.u32(1..4))).collect(),
            ship_to: events::Address {
                name: "Ada".into(),
                line1: "12 Analytical St".into(),
                line2: None,
                city: "London".into(),
                postal_code: "N1".into(),
                country: "GB".into(),
            },
            payment_method: token.into(),
        }));
        self.trace.push(format!("place {order_id} paying with {token}"));
        if self.order.apply(&input, &self.ids, now())? == Applied::Done {
            self.orders.push(order_id);
        }
        Ok(())
    }

    fn cancel(&mut self) -> Result<(), String> {
        // Those that are confirmed, or even sent, are the ones to be late for.
        let left =
            |it: &OrderId| self.shipping.world.shipments.get(it).is_some_and(|it| it.parcel().is_some());
        let confirmed: Vec<_> = self.orders.iter().copied().filter(|it| self.is_confirmed(it)).collect();
        let sent: Vec<_> = confirmed.iter().copied().filter(left).collect();
        let mut whose = [sent, confirmed, self.orders.clone()].into_iter().filter(|it| !it.is_empty());
        let last = usize::from(self.rng.bool()) + usize::from(self.rng.bool());
        let whose = whose.nth(last).unwrap_or_else(|| self.orders.clone());
        let Some(order_id) = self.rng.choice(whose) else { return Ok(()) };
        let applied = self.order.apply(&order::Input::Cancel(order_id, None), &self.ids, now())?;
        self.trace.push(format!("cancel {order_id}: {applied:?}"));
        Ok(())
    }

    fn is_confirmed(&self, id: &OrderId) -> bool {
        matches!(self.order.world.orders.get(id).map(|it| &it.state), Some(State::Confirmed { .. }))
    }

    /// Publishes the first row of an outbox. Without `delete` the relay has crashed in between: it will
    /// publish the row again.
    fn relay(&mut self, index: usize, delete: bool) -> bool {
        let Some(message) = self.node(index).relay(delete) else { return false };
        let end = if delete { "" } else { ", and crashes" };
        self.trace.push(format!("publish {} {} of {}{end}", message.r#type, message.sequence, message.key));
        self.log.entry((message.aggregate, message.key.clone())).or_default().push(message);
        true
    }

    /// Where there is something to read: service, topic and key.
    fn unread(&self) -> Vec<Position> {
        let mut unread = Vec::new();
        for ((aggregate, key), messages) in &self.log {
            for index in 0..NODES {
                let at = (index, *aggregate, key.clone());
                if self.positions.get(&at).copied().unwrap_or(0) < messages.len() {
                    unread.push(at);
                }
            }
        }
        unread
    }

    fn deliver(&mut self) -> Result<(), String> {
        let unread = self.unread();
        let Some(at) = self.rng.choice(&unread).cloned() else { return Ok(()) };
        // Of a crash before the commit nothing is left; of one before the offset the transaction is.
        let store = match self.rng.u8(0..10) {
            0 => return Ok(()),
            1 => false,
            _ => true,
        };
        // What a service does not handle costs it nothing, nor a step.
        while self.receive(&at, store)? == Applied::NotHandled && self.is_unread(&at) {}
        Ok(())
    }

    fn is_unread(&self, at: &Position) -> bool {
        let (_, aggregate, key) = at;
        self.positions.get(at).copied().unwrap_or(0) < self.log[&(*aggregate, key.clone())].len()
    }

    fn receive(&mut self, at: &Position, store: bool) -> Result<Applied, String> {
        let (index, aggregate, key) = at;
        let position = self.positions.get(at).copied().unwrap_or(0);
        let message = self.log[&(*aggregate, key.clone())][position].clone();
        let ids = std::mem::take(&mut self.ids);
        let applied = self.node(*index).receive(&message, &ids, now());
        self.ids = ids;
        if !matches!(applied, Ok(Applied::NotHandled)) {
            let (name, r#type, sequence) = (self.node(*index).name(), message.r#type, message.sequence);
            self.trace.push(format!("{name} takes {type} {sequence} of {key}: {applied:?}"));
        }
        let applied = applied?;
        self.tally.count("duplicate", usize::from(applied == Applied::Duplicate));
        if store || applied == Applied::NotHandled {
            self.positions.insert(at.clone(), position + 1);
        }
        self.moment().map(|()| applied)
    }

    /// A rebalance or an operator puts a service back to the beginning of a key.
    fn rewind(&mut self) {
        let keys: Vec<_> = self.positions.keys().cloned().collect();
        if let Some(at) = self.rng.choice(&keys) {
            self.trace.push(format!("rewind {at:?}"));
            self.positions.insert(at.clone(), 0);
        }
    }

    fn ask_provider(&mut self) -> Result<(), String> {
        let effects = self.payment.effects();
        let Some((id, effect)) = self.rng.choice(&effects) else { return self.deliver() };
        match self.rng.u8(0..10) {
            // Nothing was done, nothing was answered.
            0..2 => Ok(()),
            // The work was done, and the answer was lost.
            2.. if self.is_silent(*id) || self.rng.u8(0..4) == 0 => {
                self.trace.push(format!("the answer to {} is lost", effect.request));
                self.provider.perform(*id, &effect.request).map(drop)
            }
            _ => self.answer(*id, &effect.request),
        }
    }

    /// Whether the provider answers a call only when all else is over.
    fn is_silent(&self, call: Uuid) -> bool {
        call.as_u128() % 10 < self.mood.silence
    }

    fn answer(&mut self, id: Uuid, request: &str) -> Result<(), String> {
        let (order_id, answer) = self.provider.perform(id, request)?;
        self.trace.push(format!("the provider answers {request}: {answer:?}"));
        let input = payment::Input::Answered(order_id, answer);
        self.payment.answer(id, &input, &self.ids, now())?;
        self.moment()
    }

    pub(super) fn any_deadline(&mut self) -> Option<(usize, (String, &'static str))> {
        let mut deadlines = Vec::new();
        for index in 0..NODES {
            deadlines.extend(self.node(index).deadlines().into_iter().map(|it| (index, it)));
        }
        // An order waits for its confirmation from the beginning: the others are to have their chance, and most of
        // all the reservations of orders that are confirmed.
        let (reservations, others) = (self.rng.bool(), self.rng.bool());
        let crossed =
            |key: &str, kind| kind == "reservation" && self.is_confirmed(&key.parse().expect("an order"));
        if reservations && deadlines.iter().any(|(_, (key, kind))| crossed(key, *kind)) {
            deadlines.retain(|(_, (key, kind))| crossed(key, *kind));
        }
        if others && deadlines.iter().any(|it| it.1.1 != "confirmation") {
            deadlines.retain(|it| it.1.1 != "confirmation");
        }
        self.rng.choice(&deadlines).cloned()
    }

    pub(super) fn due(&mut self, index: usize, deadline: &(String, &'static str)) -> Result<(), String> {
        let ids = std::mem::take(&mut self.ids);
        let applied = self.node(index).due(deadline, &ids, now());
        self.ids = ids;
        self.trace.push(format!("{} of {} is due: {applied:?}", deadline.1, deadline.0));
        applied?;
        self.moment()
    }

    /// Does all that is left to do, without a fault; with `silence` the provider goes on with its own.
    pub(super) fn settle(&mut self, silence: bool) -> Result<(), String> {
        loop {
            let mut moved = false;
            for index in 0..NODES {
                while self.relay(index, true) {
                    moved = true;
                }
            }
            for at in self.unread() {
                self.receive(&at, true)?;
                moved = true;
            }
            for (id, effect) in self.payment.effects() {
                if silence && self.is_silent(id) {
                    continue;
                }
                self.answer(id, &effect.request)?;
                moved = true;
            }
            if !moved {
                return Ok(());
            }
        }
    }
}
