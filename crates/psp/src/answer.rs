//! Answers in the shapes of Stripe's API reference: the PaymentIntent, Refund and Error objects.

use std::borrow::Cow;

use axum::http::StatusCode;
use serde::Serialize;

use crate::{
    books::{Answer, Metadata},
    intent::{CancelReason, Intent, Refusal, State, Verb},
    refund::{Refund, Status},
};

/// A request that was refused, without the intent that it was about.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Problem {
    #[serde(skip)]
    pub(crate) status: StatusCode,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decline_code: Option<&'static str>,
    message: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    param: Option<String>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, kind: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, kind, code: None, decline_code: None, message: message.into(), param: None }
    }

    /// The request is at fault, and would be each time it is sent.
    pub(crate) fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", message)
    }

    pub(crate) fn missing(param: &str) -> Self {
        Self::invalid(format!("Missing required param: {param}.")).code("parameter_missing").param(param)
    }

    pub(crate) fn no_such(param: &str, message: &str) -> Self {
        Self::invalid(message.to_owned()).code("resource_missing").param(param)
    }

    /// The provider is at fault: the same request under the same key may be sent again.
    pub(crate) fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "api_error", "An unknown error occurred")
    }

    fn card(code: &'static str, decline_code: &'static str, message: &'static str) -> Self {
        let card = Self::new(StatusCode::PAYMENT_REQUIRED, "card_error", message);
        Self { code: Some(code), decline_code: Some(decline_code), ..card }
    }

    pub(crate) fn status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    pub(crate) fn code(self, code: &'static str) -> Self {
        Self { code: Some(code), ..self }
    }

    pub(crate) fn param(self, param: &str) -> Self {
        Self { param: Some(param.to_owned()), ..self }
    }

    pub(crate) fn body(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(&Wrapped { error: ErrorView { problem: self, payment_intent: None } })
    }
}

/// Status and JSON body of an answer; the same bytes each time it is given.
pub(crate) fn render(answer: &Answer) -> serde_json::Result<(StatusCode, Vec<u8>)> {
    match answer {
        Answer::Intent(intent) => Ok((StatusCode::OK, render_intent(intent)?)),
        Answer::Declined(intent) => {
            render_error(intent, &last_error(intent).unwrap_or_else(Problem::internal))
        }
        Answer::Refunded { intent, refund } => {
            Ok((StatusCode::OK, serde_json::to_vec(&RefundView::of(intent, *refund))?))
        }
        Answer::Refused { refusal: Refusal::ServerError, .. } => {
            let problem = Problem::internal();
            Ok((problem.status, problem.body()?))
        }
        Answer::Refused { intent, refusal } => render_error(intent, &problem(intent, *refusal)),
    }
}

pub(crate) fn render_intent(intent: &Intent) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&IntentView::of(intent))
}

/// An intent's refunds as a list: the newest first, so many at most.
pub(crate) fn render_refunds(
    intent: &Intent,
    refunds: &[Refund],
    limit: usize,
) -> serde_json::Result<Vec<u8>> {
    let data = refunds.iter().rev().take(limit).map(|it| RefundView::of(intent, *it)).collect();
    let has_more = refunds.len() > limit;
    serde_json::to_vec(&ListView { object: "list", url: "/v1/refunds", has_more, data })
}

fn render_error(intent: &Intent, problem: &Problem) -> serde_json::Result<(StatusCode, Vec<u8>)> {
    let error = ErrorView { problem, payment_intent: Some(IntentView::of(intent)) };
    Ok((problem.status, serde_json::to_vec(&Wrapped { error })?))
}

fn last_error(intent: &Intent) -> Option<Problem> {
    match intent.state {
        State::Declined(decline) => Some(Problem::card("card_declined", decline.code(), decline.message())),
        State::Authorized | State::Captured { .. } | State::Canceled { .. } => None,
    }
}

fn problem(intent: &Intent, refusal: Refusal) -> Problem {
    match refusal {
        Refusal::Unexpected(verb) => unexpected(intent, verb),
        Refusal::CaptureFailed => {
            Problem::card("capture_failed", "expired_card", "Your card has expired: the capture was refused.")
        }
        Refusal::TooMuchToCapture => {
            Problem::invalid("The amount to capture is greater than the amount that is authorized.")
                .code("amount_too_large")
                .param("amount_to_capture")
        }
        Refusal::TooMuchToRefund { left } => Problem::invalid(format!(
            "The refund is greater than the amount that is not refunded yet ({left})."
        ))
        .code("amount_too_large")
        .param("amount"),
        Refusal::AlreadyRefunded => {
            Problem::invalid("The charge has already been refunded.").code("charge_already_refunded")
        }
        Refusal::ServerError => Problem::internal(),
    }
}

