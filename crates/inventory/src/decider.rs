use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use engine::{
    Arrival, Deadline, Decided, Decider, Decision, Declined, Mutant, Publication, Recorded, Timestamp,
    Unreadable, Writes,
};
use events::{
    Event, Item, Money, OrderCancelled, OrderConfirmed, OrderId, OrderPlaced, ProductChanged,
    ReservationExpired, ShipmentDispatched, Sku, StockDeducted, StockKept, StockRejected, StockReleased,
    StockReserved,
};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use crate::{
    product::{self, Product, ProductEvent, Refusal},
    reservation::{self, Impossible, Reservation, ReservationEvent},
    store,
    view::ProductView,
};

/// Inventory's part in the saga.
#[derive(Debug, Clone, Default)]
pub struct Inventory {
    /// How long stock stays reserved for an order that is not confirmed; `None`: until it is cancelled.
    pub reservation_ttl: Option<Duration>,
}

/// Everything that can happen to products and reservations.
#[derive(Debug, Clone)]
pub enum Input {
    OrderPlaced(OrderId, Vec<Item>),
    OrderConfirmed(OrderId),
    OrderCancelled(OrderId),
    Dispatched(OrderId),
    ReservationDue(OrderId),
    Describe { sku: Sku, name: String, price: Money },
    Adjust { sku: Sku, delta: i32, reason: String },
}

/// A fact of this service.
#[derive(Debug, Clone)]
pub enum Fact {
    Product(Sku, ProductEvent),
    Reservation(OrderId, ReservationEvent),
}

/// What a change of a product is answered with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    pub product: ProductView,
    /// Whether there was no such product before.
    pub created: bool,
}

/// The reservations of a batch, and the products that they and its commands touch.
#[derive(Debug, Clone, Default)]
pub struct World {
    pub products: BTreeMap<Sku, Product>,
    pub reservations: BTreeMap<OrderId, Reservation>,
}

/// The kind of the deadlines of reservations.
const RESERVATION: &str = "reservation";

impl Input {
    /// The order that it concerns.
    fn order_id(&self) -> Option<OrderId> {
        match self {
            Self::OrderPlaced(id, _)
            | Self::OrderConfirmed(id)
            | Self::OrderCancelled(id)
            | Self::Dispatched(id)
            | Self::ReservationDue(id) => Some(*id),
            Self::Describe { .. } | Self::Adjust { .. } => None,
        }
    }
}

impl World {
    /// How many of a product can be promised: none of one that there is not.
    fn available(&self, sku: &Sku) -> i64 {
        self.products.get(sku).map_or(0, Product::available)
    }

    /// The products that `inputs` touch, as far as the reservations tell them.
    fn skus<'a>(&'a self, inputs: &[&'a Input]) -> BTreeSet<&'a Sku> {
        let live = self.reservations.values().filter(|it| it.is_live());
        let mut skus: BTreeSet<&Sku> = live.flat_map(|it| it.items()).map(|it| &it.sku).collect();
        for input in inputs {
            match input {
                Input::OrderPlaced(id, demand) if !self.reservations.contains_key(id) => {
                    skus.extend(demand.iter().map(|it| &it.sku));
                }
                Input::Describe { sku, .. } | Input::Adjust { sku, .. } => drop(skus.insert(sku)),
                _ => {}
            }
        }
        skus
    }
}

impl Decider for Inventory {
    type Input = Input;
    type Event = Fact;
    type World = World;
    type Reply = Reply;
    type Refusal = Refusal;

    const SERVICE: &'static str = "inventory";
    const DEADLINES: &'static [&'static str] = &[RESERVATION];

    fn read(&self, event: &Arrival<'_>) -> Result<Option<Input>, Unreadable> {
        Ok(Some(match event.name {
            OrderPlaced::NAME => {
                let it: OrderPlaced = event.data()?;
                let lines = it.lines.into_iter();
                let demand = lines.map(|line| Item { sku: line.sku, quantity: line.quantity }).collect();
                Input::OrderPlaced(it.order_id, demand)
            }
            OrderConfirmed::NAME => Input::OrderConfirmed(event.data::<OrderConfirmed>()?.order_id),
            OrderCancelled::NAME => Input::OrderCancelled(event.data::<OrderCancelled>()?.order_id),
            ShipmentDispatched::NAME => Input::Dispatched(event.data::<ShipmentDispatched>()?.order_id),
            _ => return Ok(None),
        }))
    }

    fn due(&self, kind: &str, key: &str) -> Option<Input> {
        (kind == RESERVATION).then(|| key.parse().ok().map(Input::ReservationDue)).flatten()
    }

    async fn load(&self, tx: &mut PgConnection, inputs: &[&Input]) -> sqlx::Result<World> {
        // Reservations first, always: they tell which products there are to lock.
        let orders = inputs.iter().filter_map(|it| it.order_id()).collect();
        let is_stale =
            |it: &&Input| Mutant::ExpiryWithoutLock.is_on() && matches!(it, Input::ReservationDue(_));
        let stale = inputs.iter().copied().filter(is_stale).filter_map(Input::order_id).collect();
        let stale = store::read_reservations(&mut *tx, stale, "").await?;
        let mut reservations = store::read_reservations(&mut *tx, orders, "for update").await?;
        reservations.extend(stale);
        let mut world = World { reservations, ..World::default() };
        world.products = store::lock_products(tx, world.skus(inputs)).await?;
        Ok(world)
    }

