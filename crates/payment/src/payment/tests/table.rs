//! What every input does in every state: nothing is left to chance.

use super::*;

fn all() -> [When; 10] {
    use When::*;
    [
        Placed,
        Reserved,
        Confirmed,
        Cancelled,
        authorized(),
        declined(),
        CAPTURED,
        capture_refused(),
        VOIDED,
        REFUNDED,
    ]
}

impl When {
    fn name(&self) -> &'static str {
        match self {
            Self::Placed => "placed",
            Self::Reserved => "reserved",
            Self::Confirmed => "confirmed",
            Self::Cancelled => "cancelled",
            Self::Answered(Answer::Authorized { .. }) => "authorized!",
            Self::Answered(Answer::Declined { .. }) => "declined!",
            Self::Answered(Answer::Captured) => "captured!",
            Self::Answered(Answer::CaptureRefused { .. }) => "capture-refused!",
            Self::Answered(Answer::Voided) => "voided!",
            Self::Answered(Answer::Refunded) => "refunded!",
        }
    }
}

/// A payment in each state, with what tells it from the others of the state.
pub(super) fn states() -> Vec<Payment> {
    use When::*;
    let both = [Placed, Reserved];
    let held = [Placed, Reserved, authorized()];
    let taken = [Placed, Reserved, authorized(), Confirmed, CAPTURED];
    let with = |begin: &[When], more: &[When]| given(&[begin, more].concat());
    vec![
        given(&[]),
        given(&[Placed]),
        given(&[Reserved]),
        given(&[Confirmed]),
        given(&both),
        with(&both, &[Confirmed]),
        with(&both, &[Cancelled]),
        given(&held),
        with(&held, &[Confirmed]),
        with(&held, &[Confirmed, Cancelled]),
        given(&taken),
        with(&held, &[Cancelled]),
        with(&held, &[Confirmed, capture_refused()]),
        with(&taken, &[Cancelled]),
        with(&both, &[declined()]),
        with(&held, &[Cancelled, VOIDED]),
        with(&taken, &[Cancelled, REFUNDED]),
        given(&[Cancelled]),
        given(&[Placed, Cancelled]),
    ]
}

fn state_name(state: &State) -> String {
    let row = Row::of(&Payment { state: state.clone(), ..Payment::new(order_id()) });
    let marks = [
        (row.amount.is_none(), "no amount"),
        (row.reserved, "reserved"),
        (row.confirmed, "then capture"),
        (row.cancelled, "then give back"),
        (row.code.is_some(), "refused"),
    ];
    let marks: Vec<_> = marks.iter().filter(|it| it.0).map(|it| it.1).collect();
    match marks.is_empty() {
        true => row.status.name().to_owned(),
        false => format!("{} ({})", row.status.name(), marks.join(", ")),
    }
}

fn event_name(event: &PaymentEvent) -> String {
    match event {
        E::Placed(_) => "placed".to_owned(),
        E::Asked(call) => format!("ask {}", call.name()),
        E::Authorized { .. } => "AUTHORIZED".to_owned(),
        E::Declined { .. } => "DECLINED".to_owned(),
        E::Captured => "CAPTURED".to_owned(),
        E::CaptureFailed { .. } => "CAPTURE FAILED".to_owned(),
        E::Voided => "VOIDED".to_owned(),
        E::Refunded => "REFUNDED".to_owned(),
        E::Reserved | E::Confirmed | E::Cancelled => format!("{event:?}").to_lowercase(),
    }
}

/// What each input does in each state; published events in capitals.
fn table() -> String {
    let mut table = String::new();
    for payment in states() {
        let (mut nothing, mut impossible) = (vec![], vec![]);
        writeln!(table, "{}", state_name(&payment.state)).unwrap();
        for when in all() {
            match payment.decide(&when) {
                Ok(events) if events.is_empty() => nothing.push(when.name()),
                Ok(_) => {
                    let (after, events) = payment.clone().after(&when);
                    let events: Vec<_> = events.iter().map(event_name).collect();
                    let (when, state) = (when.name(), state_name(&after.state));
                    writeln!(table, "    {when}: {} -> {state}", events.join(", ")).unwrap();
                }
                Err(_) => impossible.push(when.name()),
            }
        }
        for (what, inputs) in [("nothing", nothing), ("impossible", impossible)] {
            if !inputs.is_empty() {
                writeln!(table, "    {what}: {}", inputs.join(" ")).unwrap();
            }
        }
    }
    table
}

