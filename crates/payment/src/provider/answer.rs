//! What the provider's answers mean. Pure: no HTTP, and no text of the provider's in what is said of it but its
//! codes.

use events::Money;
use reqwest::StatusCode;
use serde::{Deserialize, de::DeserializeOwned};

use crate::payment::{Answer, Call};

/// What is to be made of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Is(Answer),
    /// The payment of this reference does not stand as the call expects: look how it stands.
    Look(String),
    /// The same call is to be made again; for the log, why.
    Unclear(String),
}

/// A payment intent, as far as it matters here.
#[derive(Debug, Deserialize)]
pub(super) struct Intent {
    id: String,
    amount: i64,
    #[serde(default)]
    amount_received: i64,
    currency: String,
    pub(super) status: String,
}

#[derive(Debug, Deserialize)]
struct Refund {
    payment_intent: String,
    amount: i64,
    status: String,
}

#[derive(Debug, Deserialize)]
struct Failure {
    error: Refusal,
}

#[derive(Debug, Default, Deserialize)]
struct Refusal {
    r#type: String,
    code: Option<String>,
    decline_code: Option<String>,
    param: Option<String>,
}

pub(super) fn read(call: &Call, status: StatusCode, body: &[u8]) -> Verdict {
    match (status, call) {
        (StatusCode::OK, Call::Refund { reference, amount, .. }) => match parse::<Refund>(body) {
            Some(refund) if refunds(&refund, reference, *amount) => Verdict::Is(Answer::Refunded),
            Some(refund) => {
                Verdict::Unclear(format!("{} and not the refund asked for", word(&refund.status)))
            }
            None => Verdict::Unclear("200 without a refund".to_owned()),
        },
        (StatusCode::OK, _) => match parse::<Intent>(body) {
            Some(intent) => match told(call, &intent) {
                Some(answer) => Verdict::Is(answer),
                None => look(&intent.id),
            },
            None => Verdict::Unclear("200 without a payment intent".to_owned()),
        },
        _ => match parse::<Failure>(body) {
            Some(failure) => refused(call, status, &failure.error),
            None => Verdict::Unclear(described(status, body)),
        },
    }
}

/// What became of `call`, given how its payment stands; `None` where that does not say.
pub(super) fn told(call: &Call, intent: &Intent) -> Option<Answer> {
    match (call, intent.status.as_str()) {
        (Call::Authorize { amount, .. }, "requires_capture") if intent.is_about(*amount) => {
            is_reference(&intent.id).then(|| Answer::Authorized { reference: intent.id.clone() })
        }
        (Call::Authorize { .. }, "requires_payment_method" | "canceled") => {
            Some(Answer::Declined { code: intent.status.clone() })
        }
        (Call::Capture { reference, amount, .. } | Call::Void { reference, amount, .. }, "succeeded")
            if intent.is(reference, *amount) && intent.amount_received == amount.amount =>
        {
            Some(Answer::Captured)
        }
        // The authorisation has run out, or somebody has let it go at the provider's own desk.
        (Call::Capture { reference, amount, .. }, "canceled") if intent.is(reference, *amount) => {
            Some(Answer::CaptureRefused { code: "canceled".to_owned() })
        }
        (Call::Void { reference, amount, .. }, "canceled") if intent.is(reference, *amount) => {
            Some(Answer::Voided)
        }
        _ => None,
    }
}

/// An error of which the provider says what it is.
fn refused(call: &Call, status: StatusCode, error: &Refusal) -> Verdict {
    let by_card = status == StatusCode::PAYMENT_REQUIRED && error.r#type == "card_error";
    let invalid = status == StatusCode::BAD_REQUEST && error.r#type == "invalid_request_error";
    let code = error.code.as_deref();
    match call {
        Call::Authorize { .. } if by_card => Verdict::Is(Answer::Declined { code: error.word() }),
        // What the order says is refused as such, and will be however often it is said.
        Call::Authorize { .. } if invalid && error.is_about_the_order() => {
            Verdict::Is(Answer::Declined { code: error.word() })
        }
        Call::Capture { .. } if by_card => Verdict::Is(Answer::CaptureRefused { code: error.word() }),
        Call::Capture { reference, .. } | Call::Void { reference, .. }
            if invalid && code == Some("payment_intent_unexpected_state") =>
        {
            look(reference)
        }
        Call::Refund { .. } if invalid && code == Some("charge_already_refunded") => {
            Verdict::Is(Answer::Refunded)
        }
        _ => Verdict::Unclear(error.described(status)),
    }
}

fn refunds(refund: &Refund, reference: &str, amount: Money) -> bool {
    refund.status == "succeeded" && refund.payment_intent == reference && refund.amount == amount.amount
}

fn look(reference: &str) -> Verdict {
    match is_reference(reference) {
        true => Verdict::Look(reference.to_owned()),
        false => Verdict::Unclear("the payment intent's id is not one".to_owned()),
    }
}

/// A reference becomes part of a path, and of events.
fn is_reference(id: &str) -> bool {
    (1..=255).contains(&id.len()) && id.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'_')
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    serde_json::from_slice(body).ok()
}

/// An answer that is an error, in a few words.
pub(super) fn described(status: StatusCode, body: &[u8]) -> String {
    match parse::<Failure>(body) {
        Some(failure) => failure.error.described(status),
        None => format!("{} without an error that can be read", status.as_u16()),
    }
}

/// One of the provider's words, or what stands for one that is not a word.
pub(super) fn word(given: &str) -> &str {
    let is_word = (1..=64).contains(&given.len())
        && given.bytes().all(|it| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'-'));
    if is_word { given } else { "unspecified" }
}

impl Refusal {
    /// The narrowest of its codes: `insufficient_funds` rather than `card_declined`.
    fn word(&self) -> String {
        word(self.decline_code.as_deref().or(self.code.as_deref()).unwrap_or_default()).to_owned()
    }

    fn is_about_the_order(&self) -> bool {
        matches!(self.param.as_deref(), Some("amount" | "currency" | "payment_method"))
    }

    fn described(&self, status: StatusCode) -> String {
        format!("{} {} {}", status.as_u16(), word(&self.r#type), self.word())
    }
}

impl Intent {
    fn is_about(&self, amount: Money) -> bool {
        self.amount == amount.amount && self.currency.eq_ignore_ascii_case(amount.currency.code())
    }

    fn is(&self, reference: &str, amount: Money) -> bool {
        self.id == reference && self.is_about(amount)
    }
}

#[cfg(test)]
mod tests;
