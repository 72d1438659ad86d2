//! Exit codes, in one place.
//!
//! | code | when |
//! |---|---|
//! | 0 | done |
//! | 1 | it failed, or was refused; `audit`, `repair`: a law is violated, or something was found |
//! | 2 | the command line or the environment is wrong; `audit`, `repair`: something could not be looked at |
//! | 3 | nobody answers: the service, the broker or the database cannot be reached |
//! | 4 | `bench`: all was measured, and a rate was more than was kept up with |
//! | 130 | `bench`, `chaos`: interrupted, and nothing is said of what was tried; as shells have it of SIGINT |

use std::process::ExitCode;

use crate::output::told;

/// The command line, or a variable, is wrong in a way that the parser of arguments does not see.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Misused(pub(crate) String);

/// Whoever was asked did not answer.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub(crate) struct Unreachable {
    pub(crate) text: String,
    /// It was asked, so what was asked for may have been done.
    pub(crate) perhaps_done: bool,
}

/// An audit has seen everything, and not all of it is as it should be.
#[derive(Debug, thiserror::Error)]
#[error("{violations} violations, {findings} findings")]
pub(crate) struct Unclean {
    pub(crate) violations: u64,
    pub(crate) findings: usize,
}

/// An audit could not see everything, whoever did not answer: nothing is said of the laws.
#[derive(Debug, thiserror::Error)]
#[error("could not look: {}", told(.0))]
pub(crate) struct Unseen(pub(crate) anyhow::Error);

/// What was measured is an overload, the first of all.
#[derive(Debug, thiserror::Error)]
#[error("NOT SUSTAINED: latencies are those of an overload: {0}")]
pub(crate) struct Overloaded(pub(crate) String);

/// Somebody has asked it to stop before it was done.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
pub(crate) struct Interrupted;

/// The code of what a command ended with. The parser of arguments uses 2 as well.
pub(crate) fn code(outcome: &anyhow::Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<Misused>() || error.is::<Unseen>() => 2.into(),
        Err(error) if error.is::<Unreachable>() => 3.into(),
        Err(error) if error.is::<Overloaded>() => 4.into(),
        Err(error) if error.is::<Interrupted>() => 130.into(),
        Err(_) => ExitCode::FAILURE,
    }
}
