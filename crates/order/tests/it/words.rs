//! What customers and the other services say.

use events::{
    CaptureFailed, Money, OrderId, PaymentAuthorized, PaymentCancelled, PaymentCaptured, PaymentDeclined,
    PaymentRefunded, PaymentVoided, ProductChanged, ReservationExpired, ShipmentDelivered,
    ShipmentDispatched, StockRejected, StockReleased, StockReserved,
};
use serde_json::{Value, json};
use time::OffsetDateTime;

/// An order of two mugs.
pub(crate) fn mugs() -> Value {
    order_of(json!([{"sku": "MUG-01", "quantity": 2}]))
}

pub(crate) fn order_of(lines: Value) -> Value {
    json!({
        "customer": {"id": "c-1", "name": "Ada Lovelace", "email": "ada@example.com"},
        "currency": "USD",
        "lines": lines,
        "ship_to": {"name": "Ada Lovelace", "line1": "12 Analytical St", "city": "London", "postal_code": "N1",
                    "country": "GB"},
        "payment_method": "pm_card_visa",
    })
}

pub(crate) fn usd(amount: i64) -> Money {
    Money { amount, currency: "USD".parse().unwrap() }
}

pub(crate) fn product(sku: &str, amount: i64, currency: &str) -> ProductChanged {
    let price = Money { amount, currency: currency.parse().unwrap() };
    ProductChanged { sku: sku.parse().unwrap(), name: format!("Product {sku}"), price, on_hand: 100 }
}

pub(crate) fn stock_reserved(order_id: OrderId) -> StockReserved {
    StockReserved { order_id, items: vec![], expires_at: None }
}

pub(crate) fn authorized(order_id: OrderId) -> PaymentAuthorized {
    PaymentAuthorized { order_id, amount: usd(3998), provider_reference: "pi_1".into() }
}

pub(crate) fn captured(order_id: OrderId) -> PaymentCaptured {
    PaymentCaptured { order_id, amount: usd(3998), provider_reference: "pi_1".into() }
}

pub(crate) fn dispatched(order_id: OrderId) -> ShipmentDispatched {
    ShipmentDispatched { order_id, tracking_number: "WB1".into(), dispatched_at: OffsetDateTime::now_utc() }
}

pub(crate) fn delivered(order_id: OrderId) -> ShipmentDelivered {
    ShipmentDelivered { order_id, tracking_number: "WB1".into(), delivered_at: OffsetDateTime::now_utc() }
}

pub(crate) fn capture_failed(order_id: OrderId) -> CaptureFailed {
    CaptureFailed {
        order_id,
        amount: usd(3998),
        provider_reference: "pi_1".into(),
        code: "card_declined".into(),
    }
}

pub(crate) fn declined(order_id: OrderId) -> PaymentDeclined {
    PaymentDeclined { order_id, amount: usd(3998), code: "card_declined".into() }
}

pub(crate) fn rejected(order_id: OrderId) -> StockRejected {
    StockRejected { order_id, shortages: vec![] }
}

pub(crate) fn expired(order_id: OrderId) -> ReservationExpired {
    ReservationExpired { order_id, items: vec![] }
}

pub(crate) fn released(order_id: OrderId) -> StockReleased {
    StockReleased { order_id, items: vec![] }
}

pub(crate) fn voided(order_id: OrderId) -> PaymentVoided {
    PaymentVoided { order_id, amount: usd(3998), provider_reference: "pi_1".into() }
}

pub(crate) fn refunded(order_id: OrderId) -> PaymentRefunded {
    PaymentRefunded { order_id, amount: usd(3998), provider_reference: "pi_1".into() }
}

pub(crate) fn payment_cancelled(order_id: OrderId) -> PaymentCancelled {
    PaymentCancelled { order_id }
}
