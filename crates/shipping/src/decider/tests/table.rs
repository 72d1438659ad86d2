//! What every input does in every state: nothing is left to chance.

use std::fmt::Write as _;

use expect_test::{Expect, expect};

use super::*;

#[test]
fn each_state_answers_each_input() {
    let mut table = String::new();
    for (state, shipment) in states() {
        writeln!(table, "{state}").unwrap();
        let mut nothing = Vec::new();
        for (input, it) in inputs() {
            match outcome(SLOW, &shipment, &it).as_str() {
                "" => nothing.push(input),
                outcome => writeln!(table, "  {input:<23} {outcome}").unwrap(),
            }
        }
        // Four to a line.
        for (index, some) in nothing.chunks(4).enumerate() {
            let lead = if index == 0 { "nothing:" } else { "" };
            writeln!(table, "  {lead:<23} {}", some.join(", ")).unwrap();
        }
    }
    expect![[r#"
        unknown
          order confirmed         Scheduled
          order confirmed until   Scheduled until
          payment captured        captured
          stock kept              kept
          cancellation requested  Cancelled
          order cancelled         barred
          dispatch!               refused: Unknown
          deliver!                refused: Unknown
          nothing:                dispatch due, delivery due
        captured
          order confirmed         Scheduled, set dispatch
          order confirmed until   Scheduled until
          stock kept              kept
          cancellation requested  Cancelled
          order cancelled         barred
          dispatch!               refused: Unknown
          deliver!                refused: Unknown
          nothing:                payment captured, dispatch due, delivery due
        kept
          order confirmed         Scheduled
          order confirmed until   Scheduled until
          payment captured        captured
          cancellation requested  Cancelled
          order cancelled         barred
          dispatch!               refused: Unknown
          deliver!                refused: Unknown
          nothing:                stock kept, dispatch due, delivery due
        captured, kept
          order confirmed         Scheduled, set dispatch
          order confirmed until   Scheduled until, set dispatch
          cancellation requested  Cancelled
          order cancelled         barred
          dispatch!               refused: Unknown
          deliver!                refused: Unknown
          nothing:                payment captured, stock kept, dispatch due, delivery due
        scheduled
          payment captured        captured, set dispatch
          cancellation requested  Cancelled
          order cancelled         Cancelled
          dispatch!               refused: NotReady(Awaited { capture: true, stock: false })
          deliver!                refused: NotDispatched(Awaited { capture: true, stock: false })
          nothing:                order confirmed, order confirmed until, stock kept, dispatch due
                                  delivery due
        scheduled until
          payment captured        captured
          stock kept              kept
          cancellation requested  Cancelled
          order cancelled         Cancelled
          dispatch!               refused: NotReady(Awaited { capture: true, stock: true })
          deliver!                refused: NotDispatched(Awaited { capture: true, stock: true })
          nothing:                order confirmed, order confirmed until, dispatch due, delivery due
        paid until
          stock kept              kept, set dispatch
          cancellation requested  Cancelled
          order cancelled         Cancelled
          dispatch!               refused: NotReady(Awaited { capture: false, stock: true })
          deliver!                refused: NotDispatched(Awaited { capture: false, stock: true })
          nothing:                order confirmed, order confirmed until, payment captured, dispatch due
                                  delivery due
        ready
          cancellation requested  Cancelled, clear dispatch
          order cancelled         Cancelled, clear dispatch
          dispatch!               Dispatched, clear dispatch, set deliver
          deliver!                refused: NotDispatched(Awaited { capture: false, stock: false })
          dispatch due            Dispatched, set deliver
          nothing:                order confirmed, order confirmed until, payment captured, stock kept
                                  delivery due
        dispatched
          cancellation requested  Refused
          order cancelled         poison: the order is cancelled, but its parcel has left
          deliver!                Delivered, clear deliver
          delivery due            Delivered
          nothing:                order confirmed, order confirmed until, payment captured, stock kept
                                  dispatch!, dispatch due
        dispatched!
          order cancelled         poison: the order is cancelled, but its parcel has left
          deliver!                Delivered, clear deliver
          delivery due            Delivered
          nothing:                order confirmed, order confirmed until, payment captured, stock kept
                                  cancellation requested, dispatch!, dispatch due
        delivered
          cancellation requested  Refused
          order cancelled         poison: the order is cancelled, but its parcel has left
          nothing:                order confirmed, order confirmed until, payment captured, stock kept
                                  dispatch!, deliver!, dispatch due, delivery due
        delivered!
          order cancelled         poison: the order is cancelled, but its parcel has left
          nothing:                order confirmed, order confirmed until, payment captured, stock kept
                                  cancellation requested, dispatch!, deliver!, dispatch due
                                  delivery due
        cancelled
          dispatch!               refused: Cancelled
          deliver!                refused: Cancelled
          nothing:                order confirmed, order confirmed until, payment captured, stock kept
                                  cancellation requested, order cancelled, dispatch due, delivery due
        cancelled, paid
          dispatch!               refused: Cancelled
          deliver!                refused: Cancelled
          nothing:                order confirmed, order confirmed until, payment captured, stock kept
                                  cancellation requested, order cancelled, dispatch due, delivery due
        barred
          dispatch!               refused: Unknown
          deliver!                refused: Unknown
          nothing:                order confirmed, order confirmed until, payment captured, stock kept
                                  cancellation requested, order cancelled, dispatch due, delivery due
    "#]]
    .assert_eq(&table);
}

#[test]
fn the_inputs_are_what_they_are_called() {
    for (title, input) in inputs() {
        assert_eq!(input_name(&input), title);
    }
}

/// Where another carrier makes a difference to the one of `each_state_answers_each_input`.
#[track_caller]
fn check_difference(carrier: Carrier, expected: Expect) {
    let mut table = String::new();
    for (state, shipment) in states() {
        for (input, it) in inputs() {
            let outcome = outcome(carrier, &shipment, &it);
            if outcome != self::outcome(SLOW, &shipment, &it) {
                writeln!(table, "{}", format!("{state:<15} {input:<22} {outcome}").trim_end()).unwrap();
            }
        }
    }
    expected.assert_eq(&table);
}

#[test]
fn without_a_delay_both_legs_are_over_at_once() {
    check_difference(
        AT_ONCE,
        expect![[r#"
            captured        order confirmed        Scheduled, Dispatched, Delivered
            captured, kept  order confirmed        Scheduled, Dispatched, Delivered
            captured, kept  order confirmed until  Scheduled until, Dispatched, Delivered
            scheduled       payment captured       captured, Dispatched, Delivered
            paid until      stock kept             kept, Dispatched, Delivered
            ready           dispatch!              Dispatched, Delivered, clear dispatch
            ready           dispatch due           Dispatched, Delivered
        "#]],
    );
}

#[test]
fn without_a_carrier_nothing_moves_by_itself() {
    check_difference(
        Carrier::Manual,
        expect![[r#"
            captured        order confirmed        Scheduled
            captured, kept  order confirmed        Scheduled
            captured, kept  order confirmed until  Scheduled until
            scheduled       payment captured       captured
            paid until      stock kept             kept
            ready           dispatch!              Dispatched, clear dispatch
            ready           dispatch due
            dispatched      delivery due
            dispatched!     delivery due
        "#]],
    );
}
