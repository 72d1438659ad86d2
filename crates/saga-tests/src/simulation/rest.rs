//! How a run comes to rest, and how a schedule is run again.

use uuid::Uuid;

use super::{Broken, Cast, NODES, Simulation, log::number, step::Step};

/// More rounds than any order takes to its end.
const ROUNDS: usize = 100;

impl<C: Cast> Simulation<C> {
    /// Does all that is left to do, without a fault; what the provider is silent about is left.
    pub(super) fn settle(&mut self, is_silent: impl Fn(Uuid) -> bool) -> Result<(), Broken> {
        for _ in 0..ROUNDS {
            let mut moved = false;
            for service in 0..NODES {
                while self.perform(Step::Publish { service, delete: true })? {
                    moved = true;
                }
            }
            for from in self.log.unread() {
                moved |= self.perform(Step::Take { from, store: true })?;
            }
            let calls = self.services.payment.effects.iter().filter(|it| !is_silent(*it.0));
            let orders: Vec<_> = calls.filter_map(|it| number(&it.1.key)).collect();
            for order in orders {
                moved |= self.perform(Step::Ask { order, answered: true })?;
            }
            if !moved {
                return Ok(());
            }
        }
        Err(Broken::new("no rest", format!("after {ROUNDS} rounds")))
    }

    /// What is left for people to do, where nobody else moves the parcels.
    pub(super) fn by_hand(&self) -> Option<Step> {
        let shipments = &self.services.shipping.world.shipments;
        let ready =
            shipments.values().find_map(|it| Some((number(&it.order_id.to_string())?, it.next_leg()?)));
        ready.map(|(order, leg)| Step::Hand(order, leg))
    }

    fn first_deadline(&self) -> Option<Step> {
        let mut set = (0..NODES).flat_map(|index| self.services.peek(index).deadlines());
        set.find_map(|(key, kind)| Some(Step::Due { order: number(key)?, kind }))
    }

    /// Does what was chosen, and then what is left; returns how many of the choices were still there to be made.
    pub(super) fn replay(&mut self, steps: &[Step]) -> (usize, Result<(), Broken>) {
        for step in steps {
            if let Err(broken) = self.perform(*step) {
                return (self.done.len(), Err(broken));
            }
        }
        let chosen = self.done.len();
        (chosen, self.come_to_rest().and_then(|()| self.verdict()))
    }

    fn come_to_rest(&mut self) -> Result<(), Broken> {
        self.settle(|_| false)?;
        while let Some(step) = self.first_deadline().or_else(|| self.by_hand()) {
            self.perform(step)?;
            self.settle(|_| false)?;
        }
        Ok(())
    }
}
