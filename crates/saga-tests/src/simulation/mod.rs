//! The four real deciders in memory, under an adversarial scheduler drawn from a seed.
//!
//! Between keys and topics messages come in any order; any message may come again, from any point on; a
//! process may crash before its commit, between commit and offset, and between publishing and deleting; the
//! relay may begin again; a deadline may be due at any moment; the provider may answer, do the work without
//! answering, or do nothing. Then all faults stop, what is left is done, and the laws are checked.

mod node;
mod provider;
mod verdict;

use std::{collections::BTreeMap, fmt::Write as _};

use events::{Aggregate, Currency, Money, OrderId, Timestamp};
use fastrand::Rng;
use inventory::Inventory;
use order::{Orders, PlaceOrder};
use payment::Payments;
use shipping::{Carrier, Shipments};
use uuid::Uuid;

use self::{
    node::{Applied, Ids, Log, Node, Service},
    provider::Provider,
};

/// One run: its services, its log, its provider, and what was done so far.
pub struct Simulation {
    rng: Rng,
    ids: Ids,
    log: Log,
    order: Node<Orders>,
    inventory: Node<Inventory>,
    payment: Node<Payments>,
    shipping: Node<Shipments>,
    provider: Provider,
    /// How far each service has stored its offsets, by key.
    positions: BTreeMap<(usize, Aggregate, String), usize>,
    orders: Vec<OrderId>,
    /// Of a thousand chances, how many deadlines take to be due early.
    haste: u32,
    trace: Vec<String>,
}

/// What a run has exercised, to see that the scheduler does its work.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    pub delivered: usize,
    pub cancelled: usize,
    pub duplicates: usize,
    pub refunds: usize,
}

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
const STEPS: usize = 160;
const NODES: usize = 4;

/// Runs a seed; the error is the law that was broken and all that led to it.
pub fn run(seed: u64) -> Result<Tally, String> {
    let mut simulation = Simulation::new(seed);
    let mut tally = Tally::default();
    let outcome = simulation.play(&mut tally).and_then(|()| simulation.verdict(&mut tally));
    outcome.map(|()| tally).map_err(|broken| {
        let mut story = format!("seed {seed}: {broken}\n");
        for step in &simulation.trace {
            let _ = writeln!(story, "  {step}");
        }
        story
    })
}