#[test]
fn every_input_in_every_state() {
    expect![[r#"
        awaiting (no amount)
            placed: placed -> awaiting
            reserved: reserved -> awaiting (no amount, reserved)
            confirmed: confirmed -> awaiting (no amount, then capture)
            cancelled: cancelled -> cancelled (no amount)
            impossible: authorized! declined! captured! capture-refused! voided! refunded!
        awaiting
            reserved: reserved, ask authorize -> authorizing
            confirmed: confirmed -> awaiting (then capture)
            cancelled: cancelled -> cancelled
            nothing: placed
            impossible: authorized! declined! captured! capture-refused! voided! refunded!
        awaiting (no amount, reserved)
            placed: placed, ask authorize -> authorizing
            confirmed: confirmed -> awaiting (no amount, reserved, then capture)
            cancelled: cancelled -> cancelled (no amount)
            nothing: reserved
            impossible: authorized! declined! captured! capture-refused! voided! refunded!
        awaiting (no amount, then capture)
            placed: placed -> awaiting (then capture)
            reserved: reserved -> awaiting (no amount, reserved, then capture)
            cancelled: cancelled -> cancelled (no amount)
            nothing: confirmed
            impossible: authorized! declined! captured! capture-refused! voided! refunded!
        authorizing
            confirmed: confirmed -> authorizing (then capture)
            cancelled: cancelled -> authorizing (then give back)
            authorized!: AUTHORIZED -> authorized
            declined!: DECLINED -> declined (refused)
            nothing: placed reserved
            impossible: captured! capture-refused! voided! refunded!
        authorizing (then capture)
            cancelled: cancelled -> authorizing (then give back)
            authorized!: AUTHORIZED, ask capture -> capturing
            declined!: DECLINED -> declined (refused)
            nothing: placed reserved confirmed
            impossible: captured! capture-refused! voided! refunded!
        authorizing (then give back)
            authorized!: AUTHORIZED, ask void -> voiding
            declined!: DECLINED -> declined (refused)
            nothing: placed reserved confirmed cancelled
            impossible: captured! capture-refused! voided! refunded!
        authorized
            confirmed: ask capture -> capturing
            cancelled: ask void -> voiding
            nothing: placed reserved
            impossible: authorized! declined! captured! capture-refused! voided! refunded!
        capturing
            cancelled: cancelled -> capturing (then give back)
            captured!: CAPTURED -> captured
            capture-refused!: CAPTURE FAILED, ask void -> voiding (refused)
            nothing: placed reserved confirmed
            impossible: authorized! declined! voided! refunded!
        capturing (then give back)
            captured!: CAPTURED, ask refund -> refunding
            capture-refused!: CAPTURE FAILED, ask void -> voiding (refused)
            nothing: placed reserved confirmed cancelled
            impossible: authorized! declined! voided! refunded!
        captured
            cancelled: ask refund -> refunding
            nothing: placed reserved confirmed
            impossible: authorized! declined! captured! capture-refused! voided! refunded!
        voiding
            captured!: CAPTURED, ask refund -> refunding
            voided!: VOIDED -> voided
            nothing: placed reserved confirmed cancelled
            impossible: authorized! declined! capture-refused! refunded!
        voiding (refused)
            captured!: CAPTURED, ask refund -> refunding
            voided!: VOIDED -> voided (refused)
            nothing: placed reserved confirmed cancelled
            impossible: authorized! declined! capture-refused! refunded!
        refunding
            refunded!: REFUNDED -> refunded
            nothing: placed reserved confirmed cancelled
            impossible: authorized! declined! captured! capture-refused! voided!
        declined (refused)
            nothing: placed reserved confirmed cancelled authorized! declined! captured! capture-refused! voided! refunded!
        voided
            nothing: placed reserved confirmed cancelled authorized! declined! captured! capture-refused! voided! refunded!
        refunded
            nothing: placed reserved confirmed cancelled authorized! declined! captured! capture-refused! voided! refunded!
        cancelled (no amount)
            nothing: placed reserved confirmed cancelled authorized! declined! captured! capture-refused! voided! refunded!
        cancelled
            nothing: placed reserved confirmed cancelled authorized! declined! captured! capture-refused! voided! refunded!
    "#]].assert_eq(&table());
}
