//! A payment's life: pure, from events to state and from state to the next events.

mod call;
mod published;

use events::{Money, OrderId};

pub use self::call::{Answer, Call};
pub(crate) use self::published::Published;

/// What an order costs, and the provider's token for how it is to be paid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    pub amount: Money,
    pub payment_method: String,
}

/// An amount that the provider has authorised, and the provider's name for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    pub amount: Money,
    pub reference: String,
}

/// The payment of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    pub order_id: OrderId,
    /// How many of its events were published.
    pub sequence: i64,
    pub state: State,
}

/// Where a payment stands. Those that end in `-ing` wait for the provider, all but the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Nothing was asked of the provider: amount and stock are waited for, in either order.
    Awaiting {
        placed: Option<Charge>,
        reserved: bool,
        confirmed: bool,
    },
    /// `then` is what the order has asked for meanwhile.
    Authorizing {
        charge: Charge,
        then: Then,
    },
    Authorized(Hold),
    Capturing {
        hold: Hold,
        cancelled: bool,
    },
    Captured(Hold),
    /// `refused` is the provider's word for why it did not capture, if that is why the amount is let go.
    Voiding {
        hold: Hold,
        refused: Option<String>,
    },
    Refunding(Hold),
    // Ends.
    Declined {
        amount: Money,
        code: String,
    },
    Voided {
        hold: Hold,
        refused: Option<String>,
    },
    Refunded(Hold),
    /// Nothing was ever asked of the provider, and nothing will be, whatever comes late.
    Cancelled {
        amount: Option<Money>,
    },
}

/// What follows an authorisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    Wait,
    Capture,
    Void,
}

/// A fact about a payment. The provider's answers are published, and that it will not be asked; the others concern
/// nobody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PaymentEvent {
    Placed(Charge),
    Reserved,
    Confirmed,
    /// What the provider is being asked is to be undone, once it has answered.
    CancelNoted,
    /// The provider was asked nothing, and will not be.
    Cancelled,
    /// The provider is asked, once this is committed.
    Asked(Call),
    Authorized {
        reference: String,
    },
    Declined {
        code: String,
    },
    Captured,
    CaptureFailed {
        code: String,
    },
    Voided,
    Refunded,
}

/// Why nothing can follow from an input, whenever it is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Impossible(pub(crate) &'static str);

type Follows = Result<Vec<PaymentEvent>, Impossible>;

use PaymentEvent as E;
use State as S;

impl Payment {
    /// The payment of an order that nothing is known of.
    pub fn new(order_id: OrderId) -> Self {
        let state = S::Awaiting { placed: None, reserved: false, confirmed: false };
        Self { order_id, sequence: 0, state }
    }

    /// Applies the next event. An event that does not fit the state changes the counter alone: what is
    /// recorded has happened.
    pub fn evolve(&mut self, event: &PaymentEvent) {
        self.sequence += i64::from(event.is_published());
        let state = std::mem::replace(&mut self.state, S::Cancelled { amount: None });
        self.state = match (state, event) {
            (S::Awaiting { reserved, confirmed, .. }, E::Placed(charge)) => {
                S::Awaiting { placed: Some(charge.clone()), reserved, confirmed }
            }
            (S::Awaiting { placed, confirmed, .. }, E::Reserved) => {
                S::Awaiting { placed, reserved: true, confirmed }
            }
            (S::Awaiting { placed, reserved, .. }, E::Confirmed) => {
                S::Awaiting { placed, reserved, confirmed: true }
            }
            (S::Awaiting { placed, .. }, E::Cancelled) => S::Cancelled { amount: placed.map(|it| it.amount) },
            (S::Awaiting { placed: Some(charge), confirmed, .. }, E::Asked(Call::Authorize { .. })) => {
                S::Authorizing { charge, then: if confirmed { Then::Capture } else { Then::Wait } }
            }
            (S::Authorizing { charge, .. }, E::Confirmed) => S::Authorizing { charge, then: Then::Capture },
            (S::Authorizing { charge, .. }, E::CancelNoted) => S::Authorizing { charge, then: Then::Void },
            (S::Authorizing { charge, .. }, E::Authorized { reference }) => {
                S::Authorized(Hold { amount: charge.amount, reference: reference.clone() })
            }
            (S::Authorizing { charge, .. }, E::Declined { code }) => {
                S::Declined { amount: charge.amount, code: code.clone() }
            }
            (S::Authorized(hold), E::Asked(Call::Capture { .. })) => S::Capturing { hold, cancelled: false },
            (S::Authorized(hold), E::Asked(Call::Void { .. })) => S::Voiding { hold, refused: None },
            (S::Capturing { hold, .. }, E::CancelNoted) => S::Capturing { hold, cancelled: true },
            (S::Capturing { hold, .. } | S::Voiding { hold, .. }, E::Captured) => S::Captured(hold),
            (S::Capturing { hold, .. }, E::CaptureFailed { code }) => {
                S::Voiding { hold, refused: Some(code.clone()) }
            }
            (S::Captured(hold), E::Asked(Call::Refund { .. })) => S::Refunding(hold),
            (S::Voiding { hold, refused }, E::Voided) => S::Voided { hold, refused },
            (S::Refunding(hold), E::Refunded) => S::Refunded(hold),
            (unchanged, _) => unchanged,
        };
    }

