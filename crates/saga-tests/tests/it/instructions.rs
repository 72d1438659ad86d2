//! How many instructions the pure core and the codec take, counted by Valgrind's callgrind and not timed: the same on
//! every machine and at every load, but for the little that the seeds of hash maps make.
//!
//! Counted is a process that does all parts once, and for each part one that does this part more often; what they differ
//! by is the part's own. It is that of a debug build, whose code is close to what is written: it shows what is done
//! twice, not what an optimiser makes of it.

use std::{env, process::Command};

use expect_test::expect_file;

use crate::pure::{self, Meter, Way};

/// How far a count may be from what is held, as a share of it: the seeds of hash maps and other versions of the compiler
/// are within it, most of what is worth a look is not.
const TOLERANCE: f64 = 0.05;

/// How many times more the part is done that is counted.
const MORE: u64 = 50;

const PARTS: [&str; 5] = ["order", "inventory", "payment", "shipping", "codec"];

#[test]
#[cfg_attr(not(debug_assertions), ignore = "what is held is what a debug build takes")]
fn an_order_takes() {
    let all_once = instructions("none");
    let counted = PARTS.map(|part| (part, (instructions(part) - all_once) / MORE));
    let counted: String = counted.iter().map(|(part, count)| format!("{part:<10}{count}\n")).collect();
    let expected = expect_file!["instructions.txt"];
    if !is_near(&rows(&expected.data()), &rows(&counted)) {
        // The difference names what has moved; one that is meant is taken over by UPDATE_EXPECT=1.
        expected.assert_eq(&counted);
    }
}

/// What a process takes that does all parts, this one more often.
fn instructions(part: &str) -> u64 {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    valgrind.arg(env::current_exe().expect("this program"));
    valgrind.args(["--exact", "instructions::counted_from_outside", "--ignored", "--test-threads=1"]);
    let ended = valgrind.env("PART", part).output().expect("the package `valgrind` is installed");
    let told = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{told}{}", String::from_utf8_lossy(&ended.stdout));
    let count = told.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    count.unwrap_or_else(|| panic!("no count: {told}"))
}

#[test]
#[ignore = "run under Valgrind by the test that counts"]
fn counted_from_outside() {
    go("order", &pure::order());
    go("inventory", &pure::stock());
    go("payment", &pure::payment());
    go("shipping", &pure::parcel());
    go("codec", &pure::codec());
}

fn go(part: &str, way: &impl Way) {
    let more = if env::var("PART").is_ok_and(|it| it == part) { MORE } else { 0 };
    (0..1 + more).for_each(|_| way.go(&mut Free));
}

/// Counts nothing.
struct Free;

impl Meter for Free {
    fn count<T>(&mut self, _: &'static str, _: &'static str, operation: impl FnOnce() -> T) -> T {
        operation()
    }
}

/// Each part of a table with its count.
fn rows(table: &str) -> Vec<(&str, f64)> {
    let row = |(part, count): (_, &str)| Some((part, count.trim().parse().ok()?));
    table.lines().filter_map(|line| line.split_once(' ').and_then(row)).collect()
}

fn is_near(held: &[(&str, f64)], counted: &[(&str, f64)]) -> bool {
    let near = |(held, counted): (&(&str, f64), &(&str, f64))| {
        held.0 == counted.0 && (counted.1 - held.1).abs() <= held.1 * TOLERANCE
    };
    held.len() == counted.len() && held.iter().zip(counted).all(near)
}

#[test]
fn a_count_is_held_within_a_twentieth() {
    let held = rows("order 1000\ncodec 200\n");
    for (counted, is_held) in [
        ("order 1050\ncodec 190\n", true),
        ("order 1051\ncodec 200\n", false),
        ("order 949\ncodec 200\n", false),
        ("order 1000\n", false),
        ("codec 200\norder 1000\n", false),
    ] {
        assert_eq!(is_near(&held, &rows(counted)), is_held, "{counted}");
    }
    assert!(!is_near(&rows(""), &held));
}
