//! An order's events as others are told of them.

use events::{
    OrderCancellationRequested, OrderCancelled, OrderConfirmed, OrderDelivered, OrderPaid, OrderPlaced,
    OrderShipped,
};

use super::{Order, OrderEvent, OrderEvent as E};

/// An order's event in the published language.
pub(crate) enum Published {
    Placed(OrderPlaced),
    Confirmed(OrderConfirmed),
    Paid(OrderPaid),
    Shipped(OrderShipped),
    Delivered(OrderDelivered),
    CancellationRequested(OrderCancellationRequested),
    Cancelled(OrderCancelled),
}

impl Order {
    /// The event as its readers are to see it, from the order after it; `None` for what is not published.
    pub(crate) fn published(&self, event: &OrderEvent) -> Option<Published> {
        let order_id = self.placed.order_id;
        Some(match event {
            E::StockNoted { .. } | E::PaymentNoted | E::StockReturned | E::MoneyReturned | E::NothingHeld => {
                return None;
            }
            E::Placed(placed) => Published::Placed((**placed).clone()),
            E::Confirmed { at } => Published::Confirmed(OrderConfirmed {
                order_id,
                customer: self.placed.customer.clone(),
                lines: self.placed.lines.clone(),
                total: self.placed.total,
                ship_to: self.placed.ship_to.clone(),
                confirmed_at: *at,
                stock_expires_at: self.stock_expires_at,
            }),
            E::Paid => Published::Paid(OrderPaid { order_id, amount: self.placed.total }),
            E::Shipped { tracking_number } => {
                Published::Shipped(OrderShipped { order_id, tracking_number: tracking_number.clone() })
            }
            E::Delivered => Published::Delivered(OrderDelivered { order_id }),
            E::CancellationRequested { reason, .. } => {
                Published::CancellationRequested(OrderCancellationRequested { order_id, reason: *reason })
            }
            E::Cancelled { reason, .. } => Published::Cancelled(OrderCancelled { order_id, reason: *reason }),
        })
    }
}

impl OrderEvent {
    /// Whether others are told of it.
    pub fn is_published(&self) -> bool {
        match self {
            E::StockNoted { .. } | E::PaymentNoted | E::StockReturned | E::MoneyReturned | E::NothingHeld => {
                false
            }
            E::Placed(_)
            | E::Confirmed { .. }
            | E::Paid
            | E::Shipped { .. }
            | E::Delivered
            | E::CancellationRequested { .. }
            | E::Cancelled { .. } => true,
        }
    }
}
