//! One payment intent as a state machine: no clock, no I/O, no HTTP.
//!
//! `decide` says what a command does to an intent, `evolve` applies it; a change that was written to the journal is
//! applied again by the same `evolve`.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    refund::{Refund, Status},
    token::{Decline, Token},
};

/// An intent: what was agreed on, which never changes, and how far it has come. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Intent {
    pub(crate) terms: Arc<Terms>,
    pub(crate) state: State,
    /// How often the provider has stumbled over its cancellation.
    pub(crate) failures: u32,
}

/// What the client asked for. Amounts are in the currency's minor unit, times in Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Terms {
    pub(crate) id: Arc<str>,
    pub(crate) amount: i64,
    pub(crate) currency: Arc<str>,
    pub(crate) payment_method: Token,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) created: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// The bank said no, nothing is held.
    Declined(Decline),
    /// The whole amount is held on the card.
    Authorized,
    /// `0 <= refunded <= received <= amount`; what was held beyond `received` is free again. Refunds that failed
    /// count among `refunds` and not in `refunded`, pending ones in both.
    Captured {
        received: i64,
        refunded: i64,
        refunds: u32,
    },
    Canceled {
        at: i64,
        reason: Option<CancelReason>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CancelReason {
    Abandoned,
    Duplicate,
    Fraudulent,
    RequestedByCustomer,
}

/// What a client can ask of an intent. Without an amount, all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command {
    Capture { amount: Option<i64> },
    Cancel { reason: Option<CancelReason> },
    Refund { amount: Option<i64> },
}

/// What happened to an intent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Change {
    Captured {
        amount: i64,
    },
    /// `released` is 0 where nothing was held.
    Canceled {
        released: i64,
        reason: Option<CancelReason>,
        at: i64,
    },
    /// `number` counts the refunds of this intent from 1.
    Refunded {
        number: u32,
        amount: i64,
        at: i64,
        #[serde(default)]
        status: Status,
    },
}

/// Why nothing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Refusal {
    /// A capture, cancel or refund that the intent's status does not allow.
    Unexpected(Verb),
    /// The bank refuses to pay out what it had authorised.
    CaptureFailed,
    TooMuchToCapture,
    TooMuchToRefund {
        left: i64,
    },
    AlreadyRefunded,
    /// The provider's own fault, and kept under the key as any answer is.
    ServerError,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verb {
    Capture,
    Cancel,
    Refund,
}

impl Intent {
    /// An intent is confirmed as it is created, so that it begins authorised or declined.
    pub(crate) fn open(terms: Terms, declined: Option<Decline>) -> Self {
        Self {
            terms: Arc::new(terms),
            state: declined.map_or(State::Authorized, State::Declined),
            failures: 0,
        }
    }

    /// `at` is the time of the decision, in Unix seconds. Amounts in `command` are positive.
    pub(crate) fn decide(&self, command: Command, at: i64) -> Result<Change, Refusal> {
        match (self.state, command) {
            (State::Authorized, Command::Capture { amount }) => self.capture(amount),
            (State::Authorized, Command::Cancel { .. })
                if self.terms.payment_method.fails_to_cancel(self.failures) =>
            {
                Err(Refusal::ServerError)
            }
            (State::Authorized, Command::Cancel { reason }) => {
                Ok(Change::Canceled { released: self.terms.amount, reason, at })
            }
            (State::Declined(_), Command::Cancel { reason }) => {
                Ok(Change::Canceled { released: 0, reason, at })
            }
            (State::Captured { received, refunded, refunds }, Command::Refund { amount }) => {
                let amount = refundable(received - refunded, amount)?;
                let number = refunds + 1;
                let status = self.terms.payment_method.refund(number);
                Ok(Change::Refunded { number, amount, at, status })
            }
            (
                State::Declined(_) | State::Captured { .. } | State::Canceled { .. },
                Command::Capture { .. },
            ) => Err(Refusal::Unexpected(Verb::Capture)),
            (State::Captured { .. } | State::Canceled { .. }, Command::Cancel { .. }) => {
                Err(Refusal::Unexpected(Verb::Cancel))
            }
            (State::Declined(_) | State::Authorized | State::Canceled { .. }, Command::Refund { .. }) => {
                Err(Refusal::Unexpected(Verb::Refund))
            }
        }
    }

    fn capture(&self, amount: Option<i64>) -> Result<Change, Refusal> {
        let amount = amount.unwrap_or(self.terms.amount);
        if amount > self.terms.amount {
            return Err(Refusal::TooMuchToCapture);
        }
        if self.terms.payment_method.refuses_capture() {
            return Err(Refusal::CaptureFailed);
        }
        Ok(Change::Captured { amount })
    }

    /// Applies what `decide` found; infallible, and a change that cannot follow this state leaves it as it is.
    pub(crate) fn evolve(&mut self, change: Change) {
        self.state = match (self.state, change) {
            (State::Authorized, Change::Captured { amount }) => {
                State::Captured { received: amount, refunded: 0, refunds: 0 }
            }
            (State::Authorized | State::Declined(_), Change::Canceled { reason, at, .. }) => {
                State::Canceled { at, reason }
            }
            (
                State::Captured { received, refunded, .. },
                Change::Refunded { number, status: Status::Failed, .. },
            ) => State::Captured { received, refunded, refunds: number },
            (State::Captured { received, refunded, .. }, Change::Refunded { number, amount, .. }) => {
                State::Captured { received, refunded: refunded + amount, refunds: number }
            }
            (state, Change::Captured { .. } | Change::Canceled { .. } | Change::Refunded { .. }) => state,
        };
    }

    /// Notes a refusal that is counted; nothing else comes of one.
    pub(crate) fn refused(&mut self, refusal: Refusal) {
        self.failures += u32::from(refusal == Refusal::ServerError);
    }

    /// Stripe's word for the state.
    pub(crate) fn status(&self) -> &'static str {
        match self.state {
            State::Declined(_) => "requires_payment_method",
            State::Authorized => "requires_capture",
            State::Captured { .. } => "succeeded",
            State::Canceled { .. } => "canceled",
        }
    }
}

impl Change {
    /// The refund that this is, if it is one.
    pub(crate) fn refund(self) -> Option<Refund> {
        match self {
            Self::Refunded { number, amount, at, status } => Some(Refund { number, amount, at, status }),
            Self::Captured { .. } | Self::Canceled { .. } => None,
        }
    }
}

fn refundable(left: i64, wanted: Option<i64>) -> Result<i64, Refusal> {
    match wanted.unwrap_or(left) {
        _ if left == 0 => Err(Refusal::AlreadyRefunded),
        amount if amount > left => Err(Refusal::TooMuchToRefund { left }),
        amount => Ok(amount),
    }
}

#[cfg(test)]
mod tests;
