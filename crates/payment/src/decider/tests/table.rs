//! What every input does in every state: nothing is left to chance.

use expect_test::expect;

use super::*;

fn input_name(input: &Input) -> &'static str {
    match input {
        Input::OrderPlaced(_, charge) if charge.amount.amount < 0 => "placed-below-nothing",
        Input::OrderPlaced(..) => "placed",
        Input::StockReserved(_) => "reserved",
        Input::OrderConfirmed(_) => "confirmed",
        Input::OrderCancelled(_) => "cancelled",
        Input::Answered(_, Answer::Authorized { .. }) => "authorized!",
        Input::Answered(_, Answer::Declined { .. }) => "declined!",
        Input::Answered(_, Answer::Captured) => "captured!",
        Input::Answered(_, Answer::CaptureRefused { .. }) => "capture-refused!",
        Input::Answered(_, Answer::Voided) => "voided!",
        Input::Answered(_, Answer::Refunded) => "refunded!",
    }
}

fn state_name(state: &State) -> String {
    let row = Row::of(&world(state).payments[&order_id()]);
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

/// What is noted, in small letters; what is published, as readers see it; and the next call to the provider.
fn told(decision: &Decision<Fact>, published: &[Publication]) -> String {
    let noted = decision.events.iter().filter_map(|fact| match &fact.event {
        PaymentEvent::Placed(_) => Some("placed".to_owned()),
        PaymentEvent::Reserved | PaymentEvent::Confirmed => Some(format!("{:?}", fact.event).to_lowercase()),
        PaymentEvent::CancelNoted => Some("cancel noted".to_owned()),
        PaymentEvent::Asked(_)
        | PaymentEvent::Authorized { .. }
        | PaymentEvent::Declined { .. }
        | PaymentEvent::Captured
        | PaymentEvent::CaptureFailed { .. }
        | PaymentEvent::Voided
        | PaymentEvent::Refunded
        | PaymentEvent::Cancelled => None,
    });
    let published = published.iter().map(|it| it.r#type.trim_start_matches("waybill.").to_owned());
    let calls = decision.effects.iter().map(|it| {
        let call: Call = serde_json::from_str(&it.request).unwrap();
        format!("call {}", call.name())
    });
    noted.chain(published).chain(calls).collect::<Vec<_>>().join(", ")
}

fn table() -> String {
    let (mut table, reached) = (String::new(), reached());
    for state in states() {
        let never = if reached.contains(&state) { "" } else { ": never reached" };
        writeln!(table, "{}{never}", state_name(&state)).unwrap();
        let (mut nothing, mut impossible) = (vec![], vec![]);
        for input in inputs() {
            match follow(&state, &input) {
                Some((decision, _, after)) if decision == Decision::nothing() => {
                    assert_eq!(after, state);
                    nothing.push(input_name(&input));
                }
                Some((decision, published, after)) => {
                    let told = told(&decision, &published);
                    writeln!(table, "    {}: {told} -> {}", input_name(&input), state_name(&after)).unwrap();
                }
                None => impossible.push(input_name(&input)),
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
            cancelled: payment.cancelled.v1 -> cancelled (no amount)
            impossible: placed-below-nothing authorized! declined! captured! capture-refused! voided! refunded!
        awaiting (no amount, then capture)
            placed: placed -> awaiting (then capture)
            reserved: reserved -> awaiting (no amount, reserved, then capture)
            cancelled: payment.cancelled.v1 -> cancelled (no amount)
            nothing: confirmed
            impossible: placed-below-nothing authorized! declined! captured! capture-refused! voided! refunded!
        awaiting (no amount, reserved)
            placed: placed, call authorize -> authorizing
            confirmed: confirmed -> awaiting (no amount, reserved, then capture)
            cancelled: payment.cancelled.v1 -> cancelled (no amount)
            nothing: reserved
            impossible: placed-below-nothing authorized! declined! captured! capture-refused! voided! refunded!
        awaiting (no amount, reserved, then capture)
            placed: placed, call authorize -> authorizing (then capture)
            cancelled: payment.cancelled.v1 -> cancelled (no amount)
            nothing: reserved confirmed
            impossible: placed-below-nothing authorized! declined! captured! capture-refused! voided! refunded!
        awaiting
            reserved: reserved, call authorize -> authorizing
            confirmed: confirmed -> awaiting (then capture)
            cancelled: payment.cancelled.v1 -> cancelled
            nothing: placed
            impossible: placed-below-nothing authorized! declined! captured! capture-refused! voided! refunded!
        awaiting (then capture)
            reserved: reserved, call authorize -> authorizing (then capture)
            cancelled: payment.cancelled.v1 -> cancelled
            nothing: placed confirmed
            impossible: placed-below-nothing authorized! declined! captured! capture-refused! voided! refunded!
        awaiting (reserved): never reached
            confirmed: confirmed -> awaiting (reserved, then capture)
            cancelled: payment.cancelled.v1 -> cancelled
            nothing: placed reserved
            impossible: placed-below-nothing authorized! declined! captured! capture-refused! voided! refunded!
        awaiting (reserved, then capture): never reached
            cancelled: payment.cancelled.v1 -> cancelled
            nothing: placed reserved confirmed
            impossible: placed-below-nothing authorized! declined! captured! capture-refused! voided! refunded!
        authorizing
            confirmed: confirmed -> authorizing (then capture)
            cancelled: cancel noted -> authorizing (then give back)
            authorized!: payment.authorized.v1 -> authorized
            declined!: payment.declined.v1 -> declined (refused)
            nothing: placed reserved
            impossible: placed-below-nothing captured! capture-refused! voided! refunded!
        authorizing (then capture)
            cancelled: cancel noted -> authorizing (then give back)
            authorized!: payment.authorized.v1, call capture -> capturing
            declined!: payment.declined.v1 -> declined (refused)
            nothing: placed reserved confirmed
            impossible: placed-below-nothing captured! capture-refused! voided! refunded!
        authorizing (then give back)
            authorized!: payment.authorized.v1, call void -> voiding
            declined!: payment.declined.v1 -> declined (refused)
            nothing: placed reserved confirmed cancelled
            impossible: placed-below-nothing captured! capture-refused! voided! refunded!
        authorized
            confirmed: call capture -> capturing
            cancelled: call void -> voiding
            nothing: placed reserved
            impossible: placed-below-nothing authorized! declined! captured! capture-refused! voided! refunded!
        capturing
            cancelled: cancel noted -> capturing (then give back)
            captured!: payment.captured.v1 -> captured
            capture-refused!: payment.capture-failed.v1, call void -> voiding (refused)
            nothing: placed reserved confirmed
            impossible: placed-below-nothing authorized! declined! voided! refunded!
        capturing (then give back)
            captured!: payment.captured.v1, call refund -> refunding
            capture-refused!: payment.capture-failed.v1, call void -> voiding (refused)
            nothing: placed reserved confirmed cancelled
            impossible: placed-below-nothing authorized! declined! voided! refunded!
        captured
            cancelled: call refund -> refunding
            nothing: placed reserved confirmed
            impossible: placed-below-nothing authorized! declined! captured! capture-refused! voided! refunded!
        voiding
            captured!: payment.captured.v1, call refund -> refunding
            voided!: payment.voided.v1 -> voided
            nothing: placed reserved confirmed cancelled
            impossible: placed-below-nothing authorized! declined! capture-refused! refunded!
        voiding (refused)
            captured!: payment.captured.v1, call refund -> refunding
            voided!: payment.voided.v1 -> voided (refused)
            nothing: placed reserved confirmed cancelled
            impossible: placed-below-nothing authorized! declined! capture-refused! refunded!
        refunding
            refunded!: payment.refunded.v1 -> refunded
            nothing: placed reserved confirmed cancelled
            impossible: placed-below-nothing authorized! declined! captured! capture-refused! voided!
        declined (refused)
            nothing: placed reserved confirmed cancelled authorized! declined! captured! capture-refused! voided! refunded!
            impossible: placed-below-nothing
        voided
            nothing: placed reserved confirmed cancelled authorized! declined! captured! capture-refused! voided! refunded!
            impossible: placed-below-nothing
        voided (refused)
            nothing: placed reserved confirmed cancelled authorized! declined! captured! capture-refused! voided! refunded!
            impossible: placed-below-nothing
        refunded
            nothing: placed reserved confirmed cancelled authorized! declined! captured! capture-refused! voided! refunded!
            impossible: placed-below-nothing
        cancelled (no amount)
            nothing: placed reserved confirmed cancelled authorized! declined! captured! capture-refused! voided! refunded!
            impossible: placed-below-nothing
        cancelled
            nothing: placed reserved confirmed cancelled authorized! declined! captured! capture-refused! voided! refunded!
            impossible: placed-below-nothing
    "#]]
    .assert_eq(&table());
}
