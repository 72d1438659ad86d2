//! An order's life: pure, from events to state and from state to the next events.

mod back;
#[cfg(test)]
pub(crate) mod every;
mod published;
mod stored;
#[cfg(test)]
mod tests;

use events::{CancelReason, Money, OrderPlaced, Timestamp};

pub use self::back::{Back, Funds, Return};
pub(crate) use self::published::Published;

/// An order, folded from its events.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// How many events it has.
    pub version: i64,
    /// How many of them were published.
    pub sequence: i64,
    pub placed: OrderPlaced,
    /// When the stock's reservation runs out unless the order is confirmed; `None` if it does not.
    pub stock_expires_at: Option<Timestamp>,
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
        cancelling: Option<Cancelling>,
    },
    Shipped {
        paid: bool,
        tracking_number: String,
    },
    Delivered {
        paid: bool,
        tracking_number: String,
    },
    /// The end, but for what was held: the order goes on listening until it is back.
    Cancelled {
        paid: bool,
        reason: CancelReason,
        back: Back,
    },
}

/// A cancellation that shipping has not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cancelling {
    pub reason: CancelReason,
    /// The reservation has run out: inventory will not say again that the stock is back.
    pub stock_back: bool,
}

/// A fact about an order, as it is stored. What is noted, and what has come back, concerns nobody else and is not
/// published; the others are, filled up from the state with what their readers need. `note` is what was said
/// when the cancellation was asked for. `awaits_payment`: payment will say what has become of the money, whatever it
/// is; orders that were cancelled before it did so are without it.
#[derive(Debug, Clone, PartialEq)]
pub enum OrderEvent {
    Placed(Box<OrderPlaced>),
    StockNoted { expires_at: Option<Timestamp> },
    PaymentNoted,
    Confirmed { at: Timestamp },
    Paid,
    Shipped { tracking_number: String },
    Delivered,
    CancellationRequested { reason: CancelReason, note: Option<String> },
    Cancelled { reason: CancelReason, note: Option<String>, awaits_payment: bool },
    StockReturned,
    MoneyReturned,
    NothingHeld,
}

use OrderEvent as E;
use State as S;

impl Order {
    /// The order that begins with `placed`.
    pub fn begin(placed: OrderPlaced) -> Self {
        let state = S::Placed { stock: false, payment: false };
        Self { version: 1, sequence: 1, placed, stock_expires_at: None, state }
    }

    /// Applies the next event. An event that does not fit the state changes the counters alone: what is
    /// recorded has happened.
    pub fn evolve(&mut self, event: &OrderEvent) {
        self.version += 1;
        self.sequence += i64::from(event.is_published());
        if let E::StockNoted { expires_at } = event {
            self.stock_expires_at = *expires_at;
        }
        let state = std::mem::replace(&mut self.state, S::Placed { stock: false, payment: false });
        self.state = state.after(event);
    }

    /// Whether the next event says anything new of it: an order decides on no other. What comes after a cancellation
    /// always fits.
    pub fn fits(&self, event: &OrderEvent) -> bool {
        matches!(self.state, S::Cancelled { .. }) || self.state.clone().after(event) != self.state
    }

    /// Whether its total is the sum of its lines.
    pub fn adds_up(&self) -> bool {
        let zero = Money { amount: 0, currency: self.placed.currency };
        total(zero, &self.placed.lines) == Some(self.placed.total)
    }

    /// Whether more is to be expected of it.
    pub(crate) fn goes_on(&self) -> bool {
        !matches!(self.state, S::Delivered { .. })
    }

    /// Whether it is still to be confirmed or cancelled, for which it has a deadline.
    pub(crate) fn awaits_confirmation(&self) -> bool {
        matches!(self.state, S::Placed { .. })
    }

    // Forward.

    pub(crate) fn note_stock(&self, expires_at: Option<Timestamp>, at: Timestamp) -> Vec<OrderEvent> {
        let noted = E::StockNoted { expires_at };
        match self.state {
            S::Placed { stock: false, payment: true } => vec![noted, E::Confirmed { at }],
            S::Placed { stock: false, payment: false } => vec![noted],
            // It was set aside before inventory heard of the cancellation.
            S::Cancelled { back: Back { stock: None, .. }, .. } => vec![noted],
            _ => vec![],
        }
    }

    pub(crate) fn note_payment(&self, at: Timestamp) -> Vec<OrderEvent> {
        match self.state {
            S::Placed { stock: true, payment: false } => vec![E::PaymentNoted, E::Confirmed { at }],
            S::Placed { stock: false, payment: false } => vec![E::PaymentNoted],
            // The provider's answer was on its way when the order was cancelled.
            S::Cancelled { back: Back { money: Funds::Unheard, .. }, .. } => vec![E::PaymentNoted],
            _ => vec![],
        }
    }

    /// The capture and the parcel are told by two services: the later news may come after the delivery.
    pub(crate) fn note_capture(&self) -> Vec<OrderEvent> {
        match self.state {
            S::Confirmed { paid: false, .. }
            | S::Shipped { paid: false, .. }
            | S::Delivered { paid: false, .. } => vec![E::Paid],
            // Nobody is told of a payment for what is off; that there is money to be given back is noted.
            S::Cancelled { back: Back { money: Funds::Unheard, .. }, .. } => vec![E::PaymentNoted],
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
            S::Placed { .. } => vec![E::cancelled(reason, None)],
            _ => vec![],
        }
    }

