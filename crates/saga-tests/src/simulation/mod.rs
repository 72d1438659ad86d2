//! The four real deciders in memory, under an adversarial scheduler drawn from a seed.
//!
//! Between keys and topics messages come in any order; any message may come again, from any point on; a
//! process may crash before its commit, between commit and offset, and between publishing and deleting; the
//! relay may begin again; a service may be far behind in a topic; reservations, confirmations and carriers may be
//! due, customers cancel, and people move parcels, goods and money by hand, at any moment; the provider may answer,
//! do the work without answering, do nothing, or be silent until all else is over. Then all faults stop, what is
//! left is done, and the laws are checked: those of the end at the end, and after every step those that hold at
//! every moment.
//!
//! What happens is data, step by step. So a schedule that breaks a law can be run again with parts of it left
//! out, until nothing is left that the law could do without: that is the [`Failure`] that is shown.

mod log;
mod moment;
mod node;
mod pairs;
mod perform;
mod provider;
mod rest;
mod schedule;
mod setting;
mod shrink;
mod step;
mod verdict;

use std::{collections::BTreeMap, fmt};

use engine::Decider;
use events::{OrderId, Timestamp};
use fastrand::Rng;
use inventory::Inventory;
use order::Orders;
use payment::Payments;
use shipping::Shipments;

use self::{
    log::Log,
    node::{Node, Service},
    provider::Provider,
    schedule::Scheduler,
    setting::Setting,
    step::Step,
};
pub use self::{
    pairs::{Pair, State},
    shrink::Failure,
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

/// What runs have exercised: to see that the scheduler does its work.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Tally {
    /// How often something has happened, by its name.
    pub times: BTreeMap<&'static str, usize>,
    /// In how many runs each service has met an input in a state.
    pub met: BTreeMap<(&'static str, Pair), usize>,
}

impl Tally {
    fn count(&mut self, what: &'static str, times: usize) {
        *self.times.entry(what).or_default() += times;
    }

    /// Counts another run's in.
    pub fn add(&mut self, other: Self) {
        other.times.into_iter().for_each(|(what, times)| self.count(what, times));
        other.met.into_iter().for_each(|(pair, runs)| *self.met.entry(pair).or_default() += runs);
    }
}

/// A law that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Broken {
    law: String,
    about: String,
}

impl Broken {
    fn new(law: impl Into<String>, about: impl Into<String>) -> Self {
        Self { law: law.into(), about: about.into() }
    }

    fn of(order: OrderId, law: &str, about: impl fmt::Debug) -> Self {
        Self::new(law, format!("order {order}: {about:?}"))
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.law, self.about)
    }
}

/// One run: its services, its log, its provider, and what was done so far.
struct Simulation<C: Cast> {
    setting: Setting,
    services: Services<C>,
    log: Log,
    provider: Provider,
    /// The numbers of those that were placed.
    orders: Vec<u8>,
    /// Of each product, what came in.
    received: [i64; log::SKUS.len()],
    done: Vec<Step>,
    /// The same in words, where somebody will read it.
    trace: Option<Vec<String>>,
    tally: Tally,
}

struct Services<C: Cast> {
    order: Node<C::Order>,
    inventory: Node<C::Inventory>,
    payment: Node<C::Payment>,
    shipping: Node<C::Shipping>,
}

const NODES: usize = 4;

/// Runs a seed; the error is the law that was broken and the least that leads to it.
pub fn run(seed: u64) -> Result<Tally, Box<Failure>> {
    run_with(seed, |real| real)
}

/// Runs a seed with deciders of one's own.
pub fn run_with<C: Cast>(seed: u64, cast: impl Fn(Real) -> C) -> Result<Tally, Box<Failure>> {
    let (mut scheduler, mut simulation) = drawn(seed, &cast);
    let outcome = scheduler.play(&mut simulation).and_then(|()| simulation.verdict());
    match outcome {
        Ok(()) => Ok(simulation.tallied()),
        Err(broken) => Err(shrink::minimal(seed, &simulation, &broken, &cast).into()),
    }
}

/// All that happens in a seed's run, in words.
pub fn trace(seed: u64) -> Vec<String> {
    let (mut scheduler, mut simulation) = drawn(seed, &|real| real);
    simulation.trace = Some(Vec::new());
    let end = match scheduler.play(&mut simulation) {
        Ok(()) => "at rest".to_owned(),
        Err(broken) => broken.to_string(),
    };
    simulation.trace.into_iter().flatten().chain([end]).collect()
}

fn drawn<C: Cast>(seed: u64, cast: &impl Fn(Real) -> C) -> (Scheduler, Simulation<C>) {
    let mut rng = Rng::with_seed(seed);
    let setting = Setting::drawn(&mut rng);
    (Scheduler::new(rng), Simulation::new(setting, cast))
}

/// The clock stands still: nothing in the saga may depend on how long things take.
fn now() -> Timestamp {
    Timestamp::UNIX_EPOCH
}

impl<C: Cast> Services<C> {
    fn new(cast: C) -> Self {
        let parts = cast.parts();
        Self {
            order: Node::new(parts.order, 0, pairs::of_order),
            inventory: Node::new(parts.inventory, 1 << 64, pairs::of_inventory),
            payment: Node::new(parts.payment, 2 << 64, pairs::of_payment),
            shipping: Node::new(parts.shipping, 3 << 64, pairs::of_shipping),
        }
    }

    fn get(&mut self, index: usize) -> &mut dyn Service {
        match index {
            0 => &mut self.order,
            1 => &mut self.inventory,
            2 => &mut self.payment,
            _ => &mut self.shipping,
        }
    }

    fn peek(&self, index: usize) -> &dyn Service {
        match index {
            0 => &self.order,
            1 => &self.inventory,
            2 => &self.payment,
            _ => &self.shipping,
        }
    }
}

impl<C: Cast> Simulation<C> {
    /// A shop that has opened, in which nothing has happened.
    fn new(setting: Setting, cast: &impl Fn(Real) -> C) -> Self {
        let real = Deciders {
            order: Orders::default(),
            inventory: Inventory { reservation_ttl: setting.reservation_ttl },
            payment: Payments,
            shipping: Shipments { carrier: setting.carrier },
        };
        let mut it = Self {
            setting,
            services: Services::new(cast(real)),
            log: Log::new(),
            provider: Provider::default(),
            orders: Vec::new(),
            received: Default::default(),
            done: Vec::new(),
            trace: None,
            tally: Tally::default(),
        };
        it.open().expect("no law is broken by opening");
        it
    }

    fn open(&mut self) -> Result<(), Broken> {
        for (sku, delta) in self.setting.stock.into_iter().enumerate() {
            self.perform(Step::Describe { sku, currency: "USD" })?;
            self.perform(Step::Adjust { sku, delta })?;
        }
        self.settle(|_| false)?;
        self.done.clear();
        Ok(())
    }

    fn tallied(mut self) -> Tally {
        for index in 0..NODES {
            let service = self.services.peek(index);
            let met = service.met().iter().map(|pair| ((service.name(), *pair), 1));
            self.tally.met.extend(met);
        }
        self.tally
    }
}