    /// Nothing was asked of the provider yet, and something may still be.
    pub(crate) fn is_awaiting(&self) -> bool {
        matches!(self.state, S::Awaiting { .. })
    }

    // Forward.

    /// The order has an amount: with the stock reserved, the provider is asked to hold it.
    pub(crate) fn place(&self, charge: &Charge) -> Follows {
        if charge.amount.amount < 0 {
            return Err(Impossible("an order's total is not negative"));
        }
        Ok(match &self.state {
            S::Awaiting { placed: None, reserved, .. } => {
                let ask = reserved.then(|| E::Asked(Call::authorize(self.order_id, charge)));
                [E::Placed(charge.clone())].into_iter().chain(ask).collect()
            }
            _ => vec![],
        })
    }

    /// The order has its stock: with the amount known, the provider is asked to hold it.
    pub(crate) fn reserve(&self) -> Follows {
        Ok(match &self.state {
            S::Awaiting { placed, reserved: false, .. } => {
                let ask = placed.as_ref().map(|charge| E::Asked(Call::authorize(self.order_id, charge)));
                [E::Reserved].into_iter().chain(ask).collect()
            }
            _ => vec![],
        })
    }

    /// The order is confirmed: what is held is to be taken, as soon as it is held.
    pub(crate) fn confirm(&self) -> Follows {
        Ok(match &self.state {
            S::Awaiting { confirmed: false, .. } | S::Authorizing { then: Then::Wait, .. } => {
                vec![E::Confirmed]
            }
            S::Authorized(hold) => vec![E::Asked(Call::capture(self.order_id, hold))],
            _ => vec![],
        })
    }

    // Compensation.

    /// The order is cancelled: nothing, a void or a refund, once the provider has answered what it was asked.
    pub(crate) fn cancel(&self) -> Follows {
        Ok(match &self.state {
            S::Awaiting { .. } => vec![E::Cancelled],
            S::Authorizing { then: Then::Wait | Then::Capture, .. }
            | S::Capturing { cancelled: false, .. } => vec![E::CancelNoted],
            S::Authorized(hold) => vec![E::Asked(Call::void(self.order_id, hold))],
            S::Captured(hold) => vec![E::Asked(Call::refund(self.order_id, hold))],
            _ => vec![],
        })
    }

    // The provider's answers.

    pub(crate) fn answer(&self, answer: &Answer) -> Follows {
        Ok(match (&self.state, answer) {
            (S::Authorizing { charge, then }, Answer::Authorized { reference }) => {
                let hold = Hold { amount: charge.amount, reference: reference.clone() };
                let ask = match then {
                    Then::Wait => None,
                    Then::Capture => Some(Call::capture(self.order_id, &hold)),
                    Then::Void => Some(Call::void(self.order_id, &hold)),
                };
                let authorized = E::Authorized { reference: hold.reference };
                [authorized].into_iter().chain(ask.map(E::Asked)).collect()
            }
            (S::Authorizing { .. }, Answer::Declined { code }) => vec![E::Declined { code: code.clone() }],
            (S::Capturing { cancelled: false, .. }, Answer::Captured) => vec![E::Captured],
            (S::Capturing { hold, .. } | S::Voiding { hold, .. }, Answer::Captured) => {
                vec![E::Captured, E::Asked(Call::refund(self.order_id, hold))]
            }
            // What was authorised is still held on the card.
            (S::Capturing { hold, .. }, Answer::CaptureRefused { code }) => {
                vec![E::CaptureFailed { code: code.clone() }, E::Asked(Call::void(self.order_id, hold))]
            }
            (S::Voiding { .. }, Answer::Voided) => vec![E::Voided],
            (S::Refunding(_), Answer::Refunded) => vec![E::Refunded],
            (S::Declined { .. } | S::Voided { .. } | S::Refunded(_) | S::Cancelled { .. }, _) => vec![],
            _ => return Err(Impossible("this was not asked of the provider")),
        })
    }
}

#[cfg(test)]
mod tests;
