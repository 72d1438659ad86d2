//! Two inputs at the same moment: whichever comes first, one of them wins. A batch decides on its inputs one after the
//! other, each on what the ones before have made of the order, so that this is also what happens in one batch.

use expect_test::expect;

use super::*;
use crate::order::every::words;

/// What an input does to an order, in a line.
fn taken(world: &mut World, input: &Input) -> String {
    let decided = match step(world, input) {
        Ok((decision, _)) => {
            let facts = decision.events.iter().map(|it| match it {
                Fact::Order(_, event) => event.stored_type().trim_end_matches(".v1"),
                Fact::Priced(_) => "priced",
                Fact::Refolded(_) => "refolded",
            });
            facts.collect::<Vec<_>>().join(", ")
        }
        Err(declined) => format!("{declined:?}"),
    };
    format!("    {}: {}\n", name(input), if decided.is_empty() { "nothing" } else { &decided })
}

/// Each step of an order and what it may race with: the step, its rival, and where they meet.
fn races() -> Vec<(Vec<Input>, Input, Input)> {
    use Input as I;
    let it = id(1);
    let (stock, payment, paid) =
        (I::StockReserved(it, None), I::PaymentAuthorized(it), I::PaymentCaptured(it));
    let (cancel, due, expired) = (I::Cancel(it, None), I::ConfirmationDue(it), I::ReservationExpired(it));
    let declined = I::PaymentDeclined(it);
    let (left, stopped, failed) =
        (I::Dispatched(it, "WB1".into()), I::ShipmentCancelled(it), I::CaptureFailed(it));
    let races: [(&[&I], &I, &I); 19] = [
        // Before confirmation, and at it.
        (&[], &cancel, &stock),
        (&[&stock], &cancel, &payment),
        (&[&payment], &cancel, &stock),
        (&[&stock], &cancel, &expired),
        (&[&stock], &cancel, &declined),
        (&[&stock], &due, &declined),
        (&[&stock], &due, &payment),
        (&[&payment], &due, &stock),
        (&[&stock], &due, &cancel),
        (&[&stock], &due, &expired),
        (&[&stock], &expired, &payment),
        // After it.
        (&[&stock, &payment], &cancel, &cancel),
        (&[&stock, &payment], &cancel, &paid),
        (&[&stock, &payment], &cancel, &failed),
        (&[&stock, &payment], &cancel, &expired),
        (&[&stock, &payment, &paid], &cancel, &left),
        (&[&stock, &payment, &cancel], &stopped, &paid),
        (&[&stock, &payment, &cancel], &stopped, &expired),
        (&[&stock, &payment, &paid, &cancel], &I::CancellationRefused(it), &left),
    ];
    let owned = |all: &[&I]| all.iter().map(|it| (*it).clone()).collect();
    races.iter().map(|(before, one, other)| (owned(before), (*one).clone(), (*other).clone())).collect()
}

