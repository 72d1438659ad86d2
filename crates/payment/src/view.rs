use events::{Money, OrderId};
use serde::Serialize;
use utoipa::ToSchema;

/// A payment as its readers see it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct PaymentView {
    #[schema(value_type = uuid::Uuid)]
    pub order_id: OrderId,
    pub status: Status,
    /// What the provider has authorised. Null, as the next two, while the order itself has not been seen.
    #[schema(value_type = Option<Amount>)]
    pub authorized: Option<Money>,
    /// What the provider has taken.
    #[schema(value_type = Option<Amount>)]
    pub captured: Option<Money>,
    /// What the provider has given back of that.
    #[schema(value_type = Option<Amount>)]
    pub refunded: Option<Money>,
    /// The provider's name for this payment, from the authorisation on.
    #[schema(example = "pi_3S1WaybillExample01")]
    pub provider_reference: Option<String>,
    /// The provider's word for why it declined, or refused to capture.
    #[schema(example = "insufficient_funds")]
    pub code: Option<String>,
    /// What the provider is being asked. Null, as the next two, when it is asked nothing: it is asked again and
    /// again until its answer is known.
    pub asking: Option<Asking>,
    /// How often it was asked in vain.
    #[schema(example = 3)]
    pub attempts: Option<i32>,
    /// Why it was in vain the last time; null if it was not asked before.
    #[schema(example = "refund: pending")]
    pub last_error: Option<String>,
}

/// What the provider can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Asking {
    Authorize,
    Capture,
    Void,
    Refund,
}

/// A call that has no answer yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OpenCall {
    pub(crate) attempts: i32,
    pub(crate) last_error: Option<String>,
}

/// Where a payment stands. `authorizing`, `capturing`, `voiding` and `refunding` wait for the provider's answer,
/// which is asked for until it comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    Awaiting,
    Authorizing,
    Authorized,
    Capturing,
    Captured,
    Voiding,
    Voided,
    Refunding,
    Refunded,
    Declined,
    Cancelled,
}

impl Status {
    const ALL: [Self; 11] = [
        Self::Awaiting,
        Self::Authorizing,
        Self::Authorized,
        Self::Capturing,
        Self::Captured,
        Self::Voiding,
        Self::Voided,
        Self::Refunding,
        Self::Refunded,
        Self::Declined,
        Self::Cancelled,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Awaiting => "awaiting",
            Self::Authorizing => "authorizing",
            Self::Authorized => "authorized",
            Self::Capturing => "capturing",
            Self::Captured => "captured",
            Self::Voiding => "voiding",
            Self::Voided => "voided",
            Self::Refunding => "refunding",
            Self::Refunded => "refunded",
            Self::Declined => "declined",
            Self::Cancelled => "cancelled",
        }
    }

    /// What the provider is asked in this state: a payment has one call under way at most.
    pub(crate) fn asking(self) -> Option<Asking> {
        match self {
            Self::Authorizing => Some(Asking::Authorize),
            Self::Capturing => Some(Asking::Capture),
            Self::Voiding => Some(Asking::Void),
            Self::Refunding => Some(Asking::Refund),
            Self::Awaiting
            | Self::Authorized
            | Self::Captured
            | Self::Voided
            | Self::Refunded
            | Self::Declined
            | Self::Cancelled => None,
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }
}

/// Minor units of an ISO 4217 currency: 1999 USD is 19.99 dollars.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes `events::Money`, for the OpenAPI description alone")]
pub(crate) struct Amount {
    #[schema(example = 1999)]
    amount: i64,
    #[schema(example = "USD")]
    currency: String,
}