    /// The provider refused to hold the amount: the end, or what was to be heard of an order that is off already.
    pub(crate) fn note_decline(&self) -> Vec<OrderEvent> {
        match self.state {
            S::Placed { .. } => self.give_up(CancelReason::PaymentDeclined),
            _ => self.note_nothing_held(),
        }
    }

    /// The provider refused the capture. The parcel cannot have left: it waits for the capture.
    pub(crate) fn fail_capture(&self) -> Vec<OrderEvent> {
        match self.state {
            S::Confirmed { paid: false, .. } => vec![E::cancelled(CancelReason::CaptureFailed, None)],
            _ => vec![],
        }
    }

    /// The reservation ran out. If that crossed the confirmation, the parcel has to be stopped first.
    pub(crate) fn expire(&self) -> Vec<OrderEvent> {
        let reason = CancelReason::ReservationExpired;
        match self.state {
            S::Placed { .. } => vec![E::cancelled(reason, None)],
            S::Confirmed { cancelling: None, .. } => vec![E::CancellationRequested { reason, note: None }],
            S::Confirmed { cancelling: Some(Cancelling { stock_back: false, .. }), .. } => {
                vec![E::StockReturned]
            }
            _ => self.note_stock_back(),
        }
    }

    /// Cancels before confirmation, asks shipping after it. `None`: it is too late.
    pub(crate) fn cancel(&self, note: Option<&str>) -> Option<Vec<OrderEvent>> {
        let (reason, note) = (CancelReason::Customer, note.map(str::to_owned));
        match self.state {
            S::Placed { .. } => Some(vec![E::cancelled(reason, note)]),
            S::Confirmed { cancelling: None, .. } => Some(vec![E::CancellationRequested { reason, note }]),
            S::Confirmed { cancelling: Some(_), .. } | S::Cancelled { .. } => Some(vec![]),
            S::Shipped { .. } | S::Delivered { .. } => None,
        }
    }

    /// Shipping has stopped the parcel.
    pub(crate) fn note_stopped(&self) -> Vec<OrderEvent> {
        match self.state {
            S::Confirmed { cancelling: Some(Cancelling { reason, .. }), .. } => {
                vec![E::cancelled(reason, None)]
            }
            _ => vec![],
        }
    }
}

impl State {
    fn after(self, event: &OrderEvent) -> Self {
        match (self, event) {
            (S::Placed { payment, .. }, E::StockNoted { .. }) => S::Placed { stock: true, payment },
            (S::Placed { stock, .. }, E::PaymentNoted) => S::Placed { stock, payment: true },
            (S::Placed { .. }, E::Confirmed { .. }) => S::Confirmed { paid: false, cancelling: None },
            (S::Placed { stock, payment }, E::Cancelled { reason, awaits_payment, .. }) => {
                let money = Funds::begin(*reason, payment, *awaits_payment);
                let back = Back::begin(stock, money, is_expiry(*reason));
                S::Cancelled { paid: false, reason: *reason, back }
            }
            (S::Confirmed { cancelling, .. }, E::Paid) => S::Confirmed { paid: true, cancelling },
            (S::Shipped { tracking_number, .. }, E::Paid) => S::Shipped { paid: true, tracking_number },
            (S::Delivered { tracking_number, .. }, E::Paid) => S::Delivered { paid: true, tracking_number },
            (S::Confirmed { paid, .. }, E::CancellationRequested { reason, .. }) => {
                let cancelling = Cancelling { reason: *reason, stock_back: is_expiry(*reason) };
                S::Confirmed { paid, cancelling: Some(cancelling) }
            }
            (S::Confirmed { paid, cancelling: Some(it) }, E::StockReturned) => {
                S::Confirmed { paid, cancelling: Some(Cancelling { stock_back: true, ..it }) }
            }
            (S::Confirmed { paid, .. }, E::Shipped { tracking_number }) => {
                S::Shipped { paid, tracking_number: tracking_number.clone() }
            }
            (S::Confirmed { paid, cancelling }, E::Cancelled { reason, .. }) => {
                let stock_back = is_expiry(*reason) || cancelling.is_some_and(|it| it.stock_back);
                let back = Back::begin(true, Funds::Pending, stock_back);
                S::Cancelled { paid, reason: *reason, back }
            }
            (S::Shipped { paid, tracking_number }, E::Delivered) => S::Delivered { paid, tracking_number },
            (S::Cancelled { paid, reason, back }, _) => {
                S::Cancelled { paid, reason, back: back.after(event) }
            }
            (unchanged, _) => unchanged,
        }
    }
}

/// Whether an order that is cancelled for this has lost its stock by it.
fn is_expiry(reason: CancelReason) -> bool {
    reason == CancelReason::ReservationExpired
}

/// The sum of `lines`, or `None` when it is more than an amount can be.
pub(crate) fn total(zero: Money, lines: &[events::Line]) -> Option<Money> {
    lines.iter().try_fold(zero, |sum, line| {
        let price = line.unit_price.checked_mul(line.quantity).ok()?;
        sum.checked_add(price).ok()
    })
}

impl OrderEvent {
    /// An end from which on payment is listened to until it has said its last word; a decline is one.
    fn cancelled(reason: CancelReason, note: Option<String>) -> Self {
        E::Cancelled { reason, note, awaits_payment: reason != CancelReason::PaymentDeclined }
    }
}
