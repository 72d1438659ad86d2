//! An order's life: pure, from events to state and from state to the next events.

mod stored;
#[cfg(test)]
mod tests;

use events::{
    CancelReason, Money, OrderCancellationRequested, OrderCancelled, OrderConfirmed, OrderDelivered,
    OrderPaid, OrderPlaced, OrderShipped, Timestamp,
};

/// An order, folded from its events.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// How many events it has.
    pub version: i64,
    /// How many of them were published.
    pub sequence: i64,
    pub placed: OrderPlaced,
    pub state: State,
}

/// Where an order stands. `paid` is beside the way: the capture may be told before or after the dispatch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Waits for stock and payment, in either order.
    Placed {
        stock: bool,
        payment: bool,
    },
    /// Waits for the parcel to leave; `cancelling` while shipping has been asked to stop it.
    Confirmed {
        paid: bool,
        cancelling: Option<CancelReason>,
    },
    Shipped {
        paid: bool,
        tracking_number: String,
    },
    Delivered {
        paid: bool,
        tracking_number: String,
    },
    Cancelled {
        paid: bool,
        reason: CancelReason,
    },
}

/// A fact about an order, as it is stored. `StockNoted` and `PaymentNoted` concern nobody else and are not
/// published; the others are, filled up from the state with what their readers need.
#[derive(Debug, Clone, PartialEq)]
pub enum OrderEvent {
    Placed(Box<OrderPlaced>),
    StockNoted,
    PaymentNoted,
    Confirmed { at: Timestamp },
    Paid,
    Shipped { tracking_number: String },
    Delivered,
    CancellationRequested { reason: CancelReason },
    Cancelled { reason: CancelReason },
}

use OrderEvent as E;
use State as S;

impl Order {
    /// The order that begins with `placed`.
    pub fn begin(placed: OrderPlaced) -> Self {
        Self { version: 1, sequence: 1, placed, state: S::Placed { stock: false, payment: false } }
    }

    /// Applies the next event. An event that does not fit the state changes the counters alone: what is
    /// recorded has happened.
    pub fn evolve(&mut self, event: &OrderEvent) {
        self.version += 1;
        self.sequence += i64::from(event.is_published());
        let paid = self.is_paid();
        self.state =
            match (std::mem::replace(&mut self.state, S::Placed { stock: false, payment: false }), event) {
                (S::Placed { payment, .. }, E::StockNoted) => S::Placed { stock: true, payment },
                (S::Placed { stock, .. }, E::PaymentNoted) => S::Placed { stock, payment: true },
                (S::Placed { .. }, E::Confirmed { .. }) => S::Confirmed { paid: false, cancelling: None },
                (S::Confirmed { cancelling, .. }, E::Paid) => S::Confirmed { paid: true, cancelling },
                (S::Shipped { tracking_number, .. }, E::Paid) => S::Shipped { paid: true, tracking_number },
                (S::Delivered { tracking_number, .. }, E::Paid) => {
                    S::Delivered { paid: true, tracking_number }
                }
                (S::Confirmed { paid, .. }, E::CancellationRequested { reason }) => {
                    S::Confirmed { paid, cancelling: Some(*reason) }
                }
                (S::Confirmed { paid, .. }, E::Shipped { tracking_number }) => {
                    S::Shipped { paid, tracking_number: tracking_number.clone() }
                }
                (S::Shipped { paid, tracking_number }, E::Delivered) => {
                    S::Delivered { paid, tracking_number }
                }
                (S::Placed { .. } | S::Confirmed { .. }, E::Cancelled { reason }) => {
                    S::Cancelled { paid, reason: *reason }
                }
                (unchanged, _) => unchanged,
            };
    }

    fn is_paid(&self) -> bool {
        match self.state {
            S::Placed { .. } => false,
            S::Confirmed { paid, .. }
            | S::Shipped { paid, .. }
            | S::Delivered { paid, .. }
            | S::Cancelled { paid, .. } => paid,
        }
    }

    /// Whether it is still to be confirmed or cancelled, for which it has a deadline.
    pub(crate) fn awaits_confirmation(&self) -> bool {
        matches!(self.state, S::Placed { .. })
    }

    // Forward.

    pub(crate) fn note_stock(&self, at: Timestamp) -> Vec<OrderEvent> {
        match self.state {
            S::Placed { stock: false, payment: true } => vec![E::StockNoted, E::Confirmed { at }],
            S::Placed { stock: false, payment: false } => vec![E::StockNoted],
            _ => vec![],
        }
    }

    pub(crate) fn note_payment(&self, at: Timestamp) -> Vec<OrderEvent> {
        match self.state {
            S::Placed { stock: true, payment: false } => vec![E::PaymentNoted, E::Confirmed { at }],
            S::Placed { stock: false, payment: false } => vec![E::PaymentNoted],
            _ => vec![],
        }
    }

