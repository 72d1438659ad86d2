//! What happens to an order's parcel, as shipping tells it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Address, OrderId, Timestamp, event::event, timestamp};

/// A parcel will go out, once the payment is captured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ShipmentScheduled {
    /// The order.
    pub order_id: OrderId,
    /// Where the parcel goes.
    pub ship_to: Address,
}

event!(ShipmentScheduled, "shipping.shipment-scheduled", 1, Shipping, order_id);

/// The carrier has the parcel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ShipmentDispatched {
    /// The order.
    pub order_id: OrderId,
    /// The carrier's number for the parcel.
    pub tracking_number: String,
    /// When the carrier took it.
    #[serde(with = "timestamp")]
    #[schemars(schema_with = "timestamp::schema")]
    pub dispatched_at: Timestamp,
}

event!(ShipmentDispatched, "shipping.dispatched", 1, Shipping, order_id);

/// The recipient has the parcel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ShipmentDelivered {
    /// The order.
    pub order_id: OrderId,
    /// The carrier's number for the parcel.
    pub tracking_number: String,
    /// When it was handed over.
    #[serde(with = "timestamp")]
    #[schemars(schema_with = "timestamp::schema")]
    pub delivered_at: Timestamp,
}

event!(ShipmentDelivered, "shipping.delivered", 1, Shipping, order_id);

/// The parcel was held: it will not go out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ShipmentCancelled {
    /// The order.
    pub order_id: OrderId,
}

event!(ShipmentCancelled, "shipping.cancelled", 1, Shipping, order_id);

/// The order was to be cancelled, but the parcel has already left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CancellationRefused {
    /// The order.
    pub order_id: OrderId,
}

event!(CancellationRefused, "shipping.cancellation-refused", 1, Shipping, order_id);
