//! A test in a process of its own.

use std::{env, process::Command};

/// Says to the process that it is such a one.
const MARK: &str = "TEST_RUN_AGAIN";

/// Runs the test called `test` (its full path) once more, in a process of its own where `variable` is `value`; panics
/// unless it passes there. For what a process is told at its start, and asked for in the test.
#[track_caller]
pub fn run_again(test: &str, variable: &str, value: &str) {
    assert!(env::var_os(MARK).is_none(), "{variable}={value} is without effect");
    let this = env::current_exe().expect("this program");
    let mut again = Command::new(this);
    again.args([test, "--exact", "--nocapture"]).env(variable, value).env(MARK, test);
    let output = again.output().expect("this program runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{test} with {variable}={value}: {}\n{said}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
}
