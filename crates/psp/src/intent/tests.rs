use expect_test::{Expect, expect};

use super::*;

const AT: i64 = 1_700_000_000;

fn intent(payment_method: Token) -> Intent {
    let terms = Terms {
        id: "pi_1".into(),
        amount: 1000,
        currency: "usd".into(),
        payment_method,
        metadata: BTreeMap::new(),
        created: AT,
    };
    Intent::open(terms, payment_method.decline())
}

fn in_state(state: State) -> Intent {
    Intent { state, ..intent(Token::Visa) }
}

const CAPTURE: Command = Command::Capture { amount: None };
const CANCEL: Command = Command::Cancel { reason: None };
const REFUND: Command = Command::Refund { amount: None };

/// One line a command: what it does, and the state that it leaves.
#[track_caller]
fn check(given: &Intent, commands: &[Command], then: Expect) {
    let mut lines = String::new();
    for command in commands {
        let mut intent = given.clone();
        let decided = intent.decide(*command, AT);
        if let Ok(change) = decided {
            intent.evolve(change);
        }
        lines.push_str(&format!("{command:?} -> {decided:?} -> {:?}\n", intent.state));
    }
    then.assert_eq(&lines);
}

#[test]
fn a_card_opens_authorised_or_declined() {
    let opened: String =
        Token::ALL.map(|token| format!("{} {:?}\n", token.name(), intent(token).state)).concat();
    expect![[r#"
        pm_card_visa Authorized
        pm_card_chargeDeclined Declined(GenericDecline)
        pm_card_chargeDeclinedInsufficientFunds Declined(InsufficientFunds)
        pm_card_captureFails Authorized
        pm_card_slow Authorized
        pm_card_timeoutAfterWork Authorized
        pm_card_timeoutBeforeWork Authorized
        pm_card_serverErrorFirst Authorized
        pm_card_serverErrorAfterWork Authorized
        pm_card_cutConnection Authorized
        pm_card_wrongJson Authorized
        pm_card_pendingRefund Authorized
        pm_card_refundFail Authorized
        pm_card_voidFailsFirst Authorized
    "#]]
    .assert_eq(&opened);
}

#[test]
fn a_declined_intent_can_only_be_cancelled_and_releases_nothing() {
    check(
        &in_state(State::Declined(Decline::GenericDecline)),
        &[CAPTURE, CANCEL, REFUND],
        expect![[r#"
        Capture { amount: None } -> Err(Unexpected(Capture)) -> Declined(GenericDecline)
        Cancel { reason: None } -> Ok(Canceled { released: 0, reason: None, at: 1700000000 }) -> Canceled { at: 1700000000, reason: None }
        Refund { amount: None } -> Err(Unexpected(Refund)) -> Declined(GenericDecline)
    "#]],
    );
}

#[test]
fn an_authorised_intent_is_captured_in_full_or_in_part_or_cancelled() {
    let part = |amount| Command::Capture { amount: Some(amount) };
    check(
        &in_state(State::Authorized),
        &[CAPTURE, part(400), part(1000), part(1001), CANCEL, REFUND],
        expect![[r#"
            Capture { amount: None } -> Ok(Captured { amount: 1000 }) -> Captured { received: 1000, refunded: 0, refunds: 0 }
            Capture { amount: Some(400) } -> Ok(Captured { amount: 400 }) -> Captured { received: 400, refunded: 0, refunds: 0 }
            Capture { amount: Some(1000) } -> Ok(Captured { amount: 1000 }) -> Captured { received: 1000, refunded: 0, refunds: 0 }
            Capture { amount: Some(1001) } -> Err(TooMuchToCapture) -> Authorized
            Cancel { reason: None } -> Ok(Canceled { released: 1000, reason: None, at: 1700000000 }) -> Canceled { at: 1700000000, reason: None }
            Refund { amount: None } -> Err(Unexpected(Refund)) -> Authorized
        "#]],
    );
}

#[test]
fn a_card_that_refuses_capture_stays_authorised_and_can_be_cancelled() {
    check(
        &intent(Token::CaptureFails),
        &[CAPTURE, CANCEL, REFUND],
        expect![[r#"
        Capture { amount: None } -> Err(CaptureFailed) -> Authorized
        Cancel { reason: None } -> Ok(Canceled { released: 1000, reason: None, at: 1700000000 }) -> Canceled { at: 1700000000, reason: None }
        Refund { amount: None } -> Err(Unexpected(Refund)) -> Authorized
    "#]],
    );
}

#[test]
fn a_captured_intent_is_refunded_up_to_what_was_received() {
    let part = |amount| Command::Refund { amount: Some(amount) };
    check(
        &in_state(State::Captured { received: 900, refunded: 200, refunds: 1 }),
        &[CAPTURE, CANCEL, REFUND, part(1), part(700), part(701)],
        expect![[r#"
            Capture { amount: None } -> Err(Unexpected(Capture)) -> Captured { received: 900, refunded: 200, refunds: 1 }
            Cancel { reason: None } -> Err(Unexpected(Cancel)) -> Captured { received: 900, refunded: 200, refunds: 1 }
            Refund { amount: None } -> Ok(Refunded { number: 2, amount: 700, at: 1700000000, status: Succeeded }) -> Captured { received: 900, refunded: 900, refunds: 2 }
            Refund { amount: Some(1) } -> Ok(Refunded { number: 2, amount: 1, at: 1700000000, status: Succeeded }) -> Captured { received: 900, refunded: 201, refunds: 2 }
            Refund { amount: Some(700) } -> Ok(Refunded { number: 2, amount: 700, at: 1700000000, status: Succeeded }) -> Captured { received: 900, refunded: 900, refunds: 2 }
            Refund { amount: Some(701) } -> Err(TooMuchToRefund { left: 700 }) -> Captured { received: 900, refunded: 200, refunds: 1 }
        "#]],
    );
}

#[test]
fn a_refunded_intent_is_not_refunded_again() {
    let part = Command::Refund { amount: Some(1) };
    check(
        &in_state(State::Captured { received: 900, refunded: 900, refunds: 2 }),
        &[CAPTURE, CANCEL, REFUND, part],
        expect![[r#"
            Capture { amount: None } -> Err(Unexpected(Capture)) -> Captured { received: 900, refunded: 900, refunds: 2 }
            Cancel { reason: None } -> Err(Unexpected(Cancel)) -> Captured { received: 900, refunded: 900, refunds: 2 }
            Refund { amount: None } -> Err(AlreadyRefunded) -> Captured { received: 900, refunded: 900, refunds: 2 }
            Refund { amount: Some(1) } -> Err(AlreadyRefunded) -> Captured { received: 900, refunded: 900, refunds: 2 }
        "#]],
    );
}

#[test]
fn a_refund_that_is_pending_sets_its_amount_aside_and_one_that_failed_does_not() {
    let state = State::Captured { received: 900, refunded: 0, refunds: 0 };
    for (token, expected) in [
        (
            Token::PendingRefund,
            expect![[r#"
        Ok(Refunded { number: 1, amount: 900, at: 1700000000, status: Pending }) -> Captured { received: 900, refunded: 900, refunds: 1 }
        Err(AlreadyRefunded) -> Captured { received: 900, refunded: 900, refunds: 1 }
        Err(AlreadyRefunded) -> Captured { received: 900, refunded: 900, refunds: 1 }
    "#]],
        ),
        (
            Token::RefundFail,
            expect![[r#"
        Ok(Refunded { number: 1, amount: 900, at: 1700000000, status: Failed }) -> Captured { received: 900, refunded: 0, refunds: 1 }
        Ok(Refunded { number: 2, amount: 900, at: 1700000000, status: Succeeded }) -> Captured { received: 900, refunded: 900, refunds: 2 }
        Err(AlreadyRefunded) -> Captured { received: 900, refunded: 900, refunds: 2 }
    "#]],
        ),
    ] {
        let mut intent = Intent { state, ..intent(token) };
        let mut lines = String::new();
        for _ in 0..3 {
            let decided = intent.decide(REFUND, AT);
            decided.iter().for_each(|it| intent.evolve(*it));
            lines.push_str(&format!("{decided:?} -> {:?}\n", intent.state));
        }
        expected.assert_eq(&lines);
    }
}

#[test]
fn a_cancellation_that_fails_first_is_done_the_third_time() {
    let mut intent = intent(Token::VoidFailsFirst);
    for _ in 0..2 {
        let refusal = intent.decide(CANCEL, AT).expect_err("a failure");
        assert_eq!((refusal, intent.state), (Refusal::ServerError, State::Authorized));
        intent.refused(refusal);
    }
    assert!(intent.decide(CANCEL, AT).is_ok());
}

#[test]
fn a_cancelled_intent_is_at_its_end() {
    check(
        &in_state(State::Canceled { at: AT, reason: Some(CancelReason::Duplicate) }),
        &[CAPTURE, CANCEL, REFUND],
        expect![[r#"
            Capture { amount: None } -> Err(Unexpected(Capture)) -> Canceled { at: 1700000000, reason: Some(Duplicate) }
            Cancel { reason: None } -> Err(Unexpected(Cancel)) -> Canceled { at: 1700000000, reason: Some(Duplicate) }
            Refund { amount: None } -> Err(Unexpected(Refund)) -> Canceled { at: 1700000000, reason: Some(Duplicate) }
        "#]],
    );
}

#[test]
fn a_change_that_cannot_follow_leaves_the_state_as_it_is() {
    let captured = Change::Captured { amount: 1000 };
    let canceled = Change::Canceled { released: 1000, reason: None, at: AT };
    let refunded = Change::Refunded { number: 1, amount: 1000, at: AT, status: Status::Succeeded };
    let impossible = [
        (State::Declined(Decline::GenericDecline), vec![captured, refunded]),
        (State::Authorized, vec![refunded]),
        (State::Captured { received: 1000, refunded: 0, refunds: 0 }, vec![captured, canceled]),
        (State::Canceled { at: AT, reason: None }, vec![captured, canceled, refunded]),
    ];
    for (state, changes) in impossible {
        for change in changes {
            let mut intent = in_state(state);
            intent.evolve(change);
            assert_eq!(intent.state, state, "{change:?}");
        }
    }
}
