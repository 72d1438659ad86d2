//! JSON Schemas of events, draft 2020-12, generated from the structs.

use schemars::{Schema, generate::SchemaSettings, transform::RecursiveTransform};
use serde_json::{Value, json};

use crate::{Event, EventType, dataschema};

/// The schema of what `E` reads and writes: closed over what it requires, open to fields that it does not know.
pub(crate) fn of<E: Event>() -> Value {
    let settings = SchemaSettings::draft2020_12().with_transform(RecursiveTransform(bound_integers));
    let mut schema = settings.into_generator().into_root_schema_for::<E>();
    schema.insert("$id".into(), dataschema(&EventType { name: E::NAME, version: E::VERSION }).into());
    schema.insert("title".into(), E::TYPE.into());
    schema.to_value()
}

/// `format` alone is a remark that validators skip, while the parser refuses what does not fit.
fn bound_integers(schema: &mut Schema) {
    let (minimum, maximum) = match schema.get("format").and_then(Value::as_str) {
        Some("uint32") => (json!(u32::MIN), json!(u32::MAX)),
        Some("int64") => (json!(i64::MIN), json!(i64::MAX)),
        _ => return,
    };
    schema.insert("minimum".into(), minimum);
    schema.insert("maximum".into(), maximum);
}
