use events::{Address, OrderId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::shipment::{Awaited, Shipment, State};

/// A shipment as its readers see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShipmentView {
    #[schema(value_type = uuid::Uuid)]
    pub order_id: OrderId,
    pub status: Status,
    /// Absent until the parcel is dispatched.
    #[schema(example = "WBTMJV3W78MK113")]
    pub tracking_number: Option<String>,
    /// Whether the payment was captured, without which nothing is dispatched. Of a cancelled shipment: whether
    /// it was when the shipment was cancelled.
    pub captured: bool,
    /// Whether inventory is still to say that the stock is kept, without which nothing is dispatched either:
    /// of an order whose reservation runs out.
    pub awaits_stock: bool,
    #[schema(value_type = AddressView)]
    pub ship_to: Address,
    #[serde(with = "events::timestamp::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub dispatched_at: Option<Timestamp>,
    #[serde(with = "events::timestamp::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub delivered_at: Option<Timestamp>,
    /// Whether somebody wanted to cancel after the parcel had left.
    pub cancellation_refused: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    Scheduled,
    Dispatched,
    Delivered,
    Cancelled,
}

impl ShipmentView {
    /// `None`: nothing was ever scheduled, so there is no shipment to show.
    pub(crate) fn of(shipment: &Shipment) -> Option<Self> {
        use State as S;
        let (status, ship_to, waits_for) = match &shipment.state {
            S::Early { .. } | S::Barred => return None,
            S::Scheduled { ship_to, waits_for } => (Status::Scheduled, ship_to, *waits_for),
            S::Dispatched { ship_to, .. } => (Status::Dispatched, ship_to, Awaited::NOTHING),
            S::Delivered { ship_to, .. } => (Status::Delivered, ship_to, Awaited::NOTHING),
            S::Cancelled { ship_to, captured } => {
                (Status::Cancelled, ship_to, Awaited { capture: !captured, ..Awaited::NOTHING })
            }
        };
        let parcel = shipment.parcel();
        Some(Self {
            order_id: shipment.order_id,
            status,
            tracking_number: parcel.map(|it| it.tracking_number.clone()),
            captured: !waits_for.capture,
            awaits_stock: waits_for.stock,
            ship_to: ship_to.clone(),
            dispatched_at: parcel.map(|it| it.dispatched_at),
            delivered_at: match shipment.state {
                State::Delivered { delivered_at, .. } => Some(delivered_at),
                _ => None,
            },
            cancellation_refused: parcel.is_some_and(|it| it.cancellation_refused),
        })
    }
}

/// Where a parcel goes.
// The shape of the published language, for the OpenAPI description alone.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes `events::Address`")]
pub(crate) struct AddressView {
    #[schema(example = "Ada Lovelace")]
    name: String,
    #[schema(example = "12 Analytical St")]
    line1: String,
    line2: Option<String>,
    #[schema(example = "London")]
    city: String,
    #[schema(example = "N1")]
    postal_code: String,
    #[schema(example = "GB")]
    country: String,
}