    /// The capture and the parcel are told by two services: the later news may come after the delivery.
    pub(crate) fn note_capture(&self) -> Vec<OrderEvent> {
        match self.state {
            S::Confirmed { paid: false, .. }
            | S::Shipped { paid: false, .. }
            | S::Delivered { paid: false, .. } => vec![E::Paid],
            _ => vec![],
        }
    }

    pub(crate) fn note_dispatch(&self, tracking_number: &str) -> Vec<OrderEvent> {
        match self.state {
            S::Confirmed { .. } => vec![E::Shipped { tracking_number: tracking_number.to_owned() }],
            _ => vec![],
        }
    }

    pub(crate) fn note_delivery(&self) -> Vec<OrderEvent> {
        match self.state {
            S::Shipped { .. } => vec![E::Delivered],
            _ => vec![],
        }
    }

    // Back.

    /// Stock or payment was refused, or the time is over: before confirmation the end, at once.
    pub(crate) fn give_up(&self, reason: CancelReason) -> Vec<OrderEvent> {
        match self.state {
            S::Placed { .. } => vec![E::Cancelled { reason }],
            _ => vec![],
        }
    }

    /// The provider refused the capture. The parcel cannot have left: it waits for the capture.
    pub(crate) fn fail_capture(&self) -> Vec<OrderEvent> {
        match self.state {
            S::Confirmed { paid: false, .. } => vec![E::Cancelled { reason: CancelReason::CaptureFailed }],
            _ => vec![],
        }
    }

    /// The reservation ran out. If that crossed the confirmation, the parcel has to be stopped first.
    pub(crate) fn expire(&self) -> Vec<OrderEvent> {
        self.cancel(CancelReason::ReservationExpired).unwrap_or_default()
    }

    /// Cancels before confirmation, asks shipping after it. `None`: it is too late.
    pub(crate) fn cancel(&self, reason: CancelReason) -> Option<Vec<OrderEvent>> {
        match self.state {
            S::Placed { .. } => Some(vec![E::Cancelled { reason }]),
            S::Confirmed { cancelling: None, .. } => Some(vec![E::CancellationRequested { reason }]),
            S::Confirmed { cancelling: Some(_), .. } | S::Cancelled { .. } => Some(vec![]),
            S::Shipped { .. } | S::Delivered { .. } => None,
        }
    }

    /// Shipping has stopped the parcel.
    pub(crate) fn note_stopped(&self) -> Vec<OrderEvent> {
        match self.state {
            S::Confirmed { cancelling: Some(reason), .. } => vec![E::Cancelled { reason }],
            _ => vec![],
        }
    }

    /// The event as its readers are to see it, from the order after it; `None` for what is not published.
    pub(crate) fn published(&self, event: &OrderEvent) -> Option<Published> {
        let order_id = self.placed.order_id;
        Some(match event {
            E::StockNoted | E::PaymentNoted => return None,
            E::Placed(placed) => Published::Placed((**placed).clone()),
            E::Confirmed { at } => Published::Confirmed(OrderConfirmed {
                order_id,
                customer: self.placed.customer.clone(),
                lines: self.placed.lines.clone(),
                total: self.placed.total,
                ship_to: self.placed.ship_to.clone(),
                confirmed_at: *at,
                stock_expires_at: None,
            }),
            E::Paid => Published::Paid(OrderPaid { order_id, amount: self.placed.total }),
            E::Shipped { tracking_number } => {
                Published::Shipped(OrderShipped { order_id, tracking_number: tracking_number.clone() })
            }
            E::Delivered => Published::Delivered(OrderDelivered { order_id }),
            E::CancellationRequested { reason } => {
                Published::CancellationRequested(OrderCancellationRequested { order_id, reason: *reason })
            }
            E::Cancelled { reason } => Published::Cancelled(OrderCancelled { order_id, reason: *reason }),
        })
    }
}

/// An order's event in the published language.
pub(crate) enum Published {
    Placed(OrderPlaced),
    Confirmed(OrderConfirmed),
    Paid(OrderPaid),
    Shipped(OrderShipped),
    Delivered(OrderDelivered),
    CancellationRequested(OrderCancellationRequested),
    Cancelled(OrderCancelled),
}

/// The sum of `lines`, or `None` when it is more than an amount can be.
pub(crate) fn total(zero: Money, lines: &[events::Line]) -> Option<Money> {
    lines.iter().try_fold(zero, |sum, line| {
        let price = line.unit_price.checked_mul(line.quantity).ok()?;
        sum.checked_add(price).ok()
    })
}

impl OrderEvent {
    /// Whether others are told of it.
    pub fn is_published(&self) -> bool {
        !matches!(self, E::StockNoted | E::PaymentNoted)
    }
}
