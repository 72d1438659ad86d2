//! What every input does in every state: nothing is left to chance.

use expect_test::expect;

use super::*;
use crate::order::every::{states, words};

/// What is decided, in one line; empty when nothing is.
fn shown(decided: &Result<Decision<Fact>, Declined<Refusal>>) -> String {
    let decision = match decided {
        Ok(decision) => decision,
        Err(Declined::Refused(refusal)) => return format!("refused: {refusal:?}"),
        Err(Declined::Impossible(reason)) => return format!("impossible: {reason}"),
    };
    assert_eq!(decision.effects, [], "an order calls nobody");
    let noted = |note: &Option<String>| note.iter().map(|it| format!(" {it:?}")).collect::<String>();
    let facts = decision.events.iter().map(|fact| match fact {
        Fact::Priced(product) => format!("priced {}", product.price),
        Fact::Refolded(_) => "refolded".to_owned(),
        Fact::Order(_, OrderEvent::Placed(it)) => format!("placed {}", it.total),
        Fact::Order(_, OrderEvent::StockNoted { expires_at }) => {
            assert_eq!(*expires_at, Some(UNTIL));
            "stock-noted".to_owned()
        }
        Fact::Order(_, OrderEvent::Shipped { tracking_number }) => format!("shipped {tracking_number}"),
        Fact::Order(_, OrderEvent::CancellationRequested { reason, note }) => {
            format!("cancellation-requested {reason:?}{}", noted(note))
        }
        Fact::Order(_, OrderEvent::Cancelled { reason, note, awaits_payment }) => {
            assert_eq!(*awaits_payment, *reason != CancelReason::PaymentDeclined);
            format!("cancelled {reason:?}{}", noted(note))
        }
        Fact::Order(_, event) => event.stored_type().trim_end_matches(".v1").to_owned(),
    });
    let deadlines = decision.deadlines.iter().map(|it| match it {
        Deadline::Set { key, kind, after } => {
            assert_eq!(*key, id(1).to_string());
            format!("set {kind} {after:?}")
        }
        Deadline::Clear { key, kind } => {
            assert_eq!(*key, id(1).to_string());
            format!("clear {kind}")
        }
    });
    facts.chain(deadlines).collect::<Vec<_>>().join(", ")
}

/// What each input does in one state.
fn rows(world: &World) -> String {
    let mut rows = String::new();
    let mut nothing = Vec::new();
    for input in inputs() {
        match shown(&Orders::default().decide(world, &input, AT)).as_str() {
            "" => nothing.push(name(&input)),
            decided => rows.push_str(&format!("    {} -> {decided}\n", name(&input))),
        }
    }
    // Five to a line.
    for (index, some) in nothing.chunks(5).enumerate() {
        let lead = if index == 0 { "nothing:" } else { "        " };
        rows.push_str(&format!("    {lead} {}\n", some.join(", ")));
    }
    rows
}