    fn decide(&self, world: &World, input: &Input, at: Timestamp) -> Decided<Self> {
        let known = input.order_id().and_then(|it| world.reservations.get(&it));
        let (order_id, followed) = match input {
            // By hand.
            Input::Describe { sku, name, price } => {
                return by_hand(sku, product::describe(world.products.get(sku), name, *price));
            }
            Input::Adjust { sku, delta, reason } => {
                return by_hand(sku, product::adjust(world.products.get(sku), *delta, reason));
            }
            // Forward.
            Input::OrderPlaced(id, demand) => {
                let expires_at = self.reservation_ttl.map(|ttl| at + ttl);
                (id, reservation::reserve(known, demand, |sku| world.available(sku), expires_at))
            }
            Input::OrderConfirmed(id) => (id, reservation::keep(known)),
            Input::Dispatched(id) => (id, reservation::deduct(known)),
            // Compensation.
            Input::OrderCancelled(id) => (id, reservation::release(known)),
            // Time.
            Input::ReservationDue(id) => (id, reservation::expire(known)),
        };
        let followed = followed.map_err(|Impossible(reason)| Declined::Impossible(reason))?;
        let Some(event) = followed else { return Ok(Decision::nothing()) };
        let deadline = self.deadline(*order_id, known, &event);
        let decision = Decision::events([Fact::Reservation(*order_id, event)]);
        Ok(deadline.into_iter().fold(decision, Decision::with_deadline))
    }

    fn evolve(&self, world: &mut World, fact: &Fact) {
        match fact {
            Fact::Product(sku, event) => {
                if let Some(product) = Product::evolve(world.products.remove(sku), event) {
                    world.products.insert(sku.clone(), product);
                }
            }
            Fact::Reservation(id, event) => {
                let before = world.reservations.remove(id);
                let Some(after) = Reservation::evolve(before, event) else { return };
                for item in after.items() {
                    if let Some(product) = world.products.get_mut(&item.sku) {
                        product.follow(event, item.quantity);
                    }
                }
                world.reservations.insert(*id, after);
            }
        }
    }

    fn reply(&self, world: &World, input: &Input) -> Option<Reply> {
        let (Input::Describe { sku, .. } | Input::Adjust { sku, .. }) = input else { return None };
        let product = world.products.get(sku)?;
        // Every description is an event, so the first one is the one that has created the product.
        let created = product.sequence == 1;
        Some(Reply { product: ProductView::of(sku.clone(), product), created })
    }

    fn publish(&self, world: &World, fact: &Fact) -> Option<Publication> {
        match fact {
            Fact::Product(sku, _) => {
                let Product { name, price, on_hand, sequence, .. } = world.products.get(sku)?.clone();
                Some(Publication::of(&ProductChanged { sku: sku.clone(), name, price, on_hand }, sequence))
            }
            Fact::Reservation(id, event) => published(*id, world.reservations.get(id)?, event),
        }
    }

    fn save(&self, writes: &mut Writes, world: &World, facts: &[Recorded<Fact>]) {
        store::save_reservations(writes, world, facts);
        store::save_products(writes, world, facts);
        store::append_adjustments(writes, facts);
    }
}

impl Inventory {
    /// What a reservation's event means for its deadline.
    fn deadline(
        &self,
        order_id: OrderId,
        known: Option<&Reservation>,
        event: &ReservationEvent,
    ) -> Option<Deadline> {
        let (key, kind) = (order_id.to_string(), RESERVATION);
        match event {
            ReservationEvent::Reserved { .. } => {
                self.reservation_ttl.map(|after| Deadline::Set { key, kind, after })
            }
            ReservationEvent::Kept { .. } | ReservationEvent::Released | ReservationEvent::Deducted => {
                known.and_then(Reservation::expires_at).map(|_| Deadline::Clear { key, kind })
            }
            // The deadline itself was what happened, or there was never one.
            ReservationEvent::Expired | ReservationEvent::Rejected { .. } | ReservationEvent::Cancelled => {
                None
            }
        }
    }
}

fn by_hand(sku: &Sku, decided: Result<ProductEvent, Refusal>) -> Decided<Inventory> {
    let event = decided.map_err(Declined::Refused)?;
    Ok(Decision::events([Fact::Product(sku.clone(), event)]))
}

/// A reservation's event in the published language, from the reservation after it.
fn published(order_id: OrderId, after: &Reservation, event: &ReservationEvent) -> Option<Publication> {
    use ReservationEvent as E;
    let (items, sequence) = (after.items().to_vec(), after.sequence);
    Some(match event {
        E::Reserved { expires_at, .. } => {
            Publication::of(&StockReserved { order_id, items, expires_at: *expires_at }, sequence)
        }
        E::Rejected { shortages } => {
            Publication::of(&StockRejected { order_id, shortages: shortages.clone() }, sequence)
        }
        E::Kept { had_time: true } => Publication::of(&StockKept { order_id, items }, sequence),
        E::Released => Publication::of(&StockReleased { order_id, items }, sequence),
        E::Expired => Publication::of(&ReservationExpired { order_id, items }, sequence),
        E::Deducted => Publication::of(&StockDeducted { order_id, items }, sequence),
        E::Kept { had_time: false } | E::Cancelled => return None,
    })
}

#[cfg(test)]
mod tests;
