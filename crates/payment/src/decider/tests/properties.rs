//! Random lives of a payment, shrunk to the shortest that breaks a rule.

use proptest::{collection::vec, prelude::*, sample::select};

use super::{every::answers, *};

fn input() -> impl Strategy<Value = Input> {
    let charge = (0..5_000i64).prop_map(|cents| Charge {
        amount: Money { amount: cents, currency: Currency::USD },
        payment_method: "pm_card_visa".to_owned(),
    });
    prop_oneof![
        2 => charge.prop_map(|it| Input::OrderPlaced(order_id(), it)),
        2 => Just(Input::StockReserved(order_id())),
        2 => Just(Input::OrderConfirmed(order_id())),
        1 => Just(Input::OrderCancelled(order_id())),
        6 => select(answers()).prop_map(|it| Input::Answered(order_id(), it)),
    ]
}

/// Whether the provider can say this to what it was asked.
fn answers_to(call: &Call, answer: &Answer) -> bool {
    match call {
        Call::Authorize { .. } => matches!(answer, Answer::Authorized { .. } | Answer::Declined { .. }),
        Call::Capture { .. } => matches!(answer, Answer::Captured | Answer::CaptureRefused { .. }),
        Call::Void { .. } => matches!(answer, Answer::Voided | Answer::Captured),
        Call::Refund { .. } => matches!(answer, Answer::Refunded),
    }
}

fn has_ended(state: &State) -> bool {
    matches!(
        state,
        State::Declined { .. } | State::Voided { .. } | State::Refunded(_) | State::Cancelled { .. }
    )
}

/// What is asked of the provider: the amount that was ordered, each thing once, nothing before what it needs, and
/// money is given back only for what is cancelled or was refused.
fn check_call(call: &Call, asked: &[Call], heard: &[Input]) -> Result<(), TestCaseError> {
    let first = heard.iter().find_map(|it| match it {
        Input::OrderPlaced(_, charge) => Some(charge.amount),
        _ => None,
    });
    let (Call::Authorize { amount, .. }
    | Call::Capture { amount, .. }
    | Call::Void { amount, .. }
    | Call::Refund { amount, .. }) = call;
    prop_assert_eq!(Some(*amount), first);
    prop_assert!(asked.iter().all(|it| it.name() != call.name()), "{} twice", call.name());
    let said = |wanted: fn(&Input) -> bool| heard.iter().any(wanted);
    let authorized = said(|it| matches!(it, Input::Answered(_, Answer::Authorized { .. })));
    let off = said(|it| matches!(it, Input::OrderCancelled(_)));
    let refused = said(|it| matches!(it, Input::Answered(_, Answer::CaptureRefused { .. })));
    let due = match call {
        Call::Authorize { .. } => said(|it| matches!(it, Input::StockReserved(_))) && !off,
        Call::Capture { .. } => authorized && said(|it| matches!(it, Input::OrderConfirmed(_))) && !off,
        Call::Void { .. } => authorized && (off || refused),
        Call::Refund { .. } => {
            said(|it| matches!(it, Input::Answered(_, Answer::Captured))) && (off || refused)
        }
    };
    prop_assert!(due, "{:?} after {:?}", call, heard);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn every_life_of_a_payment_keeps_the_rules(life in vec(input(), 0..40)) {
        let mut state = Payment::new(order_id()).state;
        let (mut asked, mut open) = (Vec::<Call>::new(), None::<Call>);
        let (mut heard, mut told) = (Vec::new(), Vec::<String>::new());
        for input in life {
            if let Input::Answered(_, answer) = &input {
                // The provider answers what it is being asked, once.
                if !open.as_ref().is_some_and(|call| answers_to(call, answer)) {
                    continue;
                }
                open = None;
            }
            heard.push(input.clone());
            let Some((decision, published, after)) = follow(&state, &input) else {
                prop_assert!(false, "{:?} is impossible in {:?}", input, state);
                continue;
            };
            for effect in &decision.effects {
                let call: Call = serde_json::from_str(&effect.request).unwrap();
                check_call(&call, &asked, &heard)?;
                prop_assert!(open.is_none(), "{:?} while {:?} is open", call, open);
                asked.push(call.clone());
                open = Some(call);
            }
            told.extend(published.into_iter().map(|it| it.r#type.to_owned()));
            let once: BTreeSet<_> = told.iter().collect();
            prop_assert_eq!(once.len(), told.len(), "{:?}", told);
            prop_assert!(!has_ended(&state) || state == after, "{:?} -> {:?}", state, after);
            prop_assert!(open.is_none() || !has_ended(&after), "{:?} is asked in {:?}", open, after);
            if !matches!(input, Input::Answered(..)) {
                let again = follow(&after, &input).map(|it| it.0);
                prop_assert_eq!(again, Some(Decision::nothing()), "{:?} again", input);
            }
            state = after;
        }
    }
}