/// The clock stands still: nothing in the saga may depend on how long things take.
fn now() -> Timestamp {
    Timestamp::UNIX_EPOCH
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let delay = std::time::Duration::from_secs(rng.u64(0..2));
        let haste = [0, 0, 5, 40][rng.usize(0..4)];
        Self {
            rng,
            ids: Ids::default(),
            log: Log::new(),
            order: Node::new(Orders::default()),
            inventory: Node::new(Inventory::default()),
            payment: Node::new(Payments),
            shipping: Node::new(Shipments { carrier: Carrier::Simulated { delay } }),
            provider: Provider::default(),
            positions: BTreeMap::new(),
            orders: Vec::new(),
            haste,
            trace: Vec::new(),
        }
    }

    fn node(&mut self, index: usize) -> &mut dyn Service {
        match index {
            0 => &mut self.order,
            1 => &mut self.inventory,
            2 => &mut self.payment,
            _ => &mut self.shipping,
        }
    }

    fn play(&mut self, tally: &mut Tally) -> Result<(), String> {
        self.open_shop()?;
        self.settle()?;
        for _ in 0..STEPS {
            self.step(tally)?;
        }
        // The faults are over: what is left to do is done, and what never came is given up by its deadline.
        self.settle()?;
        while let Some((index, deadline)) = self.any_deadline() {
            self.due(index, &deadline)?;
            self.settle()?;
        }
        Ok(())
    }

    fn open_shop(&mut self) -> Result<(), String> {
        for sku in SKUS {
            let (sku, delta) = (sku.parse().expect("a SKU"), self.rng.i32(2..14));
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
    fn step(&mut self, tally: &mut Tally) -> Result<(), String> {
        match self.rng.u8(0..100) {
            0..4 => self.place(),
            4 if self.rng.u8(0..3) == 0 => self.cancel(),
            5..34 => {
                let (index, delete) = (self.rng.usize(0..NODES), self.rng.u8(0..8) > 0);
                self.relay(index, delete);
                Ok(())
            }
            34..74 => self.deliver(tally),
            74..78 => {
                self.rewind();
                Ok(())
            }
            _ if self.rng.u32(0..1_000) < self.haste => match self.any_deadline() {
                Some((index, deadline)) => self.due(index, &deadline),
                None => Ok(()),
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
        let Some(order_id) = self.rng.choice(&self.orders).copied() else { return Ok(()) };
        let applied = self.order.apply(&order::Input::Cancel(order_id, None), &self.ids, now())?;
        self.trace.push(format!("cancel {order_id}: {applied:?}"));
        Ok(())
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
    fn unread(&self) -> Vec<(usize, Aggregate, String)> {
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

    fn deliver(&mut self, tally: &mut Tally) -> Result<(), String> {
        let unread = self.unread();
        let Some(at) = self.rng.choice(&unread).cloned() else { return Ok(()) };
        // Of a crash before the commit nothing is left; of one before the offset the transaction is.
        match self.rng.u8(0..10) {
            0 => Ok(()),
            1 => self.receive(&at, false, tally),
            _ => self.receive(&at, true, tally),
        }
    }

    fn receive(
        &mut self,
        at: &(usize, Aggregate, String),
        store: bool,
        tally: &mut Tally,
    ) -> Result<(), String> {
        let (index, aggregate, key) = at;
        let position = self.positions.get(at).copied().unwrap_or(0);
        let message = self.log[&(*aggregate, key.clone())][position].clone();
        let ids = std::mem::take(&mut self.ids);
        let applied = self.node(*index).receive(&message, &ids, now());
        self.ids = ids;
        let name = self.node(*index).name();
        self.trace
            .push(format!("{name} takes {} {} of {key}: {applied:?}", message.r#type, message.sequence));
        tally.duplicates += usize::from(applied? == Applied::Duplicate);
        if store {
            self.positions.insert(at.clone(), position + 1);
        }
        Ok(())
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
        let Some((id, effect)) = self.rng.choice(&effects) else { return Ok(()) };
        match self.rng.u8(0..10) {
            // Nothing was done, nothing was answered.
            0..2 => Ok(()),
            // The work was done, and the answer was lost.
            2..4 => {
                self.trace.push(format!("the answer to {} is lost", effect.request));
                self.provider.perform(*id, &effect.request).map(drop)
            }
            _ => self.answer(*id, &effect.request),
        }
    }

    fn answer(&mut self, id: Uuid, request: &str) -> Result<(), String> {
        let (order_id, answer) = self.provider.perform(id, request)?;
        self.trace.push(format!("the provider answers {request}: {answer:?}"));
        self.payment.answer(id, &payment::Input::Answered(order_id, answer), &self.ids, now()).map(drop)
    }

    fn any_deadline(&mut self) -> Option<(usize, (String, &'static str))> {
        let mut deadlines = Vec::new();
        for index in 0..NODES {
            deadlines.extend(self.node(index).deadlines().into_iter().map(|it| (index, it)));
        }
        self.rng.choice(&deadlines).cloned()
    }

    fn due(&mut self, index: usize, deadline: &(String, &'static str)) -> Result<(), String> {
        let ids = std::mem::take(&mut self.ids);
        let applied = self.node(index).due(deadline, &ids, now());
        self.ids = ids;
        self.trace.push(format!("{} of {} is due: {applied:?}", deadline.1, deadline.0));
        applied.map(drop)
    }

    /// Does all that is left to do, without a fault.
    fn settle(&mut self) -> Result<(), String> {
        let mut unnoticed = Tally::default();
        loop {
            let mut moved = false;
            for index in 0..NODES {
                while self.relay(index, true) {
                    moved = true;
                }
            }
            for at in self.unread() {
                self.receive(&at, true, &mut unnoticed)?;
                moved = true;
            }
            for (id, effect) in self.payment.effects() {
                self.answer(id, &effect.request)?;
                moved = true;
            }
            if !moved {
                return Ok(());
            }
        }
    }
}