fn unexpected(intent: &Intent, verb: Verb) -> Problem {
    let status = intent.status();
    let message = match verb {
        Verb::Capture => format!(
            "This PaymentIntent could not be captured because it has a status of {status}. Only a PaymentIntent with \
             one of the following statuses may be captured: requires_capture."
        ),
        Verb::Cancel => format!(
            "You cannot cancel this PaymentIntent because it has a status of {status}. Only a PaymentIntent with one \
             of the following statuses may be canceled: requires_payment_method, requires_capture."
        ),
        Verb::Refund => format!(
            "This PaymentIntent has a status of {status} and no successful charge to refund. Only a PaymentIntent \
             with the following status may be refunded: succeeded."
        ),
    };
    Problem::invalid(message).code("payment_intent_unexpected_state")
}

#[derive(Serialize)]
struct Wrapped<'a> {
    error: ErrorView<'a>,
}

#[derive(Serialize)]
struct ErrorView<'a> {
    #[serde(flatten)]
    problem: &'a Problem,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_intent: Option<IntentView<'a>>,
}

#[derive(Serialize)]
struct IntentView<'a> {
    id: &'a str,
    object: &'static str,
    amount: i64,
    amount_capturable: i64,
    amount_received: i64,
    canceled_at: Option<i64>,
    cancellation_reason: Option<CancelReason>,
    capture_method: &'static str,
    confirmation_method: &'static str,
    created: i64,
    currency: &'a str,
    last_payment_error: Option<Problem>,
    latest_charge: String,
    livemode: bool,
    metadata: &'a Metadata,
    payment_method: &'static str,
    payment_method_types: [&'static str; 1],
    status: &'static str,
}

impl<'a> IntentView<'a> {
    fn of(intent: &'a Intent) -> Self {
        let terms = &intent.terms;
        let (amount_capturable, amount_received) = match intent.state {
            State::Authorized => (terms.amount, 0),
            State::Captured { received, .. } => (0, received),
            State::Declined(_) | State::Canceled { .. } => (0, 0),
        };
        let (canceled_at, cancellation_reason) = match intent.state {
            State::Canceled { at, reason } => (Some(at), reason),
            State::Declined(_) | State::Authorized | State::Captured { .. } => (None, None),
        };
        Self {
            id: &terms.id,
            object: "payment_intent",
            amount: terms.amount,
            amount_capturable,
            amount_received,
            canceled_at,
            cancellation_reason,
            capture_method: "manual",
            confirmation_method: "automatic",
            created: terms.created,
            currency: &terms.currency,
            last_payment_error: last_error(intent),
            latest_charge: related("ch", &terms.id),
            livemode: false,
            metadata: &terms.metadata,
            payment_method: terms.payment_method.name(),
            payment_method_types: ["card"],
            status: intent.status(),
        }
    }
}

#[derive(Serialize)]
struct RefundView<'a> {
    id: String,
    object: &'static str,
    amount: i64,
    charge: String,
    created: i64,
    currency: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_reason: Option<&'static str>,
    payment_intent: &'a str,
    status: Status,
}

impl<'a> RefundView<'a> {
    fn of(intent: &'a Intent, Refund { number, amount, at, status }: Refund) -> Self {
        let terms = &intent.terms;
        Self {
            id: format!("{}_{number}", related("re", &terms.id)),
            object: "refund",
            amount,
            charge: related("ch", &terms.id),
            created: at,
            currency: &terms.currency,
            failure_reason: (status == Status::Failed).then_some("expired_or_canceled_card"),
            payment_intent: &terms.id,
            status,
        }
    }
}

#[derive(Serialize)]
struct ListView<'a> {
    object: &'static str,
    url: &'static str,
    has_more: bool,
    data: Vec<RefundView<'a>>,
}

/// The id of an intent's charge or refund: its own, under another prefix.
fn related(prefix: &str, payment_intent: &str) -> String {
    format!("{prefix}_{}", payment_intent.trim_start_matches("pi_"))
}
