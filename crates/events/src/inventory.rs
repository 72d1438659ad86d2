//! What happens to the stock that an order asks for, as inventory tells it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{OrderId, Sku, Timestamp, event::event, timestamp};

/// Some of one product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Item {
    /// The product.
    pub sku: Sku,
    /// How many.
    pub quantity: u32,
}

/// Every line of the order is set aside for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StockReserved {
    /// The order.
    pub order_id: OrderId,
    /// What is set aside.
    pub items: Vec<Item>,
    /// When the reservation runs out unless the order is confirmed; absent if it does not.
    #[serde(default, with = "timestamp::option", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp::option::schema")]
    pub expires_at: Option<Timestamp>,
}

event!(StockReserved, "inventory.stock-reserved", 1, Inventory, order_id);

/// One product that there is too little of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Shortage {
    /// The product.
    pub sku: Sku,
    /// How many the order asks for.
    pub requested: u32,
    /// How many there were: on hand and not reserved.
    pub available: i64,
}

/// At least one line of the order is not available, so none was set aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StockRejected {
    /// The order.
    pub order_id: OrderId,
    /// What was missing.
    pub shortages: Vec<Shortage>,
}

event!(StockRejected, "inventory.stock-rejected", 1, Inventory, order_id);

/// The order was confirmed in time: what was set aside until a time is set aside for good. Not published of a
/// reservation that has no time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StockKept {
    /// The order.
    pub order_id: OrderId,
    /// What is set aside.
    pub items: Vec<Item>,
}

event!(StockKept, "inventory.stock-kept", 1, Inventory, order_id);

/// The order was cancelled and what was set aside is available again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StockReleased {
    /// The order.
    pub order_id: OrderId,
    /// What is available again.
    pub items: Vec<Item>,
}

event!(StockReleased, "inventory.stock-released", 1, Inventory, order_id);

/// The order was not confirmed in time and what was set aside is available again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReservationExpired {
    /// The order.
    pub order_id: OrderId,
    /// What is available again.
    pub items: Vec<Item>,
}

event!(ReservationExpired, "inventory.reservation-expired", 1, Inventory, order_id);

/// The parcel left: what was set aside is no longer on hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StockDeducted {
    /// The order.
    pub order_id: OrderId,
    /// What left.
    pub items: Vec<Item>,
}

event!(StockDeducted, "inventory.stock-deducted", 1, Inventory, order_id);
