//! One changed keyword a line, and what it would break.

use expect_test::{Expect, expect};
use serde_json::json;

use super::*;

/// A small published schema with one of everything.
fn published() -> Value {
    json!({
        "$id": "/schemas/mug.broken.v1.json",
        "description": "A mug broke.",
        "type": "object",
        "properties": {
            "mug": { "$ref": "#/$defs/Mug" },
            "pieces": { "type": "array", "items": { "type": "integer", "minimum": 0, "maximum": 9 } },
            "note": { "type": ["string", "null"] },
        },
        "required": ["mug", "pieces"],
        "$defs": {
            "Mug": {
                "type": "object",
                "properties": {
                    "sku": { "type": "string", "pattern": "^[A-Z]+$" },
                    "glaze": { "type": "string", "enum": ["matt", "gloss"] },
                    "fault": { "oneOf": [
                        { "const": "chip", "type": "string" },
                        { "const": "crack", "type": "string", "description": "All through." },
                    ] },
                },
                "required": ["sku"],
            },
        },
    })
}

/// Replaces what is at `pointer` (or takes it away) and compares.
#[track_caller]
fn check(pointer: &str, becomes: impl Into<Option<Value>>, expected: Expect) {
    let (old, mut new) = (published(), published());
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = new.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match becomes.into() {
        Some(value) => parent.insert(key.to_owned(), value),
        None => parent.remove(key),
    };
    assert_ne!(old, new, "the test changes something");
    expected.assert_eq(&breaks(&old, &new).join("\n"));
}

#[test]
fn the_same_schema_breaks_nothing() {
    assert_eq!(breaks(&published(), &published()), Vec::<String>::new());
}

#[test]
fn saying_it_better_breaks_nothing() {
    check("/description", json!("A mug fell."), expect![""]);
    check("/$defs/Mug/title", json!("Mug"), expect![""]);
}

#[test]
fn a_new_optional_property_breaks_nothing() {
    check("/properties/floor", json!({ "type": "string" }), expect![""]);
}

#[test]
fn a_removed_property_breaks_readers() {
    check("/properties/note", None, expect!["note: property removed"]);
    check("/$defs/Mug/properties/glaze", None, expect!["mug.glaze: property removed"]);
}

#[test]
fn a_changed_type_breaks() {
    check("/properties/note/type", json!("string"), expect!["note: type null|string became string"]);
    check("/properties/pieces/items/type", json!("number"), expect!["pieces[]: type integer became number"]);
    check(
        "/properties/mug",
        json!({ "type": "string" }),
        expect![[r#"
            mug: type object became string
            mug.fault: property removed
            mug.glaze: property removed
            mug.sku: property removed
            mug: sku is no longer always there"#]],
    );
}

#[test]
fn the_same_shape_in_another_place_breaks_nothing() {
    let inline = published().pointer("/$defs/Mug").unwrap().clone();
    check("/properties/mug", inline, expect![""]);
}

#[test]
fn what_is_required_stays_as_it_is() {
    check("/required", json!(["mug", "pieces", "note"]), expect!["the event: note is newly required"]);
    check("/required", json!(["mug"]), expect!["the event: pieces is no longer always there"]);
    check("/$defs/Mug/required", json!(["sku", "glaze"]), expect!["mug: glaze is newly required"]);
}

#[test]
fn an_enum_may_grow_but_not_shrink() {
    check("/$defs/Mug/properties/glaze/enum", json!(["gloss", "matt", "raw"]), expect![""]);
    check(
        "/$defs/Mug/properties/glaze/enum",
        json!(["gloss"]),
        expect![[r#"mug.glaze: value "matt" removed"#]],
    );
    check(
        "/$defs/Mug/properties/fault",
        json!({ "enum": ["chip"] }),
        expect![[r#"mug.fault: value "crack" removed"#]],
    );
    check("/properties/note/enum", json!(["fell"]), expect!["note: became an enum"]);
}

#[test]
fn limits_may_be_loosened_but_not_tightened() {
    check("/properties/pieces/items/maximum", json!(10), expect![""]);
    check("/properties/pieces/items/maximum", json!(8), expect!["pieces[]: maximum tightened"]);
    check("/properties/pieces/items/minimum", None, expect![""]);
    check("/properties/pieces/items/minimum", json!(1), expect!["pieces[]: minimum tightened"]);
    check("/properties/pieces/minItems", json!(1), expect!["pieces: minItems tightened"]);
    check("/$defs/Mug/properties/sku/pattern", None, expect![""]);
    check("/$defs/Mug/properties/sku/pattern", json!("^[A-Z0-9]+$"), expect!["mug.sku: pattern changed"]);
    check("/properties/note/format", json!("email"), expect!["note: format changed"]);
}

#[test]
fn a_keyword_that_is_not_understood_may_not_change() {
    check("/additionalProperties", json!(false), expect!["the event: additionalProperties changed"]);
    check("/$defs/Mug/not", json!({}), expect!["mug: not changed"]);
}
