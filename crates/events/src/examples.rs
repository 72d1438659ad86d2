//! An example of each event, written out as it travels rather than made from the structs: a struct that no
//! longer writes or reads this has changed the wire.

use serde_json::{Value, json};

/// The order that the happy path follows, and the failures that could have befallen it.
const ORDER: &str = "0198c0de-7a10-7c3e-9d52-5b1f0e8a4c21";
const PAYMENT: &str = "pi_3S1WaybillExample01";
const PARCEL: &str = "WB000042NL";

fn customer() -> Value {
    json!({ "id": "c-1815", "name": "Ada Lovelace", "email": "ada@example.com" })
}

fn ship_to() -> Value {
    json!({
        "name": "Ada Lovelace",
        "line1": "12 St James's Square",
        "line2": "2nd floor",
        "city": "London",
        "postal_code": "SW1Y 4JH",
        "country": "GB",
    })
}

fn usd(amount: i64) -> Value {
    json!({ "amount": amount, "currency": "USD" })
}

fn total() -> Value {
    usd(5_497)
}

fn lines() -> Value {
    json!([
        { "sku": "MUG-01", "name": "Enamel mug", "quantity": 2, "unit_price": usd(1_999) },
        { "sku": "TEA-GREEN.100", "name": "Green tea, 100 g", "quantity": 1, "unit_price": usd(1_499) },
    ])
}

fn items() -> Value {
    json!([{ "sku": "MUG-01", "quantity": 2 }, { "sku": "TEA-GREEN.100", "quantity": 1 }])
}

/// The many events that say no more than which order and one or two words.
fn of_order(rest: Value) -> Value {
    let mut event = json!({ "order_id": ORDER });
    if let (Value::Object(event), Value::Object(rest)) = (&mut event, rest) {
        event.extend(rest);
    }
    event
}

pub(crate) fn order_placed_v1() -> Value {
    of_order(json!({
        "customer": customer(),
        "lines": [
            { "sku": "MUG-01", "name": "Enamel mug", "quantity": 2, "unit_price": 1_999 },
            { "sku": "TEA-GREEN.100", "name": "Green tea, 100 g", "quantity": 1, "unit_price": 1_499 },
        ],
        "total": 5_497,
        "ship_to": ship_to(),
        "payment_method": "pm_card_visa",
        "placed_at": "2025-08-19T09:30:00Z",
    }))
}

pub(crate) fn order_placed() -> Value {
    of_order(json!({
        "customer": customer(),
        "currency": "USD",
        "lines": lines(),
        "total": total(),
        "ship_to": ship_to(),
        "payment_method": "pm_card_visa",
        "placed_at": "2025-08-19T09:30:00Z",
    }))
}

pub(crate) fn order_confirmed() -> Value {
    of_order(json!({
        "customer": customer(),
        "lines": lines(),
        "total": total(),
        "ship_to": ship_to(),
        "confirmed_at": "2025-08-19T09:30:01.25Z",
        "stock_expires_at": "2025-08-19T09:45:00Z",
    }))
}

pub(crate) fn order_paid() -> Value {
    of_order(json!({ "amount": total() }))
}

pub(crate) fn order_shipped() -> Value {
    of_order(json!({ "tracking_number": PARCEL }))
}

pub(crate) fn order_delivered() -> Value {
    of_order(json!({}))
}

pub(crate) fn order_cancellation_requested() -> Value {
    of_order(json!({ "reason": "customer" }))
}

pub(crate) fn order_cancelled() -> Value {
    of_order(json!({ "reason": "out-of-stock" }))
}

pub(crate) fn stock_reserved() -> Value {
    of_order(json!({ "items": items(), "expires_at": "2025-08-19T09:45:00Z" }))
}

pub(crate) fn stock_rejected() -> Value {
    of_order(json!({ "shortages": [{ "sku": "MUG-01", "requested": 2, "available": 1 }] }))
}

pub(crate) fn stock_kept() -> Value {
    of_order(json!({ "items": items() }))
}

pub(crate) fn stock_released() -> Value {
    of_order(json!({ "items": items() }))
}

pub(crate) fn reservation_expired() -> Value {
    of_order(json!({ "items": items() }))
}

pub(crate) fn stock_deducted() -> Value {
    of_order(json!({ "items": items() }))
}

pub(crate) fn payment_authorized() -> Value {
    of_order(json!({ "amount": total(), "provider_reference": PAYMENT }))
}

pub(crate) fn payment_declined() -> Value {
    of_order(json!({ "amount": total(), "code": "insufficient_funds" }))
}

pub(crate) fn payment_captured() -> Value {
    of_order(json!({ "amount": total(), "provider_reference": PAYMENT }))
}

pub(crate) fn capture_failed() -> Value {
    of_order(json!({ "amount": total(), "provider_reference": PAYMENT, "code": "expired_card" }))
}

pub(crate) fn payment_voided() -> Value {
    of_order(json!({ "amount": total(), "provider_reference": PAYMENT }))
}

pub(crate) fn payment_refunded() -> Value {
    of_order(json!({ "amount": total(), "provider_reference": PAYMENT }))
}

pub(crate) fn payment_cancelled() -> Value {
    of_order(json!({}))
}

pub(crate) fn shipment_scheduled() -> Value {
    of_order(json!({ "ship_to": ship_to() }))
}

pub(crate) fn shipment_dispatched() -> Value {
    of_order(json!({ "tracking_number": PARCEL, "dispatched_at": "2025-08-19T16:05:00Z" }))
}

pub(crate) fn shipment_delivered() -> Value {
    of_order(json!({ "tracking_number": PARCEL, "delivered_at": "2025-08-21T10:12:00Z" }))
}

pub(crate) fn shipment_cancelled() -> Value {
    of_order(json!({}))
}

pub(crate) fn cancellation_refused() -> Value {
    of_order(json!({}))
}

pub(crate) fn product_changed() -> Value {
    json!({ "sku": "MUG-01", "name": "Enamel mug", "price": usd(1_999), "on_hand": 100 })
}
