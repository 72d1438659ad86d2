//! An order as it is shown: what the read model holds and what HTTP answers.

use events::{CancelReason, Customer, Line, Money, OrderId, OrderPlaced, Sku, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::order::{Order, Return, State};

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
    /// Shipping has been asked to stop the parcel and has not answered. Absent otherwise.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cancelling: bool,
    /// What was held for an order that is cancelled, and whether it is back. Absent when nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compensation: Option<Compensation>,
    pub tracking_number: Option<String>,
    #[serde(with = "events::timestamp")]
    #[schema(value_type = String, format = DateTime)]
    pub placed_at: Timestamp,
}

/// What was held for a cancelled order and has to go back, each absent when nothing was held. `done` when who
/// held it has said so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Compensation {
    /// The reservation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stock: Option<Return>,
    /// What was authorised or captured. `pending` also while payment has not said whether anything was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<Return>,
}

impl Compensation {
    pub(crate) fn of(stock: Option<Return>, payment: Option<Return>) -> Option<Self> {
        (stock.is_some() || payment.is_some()).then_some(Self { stock, payment })
    }
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
    pub(crate) cancelling: bool,
    pub(crate) cancel_reason: Option<CancelReason>,
    pub(crate) compensation: Option<Compensation>,
    pub(crate) tracking_number: Option<String>,
}

impl Progress {
    pub(crate) fn of(order: &Order) -> Self {
        let at = |status, paid| Self {
            status,
            version: order.version,
            paid,
            cancelling: false,
            cancel_reason: None,
            compensation: None,
            tracking_number: None,
        };
        match &order.state {
            State::Placed { .. } => at(Status::Placed, false),
            State::Confirmed { paid, cancelling } => {
                Self { cancelling: cancelling.is_some(), ..at(Status::Confirmed, *paid) }
            }
            State::Shipped { paid, tracking_number } => {
                Self { tracking_number: Some(tracking_number.clone()), ..at(Status::Shipped, *paid) }
            }
            State::Delivered { paid, tracking_number } => {
                Self { tracking_number: Some(tracking_number.clone()), ..at(Status::Delivered, *paid) }
            }
            State::Cancelled { paid, reason, back } => Self {
                cancel_reason: Some(*reason),
                compensation: Compensation::of(back.stock, back.money.shown()),
                ..at(Status::Cancelled, *paid)
            },
        }
    }

    pub(crate) fn returned(&self, of: fn(&Compensation) -> Option<Return>) -> Option<&'static str> {
        self.compensation.as_ref().and_then(of).map(Return::name)
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
            cancelling: progress.cancelling,
            compensation: progress.compensation,
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
