//! What the payment provider answered, as payment tells it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Money, OrderId, event::event};

/// The provider holds the amount for the order; no money has moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PaymentAuthorized {
    /// The order.
    pub order_id: OrderId,
    /// What is held.
    pub amount: Money,
    /// The provider's name for this payment.
    pub provider_reference: String,
}

event!(PaymentAuthorized, "payment.authorized", 1, Payment, order_id);

/// The provider refused to hold the amount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PaymentDeclined {
    /// The order.
    pub order_id: OrderId,
    /// What was asked for.
    pub amount: Money,
    /// The provider's word for why.
    pub code: String,
}

event!(PaymentDeclined, "payment.declined", 1, Payment, order_id);

/// The money moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PaymentCaptured {
    /// The order.
    pub order_id: OrderId,
    /// What moved.
    pub amount: Money,
    /// The provider's name for this payment.
    pub provider_reference: String,
}

event!(PaymentCaptured, "payment.captured", 1, Payment, order_id);

/// The provider refused to move what it had held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CaptureFailed {
    /// The order.
    pub order_id: OrderId,
    /// What should have moved.
    pub amount: Money,
    /// The provider's name for this payment.
    pub provider_reference: String,
    /// The provider's word for why.
    pub code: String,
}

event!(CaptureFailed, "payment.capture-failed", 1, Payment, order_id);

/// The order was cancelled before capture: the provider no longer holds the amount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PaymentVoided {
    /// The order.
    pub order_id: OrderId,
    /// What was held.
    pub amount: Money,
    /// The provider's name for this payment.
    pub provider_reference: String,
}

event!(PaymentVoided, "payment.voided", 1, Payment, order_id);

/// The order was cancelled after capture: the money went back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PaymentRefunded {
    /// The order.
    pub order_id: OrderId,
    /// What went back.
    pub amount: Money,
    /// The provider's name for this payment.
    pub provider_reference: String,
}

event!(PaymentRefunded, "payment.refunded", 1, Payment, order_id);

/// The order was cancelled before anything was asked of the provider, and nothing will be: whoever waits to hear
/// what became of the money need not wait. Of a cancelled order this, `payment.declined`, `payment.voided` or
/// `payment.refunded` is the last that is said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PaymentCancelled {
    /// The order.
    pub order_id: OrderId,
}

event!(PaymentCancelled, "payment.cancelled", 1, Payment, order_id);
