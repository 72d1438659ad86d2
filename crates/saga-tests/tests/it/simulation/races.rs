//! Every pair of a state and an input of the services' tables is met by some schedule, or there is a reason why none
//! can meet it.

use std::{collections::BTreeMap, fmt::Write as _};

use expect_test::Expect;

mod inventory;
mod order;
mod payment;
mod shipping;

/// Why a pair is not met.
type Never = fn(state: &str, input: &str) -> Option<&'static str>;

/// The inbox keeps a second one away; and what comes before another on a key has come when the other has.
const BEFORE: &str = "taken before, if ever";
/// It is told of what this state still waits for, or after something on the same key that does not fit the state yet.
const LATER: &str = "follows from what is still to come";
/// What has led to this state rules it out.
const RULED_OUT: &str = "follows from what never comes";
const CLEARED: &str = "its deadline is not set";
const UNASKED: &str = "the provider was not asked, or has answered";
const NO_WAY: &str = "no input leads here";
const OTHER: &str = "concerns another aggregate";

/// Whether `word` is one of the state's.
fn is(state: &str, word: &str) -> bool {
    state.split(", ").any(|it| it == word)
}

#[track_caller]
fn check(service: &str, states: &[String], inputs: &[&str], never: Never, expected: Expect) {
    let (runs, all) = &*super::RUNS;
    if *runs < super::SEEDS {
        return;
    }
    let met: BTreeMap<(String, &str), usize> = (all.met.iter())
        .filter(|it| it.0.0 == service)
        .map(|((_, (state, input)), runs)| ((state.to_string(), *input), *runs))
        .collect();
    let unlisted = |it: &&(String, &str)| !states.contains(&it.0) || !inputs.contains(&it.1);
    assert_eq!(met.keys().find(unlisted), None, "is listed nowhere");
    let mut table: Vec<(String, String)> = Vec::new();
    for state in states {
        let rows = rows(state, inputs, never, &met);
        match table.last_mut() {
            Some((states, same)) if *same == rows => write!(states, "\n{state}").expect("text"),
            _ => table.push((state.clone(), rows)),
        }
    }
    let table: String = table.into_iter().map(|(states, rows)| format!("{states}\n{rows}")).collect();
    expected.assert_eq(&table);
}

/// What is met in one state, and what is not for which reason.
fn rows(state: &str, inputs: &[&str], never: Never, met: &BTreeMap<(String, &str), usize>) -> String {
    let mut lines: Vec<(&str, Vec<&str>)> = Vec::new();
    for input in inputs {
        let is_met = met.contains_key(&(state.to_owned(), *input));
        let why = match (is_met, never(state, input)) {
            (true, None) => "met",
            (false, Some(reason)) => reason,
            (true, Some(_)) => "MET ALTHOUGH IT CANNOT BE",
            (false, None) => "NOT MET",
        };
        match lines.iter_mut().find(|it| it.0 == why) {
            Some((_, inputs)) => inputs.push(input),
            None => lines.push((why, vec![input])),
        }
    }
    lines.iter().map(|(why, inputs)| format!("    {why}: {}\n", inputs.join(", "))).collect()
}

/// Every name that is made of one word of each list.
fn names(lists: &[&[&str]]) -> Vec<String> {
    let mut names = vec![String::new()];
    for list in lists {
        let longer = |name: &String| {
            let join = |word: &&str| match (name.is_empty(), word.is_empty()) {
                (_, true) => name.clone(),
                (true, false) => (*word).to_owned(),
                (false, false) => format!("{name}, {word}"),
            };
            list.iter().map(join).collect::<Vec<_>>()
        };
        names = names.iter().flat_map(longer).collect();
    }
    names
}
