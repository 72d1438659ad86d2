//! Every version of every event, as data.

use serde_json::Value;

use crate::{
    Aggregate, CancellationRefused, CaptureFailed, Event, EventType, OrderCancellationRequested,
    OrderCancelled, OrderConfirmed, OrderDelivered, OrderPaid, OrderPlaced, OrderPlacedV1, OrderShipped,
    PaymentAuthorized, PaymentCancelled, PaymentCaptured, PaymentDeclined, PaymentRefunded, PaymentVoided,
    ProductChanged, ReservationExpired, ShipmentCancelled, ShipmentDelivered, ShipmentDispatched,
    ShipmentScheduled, StockDeducted, StockKept, StockRejected, StockReleased, StockReserved, Unreadable,
    examples, schema,
};

/// One version of an event: what is published about it in `schemas/`.
#[derive(Debug, Clone)]
pub struct Published {
    /// `order.placed`.
    pub name: &'static str,
    /// From 1 upwards.
    pub version: u32,
    /// The topic it is on.
    pub aggregate: Aggregate,
    /// Its JSON Schema, draft 2020-12.
    pub schema: Value,
    /// Data that the schema accepts; the examples together tell of one order and one that failed.
    pub example: Value,
    /// Reads data of this version the way a consumer does: as the newest version, given back as JSON.
    pub decode: fn(&[u8]) -> Result<Value, Unreadable>,
}

impl Published {
    /// Name and version together.
    pub fn ty(&self) -> EventType<'static> {
        EventType { name: self.name, version: self.version }
    }
}

/// All that was ever published, by topic and in the order of an order's life.
pub fn catalogue() -> Vec<Published> {
    vec![
        older::<OrderPlaced, OrderPlacedV1>(examples::order_placed_v1()),
        newest::<OrderPlaced>(examples::order_placed()),
        newest::<OrderConfirmed>(examples::order_confirmed()),
        newest::<OrderPaid>(examples::order_paid()),
        newest::<OrderShipped>(examples::order_shipped()),
        newest::<OrderDelivered>(examples::order_delivered()),
        newest::<OrderCancellationRequested>(examples::order_cancellation_requested()),
        newest::<OrderCancelled>(examples::order_cancelled()),
        newest::<StockReserved>(examples::stock_reserved()),
        newest::<StockRejected>(examples::stock_rejected()),
        newest::<StockKept>(examples::stock_kept()),
        newest::<StockReleased>(examples::stock_released()),
        newest::<ReservationExpired>(examples::reservation_expired()),
        newest::<StockDeducted>(examples::stock_deducted()),
        newest::<PaymentAuthorized>(examples::payment_authorized()),
        newest::<PaymentDeclined>(examples::payment_declined()),
        newest::<PaymentCaptured>(examples::payment_captured()),
        newest::<CaptureFailed>(examples::capture_failed()),
        newest::<PaymentVoided>(examples::payment_voided()),
        newest::<PaymentRefunded>(examples::payment_refunded()),
        newest::<PaymentCancelled>(examples::payment_cancelled()),
        newest::<ShipmentScheduled>(examples::shipment_scheduled()),
        newest::<ShipmentDispatched>(examples::shipment_dispatched()),
        newest::<ShipmentDelivered>(examples::shipment_delivered()),
        newest::<ShipmentCancelled>(examples::shipment_cancelled()),
        newest::<CancellationRefused>(examples::cancellation_refused()),
        newest::<ProductChanged>(examples::product_changed()),
    ]
}

fn newest<E: Event>(example: Value) -> Published {
    older::<E, E>(example)
}

/// `Old` is a version that consumers read as `E`.
fn older<E: Event, Old: Event>(example: Value) -> Published {
    Published {
        name: Old::NAME,
        version: Old::VERSION,
        aggregate: Old::AGGREGATE,
        schema: schema::of::<Old>(),
        example,
        decode: |data| {
            let event = E::decode(Old::VERSION, data)?;
            serde_json::to_value(event).map_err(|error| Unreadable::Data(error.to_string()))
        },
    }
}
