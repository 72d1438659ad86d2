//! What follows from what: everything that can happen to shipments, and what the service does about it.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use engine::{
    Arrival, Decided, Decider, Decision, Declined, Publication, Recorded, Timestamp, Unreadable, Writes,
};
use events::{
    Address, CancellationRefused, Event, OrderCancellationRequested, OrderCancelled, OrderConfirmed, OrderId,
    PaymentCaptured, ShipmentCancelled, ShipmentDelivered, ShipmentDispatched, ShipmentScheduled, StockKept,
};
use sqlx::PgConnection;

use crate::{
    carrier::Carrier,
    shipment::{Leg, Refusal, Shipment, ShipmentEvent},
    store,
    view::ShipmentView,
};

/// Shipping's part in the saga: the decider that the service runs, for simulation and model checking too.
#[derive(Debug, Clone)]
pub struct Shipments {
    pub carrier: Carrier,
}

/// Everything that can happen to shipments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    OrderConfirmed {
        order_id: OrderId,
        ship_to: Address,
        stock_expires: bool,
    },
    PaymentCaptured(OrderId),
    StockKept(OrderId),
    CancellationRequested(OrderId),
    OrderCancelled(OrderId),
    Dispatch(OrderId),
    Deliver(OrderId),
    /// The time that the simulated carrier takes for a leg is over.
    Due(OrderId, Leg),
}

/// A fact of this service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    pub order_id: OrderId,
    pub event: ShipmentEvent,
}

/// The shipments of a batch.
#[derive(Debug, Clone, Default)]
pub struct World {
    pub shipments: BTreeMap<OrderId, Shipment>,
    /// Those that have a row.
    pub(crate) stored: BTreeSet<OrderId>,
}

impl Input {
    /// The order that it concerns.
    pub fn order_id(&self) -> OrderId {
        match self {
            Self::OrderConfirmed { order_id: id, .. }
            | Self::PaymentCaptured(id)
            | Self::StockKept(id)
            | Self::CancellationRequested(id)
            | Self::OrderCancelled(id)
            | Self::Dispatch(id)
            | Self::Deliver(id)
            | Self::Due(id, _) => *id,
        }
    }

    /// The leg whose deadline this input is.
    fn leg_due(&self) -> Option<Leg> {
        match self {
            Self::Due(_, leg) => Some(*leg),
            _ => None,
        }
    }
}

impl Decider for Shipments {
    type Input = Input;
    type Event = Fact;
    type World = World;
    type Reply = ShipmentView;
    type Refusal = Refusal;

    const SERVICE: &'static str = "shipping";
    const DEADLINES: &'static [&'static str] = &["dispatch", "deliver"];

    fn read(&self, event: &Arrival<'_>) -> Result<Option<Input>, Unreadable> {
        Ok(Some(match event.name {
            OrderConfirmed::NAME => {
                let it: OrderConfirmed = event.data()?;
                let stock_expires = it.stock_expires_at.is_some();
                Input::OrderConfirmed { order_id: it.order_id, ship_to: it.ship_to, stock_expires }
            }
            PaymentCaptured::NAME => Input::PaymentCaptured(event.data::<PaymentCaptured>()?.order_id),
            StockKept::NAME => Input::StockKept(event.data::<StockKept>()?.order_id),
            OrderCancellationRequested::NAME => {
                Input::CancellationRequested(event.data::<OrderCancellationRequested>()?.order_id)
            }
            OrderCancelled::NAME => Input::OrderCancelled(event.data::<OrderCancelled>()?.order_id),
            _ => return Ok(None),
        }))
    }

    fn due(&self, kind: &str, key: &str) -> Option<Input> {
        Some(Input::Due(key.parse().ok()?, Leg::parse(kind)?))
    }

    async fn load(&self, tx: &mut PgConnection, inputs: &[&Input]) -> sqlx::Result<World> {
        let shipments = store::lock_shipments(tx, inputs.iter().map(|it| it.order_id()).collect()).await?;
        Ok(World { stored: shipments.keys().copied().collect(), shipments })
    }

    fn decide(&self, world: &World, input: &Input, at: Timestamp) -> Decided<Self> {
        let order_id = input.order_id();
        let unknown = Shipment::unknown(order_id);
        let shipment = world.shipments.get(&order_id).unwrap_or(&unknown);
        let mut events = match input {
            // Forward.
            Input::OrderConfirmed { ship_to, stock_expires, .. } => {
                shipment.schedule(ship_to, *stock_expires)
            }
            Input::PaymentCaptured(_) => shipment.note_capture(),
            Input::StockKept(_) => shipment.note_kept(),
            Input::Dispatch(_) => shipment.dispatch(at).map_err(Declined::Refused)?,
            Input::Deliver(_) => shipment.deliver(at).map_err(Declined::Refused)?,
            // Compensation.
            Input::CancellationRequested(_) => shipment.stop(),
            // A dead letter is where somebody sees it; the parcel cannot be recalled.
            Input::OrderCancelled(_) => shipment.cancel().ok_or_else(|| {
                Declined::Impossible("the order is cancelled, but its parcel has left".into())
            })?,
            // Time.
            Input::Due(_, leg) => self.carrier.due(shipment, *leg, at),
        };
        let after = self.carrier.follow(shipment, &mut events, at);
        let deadlines = self.carrier.deadlines(shipment, &after, input.leg_due());
        let facts = events.into_iter().map(|event| Fact { order_id, event });
        Ok(Decision { deadlines, ..Decision::events(facts) })
    }

    fn evolve(&self, world: &mut World, fact: &Fact) {
        let id = fact.order_id;
        world.shipments.entry(id).or_insert_with(|| Shipment::unknown(id)).evolve(&fact.event);
    }

    fn reply(&self, world: &World, input: &Input) -> Option<ShipmentView> {
        world.shipments.get(&input.order_id()).and_then(ShipmentView::of)
    }

    fn publish(&self, world: &World, fact: &Fact) -> Option<Publication> {
        let order_id = fact.order_id;
        let shipment = world.shipments.get(&order_id)?;
        let sequence = shipment.sequence;
        Some(match fact.event.clone() {
            ShipmentEvent::Captured | ShipmentEvent::Kept | ShipmentEvent::Barred => return None,
            ShipmentEvent::Scheduled { ship_to, .. } => {
                Publication::of(&ShipmentScheduled { order_id, ship_to }, sequence)
            }
            ShipmentEvent::Dispatched { tracking_number, at } => {
                let it = ShipmentDispatched { order_id, tracking_number, dispatched_at: at };
                Publication::of(&it, sequence)
            }
            ShipmentEvent::Delivered { at } => {
                let tracking_number = shipment.parcel()?.tracking_number.clone();
                let it = ShipmentDelivered { order_id, tracking_number, delivered_at: at };
                Publication::of(&it, sequence)
            }
            ShipmentEvent::Cancelled => Publication::of(&ShipmentCancelled { order_id }, sequence),
            ShipmentEvent::CancellationRefused => {
                Publication::of(&CancellationRefused { order_id }, sequence)
            }
        })
    }

    fn save(&self, writes: &mut Writes, world: &World, facts: &[Recorded<Fact>]) {
        store::save_shipments(writes, world, facts);
    }
}
