//! Reading what others wrote: this version, older ones, newer ones, and what cannot be read.

use events::{Event, OrderCancelled, OrderPlaced, OrderPlacedV1, ProductChanged, Unreadable, catalogue};
use expect_test::{Expect, expect};
use serde_json::{Value, json};

fn example(ty: &str) -> Value {
    catalogue().into_iter().find(|it| it.ty().to_string() == ty).unwrap().example
}

#[test]
fn every_example_is_read_and_written_again_as_it_is() {
    for it in catalogue().into_iter().filter(|it| it.ty().to_string() != OrderPlacedV1::TYPE) {
        let read = (it.decode)(it.example.to_string().as_bytes());
        assert_eq!(read, Ok(it.example), "{}.v{}", it.name, it.version);
    }
}

#[test]
fn the_first_order_placed_is_read_as_one_in_dollars() {
    let old = example(OrderPlacedV1::TYPE).to_string();
    let new = example(OrderPlaced::TYPE).to_string();
    assert_eq!(OrderPlaced::decode(1, old.as_bytes()), OrderPlaced::decode(2, new.as_bytes()));
}

#[test]
fn fields_that_nobody_here_knows_are_skipped() {
    fn add_some(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields.values_mut().for_each(add_some);
                fields.insert("added_later".to_owned(), json!({ "by": ["somebody"] }));
            }
            Value::Array(items) => items.iter_mut().for_each(add_some),
            _ => {}
        }
    }

    for it in catalogue() {
        let mut wider = it.example.clone();
        add_some(&mut wider);
        assert_eq!(
            (it.decode)(wider.to_string().as_bytes()),
            (it.decode)(it.example.to_string().as_bytes()),
            "{}",
            it.ty()
        );
    }
}

#[test]
fn a_time_with_an_offset_is_read_as_the_same_instant() {
    let mut here = example(OrderPlaced::TYPE);
    here["placed_at"] = json!("2025-08-19T11:30:00+02:00");
    let read = OrderPlaced::decode(2, here.to_string().as_bytes()).unwrap();
    assert_eq!(serde_json::to_value(read).unwrap(), example(OrderPlaced::TYPE));
}

#[test]
fn a_version_that_was_never_published_is_not_guessed_at() {
    #[track_caller]
    fn check<E: Event + std::fmt::Debug + PartialEq>(version: u32) {
        let data = example(E::TYPE).to_string();
        let refused = Err(Unreadable::Version { name: E::NAME, version });
        assert_eq!(E::decode(version, data.as_bytes()), refused);
    }

    check::<OrderPlaced>(0);
    check::<OrderPlaced>(3);
    check::<OrderPlacedV1>(2);
    check::<OrderCancelled>(0);
    check::<OrderCancelled>(2);
    check::<ProductChanged>(u32::MAX);
}

#[track_caller]
fn check(data: &str, expected: Expect) {
    expected.assert_eq(&OrderCancelled::decode(1, data.as_bytes()).unwrap_err().to_string());
}

#[test]
fn what_cannot_be_read_is_said_without_saying_it() {
    check("", expect!["unreadable data: EOF while parsing a value at line 1 column 0"]);
    check("null", expect!["unreadable data: expected struct OrderCancelled at line 1 column 4"]);
    check("<order/>", expect!["unreadable data: expected value at line 1 column 1"]);
    check(
        r#"{"reason":"customer"}"#,
        expect!["unreadable data: missing field `order_id` at line 1 column 21"],
    );
    check(
        r#"{"order_id":"Ada Lovelace","reason":"customer"}"#,
        expect!["unreadable data: an order id is a hyphenated UUID at line 1 column 26"],
    );
    check(
        r#"{"order_id":"0198c0de-7a10-7c3e-9d52-5b1f0e8a4c21","reason":"Ada"}"#,
        expect![
            "unreadable data: expected one of `out-of-stock`, `payment-declined`, `capture-failed`, `timed-out`, `reservation-expired`, `customer` at line 1 column 65"
        ],
    );
    check(
        r#"{"order_id":"0198c0de-7a10-7c3e-9d52-5b1f0e8a4c21","reason":4111111111111111}"#,
        expect!["unreadable data: expected value at line 1 column 61"],
    );
}

#[test]
fn no_error_repeats_the_data() {
    const SECRET: &str = "4111111111111111";
    let secrets = [
        json!(SECRET),
        json!(format!("{SECRET}, expected {SECRET}")),
        json!(-4_111_111_111_111_111_i64),
        json!(4_111_111_111_111_111_f64 + 0.5),
        json!({ SECRET: SECRET }),
        json!([SECRET]),
    ];
    let mut refused = 0;
    for it in catalogue() {
        for place in crate::agreement::places(&it.example) {
            for secret in &secrets {
                let mut data = it.example.clone();
                *data.pointer_mut(&place).unwrap() = secret.clone();
                if let Err(error) = (it.decode)(data.to_string().as_bytes()) {
                    assert!(!error.to_string().contains("41111"), "{} {place}: {error}", it.ty());
                    refused += 1;
                }
            }
        }
    }
    assert!(refused > 500, "only {refused} were refused at all");
}
