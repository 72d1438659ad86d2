use events::{Money, OrderId};
use serde::{Deserialize, Serialize};

use super::{Charge, Hold};

/// A call to the provider, complete in itself: it is stored, and made from what is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "call", rename_all = "kebab-case")]
pub enum Call {
    Authorize { order_id: OrderId, amount: Money, payment_method: String },
    Capture { order_id: OrderId, reference: String, amount: Money },
    Void { order_id: OrderId, reference: String, amount: Money },
    Refund { order_id: OrderId, reference: String, amount: Money },
}

/// What the provider says a call came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Authorized {
        reference: String,
    },
    Declined {
        code: String,
    },
    /// Also to a void: somebody has captured the amount at the provider's own desk.
    Captured,
    CaptureRefused {
        code: String,
    },
    Voided,
    Refunded,
}

impl Call {
    pub fn order_id(&self) -> OrderId {
        match self {
            Self::Authorize { order_id, .. }
            | Self::Capture { order_id, .. }
            | Self::Void { order_id, .. }
            | Self::Refund { order_id, .. } => *order_id,
        }
    }

    /// The provider's name for the payment that it is about; none has one before it is authorised.
    pub(crate) fn reference(&self) -> Option<&str> {
        match self {
            Self::Authorize { .. } => None,
            Self::Capture { reference, .. }
            | Self::Void { reference, .. }
            | Self::Refund { reference, .. } => Some(reference),
        }
    }

    /// What is asked, in a word.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Authorize { .. } => "authorize",
            Self::Capture { .. } => "capture",
            Self::Void { .. } => "void",
            Self::Refund { .. } => "refund",
        }
    }

    pub(super) fn authorize(order_id: OrderId, charge: &Charge) -> Self {
        let Charge { amount, payment_method } = charge.clone();
        Self::Authorize { order_id, amount, payment_method }
    }

    pub(super) fn capture(order_id: OrderId, hold: &Hold) -> Self {
        let Hold { amount, reference } = hold.clone();
        Self::Capture { order_id, reference, amount }
    }

    pub(super) fn void(order_id: OrderId, hold: &Hold) -> Self {
        let Hold { amount, reference } = hold.clone();
        Self::Void { order_id, reference, amount }
    }

    pub(super) fn refund(order_id: OrderId, hold: &Hold) -> Self {
        let Hold { amount, reference } = hold.clone();
        Self::Refund { order_id, reference, amount }
    }
}
