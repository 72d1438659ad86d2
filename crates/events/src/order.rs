//! What happens to an order, as the order service tells it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Currency, CustomerId, Money, OrderId, Sku, Timestamp, Unreadable,
    event::{event, parse},
    timestamp,
};

/// Who ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Customer {
    /// The shop's id of the customer.
    pub id: CustomerId,
    /// How the customer is called in messages to them.
    pub name: String,
    /// Where messages to the customer go.
    pub email: String,
}

/// Where a parcel goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Address {
    /// The recipient.
    pub name: String,
    /// Street and number.
    pub line1: String,
    /// Flat, floor, company: what does not fit into the first line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line2: Option<String>,
    /// Town or city.
    pub city: String,
    /// Postal code, in the country's own form.
    pub postal_code: String,
    /// ISO 3166-1 alpha-2 code of the country.
    pub country: String,
}

/// One product of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Line {
    /// What was ordered.
    pub sku: Sku,
    /// What the product was called when it was ordered.
    pub name: String,
    /// How many.
    pub quantity: u32,
    /// The price of one when it was ordered: the shop's, never the client's.
    pub unit_price: Money,
}

/// Why an order ended without being delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CancelReason {
    /// Inventory could not reserve every line.
    OutOfStock,
    /// The provider refused to authorise the payment.
    PaymentDeclined,
    /// The provider refused to capture what it had authorised.
    CaptureFailed,
    /// The order was not confirmed in time.
    TimedOut,
    /// The reservation ran out before the order was confirmed.
    ReservationExpired,
    /// The customer asked for it.
    Customer,
}

/// An order was accepted. Carries all that inventory and payment need, so that neither has to ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderPlaced {
    /// The order.
    pub order_id: OrderId,
    /// Who ordered.
    pub customer: Customer,
    /// The currency of the total and of every line.
    pub currency: Currency,
    /// What was ordered.
    pub lines: Vec<Line>,
    /// What the customer pays.
    pub total: Money,
    /// Where the parcel goes.
    pub ship_to: Address,
    /// The provider's token for the means of payment; never card data.
    pub payment_method: String,
    /// When the order was accepted.
    #[serde(with = "timestamp")]
    #[schemars(schema_with = "timestamp::schema")]
    pub placed_at: Timestamp,
}

event!(OrderPlaced, "order.placed", 2, Order, order_id, upcast upcast_placed);

fn upcast_placed(version: u32, data: &[u8]) -> Result<OrderPlaced, Unreadable> {
    match version {
        1 => parse::<OrderPlacedV1>(data).map(OrderPlaced::from),
        _ => Err(Unreadable::Version { name: <OrderPlaced as crate::Event>::NAME, version }),
    }
}

/// One product of an order, before prices said their currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LineV1 {
    /// What was ordered.
    pub sku: Sku,
    /// What the product was called when it was ordered.
    pub name: String,
    /// How many.
    pub quantity: u32,
    /// The price of one, in US cents.
    pub unit_price: i64,
}

/// The first shape of `order.placed`: all prices in US cents, no currency. Still on topics, no longer published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderPlacedV1 {
    /// The order.
    pub order_id: OrderId,
    /// Who ordered.
    pub customer: Customer,
    /// What was ordered.
    pub lines: Vec<LineV1>,
    /// What the customer pays, in US cents.
    pub total: i64,
    /// Where the parcel goes.
    pub ship_to: Address,
    /// The provider's token for the means of payment; never card data.
    pub payment_method: String,
    /// When the order was accepted.
    #[serde(with = "timestamp")]
    #[schemars(schema_with = "timestamp::schema")]
    pub placed_at: Timestamp,
}

event!(OrderPlacedV1, "order.placed", 1, Order, order_id);

impl From<OrderPlacedV1> for OrderPlaced {
    fn from(old: OrderPlacedV1) -> Self {
        let usd = |amount| Money { amount, currency: Currency::USD };
        let line = |LineV1 { sku, name, quantity, unit_price }| Line {
            sku,
            name,
            quantity,
            unit_price: usd(unit_price),
        };
        Self {
            order_id: old.order_id,
            customer: old.customer,
            currency: Currency::USD,
            lines: old.lines.into_iter().map(line).collect(),
            total: usd(old.total),
            ship_to: old.ship_to,
            payment_method: old.payment_method,
            placed_at: old.placed_at,
        }
    }
}

/// Stock is reserved and the payment authorised: the order goes ahead. Carries all that shipping needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderConfirmed {
    /// The order.
    pub order_id: OrderId,
    /// Who ordered.
    pub customer: Customer,
    /// What is to be shipped.
    pub lines: Vec<Line>,
    /// What is to be captured.
    pub total: Money,
    /// Where the parcel goes.
    pub ship_to: Address,
    /// When the later of the two answers arrived.
    #[serde(with = "timestamp")]
    #[schemars(schema_with = "timestamp::schema")]
    pub confirmed_at: Timestamp,
    /// When the reservation of the stock runs out; absent if it does not. Where it is given nothing may leave
    /// before `inventory.stock-kept`: the confirmation may have crossed the expiry.
    #[serde(default, with = "timestamp::option", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp::option::schema")]
    pub stock_expires_at: Option<Timestamp>,
}

event!(OrderConfirmed, "order.confirmed", 1, Order, order_id);

/// The money was captured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderPaid {
    /// The order.
    pub order_id: OrderId,
    /// What was captured.
    pub amount: Money,
}

event!(OrderPaid, "order.paid", 1, Order, order_id);

/// The parcel left. From here on the order cannot be cancelled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderShipped {
    /// The order.
    pub order_id: OrderId,
    /// The carrier's number for the parcel.
    pub tracking_number: String,
}

event!(OrderShipped, "order.shipped", 1, Order, order_id);

/// The parcel arrived: the end of an order that went well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderDelivered {
    /// The order.
    pub order_id: OrderId,
}

event!(OrderDelivered, "order.delivered", 1, Order, order_id);

/// A confirmed order is to be cancelled. Only shipping knows whether the parcel can still be held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderCancellationRequested {
    /// The order.
    pub order_id: OrderId,
    /// Why.
    pub reason: CancelReason,
}

event!(OrderCancellationRequested, "order.cancellation-requested", 1, Order, order_id);

/// The order is off. The one signal on which every other service undoes its part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderCancelled {
    /// The order.
    pub order_id: OrderId,
    /// Why.
    pub reason: CancelReason,
}

event!(OrderCancelled, "order.cancelled", 1, Order, order_id);
