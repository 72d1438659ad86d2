//! A payment as a row of its table: flat, and back.

use events::{Money, OrderId};

use crate::{
    payment::{Charge, Hold, Payment, State, Then},
    view::{OpenCall, PaymentView, Status},
};

/// The columns of `payment`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) order_id: OrderId,
    pub(crate) sequence: i64,
    pub(crate) status: Status,
    pub(crate) reserved: bool,
    pub(crate) confirmed: bool,
    pub(crate) cancelled: bool,
    pub(crate) amount: Option<Money>,
    pub(crate) payment_method: Option<String>,
    pub(crate) reference: Option<String>,
    pub(crate) code: Option<String>,
    pub(crate) authorized: i64,
    pub(crate) captured: i64,
    pub(crate) refunded: i64,
}

impl Row {
    pub(crate) fn of(payment: &Payment) -> Self {
        let empty = Self::empty(payment);
        match payment.state.clone() {
            State::Awaiting { placed, reserved, confirmed } => {
                let (amount, payment_method) = placed.map(|it| (it.amount, it.payment_method)).unzip();
                Self { reserved, confirmed, amount, payment_method, ..empty }
            }
            State::Authorizing { charge, then } => Self {
                status: Status::Authorizing,
                confirmed: then == Then::Capture,
                cancelled: then == Then::Void,
                amount: Some(charge.amount),
                payment_method: Some(charge.payment_method),
                ..empty
            },
            State::Authorized(hold) => empty.holding(Status::Authorized, hold),
            State::Capturing { hold, cancelled } => {
                Self { cancelled, ..empty.holding(Status::Capturing, hold) }
            }
            State::Captured(hold) => empty.holding(Status::Captured, hold).taken(),
            State::Voiding { hold, refused } => {
                Self { code: refused, ..empty.holding(Status::Voiding, hold) }
            }
            State::Voided { hold, refused } => Self { code: refused, ..empty.holding(Status::Voided, hold) },
            State::Refunding(hold) => empty.holding(Status::Refunding, hold).taken(),
            State::Refunded(hold) => {
                let taken = empty.holding(Status::Refunded, hold).taken();
                Self { refunded: taken.captured, ..taken }
            }
            State::Declined { amount, code } => {
                Self { status: Status::Declined, amount: Some(amount), code: Some(code), ..empty }
            }
            State::Cancelled { amount } => Self { status: Status::Cancelled, amount, ..empty },
        }
    }

    fn empty(payment: &Payment) -> Self {
        Self {
            order_id: payment.order_id,
            sequence: payment.sequence,
            status: Status::Awaiting,
            reserved: false,
            confirmed: false,
            cancelled: false,
            amount: None,
            payment_method: None,
            reference: None,
            code: None,
            authorized: 0,
            captured: 0,
            refunded: 0,
        }
    }

    fn holding(self, status: Status, Hold { amount, reference }: Hold) -> Self {
        let authorized = amount.amount;
        Self { status, amount: Some(amount), reference: Some(reference), authorized, ..self }
    }

    fn taken(self) -> Self {
        Self { captured: self.authorized, ..self }
    }

    /// The payment that this row is of; `None` if it is of none that was ever written.
    pub(crate) fn payment(self) -> Option<Payment> {
        let (order_id, sequence) = (self.order_id, self.sequence);
        Some(Payment { order_id, sequence, state: self.state()? })
    }

    fn state(self) -> Option<State> {
        let charge = |row: Self| Some(Charge { amount: row.amount?, payment_method: row.payment_method? });
        let hold = |row: Self| Some(Hold { amount: row.amount?, reference: row.reference? });
        Some(match self.status {
            Status::Awaiting => {
                let (reserved, confirmed) = (self.reserved, self.confirmed);
                State::Awaiting { placed: charge(self), reserved, confirmed }
            }
            Status::Authorizing => {
                let then = match (self.confirmed, self.cancelled) {
                    (_, true) => Then::Void,
                    (true, false) => Then::Capture,
                    (false, false) => Then::Wait,
                };
                State::Authorizing { charge: charge(self)?, then }
            }
            Status::Authorized => State::Authorized(hold(self)?),
            Status::Capturing => State::Capturing { cancelled: self.cancelled, hold: hold(self)? },
            Status::Captured => State::Captured(hold(self)?),
            Status::Voiding => State::Voiding { refused: self.code.clone(), hold: hold(self)? },
            Status::Voided => State::Voided { refused: self.code.clone(), hold: hold(self)? },
            Status::Refunding => State::Refunding(hold(self)?),
            Status::Refunded => State::Refunded(hold(self)?),
            Status::Declined => State::Declined { amount: self.amount?, code: self.code? },
            Status::Cancelled => State::Cancelled { amount: self.amount },
        })
    }

    /// With the call that the provider has not answered yet, if there is one.
    pub(crate) fn view(self, open: Option<OpenCall>) -> PaymentView {
        let asking = open.is_some().then(|| self.status.asking()).flatten();
        let (attempts, last_error) = open.map(|it| (it.attempts, it.last_error)).unzip();
        let money = |amount| self.amount.map(|it| Money { amount, ..it });
        PaymentView {
            order_id: self.order_id,
            status: self.status,
            authorized: money(self.authorized),
            captured: money(self.captured),
            refunded: money(self.refunded),
            provider_reference: self.reference,
            code: self.code,
            asking,
            attempts,
            last_error: last_error.flatten(),
        }
    }
}
