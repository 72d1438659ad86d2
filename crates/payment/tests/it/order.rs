//! An order, and what the other services say of it.

use std::fmt;

use bus::{CloudEvent, Trace};
use events::{
    Address, CancelReason, Currency, Customer, Event, Item, Line, Money, OrderCancelled, OrderConfirmed,
    OrderId, OrderPlaced, StockReserved, Timestamp,
};
use uuid::Uuid;

pub(crate) const TOTAL: Money = Money { amount: 3_998, currency: Currency::USD };

#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) id: OrderId,
    pub(crate) payment_method: String,
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.id.fmt(f)
    }
}

impl Order {
    pub(crate) fn placed(&self) -> OrderPlaced {
        OrderPlaced {
            order_id: self.id,
            customer: customer(),
            currency: TOTAL.currency,
            lines: lines(),
            total: TOTAL,
            ship_to: ship_to(),
            payment_method: self.payment_method.clone(),
            placed_at: Timestamp::UNIX_EPOCH,
        }
    }

    pub(crate) fn reserved(&self) -> StockReserved {
        let items = vec![Item { sku: "MUG-01".parse().unwrap(), quantity: 2 }];
        StockReserved { order_id: self.id, items, expires_at: None }
    }

    pub(crate) fn confirmed(&self) -> OrderConfirmed {
        OrderConfirmed {
            order_id: self.id,
            customer: customer(),
            lines: lines(),
            total: TOTAL,
            ship_to: ship_to(),
            confirmed_at: Timestamp::UNIX_EPOCH,
            stock_expires_at: None,
        }
    }

    pub(crate) fn cancelled(&self) -> OrderCancelled {
        OrderCancelled { order_id: self.id, reason: CancelReason::Customer }
    }
}

fn customer() -> Customer {
    let id = "c-1".parse().unwrap();
    Customer { id, name: "Ada Lovelace".into(), email: "ada@example.com".into() }
}

fn lines() -> Vec<Line> {
    let unit_price = Money { amount: 1_999, ..TOTAL };
    vec![Line { sku: "MUG-01".parse().unwrap(), name: "Enamel mug".into(), quantity: 2, unit_price }]
}

fn ship_to() -> Address {
    Address {
        name: "Ada Lovelace".into(),
        line1: "12 St James's Square".into(),
        line2: None,
        city: "London".into(),
        postal_code: "SW1Y 4JH".into(),
        country: "GB".into(),
    }
}

/// An event of another service's, as it is on the log.
pub(crate) fn cloud_event<E: Event>(id: Uuid, event: &E) -> CloudEvent<'static> {
    CloudEvent {
        id,
        source: "/waybill/test".into(),
        r#type: E::TYPE.into(),
        subject: Some(event.key().into()),
        time: None,
        sequence: None,
        correlation_id: None,
        causation_id: None,
        actor: None,
        trace: Trace::default(),
        data: serde_json::to_vec(event).unwrap().into(),
    }
}
