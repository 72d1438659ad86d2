//! What the other services tell about orders, by number.

use events::{
    Address, CancelReason, Currency, Customer, Line, Money, OrderCancelled, OrderConfirmed, OrderId,
    OrderPlaced, ShipmentDispatched, Timestamp,
};
use uuid::Uuid;

pub(crate) fn order(number: u128) -> OrderId {
    OrderId(Uuid::from_u128(number))
}

fn customer() -> Customer {
    Customer { id: "c-1".parse().unwrap(), name: "Ada".into(), email: "ada@example.com".into() }
}

fn address() -> Address {
    Address {
        name: "Ada".into(),
        line1: "12 Analytical St".into(),
        line2: None,
        city: "London".into(),
        postal_code: "N1".into(),
        country: "GB".into(),
    }
}

fn line((sku, quantity): &(&str, u32)) -> Line {
    let unit_price = Money { amount: 500, currency: Currency::USD };
    Line { sku: sku.parse().unwrap(), name: (*sku).into(), quantity: *quantity, unit_price }
}

pub(crate) fn placed(number: u128, lines: &[(&str, u32)]) -> OrderPlaced {
    OrderPlaced {
        order_id: order(number),
        customer: customer(),
        currency: Currency::USD,
        lines: lines.iter().map(line).collect(),
        total: Money { amount: 500, currency: Currency::USD },
        ship_to: address(),
        payment_method: "pm_card_visa".into(),
        placed_at: Timestamp::UNIX_EPOCH,
    }
}

pub(crate) fn confirmed(number: u128) -> OrderConfirmed {
    OrderConfirmed {
        order_id: order(number),
        customer: customer(),
        lines: vec![],
        total: Money { amount: 500, currency: Currency::USD },
        ship_to: address(),
        confirmed_at: Timestamp::UNIX_EPOCH,
        stock_expires_at: None,
    }
}

pub(crate) fn cancelled(number: u128) -> OrderCancelled {
    OrderCancelled { order_id: order(number), reason: CancelReason::Customer }
}

pub(crate) fn dispatched(number: u128) -> ShipmentDispatched {
    let order_id = order(number);
    ShipmentDispatched { order_id, tracking_number: "WB1".into(), dispatched_at: Timestamp::UNIX_EPOCH }
}
