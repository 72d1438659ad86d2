//! The schemas say what the parsers do: whatever one refuses, the other refuses.

use events::{Published, catalogue};
use jsonschema::Validator;
use serde_json::{Value, json};

/// As strict as JSON Schema gets: formats are checked.
pub(crate) fn validator(schema: &Value) -> Validator {
    jsonschema::draft202012::options().should_validate_formats(true).build(schema).unwrap()
}

/// A pointer to every value within, the whole included.
pub(crate) fn places(value: &Value) -> Vec<String> {
    let within: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(key, value)| (key.clone(), value)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(at, value)| (at.to_string(), value)).collect(),
        _ => Vec::new(),
    };
    let deeper = within
        .into_iter()
        .flat_map(|(key, value)| places(value).into_iter().map(move |rest| format!("/{key}{rest}")));
    [String::new()].into_iter().chain(deeper).collect()
}

/// What somebody might write in any place.
fn candidates() -> Vec<Value> {
    let texts = [
        "",
        " ",
        "x",
        "X",
        "X\n",
        "MUG 1",
        "mug-01",
        "-X",
        "É",
        "a b",
        "usd",
        "EUR",
        "XAU",
        "XXX",
        "customer",
        "Customer",
        "out-of-stock",
        "lost",
        "0198c0de-7a10-7c3e-9d52-5b1f0e8a4c21",
        "0198C0DE-7A10-7C3E-9D52-5B1F0E8A4C21",
        "0198c0de7a107c3e9d525b1f0e8a4c21",
        "{0198c0de-7a10-7c3e-9d52-5b1f0e8a4c21}",
        "urn:uuid:0198c0de-7a10-7c3e-9d52-5b1f0e8a4c21",
        "0198c0de-7a10-7c3e-9d52-5b1f0e8a4c2g",
        "2025-08-19T09:30:00Z",
        "2025-08-19T09:30:00.123456789Z",
        "2025-08-19T09:30:00+02:00",
        "2025-08-19T09:30:00",
        "2025-08-19",
        "2025-13-19T09:30:00Z",
        "2025-02-30T09:30:00Z",
        "2025-08-19T24:30:00Z",
        "19 August 2025",
    ];
    let numbers = [
        json!(0),
        json!(1),
        json!(-1),
        json!(i64::MIN),
        json!(i64::MAX),
        json!(u64::MAX),
        json!(u32::MAX),
        json!(u64::from(u32::MAX) + 1),
        json!(0.5),
        json!(1e30),
    ];
    let others = [json!(null), json!(true), json!([]), json!({})];
    let lengths = [40, 41, 64, 65].map(|length| json!("X".repeat(length)));
    texts.map(Value::from).into_iter().chain(numbers).chain(others).chain(lengths).collect()
}

/// Whether both accept; panics if they part ways.
#[track_caller]
pub(crate) fn agree(it: &Published, validator: &Validator, data: &Value) -> bool {
    let (schema, parser) = (validator.is_valid(data), (it.decode)(data.to_string().as_bytes()));
    assert_eq!(
        schema,
        parser.is_ok(),
        "{}: the schema and the parser ({parser:?}) disagree on {data}",
        it.ty()
    );
    schema
}

#[test]
fn every_example_is_valid() {
    for it in catalogue() {
        assert!(agree(&it, &validator(&it.schema), &it.example), "{}", it.ty());
    }
}

#[test]
fn schema_and_parser_accept_the_same_values_in_every_place() {
    let (mut accepted, mut refused) = (0, 0);
    for it in catalogue() {
        let validator = validator(&it.schema);
        for place in places(&it.example) {
            for candidate in candidates() {
                let mut data = it.example.clone();
                *data.pointer_mut(&place).unwrap() = candidate;
                if agree(&it, &validator, &data) { accepted += 1 } else { refused += 1 }
            }
        }
    }
    assert!(accepted > 1_000 && refused > 1_000, "{accepted} accepted, {refused} refused");
}

#[test]
fn schema_and_parser_miss_the_same_fields() {
    let mut optional = Vec::new();
    for it in catalogue() {
        let validator = validator(&it.schema);
        for place in places(&it.example) {
            let (parent, key) = place.rsplit_once('/').unwrap_or_default();
            let mut data = it.example.clone();
            let removed = data.pointer_mut(parent).unwrap().as_object_mut().and_then(|it| it.remove(key));
            if removed.is_some() && agree(&it, &validator, &data) {
                optional.push(format!("{} {place}", it.ty()));
            }
        }
    }
    expect_test::expect![[r#"
        waybill.order.placed.v1 /ship_to/line2
        waybill.order.placed.v2 /ship_to/line2
        waybill.order.confirmed.v1 /ship_to/line2
        waybill.order.confirmed.v1 /stock_expires_at
        waybill.inventory.stock-reserved.v1 /expires_at
        waybill.shipping.shipment-scheduled.v1 /ship_to/line2"#]]
    .assert_eq(&optional.join("\n"));
}
