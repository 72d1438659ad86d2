//! Every state of an order and every event, for tables.

use events::{CancelReason, Event as _, OrderPlaced, catalogue};
use time::macros::datetime;

use super::{Back, Cancelling, Funds, OrderEvent, OrderEvent as E, Return, State, State as S};

/// A function that lists values of an enum, row by row. A variant that is new does not compile before it has a row,
/// and a row without a value of its own fails the test that asks for the list.
macro_rules! every {
    ($list:ident: $of:ty { $($pattern:pat => $values:expr,)+ }) => {
        pub(crate) fn $list() -> Vec<$of> {
            let mut all: Vec<$of> = Vec::new();
            $(
                let values: Vec<$of> = $values.into_iter().collect();
                assert!(!values.is_empty() && values.iter().all(|it| matches!(it, $pattern)));
                all.extend(values);
            )+
            all
        }

        const _: fn(&$of) = |it| match it {
            $($pattern => {})+
        };
    };
}
pub(crate) use every;

const EITHER: [bool; 2] = [false, true];
const RETURNS: [Option<Return>; 3] = [None, Some(Return::Pending), Some(Return::Done)];
const FUNDS: [Funds; 4] = [Funds::Unheard, Funds::Pending, Funds::Done, Funds::Never];

every! { states: State {
    S::Placed { .. } => pairs(EITHER, EITHER).map(|(payment, stock)| S::Placed { stock, payment }),
    S::Confirmed { .. } => pairs([None, asked(false), asked(true)], EITHER)
        .map(|(cancelling, paid)| S::Confirmed { paid, cancelling }),
    S::Shipped { .. } => EITHER.map(|paid| S::Shipped { paid, tracking_number: "WB0".into() }),
    S::Delivered { .. } => EITHER.map(|paid| S::Delivered { paid, tracking_number: "WB0".into() }),
    S::Cancelled { .. } => pairs(pairs(RETURNS, FUNDS), EITHER).map(|((stock, money), paid)| {
        S::Cancelled { paid, reason: CancelReason::OutOfStock, back: Back { stock, money } }
    }),
} }

every! { events: OrderEvent {
    E::Placed(_) => [E::Placed(example(2).0.into())],
    E::StockNoted { .. } =>
        [None, Some(datetime!(2025-08-19 10:30 UTC))].map(|expires_at| E::StockNoted { expires_at }),
    E::PaymentNoted => [E::PaymentNoted],
    E::Confirmed { .. } => [E::Confirmed { at: datetime!(2025-08-19 09:30:00.123456 UTC) }],
    E::Paid => [E::Paid],
    E::Shipped { .. } => [E::Shipped { tracking_number: "WB1".into() }],
    E::Delivered => [E::Delivered],
    E::CancellationRequested { .. } =>
        reasons().map(|(reason, note)| E::CancellationRequested { reason, note }),
    E::Cancelled { .. } => ends(),
    E::StockReturned => [E::StockReturned],
    E::MoneyReturned => [E::MoneyReturned],
    E::NothingHeld => [E::NothingHeld],
} }

fn pairs<A: Copy, B: Copy>(
    some: impl IntoIterator<Item = A>,
    others: impl IntoIterator<Item = B> + Clone,
) -> impl Iterator<Item = (A, B)> {
    some.into_iter().flat_map(move |a| others.clone().into_iter().map(move |b| (a, b)))
}

fn asked(stock_back: bool) -> Option<Cancelling> {
    Some(Cancelling { reason: CancelReason::Customer, stock_back })
}

/// Those that differ in what follows from them.
fn reasons() -> [(CancelReason, Option<String>); 2] {
    [(CancelReason::Customer, Some("ordered twice".into())), (CancelReason::ReservationExpired, None)]
}

/// A decline is not followed by another word of payment's; the last is from before there was one for every order.
fn ends() -> Vec<OrderEvent> {
    let declined = (CancelReason::PaymentDeclined, None);
    let [customer, expired] = reasons();
    let of = |((reason, note), awaits_payment)| E::Cancelled { reason, note, awaits_payment };
    [(customer.clone(), true), (expired, true), (declined, false), (customer, false)].map(of).into()
}

/// The order that the published examples tell of, as the version that is read from `placed.v1` or `.v2`.
pub(crate) fn example(version: u32) -> (OrderPlaced, String) {
    let published =
        catalogue().into_iter().find(|it| it.name == OrderPlaced::NAME && it.version == version).unwrap();
    let data = published.example.to_string();
    (OrderPlaced::decode(version, data.as_bytes()).unwrap(), data)
}

/// A state in a few words: what it is, and what holds of it.
pub(crate) fn words(state: &State) -> String {
    let holds = |name: &str, what: &[(bool, &str)]| {
        let what = what.iter().filter(|(holds, _)| *holds).map(|(_, what)| format!(", {what}"));
        [name.to_owned()].into_iter().chain(what).collect::<String>()
    };
    let back = |what: &str, how: &Option<Return>| {
        how.map(|it| format!(", {what} {}", it.name())).unwrap_or_default()
    };
    match state {
        S::Placed { stock, payment } => holds("placed", &[(*stock, "stock"), (*payment, "payment")]),
        S::Confirmed { paid, cancelling: None } => holds("confirmed", &[(*paid, "paid")]),
        S::Confirmed { paid, cancelling: Some(Cancelling { reason: _, stock_back }) } => {
            holds("confirmed", &[(*paid, "paid"), (true, "cancelling"), (*stock_back, "stock back")])
        }
        S::Shipped { paid, tracking_number: _ } => holds("shipped", &[(*paid, "paid")]),
        S::Delivered { paid, tracking_number: _ } => holds("delivered", &[(*paid, "paid")]),
        S::Cancelled { paid, reason: _, back: Back { stock, money } } => {
            let cancelled = holds("cancelled", &[(*paid, "paid")]);
            let money = match money {
                Funds::Unheard => ", money unheard of".to_owned(),
                Funds::Never => String::new(),
                Funds::Pending | Funds::Done => back("money", &money.shown()),
            };
            format!("{cancelled}{}{money}", back("stock", stock))
        }
    }
}
