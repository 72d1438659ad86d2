//! The catalogue of products, as inventory tells it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Money, Sku, event::event};

/// A product as it is now: the last one per SKU is the whole truth, which is why its topic may be compacted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProductChanged {
    /// The product.
    pub sku: Sku,
    /// What it is called.
    pub name: String,
    /// The price of one.
    pub price: Money,
    /// How many are on the shelf, reserved ones included.
    pub on_hand: i64,
}

event!(ProductChanged, "product.changed", 1, Product, sku);
