//! What a failure of a batch calls for.

use std::{io, time::Duration};

use crate::dead_letter::Poison;

/// Why a batch did not commit.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
    /// Some input of the batch cannot be carried out; which one is found by bisection.
    #[error("{}", .0.error)]
    Input(Poison),
}

/// A transaction has had its time: its server is lost, or it honestly takes longer.
#[derive(Debug, thiserror::Error)]
#[error("a transaction of {inputs} inputs is not done in {within:?}")]
struct TooLong {
    inputs: usize,
    within: Duration,
}

/// Without an answer a transaction may have been committed or not, as when its connection is lost.
pub(crate) fn too_long(inputs: usize, within: Duration) -> sqlx::Error {
    io::Error::new(io::ErrorKind::TimedOut, TooLong { inputs, within }).into()
}

/// Whether it was the time of a transaction that was up: fewer inputs may be done in it.
pub(crate) fn is_too_long(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(it) if it.get_ref().is_some_and(|it| it.is::<TooLong>()))
}

/// What to do about it.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(crate) enum Remedy {
    /// The database is away or in trouble: the same again, later. Nothing is wrong with the inputs.
    Wait,
    /// Another transaction was faster: load again and decide anew.
    Again,
    /// The same, but what is in the way may be the input's own doing: two rows of one key.
    AgainOrBisect,
    /// A statement failed for one input's sake.
    Bisect,
}

impl Fault {
    /// By SQLSTATE class, <https://www.postgresql.org/docs/18/errcodes-appendix.html>. What is not known to be
    /// an input's fault counts as trouble of the database: waiting loses nothing, a wrong dead letter might.
    pub(crate) fn remedy(&self) -> Remedy {
        let error = match self {
            Self::Input(_) => return Remedy::Bisect,
            Self::Sql(error) => error,
        };
        let code = match error {
            sqlx::Error::Database(error) => error.code(),
            // A value that cannot be sent at all (a string over the protocol's limit).
            sqlx::Error::Encode(_) => return Remedy::Bisect,
            _ => return Remedy::Wait,
        };
        match code.as_deref() {
            // Serialisation failure, deadlock, lock timeout.
            Some("40001" | "40P01" | "55P03") => Remedy::Again,
            // The same row created twice at once.
            Some("23505") => Remedy::AgainOrBisect,
            // Data exception; integrity constraint; program limit (an index row too large).
            Some(code) if ["22", "23", "54"].contains(&&code[..2]) => Remedy::Bisect,
            // A trigger or function of the service's own raised.
            Some("P0001") => Remedy::Bisect,
            _ => Remedy::Wait,
        }
    }

    /// Another transaction was in the way.
    pub(crate) fn is_conflict(&self) -> bool {
        matches!(self.remedy(), Remedy::Again | Remedy::AgainOrBisect)
    }

    /// Somebody has held a row for longer than it is waited for.
    pub(crate) fn is_lock_timeout(&self) -> bool {
        matches!(self, Self::Sql(sqlx::Error::Database(error)) if error.code().as_deref() == Some("55P03"))
    }

    /// What to tell of it when it is one input's fault.
    pub(crate) fn into_poison(self) -> Poison {
        match self {
            Self::Input(poison) => poison,
            Self::Sql(error) => Poison::new("refused-by-database", error),
        }
    }
}
