//! What each decision was about: the state of the aggregate and the input, by the names of the services' own tables.

use std::fmt;

/// A state's name, and what holds of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct State(pub [&'static str; 4]);

/// A state and what happened in it.
pub type Pair = (State, &'static str);

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = self.0.into_iter().filter(|it| !it.is_empty()).collect();
        f.write_str(&words.join(", "))
    }
}

fn state(name: &'static str, holds: [&'static str; 3]) -> State {
    State([name, holds[0], holds[1], holds[2]])
}

fn if_(holds: bool, word: &'static str) -> &'static str {
    if holds { word } else { "" }
}

pub(super) fn of_order(world: &order::World, input: &order::Input) -> Pair {
    use order::Input as I;
    let name = match input {
        I::Place(_) => "Place",
        I::Cancel(..) => "Cancel",
        I::Refold(_) => "Refold",
        I::StockReserved(..) => "StockReserved",
        I::StockRejected(_) => "StockRejected",
        I::StockReleased(_) => "StockReleased",
        I::ReservationExpired(_) => "ReservationExpired",
        I::PaymentAuthorized(_) => "PaymentAuthorized",
        I::PaymentDeclined(_) => "PaymentDeclined",
        I::PaymentCaptured(_) => "PaymentCaptured",
        I::CaptureFailed(_) => "CaptureFailed",
        I::PaymentVoided(_) => "PaymentVoided",
        I::PaymentRefunded(_) => "PaymentRefunded",
        I::PaymentCancelled(_) => "PaymentCancelled",
        I::Dispatched(..) => "Dispatched",
        I::Delivered(_) => "Delivered",
        I::ShipmentCancelled(_) => "ShipmentCancelled",
        I::CancellationRefused(_) => "CancellationRefused",
        I::ConfirmationDue(_) => "ConfirmationDue",
        I::ProductChanged(it) => {
            let known = world.prices.contains_key(&it.sku);
            return (state("product", [if_(known, "known"), "", ""]), "ProductChanged");
        }
    };
    let known = input.order_id().and_then(|it| world.orders.get(&it));
    (known.map_or(state("unknown", [""; 3]), |it| order_state(&it.state)), name)
}

fn order_state(of: &order::State) -> State {
    use order::{Funds, Return, State as S};
    match of {
        S::Placed { stock, payment } => state("placed", [if_(*stock, "stock"), if_(*payment, "payment"), ""]),
        S::Confirmed { paid, cancelling } => {
            let back = cancelling.is_some_and(|it| it.stock_back);
            let holds =
                [if_(*paid, "paid"), if_(cancelling.is_some(), "cancelling"), if_(back, "stock back")];
            state("confirmed", holds)
        }
        S::Shipped { paid, .. } => state("shipped", [if_(*paid, "paid"), "", ""]),
        S::Delivered { paid, .. } => state("delivered", [if_(*paid, "paid"), "", ""]),
        S::Cancelled { paid, back, .. } => {
            let stock = match back.stock {
                None => "",
                Some(Return::Pending) => "stock pending",
                Some(Return::Done) => "stock done",
            };
            let money = match back.money {
                Funds::Unheard => "money unheard of",
                Funds::Pending => "money pending",
                Funds::Done => "money done",
                Funds::Never => "",
            };
            state("cancelled", [if_(*paid, "paid"), stock, money])
        }
    }
}

pub(super) fn of_inventory(world: &inventory::World, input: &inventory::Input) -> Pair {
    use inventory::Input as I;
    let (id, name) = match input {
        I::OrderPlaced(id, _) => (id, "placed"),
        I::OrderConfirmed(id) => (id, "confirmed"),
        I::Dispatched(id) => (id, "dispatched"),
        I::OrderCancelled(id) => (id, "cancelled"),
        I::ReservationDue(id) => (id, "due"),
        I::Describe { sku, price, .. } => {
            let known = world.products.get(sku);
            let is_other = known.is_some_and(|it| it.price.currency != price.currency);
            return (shelf(known), if is_other { "describe, in yen!" } else { "describe!" });
        }
        I::Adjust { sku, delta, .. } => {
            return (shelf(world.products.get(sku)), if *delta < 0 { "less!" } else { "more!" });
        }
    };
    (reservation_state(world.reservations.get(id).map(|it| &it.state)), name)
}

fn shelf(product: Option<&inventory::Product>) -> State {
    let holds = match product {
        None => "unknown",
        Some(it) if it.on_hand == 0 => "none on hand",
        Some(it) if it.reserved == it.on_hand => "all reserved",
        Some(_) => "some available",
    };
    state("product", [holds, "", ""])
}

fn reservation_state(of: Option<&inventory::State>) -> State {
    use inventory::State as S;
    let name = match of {
        None => "unknown",
        Some(S::Reserved { expires_at: None, .. }) => "reserved",
        Some(S::Reserved { expires_at: Some(_), .. }) => "reserved until",
        Some(S::Kept { .. }) => "kept",
        Some(S::Rejected) => "rejected",
        Some(S::Released { .. }) => "released",
        Some(S::Expired { .. }) => "expired",
        Some(S::Deducted { .. }) => "deducted",
        Some(S::Cancelled) => "cancelled",
    };
    state(name, [""; 3])
}

pub(super) fn of_payment(world: &payment::World, input: &payment::Input) -> Pair {
    use payment::{Answer, Input as I};
    let (id, name) = match input {
        I::OrderPlaced(id, _) => (id, "placed"),
        I::StockReserved(id) => (id, "reserved"),
        I::OrderConfirmed(id) => (id, "confirmed"),
        I::OrderCancelled(id) => (id, "cancelled"),
        I::Answered(id, Answer::Authorized { .. }) => (id, "authorized!"),
        I::Answered(id, Answer::Declined { .. }) => (id, "declined!"),
        I::Answered(id, Answer::Captured) => (id, "captured!"),
        I::Answered(id, Answer::CaptureRefused { .. }) => (id, "capture-refused!"),
        I::Answered(id, Answer::Voided) => (id, "voided!"),
        I::Answered(id, Answer::Refunded) => (id, "refunded!"),
    };
    let unknown = payment::Payment::new(*id).state;
    (payment_state(world.payments.get(id).map_or(&unknown, |it| &it.state)), name)
}

fn payment_state(of: &payment::State) -> State {
    use payment::{State as S, Then};
    match of {
        S::Awaiting { placed, reserved, confirmed } => {
            let amount = if_(placed.is_none(), "no amount");
            state("awaiting", [amount, if_(*reserved, "reserved"), if_(*confirmed, "then capture")])
        }
        S::Authorizing { then, .. } => {
            let then = match then {
                Then::Wait => "",
                Then::Capture => "then capture",
                Then::Void => "then give back",
            };
            state("authorizing", [then, "", ""])
        }
        S::Authorized(_) => state("authorized", [""; 3]),
        S::Capturing { cancelled, .. } => state("capturing", [if_(*cancelled, "then give back"), "", ""]),
        S::Captured(_) => state("captured", [""; 3]),
        S::Voiding { refused, .. } => state("voiding", [if_(refused.is_some(), "refused"), "", ""]),
        S::Refunding(_) => state("refunding", [""; 3]),
        S::Declined { .. } => state("declined", [""; 3]),
        S::Voided { refused, .. } => state("voided", [if_(refused.is_some(), "refused"), "", ""]),
        S::Refunded(_) => state("refunded", [""; 3]),
        S::Cancelled { amount } => state("cancelled", [if_(amount.is_none(), "no amount"), "", ""]),
    }
}

pub(super) fn of_shipping(world: &shipping::World, input: &shipping::Input) -> Pair {
    use shipping::{Input as I, Leg};
    let name = match input {
        I::OrderConfirmed { stock_expires: false, .. } => "order confirmed",
        I::OrderConfirmed { stock_expires: true, .. } => "order confirmed until",
        I::PaymentCaptured(_) => "payment captured",
        I::StockKept(_) => "stock kept",
        I::CancellationRequested(_) => "cancellation requested",
        I::OrderCancelled(_) => "order cancelled",
        I::Dispatch(_) => "dispatch!",
        I::Deliver(_) => "deliver!",
        I::Due(_, Leg::Dispatch) => "dispatch due",
        I::Due(_, Leg::Deliver) => "delivery due",
    };
    let unknown = shipping::Shipment::unknown(input.order_id()).state;
    (shipment_state(world.shipments.get(&input.order_id()).map_or(&unknown, |it| &it.state)), name)
}

fn shipment_state(of: &shipping::State) -> State {
    use shipping::State as S;
    match of {
        S::Early { captured, kept } => state("early", [if_(*captured, "paid"), if_(*kept, "kept"), ""]),
        S::Scheduled { waits_for, .. } => {
            let (payment, stock) = (if_(waits_for.capture, "no payment"), if_(waits_for.stock, "no stock"));
            state("scheduled", [payment, stock, ""])
        }
        S::Dispatched { parcel, .. } => {
            state("dispatched", [if_(parcel.cancellation_refused, "refused"), "", ""])
        }
        S::Delivered { parcel, .. } => {
            state("delivered", [if_(parcel.cancellation_refused, "refused"), "", ""])
        }
        S::Cancelled { captured, .. } => state("cancelled", [if_(*captured, "paid"), "", ""]),
        S::Barred => state("barred", [""; 3]),
    }
}
