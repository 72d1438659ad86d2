//! The four real deciders in memory, under an adversarial scheduler drawn from a seed.
//!
//! Between keys and topics messages come in any order; any message may come again, from any point on; a
//! process may crash before its commit, between commit and offset, and between publishing and deleting; the
//! relay may begin again; reservations, confirmations and carriers may be due, and customers cancel, at any
//! moment; the provider may answer, do the work without answering, do nothing, or be silent until all else is
//! over. Then all faults stop, what is left is done, and the laws are checked: those of the end at the end, and
//! after every step those that hold at every moment.

mod moment;
mod node;
mod provider;
mod schedule;
mod verdict;

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use engine::Decider;
use events::{Aggregate, OrderId, Timestamp};
use fastrand::Rng;
use inventory::Inventory;
use order::Orders;
use payment::Payments;
use shipping::{Carrier, Shipments};

use self::{
    node::{Ids, Log, Node, Service},
    provider::Provider,
};

/// Who plays the four parts: the real deciders, or what a test has made of one of them to see it caught.
pub trait Cast {
    type Order: Decider<Input = order::Input, World = order::World>;
    type Inventory: Decider<Input = inventory::Input, World = inventory::World>;
    type Payment: Decider<Input = payment::Input, World = payment::World>;
    type Shipping: Decider<Input = shipping::Input, World = shipping::World>;

    fn parts(self) -> Deciders<Self::Order, Self::Inventory, Self::Payment, Self::Shipping>;
}

/// One decider for each part.
pub struct Deciders<O, I, P, S> {
    pub order: O,
    pub inventory: I,
    pub payment: P,
    pub shipping: S,
}

/// Those that the services run.
pub type Real = Deciders<Orders, Inventory, Payments, Shipments>;

impl<O, I, P, S> Cast for Deciders<O, I, P, S>
where
    O: Decider<Input = order::Input, World = order::World>,
    I: Decider<Input = inventory::Input, World = inventory::World>,
    P: Decider<Input = payment::Input, World = payment::World>,
    S: Decider<Input = shipping::Input, World = shipping::World>,
{
    type Order = O;
    type Inventory = I;
    type Payment = P;
    type Shipping = S;

    fn parts(self) -> Self {
        self
    }
}

/// What a run has exercised, by name: to see that the scheduler does its work.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Tally(pub BTreeMap<&'static str, usize>);

impl Tally {
    fn count(&mut self, what: &'static str, times: usize) {
        *self.0.entry(what).or_default() += times;
    }
}

/// One run: its services, its log, its provider, and what was done so far.
struct Simulation<C: Cast> {
    rng: Rng,
    mood: Mood,
    ids: Ids,
    log: Log,
    order: Node<C::Order>,
    inventory: Node<C::Inventory>,
    payment: Node<C::Payment>,
    shipping: Node<C::Shipping>,
    provider: Provider,
    /// How far each service has stored its offsets, by key.
    positions: BTreeMap<Position, usize>,
    orders: Vec<OrderId>,
    trace: Vec<String>,
    tally: Tally,
}

/// A service, and a key of a topic that it reads.
type Position = (usize, Aggregate, String);

/// What a run has much of, and what little.
struct Mood {
    /// Of a thousand chances, how many deadlines take to be due early.
    haste: u32,
    /// Of three chances, how many customers take to cancel.
    regret: u8,
    /// Of ten calls, how many the provider answers only when all else is over.
    silence: u128,
    /// How long stock is reserved; nobody looks at the clock, only at whether there is a time.
    reservation_ttl: Option<Duration>,
    carrier_delay: Duration,
}

const STEPS: usize = 160;
const NODES: usize = 4;

/// Runs a seed; the error is the law that was broken and all that led to it.
pub fn run(seed: u64) -> Result<Tally, String> {
    run_with(seed, |real| real)
}

/// Runs a seed with deciders of one's own.
pub fn run_with<C: Cast>(seed: u64, cast: impl FnOnce(Real) -> C) -> Result<Tally, String> {
    let mut rng = Rng::with_seed(seed);
    let mood = Mood::drawn(&mut rng);
    let real = Deciders {
        order: Orders::default(),
        inventory: Inventory { reservation_ttl: mood.reservation_ttl },
        payment: Payments,
        shipping: Shipments { carrier: Carrier::Simulated { delay: mood.carrier_delay } },
    };
    let mut simulation = Simulation::new(rng, mood, cast(real));
    let outcome = simulation.play().and_then(|()| simulation.verdict());
    match outcome {
        Ok(()) => Ok(simulation.tally),
        Err(broken) => {
            let mut story = format!("seed {seed}: {broken}\n");
            for step in &simulation.trace {
                let _ = writeln!(story, "  {step}");
            }
            Err(story)
        }
    }
}

/// The clock stands still: nothing in the saga may depend on how long things take.
fn now() -> Timestamp {
    Timestamp::UNIX_EPOCH
}

impl Mood {
    fn drawn(rng: &mut Rng) -> Self {
        Self {
            haste: [0, 5, 40, 200][rng.usize(0..4)],
            regret: rng.u8(0..4),
            silence: [0, 0, 2, 5][rng.usize(0..4)],
            reservation_ttl: [None, Some(Duration::from_secs(3_600))][rng.usize(0..2)],
            carrier_delay: Duration::from_secs(rng.u64(0..2)),
        }
    }
}

impl<C: Cast> Simulation<C> {
    fn new(rng: Rng, mood: Mood, cast: C) -> Self {
        let parts = cast.parts();
        Self {
            rng,
            mood,
            ids: Ids::default(),
            log: Log::new(),
            order: Node::new(parts.order),
            inventory: Node::new(parts.inventory),
            payment: Node::new(parts.payment),
            shipping: Node::new(parts.shipping),
            provider: Provider::default(),
            positions: BTreeMap::new(),
            orders: Vec::new(),
            trace: Vec::new(),
            tally: Tally::default(),
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

    fn play(&mut self) -> Result<(), String> {
        self.open_shop()?;
        self.settle(false)?;
        for _ in 0..STEPS {
            self.step()?;
        }
        // The faults are over: what is left to do is done, and what never came is given up by its deadline. Then
        // also the calls are answered that the provider was silent about.
        self.come_to_rest(true)?;
        self.come_to_rest(false)
    }

    fn come_to_rest(&mut self, silence: bool) -> Result<(), String> {
        self.settle(silence)?;
        while let Some((index, deadline)) = self.any_deadline() {
            self.due(index, &deadline)?;
            self.settle(silence)?;
        }
        Ok(())
    }
}
