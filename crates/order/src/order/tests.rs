mod stored;

use expect_test::expect;
use time::macros::datetime;

use super::{
    every::{events, example, states, words},
    *,
};

fn order(state: State) -> Order {
    Order { version: 7, sequence: 4, state, ..Order::begin(example(2).0) }
}

#[test]
fn every_event_counts_and_moves_the_state_as_listed() {
    let mut table = String::new();
    for state in states() {
        table.push_str(&format!("{}\n", words(&state)));
        for event in events() {
            let mut order = order(state.clone());
            let fits = order.fits(&event);
            order.evolve(&event);
            let is_over = matches!(state, S::Cancelled { .. });
            assert_eq!(fits, is_over || order.state != state, "{event:?} in {state:?}");
            assert_eq!(order.version, 8, "{event:?} in {state:?}");
            assert_eq!(order.sequence, 4 + i64::from(event.is_published()), "{event:?} in {state:?}");
            assert_eq!(order.published(&event).is_some(), event.is_published(), "{event:?} in {state:?}");
            if order.state != state {
                let because = match &event {
                    E::Cancelled { reason, awaits_payment, .. } => {
                        format!(" {reason:?}{}", if *awaits_payment { ", awaits payment" } else { "" })
                    }
                    E::CancellationRequested { reason, .. } => format!(" {reason:?}"),
                    _ => String::new(),
                };
                let name = event.stored_type().split('.').next().unwrap();
                let line = format!("    {name}{because} -> {}\n", words(&order.state));
                // With or without a time it is the same.
                if !table.ends_with(&line) {
                    table.push_str(&line);
                }
            }
        }
    }
    expect![[r#"
        placed
            stock-noted -> placed, stock
            payment-noted -> placed, payment
            confirmed -> confirmed
            cancelled Customer, awaits payment -> cancelled, money pending
            cancelled ReservationExpired, awaits payment -> cancelled, stock done, money pending
            cancelled PaymentDeclined -> cancelled
            cancelled Customer -> cancelled, money unheard of
        placed, stock
            payment-noted -> placed, stock, payment
            confirmed -> confirmed
            cancelled Customer, awaits payment -> cancelled, stock pending, money pending
            cancelled ReservationExpired, awaits payment -> cancelled, stock done, money pending
            cancelled PaymentDeclined -> cancelled, stock pending
            cancelled Customer -> cancelled, stock pending, money unheard of
        placed, payment
            stock-noted -> placed, stock, payment
            confirmed -> confirmed
            cancelled Customer, awaits payment -> cancelled, money pending
            cancelled ReservationExpired, awaits payment -> cancelled, stock done, money pending
            cancelled PaymentDeclined -> cancelled
            cancelled Customer -> cancelled, money pending
        placed, stock, payment
            confirmed -> confirmed
            cancelled Customer, awaits payment -> cancelled, stock pending, money pending
            cancelled ReservationExpired, awaits payment -> cancelled, stock done, money pending
            cancelled PaymentDeclined -> cancelled, stock pending
            cancelled Customer -> cancelled, stock pending, money pending
        confirmed
            paid -> confirmed, paid
            shipped -> shipped
            cancellation-requested Customer -> confirmed, cancelling
            cancellation-requested ReservationExpired -> confirmed, cancelling, stock back
            cancelled Customer, awaits payment -> cancelled, stock pending, money pending
            cancelled ReservationExpired, awaits payment -> cancelled, stock done, money pending
            cancelled PaymentDeclined -> cancelled, stock pending, money pending
            cancelled Customer -> cancelled, stock pending, money pending
        confirmed, paid
            shipped -> shipped, paid
            cancellation-requested Customer -> confirmed, paid, cancelling
            cancellation-requested ReservationExpired -> confirmed, paid, cancelling, stock back
            cancelled Customer, awaits payment -> cancelled, paid, stock pending, money pending
            cancelled ReservationExpired, awaits payment -> cancelled, paid, stock done, money pending
            cancelled PaymentDeclined -> cancelled, paid, stock pending, money pending
            cancelled Customer -> cancelled, paid, stock pending, money pending
        confirmed, cancelling
            paid -> confirmed, paid, cancelling
            shipped -> shipped
            cancellation-requested ReservationExpired -> confirmed, cancelling, stock back
            cancelled Customer, awaits payment -> cancelled, stock pending, money pending
            cancelled ReservationExpired, awaits payment -> cancelled, stock done, money pending
            cancelled PaymentDeclined -> cancelled, stock pending, money pending
            cancelled Customer -> cancelled, stock pending, money pending
            stock-returned -> confirmed, cancelling, stock back
        confirmed, paid, cancelling
            shipped -> shipped, paid
            cancellation-requested ReservationExpired -> confirmed, paid, cancelling, stock back
            cancelled Customer, awaits payment -> cancelled, paid, stock pending, money pending
            cancelled ReservationExpired, awaits payment -> cancelled, paid, stock done, money pending
            cancelled PaymentDeclined -> cancelled, paid, stock pending, money pending
            cancelled Customer -> cancelled, paid, stock pending, money pending
            stock-returned -> confirmed, paid, cancelling, stock back
        confirmed, cancelling, stock back
            paid -> confirmed, paid, cancelling, stock back
            shipped -> shipped
            cancellation-requested Customer -> confirmed, cancelling
            cancellation-requested ReservationExpired -> confirmed, cancelling, stock back
            cancelled Customer, awaits payment -> cancelled, stock done, money pending
            cancelled ReservationExpired, awaits payment -> cancelled, stock done, money pending
            cancelled PaymentDeclined -> cancelled, stock done, money pending
            cancelled Customer -> cancelled, stock done, money pending
        confirmed, paid, cancelling, stock back
            shipped -> shipped, paid
            cancellation-requested Customer -> confirmed, paid, cancelling
            cancellation-requested ReservationExpired -> confirmed, paid, cancelling, stock back
            cancelled Customer, awaits payment -> cancelled, paid, stock done, money pending
            cancelled ReservationExpired, awaits payment -> cancelled, paid, stock done, money pending
            cancelled PaymentDeclined -> cancelled, paid, stock done, money pending
            cancelled Customer -> cancelled, paid, stock done, money pending
        shipped
            paid -> shipped, paid
            delivered -> delivered
        shipped, paid
            delivered -> delivered, paid
        delivered
            paid -> delivered, paid
        delivered, paid
        cancelled, money unheard of
            stock-noted -> cancelled, stock pending, money unheard of
            payment-noted -> cancelled, money pending
            stock-returned -> cancelled, stock done, money unheard of
            money-returned -> cancelled, money done
            nothing-held -> cancelled
        cancelled, paid, money unheard of
            stock-noted -> cancelled, paid, stock pending, money unheard of
            payment-noted -> cancelled, paid, money pending
            stock-returned -> cancelled, paid, stock done, money unheard of
            money-returned -> cancelled, paid, money done
            nothing-held -> cancelled, paid
        cancelled, money pending
            stock-noted -> cancelled, stock pending, money pending
            stock-returned -> cancelled, stock done, money pending
            money-returned -> cancelled, money done
            nothing-held -> cancelled
        cancelled, paid, money pending
            stock-noted -> cancelled, paid, stock pending, money pending
            stock-returned -> cancelled, paid, stock done, money pending
            money-returned -> cancelled, paid, money done
            nothing-held -> cancelled, paid
        cancelled, money done
            stock-noted -> cancelled, stock pending, money done
            stock-returned -> cancelled, stock done, money done
        cancelled, paid, money done
            stock-noted -> cancelled, paid, stock pending, money done
            stock-returned -> cancelled, paid, stock done, money done
        cancelled
            stock-noted -> cancelled, stock pending
            stock-returned -> cancelled, stock done
        cancelled, paid
            stock-noted -> cancelled, paid, stock pending
            stock-returned -> cancelled, paid, stock done
        cancelled, stock pending, money unheard of
            payment-noted -> cancelled, stock pending, money pending
            stock-returned -> cancelled, stock done, money unheard of
            money-returned -> cancelled, stock pending, money done
            nothing-held -> cancelled, stock pending
        cancelled, paid, stock pending, money unheard of
            payment-noted -> cancelled, paid, stock pending, money pending
            stock-returned -> cancelled, paid, stock done, money unheard of
            money-returned -> cancelled, paid, stock pending, money done
            nothing-held -> cancelled, paid, stock pending
        cancelled, stock pending, money pending
            stock-returned -> cancelled, stock done, money pending
            money-returned -> cancelled, stock pending, money done
            nothing-held -> cancelled, stock pending
        cancelled, paid, stock pending, money pending
            stock-returned -> cancelled, paid, stock done, money pending
            money-returned -> cancelled, paid, stock pending, money done
            nothing-held -> cancelled, paid, stock pending
        cancelled, stock pending, money done
            stock-returned -> cancelled, stock done, money done
        cancelled, paid, stock pending, money done
            stock-returned -> cancelled, paid, stock done, money done
        cancelled, stock pending
            stock-returned -> cancelled, stock done
        cancelled, paid, stock pending
            stock-returned -> cancelled, paid, stock done
        cancelled, stock done, money unheard of
            payment-noted -> cancelled, stock done, money pending
            money-returned -> cancelled, stock done, money done
            nothing-held -> cancelled, stock done
        cancelled, paid, stock done, money unheard of
            payment-noted -> cancelled, paid, stock done, money pending
            money-returned -> cancelled, paid, stock done, money done
            nothing-held -> cancelled, paid, stock done
        cancelled, stock done, money pending
            money-returned -> cancelled, stock done, money done
            nothing-held -> cancelled, stock done
        cancelled, paid, stock done, money pending
            money-returned -> cancelled, paid, stock done, money done
            nothing-held -> cancelled, paid, stock done
        cancelled, stock done, money done
        cancelled, paid, stock done, money done
        cancelled, stock done
        cancelled, paid, stock done
    "#]]
    .assert_eq(&table);
}

#[test]
fn a_total_is_the_sum_of_the_lines_in_their_currency() {
    let sound = order(S::Placed { stock: false, payment: false });
    let changed = |change: fn(&mut OrderPlaced)| {
        let mut order = sound.clone();
        change(&mut order.placed);
        order.adds_up()
    };
    assert!(sound.adds_up());
    assert!(!changed(|it| it.total.amount += 1));
    assert!(!changed(|it| it.lines[0].unit_price.amount += 1));
    assert!(!changed(|it| it.lines[0].quantity = u32::MAX));
    assert!(!changed(|it| it.currency = "EUR".parse().unwrap()));
}

#[test]
fn an_order_begins_with_one_published_event() {
    let order = Order::begin(example(2).0);
    assert_eq!((order.version, order.sequence), (1, 1));
}

/// When the reservation runs out is known once the stock is noted, and told when the order is confirmed: by then
/// the payment may have been noted first.
#[test]
fn a_confirmation_says_until_when_the_stock_is_reserved() {
    let until = Some(datetime!(2025-08-19 10:30 UTC));
    let confirmed = E::Confirmed { at: datetime!(2025-08-19 09:30 UTC) };
    for expires_at in [until, None] {
        for noted in
            [[E::StockNoted { expires_at }, E::PaymentNoted], [E::PaymentNoted, E::StockNoted { expires_at }]]
        {
            let mut order = Order::begin(example(2).0);
            noted.iter().for_each(|it| order.evolve(it));
            order.evolve(&confirmed);
            let Some(Published::Confirmed(published)) = order.published(&confirmed) else { panic!() };
            assert_eq!(published.stock_expires_at, expires_at);
        }
    }
}