/// States that follow each other and in which all inputs do the same have their rows in common.
#[test]
fn every_input_in_every_state() {
    let never_placed = world(&[Input::ProductChanged(product("MUG-01", 1999, "USD"))]);
    let worlds = states().into_iter().map(|it| (words(&it), world_of(it)));
    let mut table: Vec<(String, String)> = Vec::new();
    for (state, world) in [("-".to_owned(), never_placed)].into_iter().chain(worlds) {
        let rows = rows(&world);
        match table.last_mut() {
            Some((states, same)) if *same == rows => states.push_str(&format!("{state}\n")),
            _ => table.push((format!("{state}\n"), rows)),
        }
    }
    let table: String = table.into_iter().map(|(states, rows)| states + &rows).collect();
    expect![[r#"
        -
            Place -> placed 39.98 USD, set confirmation 1800s
            StockReserved -> impossible: the order was never placed here
            PaymentAuthorized -> impossible: the order was never placed here
            PaymentCaptured -> impossible: the order was never placed here
            Dispatched -> impossible: the order was never placed here
            Delivered -> impossible: the order was never placed here
            StockRejected -> impossible: the order was never placed here
            PaymentDeclined -> impossible: the order was never placed here
            CaptureFailed -> impossible: the order was never placed here
            ReservationExpired -> impossible: the order was never placed here
            ShipmentCancelled -> impossible: the order was never placed here
            CancellationRefused -> impossible: the order was never placed here
            StockReleased -> impossible: the order was never placed here
            PaymentVoided -> impossible: the order was never placed here
            PaymentRefunded -> impossible: the order was never placed here
            PaymentCancelled -> impossible: the order was never placed here
            Cancel -> refused: UnknownOrder
            Refold -> refused: UnknownOrder
            ConfirmationDue -> impossible: the order was never placed here
            ProductChanged -> priced 25.00 USD
        placed
            StockReserved -> stock-noted
            PaymentAuthorized -> payment-noted
            StockRejected -> cancelled OutOfStock, clear confirmation
            PaymentDeclined -> cancelled PaymentDeclined, clear confirmation
            ReservationExpired -> cancelled ReservationExpired, clear confirmation
            Cancel -> cancelled Customer "ordered twice", clear confirmation
            Refold -> refolded
            ConfirmationDue -> cancelled TimedOut, clear confirmation
            ProductChanged -> priced 25.00 USD
            nothing: Place, PaymentCaptured, Dispatched, Delivered, CaptureFailed
                     ShipmentCancelled, CancellationRefused, StockReleased, PaymentVoided, PaymentRefunded
                     PaymentCancelled
        placed, stock
            PaymentAuthorized -> payment-noted, confirmed, clear confirmation
            StockRejected -> cancelled OutOfStock, clear confirmation
            PaymentDeclined -> cancelled PaymentDeclined, clear confirmation
            ReservationExpired -> cancelled ReservationExpired, clear confirmation
            Cancel -> cancelled Customer "ordered twice", clear confirmation
            Refold -> refolded
            ConfirmationDue -> cancelled TimedOut, clear confirmation
            ProductChanged -> priced 25.00 USD
            nothing: Place, StockReserved, PaymentCaptured, Dispatched, Delivered
                     CaptureFailed, ShipmentCancelled, CancellationRefused, StockReleased, PaymentVoided
                     PaymentRefunded, PaymentCancelled
        placed, payment
            StockReserved -> stock-noted, confirmed, clear confirmation
            StockRejected -> cancelled OutOfStock, clear confirmation
            PaymentDeclined -> cancelled PaymentDeclined, clear confirmation
            ReservationExpired -> cancelled ReservationExpired, clear confirmation
            Cancel -> cancelled Customer "ordered twice", clear confirmation
            Refold -> refolded
            ConfirmationDue -> cancelled TimedOut, clear confirmation
            ProductChanged -> priced 25.00 USD
            nothing: Place, PaymentAuthorized, PaymentCaptured, Dispatched, Delivered
                     CaptureFailed, ShipmentCancelled, CancellationRefused, StockReleased, PaymentVoided
                     PaymentRefunded, PaymentCancelled
        placed, stock, payment
            StockRejected -> cancelled OutOfStock, clear confirmation
            PaymentDeclined -> cancelled PaymentDeclined, clear confirmation
            ReservationExpired -> cancelled ReservationExpired, clear confirmation
            Cancel -> cancelled Customer "ordered twice", clear confirmation
            Refold -> refolded
            ConfirmationDue -> cancelled TimedOut, clear confirmation
            ProductChanged -> priced 25.00 USD
            nothing: Place, StockReserved, PaymentAuthorized, PaymentCaptured, Dispatched
                     Delivered, CaptureFailed, ShipmentCancelled, CancellationRefused, StockReleased
                     PaymentVoided, PaymentRefunded, PaymentCancelled
        confirmed
            PaymentCaptured -> paid
            Dispatched -> shipped WB2
            CaptureFailed -> cancelled CaptureFailed
            ReservationExpired -> cancellation-requested ReservationExpired
            Cancel -> cancellation-requested Customer "ordered twice"
            Refold -> refolded
            ProductChanged -> priced 25.00 USD
            nothing: Place, StockReserved, PaymentAuthorized, Delivered, StockRejected
                     PaymentDeclined, ShipmentCancelled, CancellationRefused, StockReleased, PaymentVoided
                     PaymentRefunded, PaymentCancelled, ConfirmationDue
        confirmed, paid
            Dispatched -> shipped WB2
            ReservationExpired -> cancellation-requested ReservationExpired
            Cancel -> cancellation-requested Customer "ordered twice"
            Refold -> refolded
            ProductChanged -> priced 25.00 USD
            nothing: Place, StockReserved, PaymentAuthorized, PaymentCaptured, Delivered
                     StockRejected, PaymentDeclined, CaptureFailed, ShipmentCancelled, CancellationRefused
                     StockReleased, PaymentVoided, PaymentRefunded, PaymentCancelled, ConfirmationDue
        confirmed, cancelling
            PaymentCaptured -> paid
            Dispatched -> shipped WB2
            CaptureFailed -> cancelled CaptureFailed
            ReservationExpired -> stock-returned
            ShipmentCancelled -> cancelled Customer
            Refold -> refolded
            ProductChanged -> priced 25.00 USD
            nothing: Place, StockReserved, PaymentAuthorized, Delivered, StockRejected
                     PaymentDeclined, CancellationRefused, StockReleased, PaymentVoided, PaymentRefunded
                     PaymentCancelled, Cancel, ConfirmationDue
        confirmed, paid, cancelling
            Dispatched -> shipped WB2
            ReservationExpired -> stock-returned
            ShipmentCancelled -> cancelled Customer
            Refold -> refolded
            ProductChanged -> priced 25.00 USD
            nothing: Place, StockReserved, PaymentAuthorized, PaymentCaptured, Delivered
                     StockRejected, PaymentDeclined, CaptureFailed, CancellationRefused, StockReleased
                     PaymentVoided, PaymentRefunded, PaymentCancelled, Cancel, ConfirmationDue
        confirmed, cancelling, stock back
            PaymentCaptured -> paid
            Dispatched -> shipped WB2
            CaptureFailed -> cancelled CaptureFailed
            ShipmentCancelled -> cancelled Customer
            Refold -> refolded
            ProductChanged -> priced 25.00 USD
            nothing: Place, StockReserved, PaymentAuthorized, Delivered, StockRejected
                     PaymentDeclined, ReservationExpired, CancellationRefused, StockReleased, PaymentVoided
                     PaymentRefunded, PaymentCancelled, Cancel, ConfirmationDue
        confirmed, paid, cancelling, stock back
            Dispatched -> shipped WB2
            ShipmentCancelled -> cancelled Customer
            Refold -> refolded
            ProductChanged -> priced 25.00 USD
            nothing: Place, StockReserved, PaymentAuthorized, PaymentCaptured, Delivered
                     StockRejected, PaymentDeclined, CaptureFailed, ReservationExpired, CancellationRefused
                     StockReleased, PaymentVoided, PaymentRefunded, PaymentCancelled, Cancel
                     ConfirmationDue
        shipped
            PaymentCaptured -> paid
            Delivered -> delivered
            Cancel -> refused: TooLateToCancel
            Refold -> refolded
            ProductChanged -> priced 25.00 USD
            nothing: Place, StockReserved, PaymentAuthorized, Dispatched, StockRejected
                     PaymentDeclined, CaptureFailed, ReservationExpired, ShipmentCancelled, CancellationRefused
                     StockReleased, PaymentVoided, PaymentRefunded, PaymentCancelled, ConfirmationDue
        shipped, paid
            Delivered -> delivered
            Cancel -> refused: TooLateToCancel
            Refold -> refolded
            ProductChanged -> priced 25.00 USD
            nothing: Place, StockReserved, PaymentAuthorized, PaymentCaptured, Dispatched
                     StockRejected, PaymentDeclined, CaptureFailed, ReservationExpired, ShipmentCancelled
                     CancellationRefused, StockReleased, PaymentVoided, PaymentRefunded, PaymentCancelled
                     ConfirmationDue
        delivered
            PaymentCaptured -> paid
            Cancel -> refused: TooLateToCancel
            Refold -> refolded
            ProductChanged -> priced 25.00 USD
            nothing: Place, StockReserved, PaymentAuthorized, Dispatched, Delivered
                     StockRejected, PaymentDeclined, CaptureFailed, ReservationExpired, ShipmentCancelled
                     CancellationRefused, StockReleased, PaymentVoided, PaymentRefunded, PaymentCancelled
                     ConfirmationDue
        delivered, paid
            Cancel -> refused: TooLateToCancel
            Refold -> refolded
            ProductChanged -> priced 25.00 USD
            nothing: Place, StockReserved, PaymentAuthorized, PaymentCaptured, Dispatched
                     Delivered, StockRejected, PaymentDeclined, CaptureFailed, ReservationExpired
                     ShipmentCancelled, CancellationRefused, StockReleased, PaymentVoided, PaymentRefunded
                     PaymentCancelled, ConfirmationDue
        cancelled, money unheard of
        cancelled, paid, money unheard of
            StockReserved -> stock-noted
            PaymentAuthorized -> payment-noted
            PaymentCaptured -> payment-noted
            ReservationExpired -> stock-returned
            StockReleased -> stock-returned
            PaymentVoided -> money-returned
            PaymentRefunded -> money-returned
            Refold -> refolded
            ProductChanged -> priced 25.00 USD
            nothing: Place, Dispatched, Delivered, StockRejected, PaymentDeclined
                     CaptureFailed, ShipmentCancelled, CancellationRefused, PaymentCancelled, Cancel
                     ConfirmationDue
        cancelled, money pending
            StockReserved -> stock-noted
            PaymentDeclined -> nothing-held
            ReservationExpired -> stock-returned
            StockReleased -> stock-returned
            PaymentVoided -> money-returned
            PaymentRefunded -> money-returned
            PaymentCancelled -> nothing-held
            Refold -> refolded
            ProductChanged -> priced 25.00 USD
            nothing: Place, PaymentAuthorized, PaymentCaptured, Dispatched, Delivered
                     StockRejected, CaptureFailed, ShipmentCancelled, CancellationRefused, Cancel
                     ConfirmationDue
        cancelled, paid, money pending
            StockReserved -> stock-noted
            ReservationExpired -> stock-returned
            StockReleased -> stock-returned
            PaymentVoided -> money-returned
            PaymentRefunded -> money-returned
            Refold -> refolded
            ProductChanged -> priced 25.00 USD
            nothing: Place, PaymentAuthorized, PaymentCaptured, Dispatched, Delivered
                     StockRejected, PaymentDeclined, CaptureFailed, ShipmentCancelled, CancellationRefused
                     PaymentCancelled, Cancel, ConfirmationDue
        cancelled, money done
        cancelled, paid, money done
        cancelled
        cancelled, paid
            StockReserved -> stock-noted
            ReservationExpired -> stock-returned
            StockReleased -> stock-returned
            Refold -> refolded
            ProductChanged -> priced 25.00 USD
            nothing: Place, PaymentAuthorized, PaymentCaptured, Dispatched, Delivered
                     StockRejected, PaymentDeclined, CaptureFailed, ShipmentCancelled, CancellationRefused
                     PaymentVoided, PaymentRefunded, PaymentCancelled, Cancel, ConfirmationDue
        cancelled, stock pending, money unheard of
        cancelled, paid, stock pending, money unheard of
            PaymentAuthorized -> payment-noted
            PaymentCaptured -> payment-noted
            ReservationExpired -> stock-returned
            StockReleased -> stock-returned
            PaymentVoided -> money-returned
            PaymentRefunded -> money-returned
            Refold -> refolded
            ProductChanged -> priced 25.00 USD
            nothing: Place, StockReserved, Dispatched, Delivered, StockRejected
                     PaymentDeclined, CaptureFailed, ShipmentCancelled, CancellationRefused, PaymentCancelled
                     Cancel, ConfirmationDue
        cancelled, stock pending, money pending
            PaymentDeclined -> nothing-held
            ReservationExpired -> stock-returned
            StockReleased -> stock-returned
            PaymentVoided -> money-returned
            PaymentRefunded -> money-returned
            PaymentCancelled -> nothing-held
            Refold -> refolded
            ProductChanged -> priced 25.00 USD
            nothing: Place, StockReserved, PaymentAuthorized, PaymentCaptured, Dispatched
                     Delivered, StockRejected, CaptureFailed, ShipmentCancelled, CancellationRefused
                     Cancel, ConfirmationDue
        cancelled, paid, stock pending, money pending
            ReservationExpired -> stock-returned
            StockReleased -> stock-returned
            PaymentVoided -> money-returned
            PaymentRefunded -> money-returned
            Refold -> refolded
            ProductChanged -> priced 25.00 USD
            nothing: Place, StockReserved, PaymentAuthorized, PaymentCaptured, Dispatched
                     Delivered, StockRejected, PaymentDeclined, CaptureFailed, ShipmentCancelled
                     CancellationRefused, PaymentCancelled, Cancel, ConfirmationDue
        cancelled, stock pending, money done
        cancelled, paid, stock pending, money done
        cancelled, stock pending
        cancelled, paid, stock pending
            ReservationExpired -> stock-returned
            StockReleased -> stock-returned
            Refold -> refolded
            ProductChanged -> priced 25.00 USD
            nothing: Place, StockReserved, PaymentAuthorized, PaymentCaptured, Dispatched
                     Delivered, StockRejected, PaymentDeclined, CaptureFailed, ShipmentCancelled
                     CancellationRefused, PaymentVoided, PaymentRefunded, PaymentCancelled, Cancel
                     ConfirmationDue
        cancelled, stock done, money unheard of
        cancelled, paid, stock done, money unheard of
            PaymentAuthorized -> payment-noted
            PaymentCaptured -> payment-noted
            PaymentVoided -> money-returned
            PaymentRefunded -> money-returned
            Refold -> refolded
            ProductChanged -> priced 25.00 USD
            nothing: Place, StockReserved, Dispatched, Delivered, StockRejected
                     PaymentDeclined, CaptureFailed, ReservationExpired, ShipmentCancelled, CancellationRefused
                     StockReleased, PaymentCancelled, Cancel, ConfirmationDue
        cancelled, stock done, money pending
            PaymentDeclined -> nothing-held
            PaymentVoided -> money-returned
            PaymentRefunded -> money-returned
            PaymentCancelled -> nothing-held
            Refold -> refolded
            ProductChanged -> priced 25.00 USD
            nothing: Place, StockReserved, PaymentAuthorized, PaymentCaptured, Dispatched
                     Delivered, StockRejected, CaptureFailed, ReservationExpired, ShipmentCancelled
                     CancellationRefused, StockReleased, Cancel, ConfirmationDue
        cancelled, paid, stock done, money pending
            PaymentVoided -> money-returned
            PaymentRefunded -> money-returned
            Refold -> refolded
            ProductChanged -> priced 25.00 USD
            nothing: Place, StockReserved, PaymentAuthorized, PaymentCaptured, Dispatched
                     Delivered, StockRejected, PaymentDeclined, CaptureFailed, ReservationExpired
                     ShipmentCancelled, CancellationRefused, StockReleased, PaymentCancelled, Cancel
                     ConfirmationDue
        cancelled, stock done, money done
        cancelled, paid, stock done, money done
        cancelled, stock done
        cancelled, paid, stock done
            Refold -> refolded
            ProductChanged -> priced 25.00 USD
            nothing: Place, StockReserved, PaymentAuthorized, PaymentCaptured, Dispatched
                     Delivered, StockRejected, PaymentDeclined, CaptureFailed, ReservationExpired
                     ShipmentCancelled, CancellationRefused, StockReleased, PaymentVoided, PaymentRefunded
                     PaymentCancelled, Cancel, ConfirmationDue
    "#]].assert_eq(&table);
}
