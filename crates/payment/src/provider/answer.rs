//! What the provider's answers mean. Pure: no HTTP, and no text of the provider's in what is said of it but its
//! codes.

use events::Money;
use reqwest::StatusCode;
use serde::{Deserialize, de::DeserializeOwned};

use crate::payment::{Answer, Call};

/// An answer as it came.
pub(super) struct Said {
    pub(super) status: StatusCode,
    /// It is what was said when the key was used first: an answer is kept under its key, an error too
    /// (<https://docs.stripe.com/api/idempotent_requests>).
    pub(super) replayed: bool,
    pub(super) body: Vec<u8>,
}

/// What is to be made of the answer to a call.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Is(Answer),
    /// It does not say what is so by now: look how the payment of this reference stands.
    Look {
        reference: String,
        why: String,
    },
    /// The same call is to be made again; for the log, why.
    Unclear(String),
}

/// What a look at the payment, or at its refunds, says of a call.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    Is(Answer),
    /// Nothing has come of the call, and nothing will under the key that it was made with. Another key may end in
    /// this, so that whoever finds the same asks under the same key; in anything where there is nothing.
    Undone(Option<String>),
    Unclear(String),
}

/// A payment intent, as far as it matters here.
#[derive(Debug, Deserialize)]
struct Intent {
    id: String,
    amount: i64,
    #[serde(default)]
    amount_received: i64,
    currency: String,
    status: String,
}

#[derive(Debug, Deserialize)]
struct Refund {
    id: String,
    payment_intent: String,
    amount: i64,
    status: String,
}

#[derive(Debug, Deserialize)]
struct Refunds {
    data: Vec<Refund>,
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

pub(super) fn read(call: &Call, said: &Said) -> Verdict {
    match (fresh(call, said.status, &said.body), call.reference()) {
        // Asked again, the provider would say the same as long as it keeps the key.
        (Verdict::Unclear(why), Some(reference)) if said.replayed => look(reference, why),
        (verdict, _) => verdict,
    }
}

fn fresh(call: &Call, status: StatusCode, body: &[u8]) -> Verdict {
    match (status, call) {
        (StatusCode::OK, Call::Refund { reference, amount, .. }) => match parse::<Refund>(body) {
            Some(refund) if refunds(&refund, reference, *amount) => Verdict::Is(Answer::Refunded),
            Some(refund) if refund.is_open() => Verdict::Unclear(word(&refund.status).to_owned()),
            Some(refund) => look(reference, word(&refund.status).to_owned()),
            None => Verdict::Unclear("200 without a refund".to_owned()),
        },
        (StatusCode::OK, _) => match parse::<Intent>(body) {
            Some(intent) => match told(call, &intent) {
                Some(answer) => Verdict::Is(answer),
                None => look(&intent.id, intent.unlike()),
            },
            None => Verdict::Unclear("200 without a payment intent".to_owned()),
        },
        _ => match parse::<Failure>(body) {
            Some(failure) => refused(call, status, &failure.error),
            None => Verdict::Unclear(described(status, body)),
        },
    }
}

/// What the answer to a look says of `call`.
pub(super) fn found(call: &Call, status: StatusCode, body: &[u8]) -> Found {
    match (status, call) {
        (StatusCode::OK, Call::Refund { reference, amount, .. }) => match parse::<Refunds>(body) {
            Some(refunds) => given_back(&refunds.data, reference, *amount),
            None => Found::Unclear("asked for the refunds: 200 without a list of them".to_owned()),
        },
        (StatusCode::OK, _) => match parse::<Intent>(body) {
            Some(intent) => stands(call, &intent),
            None => Found::Unclear("asked how the payment stands: 200 without a payment intent".to_owned()),
        },
        _ => Found::Unclear(format!("asked how the payment stands: {}", described(status, body))),
    }
}

fn stands(call: &Call, intent: &Intent) -> Found {
    match (told(call, intent), call) {
        (Some(answer), _) => Found::Is(answer),
        // A payment is captured or let go once, under however many keys it is asked.
        (None, Call::Capture { reference, amount, .. } | Call::Void { reference, amount, .. })
            if intent.status == "requires_capture" && intent.is(reference, *amount) =>
        {
            Found::Undone(None)
        }
        (None, _) => Found::Unclear(intent.unlike()),
    }
}

/// What a payment's refunds say, the newest first. One that is neither done nor failed may still be done: while
/// there is one no other is asked for.
fn given_back(refunds: &[Refund], reference: &str, amount: Money) -> Found {
    if refunds.iter().any(|it| it.payment_intent != reference) {
        return Found::Unclear("asked for the refunds: another payment's".to_owned());
    }
    let done = refunds.iter().filter(|it| it.status == "succeeded").map(|it| it.amount);
    let done = done.fold(0, i64::saturating_add);
    match (refunds.iter().find(|it| it.is_open()), refunds.first()) {
        _ if done >= amount.amount => Found::Is(Answer::Refunded),
        (Some(open), _) => Found::Unclear(word(&open.status).to_owned()),
        _ if done > 0 => Found::Unclear("refunded in part".to_owned()),
        (None, Some(last)) if !is_reference(&last.id) => {
            Found::Unclear("the refund's id is not one".to_owned())
        }
        (None, last) => Found::Undone(Some(last.map_or("none", |it| it.id.as_str()).to_owned())),
    }
}

/// What became of `call`, given how its payment stands; `None` where that does not say.
fn told(call: &Call, intent: &Intent) -> Option<Answer> {
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
            look(reference, error.described(status))
        }
        // A refund that is pending counts, and may yet fail.
        Call::Refund { reference, .. } if invalid && code == Some("charge_already_refunded") => {
            look(reference, error.described(status))
        }
        _ => Verdict::Unclear(error.described(status)),
    }
}

fn refunds(refund: &Refund, reference: &str, amount: Money) -> bool {
    refund.status == "succeeded" && refund.payment_intent == reference && refund.amount == amount.amount
}

impl Refund {
    /// Also of a status that is not known here.
    fn is_open(&self) -> bool {
        !matches!(self.status.as_str(), "succeeded" | "failed" | "canceled")
    }
}

fn look(reference: &str, why: String) -> Verdict {
    match is_reference(reference) {
        true => Verdict::Look { reference: reference.to_owned(), why },
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
fn described(status: StatusCode, body: &[u8]) -> String {
    match parse::<Failure>(body) {
        Some(failure) => failure.error.described(status),
        None => format!("{} without an error that can be read", status.as_u16()),
    }
}

/// One of the provider's words, or what stands for one that is not a word.
fn word(given: &str) -> &str {
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
    fn unlike(&self) -> String {
        format!("{} and not as asked for", word(&self.status))
    }

    fn is_about(&self, amount: Money) -> bool {
        self.amount == amount.amount && self.currency.eq_ignore_ascii_case(amount.currency.code())
    }

    fn is(&self, reference: &str, amount: Money) -> bool {
        self.id == reference && self.is_about(amount)
    }
}

#[cfg(test)]
mod tests;
