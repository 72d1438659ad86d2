//! One order, in every way that it can go: the four real deciders, model checked.
//!
//! The simulation draws schedules of several orders; here every schedule of one order is gone through, by
//! [`stateright`]: outboxes are relayed at any moment, each service takes the next event of any topic, consumers are
//! put back to any event, deadlines are due, customers cancel, the provider answers or does its work in silence.
//! In every state the laws of the moment are checked; where nothing is left to do, those of the end; and that from
//! every state every way leads to an end, once the faults are over.
//!
//! The deciders are pure, so that each is asked once what follows from an input in a state of its service; a state of
//! the whole is a handful of numbers of such states. That is why there is time for all of them.
//!
//! Absent: what the engine's own tests hold it to, such as that a transaction is whole; several orders at once.

mod graph;
mod interned;
mod laws;
mod provider;
mod saga;
mod service;
mod shop;
mod story;

use std::{collections::BTreeMap, fmt, time::Duration};

use engine::Decider as _;
use inventory::Inventory;
use order::Orders;
use payment::Payments;
use shipping::{Carrier, Shipments};
use stateright::{Checker as _, HasDiscoveries, Model as _};

pub use self::service::Decide;
use self::{graph::Graph, saga::Saga};

/// What can happen to the order; by default what may happen to any.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// The provider's token, which says what becomes of the payment.
    pub card: &'static str,
    /// Whether there is enough of all that is ordered.
    pub in_stock: bool,
    /// Whether stock is reserved for a time.
    pub reservation_ends: bool,
    pub carrier: Carrier,
    /// Whether the customer may cancel, at any moment and again.
    pub cancel: bool,
    /// Whether the times for confirmation and reservation may be over before all else is done.
    pub late: bool,
    /// Whether somebody may capture the amount, or let it go, at the provider's own desk.
    pub by_hand: bool,
    /// How many consumers at once, one of each topic of each service, may be put back to what they have taken. One
    /// that is reads on until it has caught up, and may be put back again.
    pub behind: usize,
    /// Whether an event that was taken before is dropped; without, deciders have to see for themselves.
    pub inbox: bool,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            card: "pm_card_visa",
            in_stock: true,
            reservation_ends: true,
            carrier: Carrier::Simulated { delay: Duration::from_secs(1) },
            cancel: true,
            late: true,
            by_hand: false,
            behind: 1,
            inbox: true,
        }
    }
}

/// How the four services decide: each as it does, or with a mistake that is to be caught.
#[derive(Clone, Copy)]
pub struct Minds {
    pub order: Decide<Orders>,
    pub inventory: Decide<Inventory>,
    pub payment: Decide<Payments>,
    pub shipping: Decide<Shipments>,
}

impl Default for Minds {
    fn default() -> Self {
        let (order, inventory) = (Orders::decide, Inventory::decide);
        Self { order, inventory, payment: Payments::decide, shipping: Shipments::decide }
    }
}

/// What there was to see: shown, a line for each end, with the number of states in which it is come to.
#[derive(Debug)]
pub struct Explored {
    pub states: usize,
    pub ends: BTreeMap<String, usize>,
}

/// Goes through all states of a scenario. The error is the law that is broken, and a short way to where it is: the
/// checker goes from near to far, by the block, and keeps the last that it finds in one.
pub fn explore(scenario: Scenario, minds: Minds) -> Result<Explored, String> {
    let saga = Saga::new(scenario, minds);
    let checker = saga.checker().finish_when(HasDiscoveries::Any).spawn_bfs().join();
    let saga = checker.model();
    if let Some((when, path)) = checker.discoveries().into_iter().next() {
        let at = *path.last_state();
        let broken = saga.safe(&at).and_then(|()| saga.sound_at_rest(&at)).err().unwrap_or_default();
        return Err(format!("{when}: {broken}\n{}", saga.story(&path.into_actions())));
    }
    let graph = Graph::of(saga);
    // The checker knows states by their hashes, the graph by themselves.
    let (checked, there) = (checker.unique_state_count(), graph.states.len());
    if checked != there {
        return Err(format!("{checked} states were checked, and there are {there}"));
    }
    if let Some(lost) = graph.lost() {
        return Err(format!("no end is certain from here\n{}", saga.story(&graph.way(lost))));
    }
    let mut ends = BTreeMap::new();
    for at in &graph.ends {
        *ends.entry(saga.end(&graph.states[*at])).or_default() += 1;
    }
    Ok(Explored { states: there, ends })
}

impl fmt::Display for Explored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} states", self.states)?;
        self.ends.iter().try_for_each(|(end, times)| writeln!(f, "{times} {end}"))
    }
}
