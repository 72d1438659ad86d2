use events::{
    CaptureFailed, PaymentAuthorized, PaymentCancelled, PaymentCaptured, PaymentDeclined, PaymentRefunded,
    PaymentVoided,
};

use super::{Hold, Payment, PaymentEvent, State};

/// A payment's event in the published language.
pub(crate) enum Published {
    Authorized(PaymentAuthorized),
    Declined(PaymentDeclined),
    Captured(PaymentCaptured),
    CaptureFailed(CaptureFailed),
    Voided(PaymentVoided),
    Refunded(PaymentRefunded),
    Cancelled(PaymentCancelled),
}

impl PaymentEvent {
    pub fn is_published(&self) -> bool {
        match self {
            Self::Placed(_) | Self::Reserved | Self::Confirmed | Self::CancelNoted | Self::Asked(_) => false,
            Self::Authorized { .. }
            | Self::Declined { .. }
            | Self::Captured
            | Self::CaptureFailed { .. }
            | Self::Voided
            | Self::Refunded
            | Self::Cancelled => true,
        }
    }
}

impl Payment {
    /// The event as its readers are to see it, from the payment after it; `None` for what is not published.
    pub(crate) fn published(&self, event: &PaymentEvent) -> Option<Published> {
        let order_id = self.order_id;
        if let (PaymentEvent::Declined { code }, State::Declined { amount, .. }) = (event, &self.state) {
            let code = code.clone();
            return Some(Published::Declined(PaymentDeclined { order_id, amount: *amount, code }));
        }
        if let PaymentEvent::Cancelled = event {
            return Some(Published::Cancelled(PaymentCancelled { order_id }));
        }
        let Hold { amount, reference: provider_reference } = self.hold()?.clone();
        Some(match event {
            PaymentEvent::Authorized { .. } => {
                Published::Authorized(PaymentAuthorized { order_id, amount, provider_reference })
            }
            PaymentEvent::Captured => {
                Published::Captured(PaymentCaptured { order_id, amount, provider_reference })
            }
            PaymentEvent::CaptureFailed { code } => {
                let code = code.clone();
                Published::CaptureFailed(CaptureFailed { order_id, amount, provider_reference, code })
            }
            PaymentEvent::Voided => Published::Voided(PaymentVoided { order_id, amount, provider_reference }),
            PaymentEvent::Refunded => {
                Published::Refunded(PaymentRefunded { order_id, amount, provider_reference })
            }
            _ => return None,
        })
    }

    /// What the provider has authorised, whatever became of it since.
    pub fn hold(&self) -> Option<&Hold> {
        match &self.state {
            State::Authorized(hold)
            | State::Capturing { hold, .. }
            | State::Captured(hold)
            | State::Voiding { hold, .. }
            | State::Refunding(hold)
            | State::Voided { hold, .. }
            | State::Refunded(hold) => Some(hold),
            State::Awaiting { .. }
            | State::Authorizing { .. }
            | State::Declined { .. }
            | State::Cancelled { .. } => None,
        }
    }
}
