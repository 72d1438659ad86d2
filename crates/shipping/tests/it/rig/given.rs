//! What other services say, for any order.

use events::{
    Address, CancelReason, Customer, Money, OrderCancellationRequested, OrderCancelled, OrderConfirmed,
    OrderId, PaymentCaptured, StockKept,
};
use time::OffsetDateTime;

fn address() -> Address {
    Address {
        name: "Ada Lovelace".into(),
        line1: "12 Analytical St".into(),
        line2: Some("2nd floor".into()),
        city: "London".into(),
        postal_code: "N1".into(),
        country: "GB".into(),
    }
}

fn total() -> Money {
    Money { amount: 3_998, currency: events::Currency::USD }
}

pub(crate) fn confirmed(order_id: OrderId) -> OrderConfirmed {
    OrderConfirmed {
        order_id,
        customer: Customer {
            id: "c-1".parse().unwrap(),
            name: "Ada".into(),
            email: "ada@example.com".into(),
        },
        lines: vec![],
        total: total(),
        ship_to: address(),
        confirmed_at: OffsetDateTime::now_utc(),
        stock_expires_at: None,
    }
}

/// Of an order whose reservation runs out.
pub(crate) fn confirmed_until(order_id: OrderId) -> OrderConfirmed {
    let soon = OffsetDateTime::now_utc() + time::Duration::HOUR;
    OrderConfirmed { stock_expires_at: Some(soon), ..confirmed(order_id) }
}

pub(crate) fn kept(order_id: OrderId) -> StockKept {
    StockKept { order_id, items: vec![] }
}

pub(crate) fn captured(order_id: OrderId) -> PaymentCaptured {
    PaymentCaptured { order_id, amount: total(), provider_reference: "pi_1".into() }
}

pub(crate) fn requested(order_id: OrderId) -> OrderCancellationRequested {
    OrderCancellationRequested { order_id, reason: CancelReason::Customer }
}

pub(crate) fn cancelled(order_id: OrderId) -> OrderCancelled {
    OrderCancelled { order_id, reason: CancelReason::CaptureFailed }
}
