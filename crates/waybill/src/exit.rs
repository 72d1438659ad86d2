//! Exit codes, in one place.
//!
//! | code | when |
//! |---|---|
//! | 0 | done |
//! | 1 | it failed, or was refused |
//! | 2 | the command line or the environment is wrong |
//! | 3 | nobody answers: the service, the broker or the database cannot be reached |

use std::process::ExitCode;

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

/// The code of what a command ended with. The parser of arguments uses 2 as well.
pub(crate) fn code(outcome: &anyhow::Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.downcast_ref::<Misused>().is_some() => 2.into(),
        Err(error) if error.downcast_ref::<Unreachable>().is_some() => 3.into(),
        Err(_) => ExitCode::FAILURE,
    }
}
