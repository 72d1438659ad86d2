//! Whether a published schema may become another under the same version.
//!
//! Both directions count: what was written under the old schema stays on the topics and must pass the new one,
//! and readers built from the old one go on reading what is written under the new one. One step is left to whoever
//! releases: an enum may grow and a limit may be loosened, once the readers that must understand it are updated.

mod tests;

use std::collections::BTreeSet;

use serde_json::Value;

/// What an old message or an old reader would trip over; empty if nothing.
pub(crate) fn breaks(old: &Value, new: &Value) -> Vec<String> {
    let mut found = Vec::new();
    Comparison { old_root: old, new_root: new, found: &mut found }.compare("", old, new);
    found
}

struct Comparison<'a> {
    old_root: &'a Value,
    new_root: &'a Value,
    found: &'a mut Vec<String>,
}

/// Keywords that say nothing about which data is valid, or that are compared one by one below.
const SETTLED: &[&str] = &[
    "$schema",
    "$id",
    "$defs",
    "$comment",
    "title",
    "description",
    "examples",
    "default", // annotations
    "$ref",
    "type",
    "enum",
    "const",
    "oneOf",
    "properties",
    "required",
    "items",
    "pattern",
    "format",
    "minimum",
    "minLength",
    "minItems",
    "maximum",
    "maxLength",
    "maxItems",
];

impl Comparison<'_> {
    fn compare(&mut self, path: &str, old: &Value, new: &Value) {
        let (old, new) = (resolve(self.old_root, old), resolve(self.new_root, new));
        self.types(path, old, new);
        self.values(path, old, new);
        self.limits(path, old, new);
        self.properties(path, old, new);
        self.required(path, old, new);
        match (old.get("items"), new.get("items")) {
            (Some(old), Some(new)) => self.compare(&format!("{path}[]"), old, new),
            (None, Some(_)) => self.report(path, "items constrained"),
            (_, None) => {}
        }
        self.the_rest(path, old, new);
    }

    fn report(&mut self, path: &str, what: impl AsRef<str>) {
        let path = if path.is_empty() { "the event" } else { path };
        self.found.push(format!("{path}: {}", what.as_ref()));
    }

    fn types(&mut self, path: &str, old: &Value, new: &Value) {
        let (old, new) = (words(old.get("type")), words(new.get("type")));
        if old != new {
            self.report(path, format!("type {} became {}", listed(&old), listed(&new)));
        }
    }

    fn values(&mut self, path: &str, old: &Value, new: &Value) {
        match (values(old), values(new)) {
            (Some(old), Some(new)) => {
                for gone in old.difference(&new) {
                    self.report(path, format!("value {gone} removed"));
                }
            }
            (None, Some(_)) => self.report(path, "became an enum"),
            (_, None) => {}
        }
    }

    fn limits(&mut self, path: &str, old: &Value, new: &Value) {
        for keyword in ["pattern", "format"] {
            if new.get(keyword).is_some_and(|limit| old.get(keyword) != Some(limit)) {
                self.report(path, format!("{keyword} changed"));
            }
        }
        for (keyword, sign) in [
            ("minimum", 1.0),
            ("minLength", 1.0),
            ("minItems", 1.0),
            ("maximum", -1.0),
            ("maxLength", -1.0),
            ("maxItems", -1.0),
        ] {
            let limit = |schema: &Value| schema.get(keyword).and_then(Value::as_f64).map(|it| it * sign);
            if limit(new).is_some_and(|new| limit(old).is_none_or(|old| new > old)) {
                self.report(path, format!("{keyword} tightened"));
            }
        }
    }

    fn properties(&mut self, path: &str, old: &Value, new: &Value) {
        for (name, old) in old.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            match new.get("properties").and_then(|it| it.get(name)) {
                Some(new) => self.compare(&path, old, new),
                None => self.report(&path, "property removed"),
            }
        }
    }

    fn required(&mut self, path: &str, old: &Value, new: &Value) {
        let (old, new) = (words(old.get("required")), words(new.get("required")));
        for name in new.difference(&old) {
            self.report(path, format!("{name} is newly required"));
        }
        for name in old.difference(&new) {
            self.report(path, format!("{name} is no longer always there"));
        }
    }

    /// A keyword that nobody thought about here may not change unnoticed.
    fn the_rest(&mut self, path: &str, old: &Value, new: &Value) {
        let keywords = |schema: &Value| -> BTreeSet<String> {
            schema.as_object().into_iter().flat_map(|it| it.keys().cloned()).collect()
        };
        for keyword in keywords(old).union(&keywords(new)) {
            if !SETTLED.contains(&keyword.as_str()) && old.get(keyword) != new.get(keyword) {
                self.report(path, format!("{keyword} changed"));
            }
        }
    }
}

/// Follows references into the document's own `$defs`; the structs behind are not recursive.
fn resolve<'a>(root: &'a Value, mut schema: &'a Value) -> &'a Value {
    while let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let pointer = reference.strip_prefix('#').expect("a reference within the document");
        schema = root.pointer(pointer).expect("a reference that leads somewhere");
    }
    schema
}

/// A closed set of values, in whichever of the three ways it is written: `None` if the set is open.
fn values(schema: &Value) -> Option<BTreeSet<String>> {
    let listed = schema.get("enum").and_then(Value::as_array);
    let alternatives = schema.get("oneOf").and_then(Value::as_array);
    match (listed, alternatives, schema.get("const")) {
        (None, None, None) => None,
        (listed, alternatives, value) => Some(
            (listed.into_iter().flatten().chain(value).map(Value::to_string))
                .chain(alternatives.into_iter().flatten().flat_map(|it| values(it).unwrap_or_default()))
                .collect(),
        ),
    }
}

fn words(value: Option<&Value>) -> BTreeSet<&str> {
    match value {
        Some(Value::Array(words)) => words.iter().filter_map(Value::as_str).collect(),
        Some(word) => word.as_str().into_iter().collect(),
        None => BTreeSet::new(),
    }
}

fn listed(words: &BTreeSet<&str>) -> String {
    words.iter().copied().collect::<Vec<_>>().join("|")
}
