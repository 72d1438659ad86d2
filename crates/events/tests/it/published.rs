//! The files in `schemas/` are those of the code, and change only compatibly.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use events::{EventId, catalogue};
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::{Value, json};

use crate::compatibility::breaks;

/// File name -> schema or example, as the code has them.
type Files = BTreeMap<PathBuf, Value>;

fn files() -> Files {
    let named = |it: events::Published| {
        let file = format!("{}.v{}.json", it.name, it.version);
        [(PathBuf::from(&file), it.schema), (Path::new("examples").join(&file), it.example)]
    };
    catalogue().into_iter().flat_map(named).collect()
}

fn schemas() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas")
}

/// Whether a file is held against compatibility: an example may be another at any time.
fn is_schema(file: &Path) -> bool {
    file.parent() == Some(Path::new(""))
}

fn present(dir: &Path) -> io::Result<BTreeSet<PathBuf>> {
    let mut present = BTreeSet::new();
    for sub in ["", "examples"] {
        let entries = match fs::read_dir(dir.join(sub)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                present.insert(Path::new(sub).join(entry.file_name()));
            }
        }
    }
    Ok(present)
}

/// What differs between the directory and the code, a line each.
fn differences(dir: &Path, files: &Files) -> io::Result<Vec<String>> {
    let present = present(dir)?;
    let mut found = Vec::new();
    for stale in present.iter().filter(|file| !files.contains_key(*file)) {
        found.push(format!("{}: no event of the code has it", stale.display()));
    }
    for (file, value) in files {
        if !present.contains(file) {
            found.push(format!("{}: missing", file.display()));
        } else if fs::read_to_string(dir.join(file))? != text(value) {
            found.push(format!("{}: differs", file.display()));
        }
    }
    Ok(found)
}

/// Writes the files, all or none: `Ok(Err)` says which published schema would be broken.
fn update(dir: &Path, files: &Files) -> io::Result<Result<(), Vec<String>>> {
    let mut broken = Vec::new();
    for file in present(dir)?.iter().filter(|file| is_schema(file)) {
        let old = serde_json::from_str(&fs::read_to_string(dir.join(file))?)?;
        let found = match files.get(file) {
            Some(new) => breaks(&old, new),
            None => vec!["published and gone from the code".to_owned()],
        };
        broken.extend(found.into_iter().map(|what| format!("{}: {what}", file.display())));
    }
    if !broken.is_empty() {
        return Ok(Err(broken));
    }
    fs::create_dir_all(dir.join("examples"))?;
    for (file, value) in files {
        fs::write(dir.join(file), text(value))?;
    }
    Ok(Ok(()))
}

/// One text per value, whatever order the maps of this build keep: what a reader asks first stands first.
fn text(value: &Value) -> String {
    struct Ordered<'a>(&'a Value);

    impl Serialize for Ordered<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            match self.0 {
                Value::Object(fields) => {
                    let mut fields: Vec<_> = fields.iter().collect();
                    fields.sort_by_key(|&(key, _)| (rank(key), key));
                    let mut map = serializer.serialize_map(Some(fields.len()))?;
                    for (key, value) in fields {
                        map.serialize_entry(key, &Ordered(value))?;
                    }
                    map.end()
                }
                Value::Array(items) => serializer.collect_seq(items.iter().map(Ordered)),
                scalar => scalar.serialize(serializer),
            }
        }
    }

    serde_json::to_string_pretty(&Ordered(value)).unwrap() + "\n"
}

fn rank(key: &str) -> u8 {
    match key {
        "$schema" => 0,
        "$id" => 1,
        "title" => 2,
        "description" => 3,
        "type" => 4,
        "order_id" => 5,
        "$defs" => 7,
        _ => 6,
    }
}

#[test]
fn the_files_are_those_of_the_code() {
    let (dir, files) = (schemas(), files());
    if std::env::var_os("UPDATE_SCHEMAS").is_some_and(|it| it == "1")
        && let Err(broken) = update(&dir, &files).unwrap()
    {
        panic!("a published version does not change: publish another version\n{}", broken.join("\n"));
    }
    let found = differences(&dir, &files).unwrap();
    assert!(
        found.is_empty(),
        "UPDATE_SCHEMAS=1 cargo test -p events --test it rewrites schemas/\n{}",
        found.join("\n")
    );
}

/// A directory with one schema and its example, as the code once had them.
struct Shelf(PathBuf);

impl Shelf {
    fn new() -> Self {
        let shelf = Self(Path::new(env!("CARGO_TARGET_TMPDIR")).join(EventId::new().to_string()));
        assert_eq!(update(&shelf.0, &mug("string")).unwrap(), Ok(()));
        assert_eq!(differences(&shelf.0, &mug("string")).unwrap(), Vec::<String>::new());
        shelf
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn mug(colour: &str) -> Files {
    Files::from([
        ("mug.broken.v1.json".into(), json!({ "properties": { "colour": { "type": colour } } })),
        ("examples/mug.broken.v1.json".into(), json!({ "colour": "blue" })),
    ])
}

#[test]
fn an_update_writes_what_is_new_and_compatible() {
    let shelf = Shelf::new();
    let mut files = mug("string");
    files.insert("mug.broken.v2.json".into(), json!({}));
    files.insert(
        "mug.broken.v1.json".into(),
        json!({ "properties": {
        "colour": { "type": "string", "description": "Before it broke." }, "shards": { "type": "integer" },
    } }),
    );
    assert_eq!(
        differences(&shelf.0, &files).unwrap(),
        ["mug.broken.v1.json: differs", "mug.broken.v2.json: missing"]
    );
    assert_eq!(update(&shelf.0, &files).unwrap(), Ok(()));
    assert_eq!(differences(&shelf.0, &files).unwrap(), Vec::<String>::new());
}

#[test]
fn an_update_that_would_break_a_published_schema_writes_nothing() {
    let shelf = Shelf::new();
    let mut files = mug("integer");
    files.insert("mug.broken.v2.json".into(), json!({}));
    assert_eq!(
        update(&shelf.0, &files).unwrap(),
        Err(vec!["mug.broken.v1.json: colour: type string became integer".to_owned()])
    );
    assert_eq!(differences(&shelf.0, &mug("string")).unwrap(), Vec::<String>::new());
}

#[test]
fn a_stale_file_is_noticed_and_not_swept_away() {
    let shelf = Shelf::new();
    let nothing = Files::new();
    assert_eq!(
        differences(&shelf.0, &nothing).unwrap(),
        [
            "examples/mug.broken.v1.json: no event of the code has it",
            "mug.broken.v1.json: no event of the code has it",
        ]
    );
    assert_eq!(
        update(&shelf.0, &nothing).unwrap(),
        Err(vec!["mug.broken.v1.json: published and gone from the code".to_owned()])
    );
}
