//! A shipment's life: pure, from events to state and from state to the next events.

#[cfg(test)]
pub(crate) mod tests;

use events::{Address, OrderId, Timestamp};

use crate::tracking;

/// What shipping knows of one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shipment {
    pub order_id: OrderId,
    /// How many of its events were published.
    pub sequence: i64,
    pub state: State,
}

/// Where a shipment stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// What was heard of the order before its address; never stored while that is nothing.
    Early {
        captured: bool,
        kept: bool,
    },
    /// Waits for what has to come first, then for its carrier.
    Scheduled {
        ship_to: Address,
        waits_for: Awaited,
    },
    /// On its way, paid for, and with stock that was its order's.
    Dispatched {
        ship_to: Address,
        parcel: Parcel,
    },
    Delivered {
        ship_to: Address,
        parcel: Parcel,
        delivered_at: Timestamp,
    },
    /// Held back in time. `captured` is as it was then; what comes after is a matter of payment alone.
    Cancelled {
        ship_to: Address,
        captured: bool,
    },
    /// The tombstone of an order that was called off before its shipment was scheduled.
    Barred,
}

/// What has to come before a parcel may leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Awaited {
    pub capture: bool,
    /// Inventory's word that the stock is kept: of a reservation that runs out, which the confirmation may have
    /// crossed.
    pub stock: bool,
}

/// A parcel that has left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parcel {
    pub tracking_number: String,
    pub dispatched_at: Timestamp,
    /// Somebody wanted it back, and was told that it is too late.
    pub cancellation_refused: bool,
}

/// A fact about a shipment. `Captured`, `Kept` and `Barred` concern nobody else and are not published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShipmentEvent {
    Captured,
    Kept,
    /// `stock_expires`: unless inventory says that it was kept.
    Scheduled {
        ship_to: Address,
        stock_expires: bool,
    },
    Dispatched {
        tracking_number: String,
        at: Timestamp,
    },
    Delivered {
        at: Timestamp,
    },
    Cancelled,
    CancellationRefused,
    Barred,
}

/// What a carrier does, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leg {
    Dispatch,
    Deliver,
}

/// Why a shipment does not move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    Unknown,
    Cancelled,
    NotReady(Awaited),
    /// Nor ready to be, if anything is awaited.
    NotDispatched(Awaited),
}

use ShipmentEvent as E;
use State as S;

impl Leg {
    const ALL: [Self; 2] = [Self::Dispatch, Self::Deliver];

    /// The kind of its deadline.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Dispatch => "dispatch",
            Self::Deliver => "deliver",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }
}

impl ShipmentEvent {
    pub fn is_published(&self) -> bool {
        !matches!(self, E::Captured | E::Kept | E::Barred)
    }
}

impl Awaited {
    pub(crate) const NOTHING: Self = Self { capture: false, stock: false };
}

impl Shipment {
    /// The shipment of an order that nothing was heard of.
    pub fn unknown(order_id: OrderId) -> Self {
        Self { order_id, sequence: 0, state: S::Early { captured: false, kept: false } }
    }

    /// Applies the next event. An event that does not fit the state changes the counter alone: what is
    /// recorded has happened.
    pub fn evolve(&mut self, event: &ShipmentEvent) {
        self.sequence += i64::from(event.is_published());
        self.state = match (std::mem::replace(&mut self.state, S::Barred), event) {
            (S::Early { kept, .. }, E::Captured) => S::Early { captured: true, kept },
            (S::Early { captured, .. }, E::Kept) => S::Early { captured, kept: true },
            (S::Early { captured, kept }, E::Scheduled { ship_to, stock_expires }) => {
                let waits_for = Awaited { capture: !captured, stock: *stock_expires && !kept };
                S::Scheduled { ship_to: ship_to.clone(), waits_for }
            }
            (S::Scheduled { ship_to, waits_for }, E::Captured) => {
                S::Scheduled { ship_to, waits_for: Awaited { capture: false, ..waits_for } }
            }
            (S::Scheduled { ship_to, waits_for }, E::Kept) => {
                S::Scheduled { ship_to, waits_for: Awaited { stock: false, ..waits_for } }
            }
            (
                S::Scheduled { ship_to, waits_for: Awaited::NOTHING },
                E::Dispatched { tracking_number, at },
            ) => {
                let parcel = Parcel {
                    tracking_number: tracking_number.clone(),
                    dispatched_at: *at,
                    cancellation_refused: false,
                };
                S::Dispatched { ship_to, parcel }
            }
            (S::Dispatched { ship_to, parcel }, E::Delivered { at }) => {
                S::Delivered { ship_to, parcel, delivered_at: *at }
            }
            (S::Dispatched { ship_to, parcel }, E::CancellationRefused) => {
                S::Dispatched { ship_to, parcel: parcel.refused() }
            }
            (S::Delivered { ship_to, parcel, delivered_at }, E::CancellationRefused) => {
                S::Delivered { ship_to, parcel: parcel.refused(), delivered_at }
            }
            (S::Scheduled { ship_to, waits_for }, E::Cancelled) => {
                S::Cancelled { ship_to, captured: !waits_for.capture }
            }
            (S::Early { .. }, E::Cancelled | E::Barred) => S::Barred,
            (unchanged, _) => unchanged,
        };
    }

