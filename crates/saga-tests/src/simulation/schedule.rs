//! What happens next: the scheduler's choice, drawn from the seed and from how things stand.

use fastrand::Rng;
use order::State;
use shipping::Leg;
use uuid::Uuid;

use super::{
    Broken, Cast, NODES, Simulation,
    log::{Log, ORDERS, SKUS, Unread, number, order_id},
    step::{Step, VISA},
};

const STEPS: usize = 240;

/// What is drawn as often as it stands here.
const TOKENS: [&str; 8] =
    [VISA, VISA, VISA, VISA, VISA, VISA, "pm_card_chargeDeclined", "pm_card_captureFails"];

/// Which services read which topics of an order: order, inventory, payment and shipping, in this order. Most races are
/// about what the order hears last.
const READS: [(usize, usize); 13] =
    [(0, 1), (0, 1), (0, 2), (0, 2), (0, 3), (1, 0), (1, 0), (1, 3), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2)];

pub(super) struct Scheduler {
    rng: Rng,
    mood: Mood,
}

/// What a run has much of, and what little.
struct Mood {
    /// Of a thousand chances, how many deadlines take to be due early.
    haste: u32,
    /// Of three chances, how many customers take to cancel.
    regret: u8,
    /// Of ten calls, how many the provider answers only when all else is over.
    silence: u128,
    /// Of a hundred chances, how many somebody takes to move parcels, goods and money by hand.
    hands: u8,
    /// Of a thousand steps, how many change who is behind.
    change: u32,
    /// Services that are behind in all of a topic for a while: their index, and the topic's among the four of an order.
    behind: Vec<(usize, usize)>,
}

impl Mood {
    fn drawn(rng: &mut Rng) -> Self {
        Self {
            haste: [0, 5, 40, 200][rng.usize(0..4)],
            regret: rng.u8(0..4),
            silence: [0, 0, 2, 5][rng.usize(0..4)],
            hands: [0, 10, 40][rng.usize(0..3)],
            change: [20, 60, 120][rng.usize(0..3)],
            behind: Vec::new(),
        }
    }
}

impl Scheduler {
    pub(super) fn new(mut rng: Rng) -> Self {
        let mood = Mood::drawn(&mut rng);
        Self { rng, mood }
    }

    pub(super) fn play<C: Cast>(&mut self, it: &mut Simulation<C>) -> Result<(), Broken> {
        for _ in 0..STEPS {
            if let Some(step) = self.choose(it) {
                it.perform(step)?;
            }
        }
        // The faults are over: what is left to do is done, and what never came is given up by its deadline. Then
        // also the calls are answered that the provider was silent about.
        let silence = self.mood.silence;
        for is_silent in [|call, silence| is_silent(call, silence), |_, _| false] {
            it.settle(|call| is_silent(call, silence))?;
            while let Some(step) = self.any_deadline(it).or_else(|| it.by_hand()) {
                it.perform(step)?;
                it.settle(|call| is_silent(call, silence))?;
            }
        }
        Ok(())
    }

    fn choose<C: Cast>(&mut self, it: &Simulation<C>) -> Option<Step> {
        if self.rng.u32(0..1_000) < self.mood.change {
            self.fall_behind();
        }
        match self.rng.u8(0..100) {
            0..4 => self.place(it),
            4..7 if self.rng.u8(0..3) < self.mood.regret => self.cancel(it),
            7..34 => {
                let waiting = (0..NODES).filter(|index| !it.services.peek(*index).outbox_is_empty());
                let Some(service) = self.rng.choice(waiting.collect::<Vec<_>>()) else {
                    return self.take(it);
                };
                Some(Step::Publish { service, delete: self.rng.u8(0..8) > 0 })
            }
            34..76 => self.take(it),
            76 if self.mood.regret > 0 => self.cancel(it),
            76..78 => self.rng.choice(it.log.read()).map(Step::Rewind),
            _ if self.rng.u32(0..1_000) < self.mood.haste => self.any_deadline(it).or_else(|| self.take(it)),
            _ if self.rng.u8(0..100) < self.mood.hands => self.by_hand(it),
            _ => self.ask_provider(it),
        }
    }

    /// One more service is behind in a topic, or one has caught up.
    fn fall_behind(&mut self) {
        let behind = &mut self.mood.behind;
        if behind.len() == 3 || (!behind.is_empty() && self.rng.bool()) {
            behind.swap_remove(self.rng.usize(0..behind.len()));
        } else {
            behind.extend(self.rng.choice(READS));
        }
    }

    fn place<C: Cast>(&mut self, it: &Simulation<C>) -> Option<Step> {
        let order = (0..ORDERS).find(|order| !it.orders.contains(order))?;
        let mut quantities = [0; SKUS.len()];
        for sku in self.rng.choose_multiple(0..SKUS.len(), self.rng.clone().usize(1..=2)) {
            quantities[sku] = self.rng.u32(1..4);
        }
        Some(Step::Place { order, quantities, token: TOKENS[self.rng.usize(0..TOKENS.len())] })
    }

