//! Who moves the parcels: pure, from a shipment's state to what the carrier does now and later.

use std::time::Duration;

use engine::{Deadline, Timestamp};

use crate::shipment::{Leg, Shipment, ShipmentEvent};

/// Who moves the parcels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// Somebody who says over HTTP when a parcel has left and when it has arrived.
    Manual,
    /// One that takes `delay` for each leg; without a delay both are over as soon as the first can begin.
    Simulated { delay: Duration },
}

impl Carrier {
    /// What has moved now that the time of `leg` has come. Nothing when the shipment has gone another way, or
    /// when the simulation was switched off after it had set the time.
    pub(crate) fn due(self, shipment: &Shipment, leg: Leg, at: Timestamp) -> Vec<ShipmentEvent> {
        match self {
            Self::Simulated { .. } if shipment.next_leg() == Some(leg) => vec![shipment.moved(leg, at)],
            Self::Simulated { .. } | Self::Manual => vec![],
        }
    }

    /// What the carrier does at once after `events` have happened to `shipment`, added to them. Returns the
    /// shipment after all of them.
    pub(crate) fn follow(
        self,
        shipment: &Shipment,
        events: &mut Vec<ShipmentEvent>,
        at: Timestamp,
    ) -> Shipment {
        let mut after = shipment.clone();
        events.iter().for_each(|event| after.evolve(event));
        if self == (Self::Simulated { delay: Duration::ZERO }) {
            // A leg that could begin before is somebody else's, left from a time with another carrier. Each of
            // the others leads to the next or to the end.
            while let Some(leg) = after.next_leg().filter(|leg| shipment.next_leg() != Some(*leg)) {
                let moved = after.moved(leg, at);
                after.evolve(&moved);
                events.push(moved);
            }
        }
        after
    }

    /// The deadlines that change when a shipment goes from `before` to `after`: what it no longer waits for is
    /// cleared, except `taken`, which was due and is gone; what it waits for from now on is set.
    pub(crate) fn deadlines(self, before: &Shipment, after: &Shipment, taken: Option<Leg>) -> Vec<Deadline> {
        let (old, new) = (before.next_leg(), after.next_leg());
        if old == new {
            return vec![];
        }
        let key = after.order_id.to_string();
        let clear = old.filter(|leg| Some(*leg) != taken);
        let clear = clear.map(|leg| Deadline::Clear { key: key.clone(), kind: leg.name() });
        let set = match self {
            Self::Manual => None,
            Self::Simulated { delay } => new.map(|leg| Deadline::Set { key, kind: leg.name(), after: delay }),
        };
        clear.into_iter().chain(set).collect()
    }
}