    /// What the shipment waits for its carrier to do.
    pub fn next_leg(&self) -> Option<Leg> {
        match self.state {
            S::Scheduled { waits_for: Awaited::NOTHING, .. } => Some(Leg::Dispatch),
            S::Dispatched { .. } => Some(Leg::Deliver),
            _ => None,
        }
    }

    /// The parcel, once there is one.
    pub fn parcel(&self) -> Option<&Parcel> {
        match &self.state {
            S::Dispatched { parcel, .. } | S::Delivered { parcel, .. } => Some(parcel),
            _ => None,
        }
    }

    // Forward.

    pub(crate) fn schedule(&self, ship_to: &Address, stock_expires: bool) -> Vec<ShipmentEvent> {
        match self.state {
            S::Early { .. } => vec![E::Scheduled { ship_to: ship_to.clone(), stock_expires }],
            _ => vec![],
        }
    }

    pub(crate) fn note_capture(&self) -> Vec<ShipmentEvent> {
        match self.state {
            S::Early { captured: false, .. }
            | S::Scheduled { waits_for: Awaited { capture: true, .. }, .. } => vec![E::Captured],
            _ => vec![],
        }
    }

    pub(crate) fn note_kept(&self) -> Vec<ShipmentEvent> {
        match self.state {
            S::Early { kept: false, .. } | S::Scheduled { waits_for: Awaited { stock: true, .. }, .. } => {
                vec![E::Kept]
            }
            _ => vec![],
        }
    }

    /// Somebody says that the carrier has the parcel.
    pub(crate) fn dispatch(&self, at: Timestamp) -> Result<Vec<ShipmentEvent>, Refusal> {
        match self.state {
            S::Dispatched { .. } | S::Delivered { .. } => Ok(vec![]),
            S::Scheduled { waits_for: Awaited::NOTHING, .. } => Ok(vec![self.moved(Leg::Dispatch, at)]),
            S::Scheduled { waits_for, .. } => Err(Refusal::NotReady(waits_for)),
            S::Cancelled { .. } => Err(Refusal::Cancelled),
            S::Early { .. } | S::Barred => Err(Refusal::Unknown),
        }
    }

    /// Somebody says that the recipient has the parcel.
    pub(crate) fn deliver(&self, at: Timestamp) -> Result<Vec<ShipmentEvent>, Refusal> {
        match self.state {
            S::Delivered { .. } => Ok(vec![]),
            S::Dispatched { .. } => Ok(vec![self.moved(Leg::Deliver, at)]),
            S::Scheduled { waits_for, .. } => Err(Refusal::NotDispatched(waits_for)),
            S::Cancelled { .. } => Err(Refusal::Cancelled),
            S::Early { .. } | S::Barred => Err(Refusal::Unknown),
        }
    }

    /// What has happened when a leg is over.
    pub(crate) fn moved(&self, leg: Leg, at: Timestamp) -> ShipmentEvent {
        match leg {
            Leg::Dispatch => E::Dispatched { tracking_number: tracking::number(self.order_id), at },
            Leg::Deliver => E::Delivered { at },
        }
    }

    // Compensation.

    /// The order asks whether it can still be cancelled, and is answered once.
    pub(crate) fn stop(&self) -> Vec<ShipmentEvent> {
        match &self.state {
            S::Early { .. } | S::Scheduled { .. } => vec![E::Cancelled],
            S::Dispatched { parcel, .. } | S::Delivered { parcel, .. } if !parcel.cancellation_refused => {
                vec![E::CancellationRefused]
            }
            S::Dispatched { .. } | S::Delivered { .. } | S::Cancelled { .. } | S::Barred => vec![],
        }
    }

    /// The order is off. `None`: the parcel has left, which cannot be while the order's part is sound.
    pub(crate) fn cancel(&self) -> Option<Vec<ShipmentEvent>> {
        match self.state {
            S::Early { .. } => Some(vec![E::Barred]),
            S::Scheduled { .. } => Some(vec![E::Cancelled]),
            S::Cancelled { .. } | S::Barred => Some(vec![]),
            S::Dispatched { .. } | S::Delivered { .. } => None,
        }
    }
}

impl Parcel {
    fn refused(self) -> Self {
        Self { cancellation_refused: true, ..self }
    }
}