#[test]
fn one_of_two_wins_whichever_comes_first() {
    let mut table = String::new();
    for (before, one, other) in races() {
        for [first, second] in [[&one, &other], [&other, &one]] {
            let mut world = placed();
            for input in &before {
                step(&mut world, input).unwrap();
            }
            table.push_str(&format!("{}\n", words(&world.orders[&id(1)].state)));
            table.push_str(&taken(&mut world, first));
            table.push_str(&taken(&mut world, second));
            table.push_str(&format!("    = {}\n", words(&world.orders[&id(1)].state)));
        }
    }
    expect![[r#"
        placed
            Cancel: cancelled
            StockReserved: stock-noted
            = cancelled, stock pending, money pending
        placed
            StockReserved: stock-noted
            Cancel: cancelled
            = cancelled, stock pending, money pending
        placed, stock
            Cancel: cancelled
            PaymentAuthorized: nothing
            = cancelled, stock pending, money pending
        placed, stock
            PaymentAuthorized: payment-noted, confirmed
            Cancel: cancellation-requested
            = confirmed, cancelling
        placed, payment
            Cancel: cancelled
            StockReserved: stock-noted
            = cancelled, stock pending, money pending
        placed, payment
            StockReserved: stock-noted, confirmed
            Cancel: cancellation-requested
            = confirmed, cancelling
        placed, stock
            Cancel: cancelled
            ReservationExpired: stock-returned
            = cancelled, stock done, money pending
        placed, stock
            ReservationExpired: cancelled
            Cancel: nothing
            = cancelled, stock done, money pending
        placed, stock
            Cancel: cancelled
            PaymentDeclined: nothing-held
            = cancelled, stock pending
        placed, stock
            PaymentDeclined: cancelled
            Cancel: nothing
            = cancelled, stock pending
        placed, stock
            ConfirmationDue: cancelled
            PaymentDeclined: nothing-held
            = cancelled, stock pending
        placed, stock
            PaymentDeclined: cancelled
            ConfirmationDue: nothing
            = cancelled, stock pending
        placed, stock
            ConfirmationDue: cancelled
            PaymentAuthorized: nothing
            = cancelled, stock pending, money pending
        placed, stock
            PaymentAuthorized: payment-noted, confirmed
            ConfirmationDue: nothing
            = confirmed
        placed, payment
            ConfirmationDue: cancelled
            StockReserved: stock-noted
            = cancelled, stock pending, money pending
        placed, payment
            StockReserved: stock-noted, confirmed
            ConfirmationDue: nothing
            = confirmed
        placed, stock
            ConfirmationDue: cancelled
            Cancel: nothing
            = cancelled, stock pending, money pending
        placed, stock
            Cancel: cancelled
            ConfirmationDue: nothing
            = cancelled, stock pending, money pending
        placed, stock
            ConfirmationDue: cancelled
            ReservationExpired: stock-returned
            = cancelled, stock done, money pending
        placed, stock
            ReservationExpired: cancelled
            ConfirmationDue: nothing
            = cancelled, stock done, money pending
        placed, stock
            ReservationExpired: cancelled
            PaymentAuthorized: nothing
            = cancelled, stock done, money pending
        placed, stock
            PaymentAuthorized: payment-noted, confirmed
            ReservationExpired: cancellation-requested
            = confirmed, cancelling, stock back
        confirmed
            Cancel: cancellation-requested
            Cancel: nothing
            = confirmed, cancelling
        confirmed
            Cancel: cancellation-requested
            Cancel: nothing
            = confirmed, cancelling
        confirmed
            Cancel: cancellation-requested
            PaymentCaptured: paid
            = confirmed, paid, cancelling
        confirmed
            PaymentCaptured: paid
            Cancel: cancellation-requested
            = confirmed, paid, cancelling
        confirmed
            Cancel: cancellation-requested
            CaptureFailed: cancelled
            = cancelled, stock pending, money pending
        confirmed
            CaptureFailed: cancelled
            Cancel: nothing
            = cancelled, stock pending, money pending
        confirmed
            Cancel: cancellation-requested
            ReservationExpired: stock-returned
            = confirmed, cancelling, stock back
        confirmed
            ReservationExpired: cancellation-requested
            Cancel: nothing
            = confirmed, cancelling, stock back
        confirmed, paid
            Cancel: cancellation-requested
            Dispatched: shipped
            = shipped, paid
        confirmed, paid
            Dispatched: shipped
            Cancel: Refused(TooLateToCancel)
            = shipped, paid
        confirmed, cancelling
            ShipmentCancelled: cancelled
            PaymentCaptured: nothing
            = cancelled, stock pending, money pending
        confirmed, cancelling
            PaymentCaptured: paid
            ShipmentCancelled: cancelled
            = cancelled, paid, stock pending, money pending
        confirmed, cancelling
            ShipmentCancelled: cancelled
            ReservationExpired: stock-returned
            = cancelled, stock done, money pending
        confirmed, cancelling
            ReservationExpired: stock-returned
            ShipmentCancelled: cancelled
            = cancelled, stock done, money pending
        confirmed, paid, cancelling
            CancellationRefused: nothing
            Dispatched: shipped
            = shipped, paid
        confirmed, paid, cancelling
            Dispatched: shipped
            CancellationRefused: nothing
            = shipped, paid
    "#]]
    .assert_eq(&table);
}
