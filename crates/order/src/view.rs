//! An order as it is shown: what the read model holds and what HTTP answers.

use events::{CancelReason, Customer, Line, Money, OrderId, OrderPlaced, Sku, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::order::{Order, State};

/// An order as its readers see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OrderView {
    #[schema(value_type = uuid::Uuid)]
    pub order_id: OrderId,
    pub status: Status,
    /// Counts the order's events; also its `ETag`.
    pub version: i64,
    #[schema(value_type = CustomerView)]
    pub customer: Customer,
    #[schema(value_type = Vec<LineView>)]
    pub lines: Vec<Line>,
    #[schema(value_type = Amount)]
    pub total: Money,
    /// The provider has captured the total; a later refund does not change this.
    pub paid: bool,
    #[schema(value_type = Option<String>, example = "out-of-stock")]
    pub cancel_reason: Option<CancelReason>,
    pub tracking_number: Option<String>,
    #[serde(with = "events::timestamp")]
    #[schema(value_type = String, format = DateTime)]
    pub placed_at: Timestamp,
}

/// How far an order has come; `cancelled` and `delivered` are the ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    Placed,
    Confirmed,
    Shipped,
    Delivered,
    Cancelled,
}

impl Status {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Placed => "placed",
            Self::Confirmed => "confirmed",
            Self::Shipped => "shipped",
            Self::Delivered => "delivered",
            Self::Cancelled => "cancelled",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        [Self::Placed, Self::Confirmed, Self::Shipped, Self::Delivered, Self::Cancelled]
            .into_iter()
            .find(|it| it.name() == name)
    }
}

/// What of a view changes over an order's life: the columns of `order_view`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Progress {
    pub(crate) status: Status,
    pub(crate) version: i64,
    pub(crate) paid: bool,
    pub(crate) cancel_reason: Option<CancelReason>,
    pub(crate) tracking_number: Option<String>,
}

impl Progress {
    pub(crate) fn of(order: &Order) -> Self {
        let (status, paid, cancel_reason, tracking_number) = match &order.state {
            State::Placed { .. } => (Status::Placed, false, None, None),
            State::Confirmed { paid, .. } => (Status::Confirmed, *paid, None, None),
            State::Shipped { paid, tracking_number } => {
                (Status::Shipped, *paid, None, Some(tracking_number.clone()))
            }
            State::Delivered { paid, tracking_number } => {
                (Status::Delivered, *paid, None, Some(tracking_number.clone()))
            }
            State::Cancelled { paid, reason } => (Status::Cancelled, *paid, Some(*reason), None),
        };
        Self { status, version: order.version, paid, cancel_reason, tracking_number }
    }
}

impl OrderView {
    /// What the fold of an order's events shows.
    pub fn of(order: &Order) -> Self {
        Self::new(order.placed.clone(), Progress::of(order))
    }

    pub(crate) fn new(placed: OrderPlaced, progress: Progress) -> Self {
        Self {
            order_id: placed.order_id,
            status: progress.status,
            version: progress.version,
            customer: placed.customer,
            lines: placed.lines,
            total: placed.total,
            paid: progress.paid,
            cancel_reason: progress.cancel_reason,
            tracking_number: progress.tracking_number,
            placed_at: placed.placed_at,
        }
    }
}

/// The spelling of a reason in the database and over HTTP.
pub(crate) fn reason_name(reason: CancelReason) -> &'static str {
    match reason {
        CancelReason::OutOfStock => "out-of-stock",
        CancelReason::PaymentDeclined => "payment-declined",
        CancelReason::CaptureFailed => "capture-failed",
        CancelReason::TimedOut => "timed-out",
        CancelReason::ReservationExpired => "reservation-expired",
        CancelReason::Customer => "customer",
    }
}

pub(crate) fn reason_of(name: &str) -> Option<CancelReason> {
    use CancelReason as R;
    [R::OutOfStock, R::PaymentDeclined, R::CaptureFailed, R::TimedOut, R::ReservationExpired, R::Customer]
        .into_iter()
        .find(|it| reason_name(*it) == name)
}

// The shapes of the published language, for the OpenAPI description alone.

#[derive(ToSchema)]
#[expect(dead_code, reason = "describes `events::Customer`")]
pub(crate) struct CustomerView {
    id: String,
    name: String,
    email: String,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "describes `events::Line`")]
pub(crate) struct LineView {
    #[schema(value_type = String, example = "MUG-01")]
    sku: Sku,
    name: String,
    quantity: u32,
    #[schema(value_type = Amount)]
    unit_price: Money,
}

/// Minor units of an ISO 4217 currency: 1999 USD is 19.99 dollars.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes `events::Money`")]
pub(crate) struct Amount {
    #[schema(example = 1999)]
    amount: i64,
    #[schema(example = "USD")]
    currency: String,
}
