use engine::{Arrival, Timestamp, Unreadable};
use events::{
    CancellationRefused, CaptureFailed, Event as _, OrderId, PaymentAuthorized, PaymentCancelled,
    PaymentCaptured, PaymentDeclined, PaymentRefunded, PaymentVoided, ProductChanged, ReservationExpired,
    ShipmentCancelled, ShipmentDelivered, ShipmentDispatched, StockRejected, StockReleased, StockReserved,
};

use super::PlaceOrder;

/// Everything that can happen to orders.
#[derive(Debug, Clone)]
pub enum Input {
    Place(Box<PlaceOrder>),
    /// With what was said when it was asked for.
    Cancel(OrderId, Option<String>),
    /// Its row in the read model is to be written anew from its events.
    Refold(OrderId),
    /// With the time when the reservation runs out, if it does.
    StockReserved(OrderId, Option<Timestamp>),
    StockRejected(OrderId),
    StockReleased(OrderId),
    ReservationExpired(OrderId),
    PaymentAuthorized(OrderId),
    PaymentDeclined(OrderId),
    PaymentCaptured(OrderId),
    CaptureFailed(OrderId),
    PaymentVoided(OrderId),
    PaymentRefunded(OrderId),
    PaymentCancelled(OrderId),
    Dispatched(OrderId, String),
    Delivered(OrderId),
    ShipmentCancelled(OrderId),
    CancellationRefused(OrderId),
    ConfirmationDue(OrderId),
    ProductChanged(ProductChanged),
}

impl Input {
    /// The order that it concerns.
    pub fn order_id(&self) -> Option<OrderId> {
        match self {
            Self::Place(it) => Some(it.order_id),
            Self::Cancel(id, _)
            | Self::Refold(id)
            | Self::StockReserved(id, _)
            | Self::StockRejected(id)
            | Self::StockReleased(id)
            | Self::ReservationExpired(id)
            | Self::PaymentAuthorized(id)
            | Self::PaymentDeclined(id)
            | Self::PaymentCaptured(id)
            | Self::CaptureFailed(id)
            | Self::PaymentVoided(id)
            | Self::PaymentRefunded(id)
            | Self::PaymentCancelled(id)
            | Self::Dispatched(id, _)
            | Self::Delivered(id)
            | Self::ShipmentCancelled(id)
            | Self::CancellationRefused(id)
            | Self::ConfirmationDue(id) => Some(*id),
            Self::ProductChanged(_) => None,
        }
    }

    pub(super) fn read(event: &Arrival<'_>) -> Result<Option<Self>, Unreadable> {
        Ok(Some(match event.name {
            StockReserved::NAME => {
                let it: StockReserved = event.data()?;
                Self::StockReserved(it.order_id, it.expires_at)
            }
            StockRejected::NAME => Self::StockRejected(event.data::<StockRejected>()?.order_id),
            StockReleased::NAME => Self::StockReleased(event.data::<StockReleased>()?.order_id),
            ReservationExpired::NAME => {
                Self::ReservationExpired(event.data::<ReservationExpired>()?.order_id)
            }
            PaymentAuthorized::NAME => Self::PaymentAuthorized(event.data::<PaymentAuthorized>()?.order_id),
            PaymentDeclined::NAME => Self::PaymentDeclined(event.data::<PaymentDeclined>()?.order_id),
            PaymentCaptured::NAME => Self::PaymentCaptured(event.data::<PaymentCaptured>()?.order_id),
            CaptureFailed::NAME => Self::CaptureFailed(event.data::<CaptureFailed>()?.order_id),
            PaymentVoided::NAME => Self::PaymentVoided(event.data::<PaymentVoided>()?.order_id),
            PaymentRefunded::NAME => Self::PaymentRefunded(event.data::<PaymentRefunded>()?.order_id),
            PaymentCancelled::NAME => Self::PaymentCancelled(event.data::<PaymentCancelled>()?.order_id),
            ShipmentDispatched::NAME => {
                let it: ShipmentDispatched = event.data()?;
                Self::Dispatched(it.order_id, it.tracking_number)
            }
            ShipmentDelivered::NAME => Self::Delivered(event.data::<ShipmentDelivered>()?.order_id),
            ShipmentCancelled::NAME => Self::ShipmentCancelled(event.data::<ShipmentCancelled>()?.order_id),
            CancellationRefused::NAME => {
                Self::CancellationRefused(event.data::<CancellationRefused>()?.order_id)
            }
            ProductChanged::NAME => Self::ProductChanged(event.data()?),
            _ => return Ok(None),
        }))
    }
}
