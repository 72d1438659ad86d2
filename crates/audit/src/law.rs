use serde::Serialize;

/// What holds of a suite whatever happens to it; `statement` says it in full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Law {
    Stock,
    Fold,
    Amounts,
    Published,
    Sequence,
    Consumed,
    Caused,
    Provider,
    ChargedOnce,
    Compensated,
    Known,
    Prices,
    Delivered,
    Cancelled,
    Ends,
    Redriven,
}

impl Law {
    /// In the order in which they are reported.
    pub const ALL: [Self; 16] = [
        Self::Stock,
        Self::Fold,
        Self::Amounts,
        Self::Published,
        Self::Sequence,
        Self::Consumed,
        Self::Caused,
        Self::Provider,
        Self::ChargedOnce,
        Self::Compensated,
        Self::Known,
        Self::Prices,
        Self::Delivered,
        Self::Cancelled,
        Self::Ends,
        Self::Redriven,
    ];

    /// As it is called in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stock => "stock",
            Self::Fold => "fold",
            Self::Amounts => "amounts",
            Self::Published => "published",
            Self::Sequence => "sequence",
            Self::Consumed => "consumed",
            Self::Caused => "caused",
            Self::Provider => "provider",
            Self::ChargedOnce => "charged-once",
            Self::Compensated => "compensated",
            Self::Known => "known",
            Self::Prices => "prices",
            Self::Delivered => "delivered",
            Self::Cancelled => "cancelled",
            Self::Ends => "ends",
            Self::Redriven => "redriven",
        }
    }

    pub fn statement(self) -> &'static str {
        match self {
            Self::Stock => {
                "on hand + deducted is what was put there, reserved what live reservations hold, deducted what left"
            }
            Self::Fold => "an order's events have no gap and fold to its row in the read model",
            Self::Amounts => {
                "0 <= refunded <= captured <= authorised, of the order's total, the sum of its lines"
            }
            Self::Published => "what a row has counted is on the topic or in the outbox",
            Self::Sequence => {
                "first occurrences of a key are 1, 2, 3, ..; a number is one event, the one that was written"
            }
            Self::Consumed => {
                "what a service handles and has read past is in its inbox or among its dead letters"
            }
            Self::Caused => {
                "confirmed: authorised and reserved; paid: captured; shipped: captured, stock kept, under its parcel's number"
            }
            Self::Provider => {
                "what payment says was authorised, captured, voided or refunded is so in the ledger, in the order's currency"
            }
            Self::ChargedOnce => "the ledger has at most one authorisation and one capture of an order",
            Self::Compensated => "what a cancelled order says is back is back",
            Self::Known => "nothing is held for an order that was never placed",
            Self::Prices => "the order service's prices are inventory's",
            Self::Delivered => "delivered: captured and netted in full, stock deducted, parcel delivered",
            Self::Cancelled => {
                "cancelled: no net money, none held, no stock held, no parcel, and all have heard of it"
            }
            Self::Ends => "an order that is not at its end has something under way",
            Self::Redriven => "the letters of a key are applied in the order in which they were parked",
        }
    }
}
