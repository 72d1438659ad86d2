//! All states and all inputs. What is added to one of the enums is missing here, and the tests do not compile until
//! it is listed, and fail until the table holds it.

use super::*;

/// Values for each pattern. There must be a pattern for each variant, and a value for each pattern.
macro_rules! every {
    ($type:ty: $($pattern:pat => $values:expr),+ $(,)?) => {{
        let _listed = |it: &$type| match it { $($pattern => {})+ };
        let mut all: Vec<$type> = Vec::new();
        $(
            let before = all.len();
            for value in $values {
                assert!(matches!(&value, $pattern), "{value:?} stands in for another");
                all.push(value);
            }
            assert!(all.len() > before, "no value for {}", stringify!($pattern));
        )+
        all
    }};
}

fn amount() -> Money {
    Money { amount: 1_999, currency: Currency::USD }
}

pub(super) fn charge() -> Charge {
    Charge { amount: amount(), payment_method: "pm_card_visa".to_owned() }
}

pub(super) fn hold() -> Hold {
    Hold { amount: amount(), reference: "pi_1".to_owned() }
}

fn declined() -> String {
    "insufficient_funds".to_owned()
}

fn refused() -> String {
    "expired_card".to_owned()
}

const BOTH: [bool; 2] = [false, true];

fn charges() -> [Option<Charge>; 2] {
    [None, Some(charge())]
}

fn refusals() -> [Option<String>; 2] {
    [None, Some(refused())]
}

/// What the order may have asked for while its amount is being authorised.
fn thens() -> Vec<Then> {
    every!(Then: Then::Wait => [Then::Wait], Then::Capture => [Then::Capture], Then::Void => [Then::Void])
}

fn awaiting() -> Vec<State> {
    let of = |placed: Option<Charge>| {
        BOTH.into_iter().flat_map(move |reserved| {
            let placed = placed.clone();
            BOTH.map(move |confirmed| State::Awaiting { placed: placed.clone(), reserved, confirmed })
        })
    };
    charges().into_iter().flat_map(of).collect()
}

/// Every state with every combination of its flags, whether it can be reached or not.
pub(super) fn states() -> Vec<State> {
    every!(State:
        State::Awaiting { placed: _, reserved: _, confirmed: _ } => awaiting(),
        State::Authorizing { charge: _, then: _ } =>
            thens().into_iter().map(|then| State::Authorizing { charge: charge(), then }),
        State::Authorized(_) => [State::Authorized(hold())],
        State::Capturing { hold: _, cancelled: _ } =>
            BOTH.map(|cancelled| State::Capturing { hold: hold(), cancelled }),
        State::Captured(_) => [State::Captured(hold())],
        State::Voiding { hold: _, refused: _ } =>
            refusals().map(|refused| State::Voiding { hold: hold(), refused }),
        State::Refunding(_) => [State::Refunding(hold())],
        State::Declined { amount: _, code: _ } => [State::Declined { amount: amount(), code: declined() }],
        State::Voided { hold: _, refused: _ } =>
            refusals().map(|refused| State::Voided { hold: hold(), refused }),
        State::Refunded(_) => [State::Refunded(hold())],
        State::Cancelled { amount: _ } =>
            [None, Some(amount())].map(|amount| State::Cancelled { amount }),
    )
}

pub(super) fn answers() -> Vec<Answer> {
    every!(Answer:
        Answer::Authorized { reference: _ } => [Answer::Authorized { reference: hold().reference }],
        Answer::Declined { code: _ } => [Answer::Declined { code: declined() }],
        Answer::Captured => [Answer::Captured],
        Answer::CaptureRefused { code: _ } => [Answer::CaptureRefused { code: refused() }],
        Answer::Voided => [Answer::Voided],
        Answer::Refunded => [Answer::Refunded],
    )
}

/// Every input, an answer for each that the provider can give.
pub(super) fn inputs() -> Vec<Input> {
    let below_nothing = Charge { amount: Money { amount: -1, ..amount() }, ..charge() };
    every!(Input:
        Input::OrderPlaced(_, _) =>
            [charge(), below_nothing].map(|charge| Input::OrderPlaced(order_id(), charge)),
        Input::StockReserved(_) => [Input::StockReserved(order_id())],
        Input::OrderConfirmed(_) => [Input::OrderConfirmed(order_id())],
        Input::OrderCancelled(_) => [Input::OrderCancelled(order_id())],
        Input::Answered(_, _) => answers().into_iter().map(|it| Input::Answered(order_id(), it)),
    )
}
