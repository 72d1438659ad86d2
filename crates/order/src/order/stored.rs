//! The stored form of an order's events. A form that was ever stored stays readable.

use events::{CancelReason, Event as _, OrderPlaced, Timestamp, Unreadable};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{OrderEvent, OrderEvent as E};

impl OrderEvent {
    /// Name and version of the stored form.
    pub fn stored_type(&self) -> &'static str {
        match self {
            E::Placed(_) => "placed.v2",
            E::StockNoted { .. } => "stock-noted.v1",
            E::PaymentNoted => "payment-noted.v1",
            E::Confirmed { .. } => "confirmed.v1",
            E::Paid => "paid.v1",
            E::Shipped { .. } => "shipped.v1",
            E::Delivered => "delivered.v1",
            E::CancellationRequested { .. } => "cancellation-requested.v1",
            E::Cancelled { .. } => "cancelled.v1",
            E::StockReturned => "stock-returned.v1",
            E::MoneyReturned => "money-returned.v1",
            E::NothingHeld => "nothing-held.v1",
        }
    }

    /// The stored form's data, JSON.
    pub fn stored_data(&self) -> String {
        let json = match self {
            E::Placed(placed) => serde_json::to_string(placed),
            E::PaymentNoted
            | E::Paid
            | E::Delivered
            | E::StockReturned
            | E::MoneyReturned
            | E::NothingHeld => return "{}".to_owned(),
            E::StockNoted { expires_at } => serde_json::to_string(&Until { expires_at: *expires_at }),
            E::Confirmed { at } => serde_json::to_string(&At { at: *at }),
            E::Shipped { tracking_number } => {
                serde_json::to_string(&Tracked { tracking_number: tracking_number.clone() })
            }
            E::CancellationRequested { reason, note } => {
                serde_json::to_string(&Because { reason: *reason, note: note.clone() })
            }
            E::Cancelled { reason, note, awaits_payment } => {
                let because = Because { reason: *reason, note: note.clone() };
                serde_json::to_string(&Off { because, awaits_payment: *awaits_payment })
            }
        };
        // Structs of strings, numbers and lists: there is no value that JSON lacks.
        json.expect("an event serialises")
    }

    /// Reads any form that was ever stored.
    pub fn from_stored(stored_type: &str, data: &str) -> Result<Self, Unreadable> {
        fn read<T: DeserializeOwned>(data: &str) -> Result<T, Unreadable> {
            serde_json::from_str(data).map_err(|error| Unreadable::Data(error.to_string()))
        }
        Ok(match stored_type {
            "placed.v1" => E::Placed(OrderPlaced::decode(1, data.as_bytes())?.into()),
            "placed.v2" => E::Placed(OrderPlaced::decode(2, data.as_bytes())?.into()),
            "stock-noted.v1" => E::StockNoted { expires_at: read::<Until>(data)?.expires_at },
            "payment-noted.v1" => E::PaymentNoted,
            "confirmed.v1" => E::Confirmed { at: read::<At>(data)?.at },
            "paid.v1" => E::Paid,
            "shipped.v1" => E::Shipped { tracking_number: read::<Tracked>(data)?.tracking_number },
            "delivered.v1" => E::Delivered,
            "cancellation-requested.v1" => {
                let Because { reason, note } = read(data)?;
                E::CancellationRequested { reason, note }
            }
            "cancelled.v1" => {
                let Off { because: Because { reason, note }, awaits_payment } = read(data)?;
                E::Cancelled { reason, note, awaits_payment }
            }
            "stock-returned.v1" => E::StockReturned,
            "money-returned.v1" => E::MoneyReturned,
            "nothing-held.v1" => E::NothingHeld,
            other => return Err(Unreadable::Data(format!("no stored event is called {other:?}"))),
        })
    }
}

// What became known later is optional: rows from before are read without it.

#[derive(Serialize, Deserialize)]
struct Until {
    #[serde(default, with = "events::timestamp::option", skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
struct At {
    #[serde(with = "events::timestamp")]
    at: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct Tracked {
    tracking_number: String,
}

#[derive(Serialize, Deserialize)]
struct Because {
    reason: CancelReason,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Off {
    #[serde(flatten)]
    because: Because,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    awaits_payment: bool,
}
