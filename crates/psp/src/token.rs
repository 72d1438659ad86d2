//! What each test card does: the payment-method token decides how its intent fares, as with Stripe's test cards.

use serde::{Deserialize, Serialize};

use crate::refund::Status;

/// A test card, named on the wire by its payment-method token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) enum Token {
    Visa,
    ChargeDeclined,
    InsufficientFunds,
    CaptureFails,
    Slow,
    TimeoutAfterWork,
    TimeoutBeforeWork,
    ServerErrorFirst,
    ServerErrorAfterWork,
    CutConnection,
    WrongJson,
    /// A refund is pending, and succeeds a second later.
    PendingRefund,
    /// The first refund of the intent fails; the next one, under another key, succeeds.
    RefundFail,
    /// The first two cancellations of the intent are answered with 500, which is kept under their keys as any answer
    /// is (<https://docs.stripe.com/api/idempotent_requests>).
    VoidFailsFirst,
}

/// Why the card's bank said no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Decline {
    GenericDecline,
    InsufficientFunds,
}

/// What goes wrong between provider and client on the first request of an idempotency key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mishap {
    Before(BeforeWork),
    After(AfterWork),
}

/// Nothing was done and nothing is stored: the same key starts afresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BeforeWork {
    ServerError,
    Silence,
}

/// The work is done and its answer stored; only the answer does not arrive as it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AfterWork {
    Slow,
    Silence,
    ServerError,
    Cut,
    WrongJson,
}

impl Token {
    pub(crate) const ALL: [Self; 14] = [
        Self::Visa,
        Self::ChargeDeclined,
        Self::InsufficientFunds,
        Self::CaptureFails,
        Self::Slow,
        Self::TimeoutAfterWork,
        Self::TimeoutBeforeWork,
        Self::ServerErrorFirst,
        Self::ServerErrorAfterWork,
        Self::CutConnection,
        Self::WrongJson,
        Self::PendingRefund,
        Self::RefundFail,
        Self::VoidFailsFirst,
    ];

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|token| token.name() == name)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Visa => "pm_card_visa",
            Self::ChargeDeclined => "pm_card_chargeDeclined",
            Self::InsufficientFunds => "pm_card_chargeDeclinedInsufficientFunds",
            Self::CaptureFails => "pm_card_captureFails",
            Self::Slow => "pm_card_slow",
            Self::TimeoutAfterWork => "pm_card_timeoutAfterWork",
            Self::TimeoutBeforeWork => "pm_card_timeoutBeforeWork",
            Self::ServerErrorFirst => "pm_card_serverErrorFirst",
            Self::ServerErrorAfterWork => "pm_card_serverErrorAfterWork",
            Self::CutConnection => "pm_card_cutConnection",
            Self::WrongJson => "pm_card_wrongJson",
            Self::PendingRefund => "pm_card_pendingRefund",
            Self::RefundFail => "pm_card_refundFail",
            Self::VoidFailsFirst => "pm_card_voidFailsFirst",
        }
    }

    /// The bank's answer when the card is to be authorised.
    pub(crate) fn decline(self) -> Option<Decline> {
        match self {
            Self::ChargeDeclined => Some(Decline::GenericDecline),
            Self::InsufficientFunds => Some(Decline::InsufficientFunds),
            _ => None,
        }
    }

    /// Whether the card is authorised and its capture refused.
    pub(crate) fn refuses_capture(self) -> bool {
        self == Self::CaptureFails
    }

    /// Whether the provider stumbles over a cancellation, after so many failures of the same intent's.
    pub(crate) fn fails_to_cancel(self, failures: u32) -> bool {
        self == Self::VoidFailsFirst && failures < 2
    }

    /// How a refund begins, by its number among the intent's.
    pub(crate) fn refund(self, number: u32) -> Status {
        match (self, number) {
            (Self::PendingRefund, _) => Status::Pending,
            (Self::RefundFail, 1) => Status::Failed,
            _ => Status::Succeeded,
        }
    }

    pub(crate) fn mishap(self) -> Option<Mishap> {
        match self {
            Self::Visa
            | Self::ChargeDeclined
            | Self::InsufficientFunds
            | Self::CaptureFails
            | Self::PendingRefund
            | Self::RefundFail
            | Self::VoidFailsFirst => None,
            Self::Slow => Some(Mishap::After(AfterWork::Slow)),
            Self::TimeoutAfterWork => Some(Mishap::After(AfterWork::Silence)),
            Self::TimeoutBeforeWork => Some(Mishap::Before(BeforeWork::Silence)),
            Self::ServerErrorFirst => Some(Mishap::Before(BeforeWork::ServerError)),
            Self::ServerErrorAfterWork => Some(Mishap::After(AfterWork::ServerError)),
            Self::CutConnection => Some(Mishap::After(AfterWork::Cut)),
            Self::WrongJson => Some(Mishap::After(AfterWork::WrongJson)),
        }
    }
}

impl TryFrom<String> for Token {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        Self::parse(&name).ok_or_else(|| format!("no such payment method: {name}"))
    }
}

impl From<Token> for String {
    fn from(token: Token) -> Self {
        token.name().to_owned()
    }
}

impl Decline {
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::GenericDecline => "generic_decline",
            Self::InsufficientFunds => "insufficient_funds",
        }
    }

    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::GenericDecline => "Your card was declined.",
            Self::InsufficientFunds => "Your card has insufficient funds.",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_is_read_back_from_its_name_and_no_other_name_is() {
        for token in Token::ALL {
            assert_eq!(Token::parse(token.name()), Some(token));
        }
        assert_eq!(Token::parse("pm_card_Visa"), None);
        assert_eq!(Token::parse(""), None);
    }
}
