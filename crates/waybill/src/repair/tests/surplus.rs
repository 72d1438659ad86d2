use super::*;

const DOUBLE: [Law; 3] = [Law::ChargedOnce, Law::Provider, Law::Delivered];

#[test]
fn of_two_captures_the_one_goes_back_that_payment_does_not_know() {
    let two = [intent("pi_own", 1999, 1999, 0), intent("pi_other", 1999, 1999, 500)];
    check(
        &report(&DOUBLE, vec![]),
        account(Status::Delivered, Some((Holds::Money, "pi_own")), &two),
        &expect![[r#"
            charged-once, order 7: it is so | provider, order 7: it is so | delivered, order 7: it is so
              POST http://127.0.0.1:8084/v1/refunds {"amount":"1499","metadata[order_id]":"7","payment_intent":"pi_other"} (Idempotency-Key: waybill-repair-refund-pi_other-1499)
        "#]],
    );
}

#[test]
fn what_is_held_for_nobody_is_let_go_and_what_was_taken_goes_back() {
    let both = [intent("pi_held", 1999, 0, 0), intent("pi_taken", 1999, 1999, 0), intent("pi_back", 5, 5, 5)];
    check(
        &report(&[Law::Known], vec![]),
        account(None, None, &both),
        &expect![[r#"
            known, order 7: it is so
              POST http://127.0.0.1:8084/v1/payment_intents/pi_held/cancel {} (Idempotency-Key: waybill-repair-cancel-pi_held-1999)
            known, order 7: it is so
              POST http://127.0.0.1:8084/v1/refunds {"amount":"1999","metadata[order_id]":"7","payment_intent":"pi_taken"} (Idempotency-Key: waybill-repair-refund-pi_taken-1999)
        "#]],
    );
    check(
        &report(&[Law::Cancelled], vec![]),
        account(Status::Cancelled, None, &both),
        &expect![[r#"
            cancelled, order 7: it is so
              POST http://127.0.0.1:8084/v1/payment_intents/pi_held/cancel {} (Idempotency-Key: waybill-repair-cancel-pi_held-1999)
            cancelled, order 7: it is so
              POST http://127.0.0.1:8084/v1/refunds {"amount":"1999","metadata[order_id]":"7","payment_intent":"pi_taken"} (Idempotency-Key: waybill-repair-refund-pi_taken-1999)
        "#]],
    );
}

#[test]
fn the_intent_that_payment_knows_is_given_back_for_a_cancelled_order_alone() {
    let own = [intent("pi_own", 1999, 1999, 0)];
    let knows = |holds| Some((holds, "pi_own"));
    let cancelled = |holds| account(Status::Cancelled, knows(holds), &own);
    check(
        &report(&[Law::Cancelled], vec![]),
        cancelled(Holds::Money),
        &expect![[r#"
            cancelled, order 7: it is so
              POST http://127.0.0.1:8084/v1/refunds {"amount":"1999","metadata[order_id]":"7","payment_intent":"pi_own"} (Idempotency-Key: waybill-repair-refund-pi_own-1999)
        "#]],
    );
    check(
        &report(&[Law::Ends], vec![]),
        cancelled(Holds::Money),
        &expect![[r#"
            ends, order 7: it is so
              POST http://127.0.0.1:8084/v1/refunds {"amount":"1999","metadata[order_id]":"7","payment_intent":"pi_own"} (Idempotency-Key: waybill-repair-refund-pi_own-1999)
        "#]],
    );
    check(
        &report(&[Law::Provider], vec![]),
        cancelled(Holds::NoMore),
        &expect![[r#"
            provider, order 7: it is so
              POST http://127.0.0.1:8084/v1/refunds {"amount":"1999","metadata[order_id]":"7","payment_intent":"pi_own"} (Idempotency-Key: waybill-repair-refund-pi_own-1999)
        "#]],
    );
    // Payment may be about to hear of the cancellation.
    check(
        &report(&[Law::ChargedOnce], vec![]),
        cancelled(Holds::Money),
        &expect![[r#"
            charged-once, order 7: it is so
              no command mends this: nothing is at the provider that may b
        "#]],
    );
    for status in [Status::Placed, Status::Confirmed, Status::Shipped, Status::Delivered] {
        for holds in [Holds::Money, Holds::NoMore] {
            let laws = [Law::ChargedOnce, Law::Provider, Law::Delivered, Law::Cancelled, Law::Known];
            let report = report(&laws, vec![]);
            let plan = planned(&report, Some(account(status, knows(holds), &own)));
            assert!(plan.proposals.is_empty(), "{status:?}, {holds:?}: {plan:?}");
        }
    }
}

#[test]
fn no_money_moves_while_it_is_not_clear_whose_it_is() {
    let one = [intent("pi_one", 1999, 1999, 0)];
    check(
        &report(&DOUBLE, vec![]),
        account(Status::Cancelled, Some((Holds::Unsure, "")), &one),
        &expect![[r#"
            charged-once, order 7: it is so | provider, order 7: it is so | delivered, order 7: it is so
              payment itself is asking the provider about this order: look
        "#]],
    );
    check(
        &report(&[Law::Known], vec![]),
        account(None, Some((Holds::Money, "pi_one")), &one),
        &expect![[r#"
            known, order 7: it is so
              payment knows this order and the order service does not: no 
        "#]],
    );
    let gone = account(Status::Delivered, Some((Holds::Money, "pi_gone")), &one);
    check(
        &report(&DOUBLE, vec![]),
        gone,
        &expect![[r#"
            charged-once, order 7: it is so | provider, order 7: it is so | delivered, order 7: it is so
              which of the intents is the order's own is not known: the on
        "#]],
    );
}

#[test]
fn money_of_an_order_that_nobody_knows_may_be_somebody_elses() {
    let account = account(None, None, &[intent("pi_one", 1999, 1999, 0)]);
    let (report, accounts) = (report(&[Law::Known], vec![]), BTreeMap::from([(ORDER, account)]));
    let sent = |args: &[&str]| planned_with(&report, &accounts, args).proposals.len();
    assert_eq!(sent(&["repair", "--unknown-orders"]), 1);
    let plan = planned_with(&report, &accounts, &["repair"]);
    assert!(plan.proposals.is_empty() && plan.unmended[0].advice.contains("`--unknown-orders`"), "{plan:?}");
}