    fn cancel<C: Cast>(&mut self, it: &Simulation<C>) -> Option<Step> {
        // Those that are confirmed, or even sent, are the ones to be late for.
        let shipments = &it.services.shipping.world.shipments;
        let left = |order: &u8| shipments.get(&order_id(*order)).is_some_and(|it| it.parcel().is_some());
        let confirmed: Vec<_> = it.orders.iter().copied().filter(|order| is_confirmed(it, *order)).collect();
        let sent: Vec<_> = confirmed.iter().copied().filter(left).collect();
        let mut whose = [sent, confirmed, it.orders.clone()].into_iter().filter(|it| !it.is_empty());
        let last = usize::from(self.rng.bool()) + usize::from(self.rng.bool());
        // Nor has everybody an order who cancels one.
        let whose = whose.nth(last).unwrap_or_else(|| (0..ORDERS).collect());
        self.rng.choice(whose).map(Step::Cancel)
    }

    fn take<C: Cast>(&mut self, it: &Simulation<C>) -> Option<Step> {
        let mut unread = it.log.unread();
        if self.rng.u8(0..32) > 0 {
            let is_behind = |(service, stream): &Unread| {
                Log::topic(*stream).is_some_and(|topic| self.mood.behind.contains(&(*service, topic)))
            };
            unread.retain(|it| !is_behind(it));
        }
        let from: Unread = self.rng.choice(unread)?;
        // Of a crash before the commit nothing is left; of one before the offset the transaction is.
        match self.rng.u8(0..10) {
            0 => None,
            chance => Some(Step::Take { from, store: chance > 1 }),
        }
    }

    fn ask_provider<C: Cast>(&mut self, it: &Simulation<C>) -> Option<Step> {
        let calls: Vec<_> = it.services.payment.effects.iter().collect();
        let Some((id, effect)) = self.rng.choice(calls) else { return self.take(it) };
        let order = number(&effect.key)?;
        match self.rng.u8(0..10) {
            // Nothing was done, nothing was answered.
            0..2 => None,
            _ => {
                let is_lost = is_silent(*id, self.mood.silence) || self.rng.u8(0..4) == 0;
                Some(Step::Ask { order, answered: !is_lost })
            }
        }
    }

    /// What people do beside the saga.
    fn by_hand<C: Cast>(&mut self, it: &Simulation<C>) -> Option<Step> {
        let sku = self.rng.usize(0..SKUS.len());
        let order = self.rng.u8(0..ORDERS);
        let is_held = |order: &u8| it.books(order_id(*order)) == ["authorize"];
        Some(match self.rng.u8(0..16) {
            0 | 1 => Step::Describe { sku, currency: ["USD", "JPY"][self.rng.usize(0..2)] },
            2 | 3 => Step::Adjust { sku, delta: self.rng.i32(1..5) },
            // All that is there, or a bit more or less of it.
            4 | 5 => {
                let products = &it.services.inventory.world.products;
                let known = products.iter().find(|it| it.0.as_str() == SKUS[sku]);
                let available = known.and_then(|it| i32::try_from(it.1.available()).ok()).unwrap_or(0);
                Step::Adjust { sku, delta: -(available + self.rng.i32(-1..2)).max(1) }
            }
            6 | 7 => Step::Desk((0..ORDERS).filter(is_held).last()?),
            8..12 => Step::Hand(order, Leg::Dispatch),
            _ => Step::Hand(order, Leg::Deliver),
        })
    }

    fn any_deadline<C: Cast>(&mut self, it: &Simulation<C>) -> Option<Step> {
        let mut deadlines = Vec::new();
        for index in 0..NODES {
            let set = it.services.peek(index).deadlines().iter();
            deadlines.extend(set.filter_map(|(key, kind)| Some((number(key)?, *kind))));
        }
        // An order waits for its confirmation from the beginning: the others are to have their chance, and most of
        // all the reservations of orders that are confirmed.
        let (reservations, others) = (self.rng.bool(), self.rng.bool());
        let crossed = |it: &Simulation<C>, order, kind| kind == "reservation" && is_confirmed(it, order);
        if reservations && deadlines.iter().any(|(order, kind)| crossed(it, *order, *kind)) {
            deadlines.retain(|(order, kind)| crossed(it, *order, *kind));
        }
        if others && deadlines.iter().any(|it| it.1 != "confirmation") {
            deadlines.retain(|it| it.1 != "confirmation");
        }
        self.rng.choice(deadlines).map(|(order, kind)| Step::Due { order, kind })
    }
}

fn is_confirmed<C: Cast>(it: &Simulation<C>, order: u8) -> bool {
    let known = it.services.order.world.orders.get(&order_id(order));
    matches!(known.map(|it| &it.state), Some(State::Confirmed { .. }))
}

/// Whether the provider answers a call only when all else is over.
fn is_silent(call: Uuid, silence: u128) -> bool {
    call.as_u128() % 10 < silence
}
