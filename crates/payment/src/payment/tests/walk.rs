//! Every way that a payment can go, rather than those that somebody thought of.

use super::*;

/// A payment on its way, with the call that is under way and what has happened to the money.
#[derive(Clone)]
struct Walk {
    payment: Payment,
    call: Option<Call>,
    money: Money,
    left: u32,
}

#[derive(Debug, Clone, Copy, Default)]
struct Money {
    authorized: bool,
    refused: bool,
    captured: bool,
    refunded: bool,
    voided: bool,
    cancelled: bool,
    /// How often what became of the money was told for good.
    last_words: u32,
}

/// Enough for each event of the order once, each answer on the longest way, and a duplicate.
const STEPS: u32 = 9;

#[test]
fn one_call_is_under_way_at_most_and_money_moves_once_whatever_comes_in_whatever_order() {
    let start = Walk { payment: Payment::new(order_id()), call: None, money: Money::default(), left: STEPS };
    let (mut open, mut ends) = (vec![start], 0);
    while let Some(walk) = open.pop() {
        ends += u32::from(walk.left == 0);
        walk.check();
        if walk.left > 0 {
            open.extend(walk.next());
        }
    }
    assert!(ends > 100_000, "{ends}");
}

impl Walk {
    /// Where any event of the order, or any answer to the call under way, leads.
    fn next(&self) -> Vec<Self> {
        let order = [When::Placed, When::Reserved, When::Confirmed, When::Cancelled];
        let mut next: Vec<Self> = order.iter().map(|when| self.step(when)).collect();
        if let Some(call) = &self.call {
            let answered = Self { call: None, ..self.clone() };
            next.extend(answers_to(call).into_iter().map(|it| answered.step(&When::Answered(it))));
        }
        next
    }

    fn step(&self, when: &When) -> Self {
        let mut walk = Self { left: self.left - 1, ..self.clone() };
        walk.money.cancelled |= matches!(when, When::Cancelled);
        let (payment, events) = walk.payment.after(when);
        walk.payment = payment;
        for event in events {
            walk.money.follow(&event);
            if let E::Asked(call) = event {
                assert_eq!(walk.call.replace(call), None, "a second call is under way after {when:?}");
            }
        }
        walk
    }

    /// What must be so whenever nothing is waited for.
    fn check(&self) {
        let Money { authorized, captured, refunded, voided, cancelled, last_words, .. } = self.money;
        assert!(last_words <= 1, "two last words: {:?}", self.payment);
        if self.call.is_none() {
            let waits = matches!(
                self.payment.state,
                S::Authorizing { .. } | S::Capturing { .. } | S::Voiding { .. } | S::Refunding(_)
            );
            assert!(!waits, "waits for a call that is not under way: {:?}", self.payment);
            assert!(!cancelled || last_words == 1, "no last word: {:?}", self.payment);
            assert!(!cancelled || captured == refunded, "the money is kept: {:?}", self.payment);
            assert!(!cancelled || !authorized || voided || refunded, "something is held: {:?}", self.payment);
        }
    }
}

impl Money {
    fn follow(&mut self, event: &PaymentEvent) {
        let once = |flag: &mut bool, allowed: bool| {
            assert!(allowed && !*flag, "{event:?} a second time, or too early");
            *flag = true;
        };
        let is_last = matches!(event, E::Declined { .. } | E::Voided | E::Refunded | E::Cancelled);
        self.last_words += u32::from(is_last);
        match event {
            E::Asked(Call::Capture { .. }) => assert!(!self.cancelled, "a capture after the cancellation"),
            E::Authorized { .. } => once(&mut self.authorized, true),
            E::CaptureFailed { .. } => once(&mut self.refused, self.authorized && !self.captured),
            E::Captured => once(&mut self.captured, self.authorized && !self.voided),
            E::Voided => once(&mut self.voided, self.authorized && !self.captured),
            E::Refunded => once(&mut self.refunded, self.captured && (self.cancelled || self.refused)),
            _ => {}
        }
    }
}

fn answers_to(call: &Call) -> Vec<Answer> {
    match call {
        Call::Authorize { .. } => vec![
            Answer::Authorized { reference: "pi_1".to_owned() },
            Answer::Declined { code: "generic_decline".to_owned() },
        ],
        Call::Capture { .. } => {
            vec![Answer::Captured, Answer::CaptureRefused { code: "expired_card".to_owned() }]
        }
        Call::Void { .. } => vec![Answer::Voided, Answer::Captured],
        Call::Refund { .. } => vec![Answer::Refunded],
    }
}
