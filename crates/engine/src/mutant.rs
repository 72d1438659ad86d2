//! Deliberate defects, to prove that the tests would see them. Builds without the feature `mutants`, and so
//! all that are shipped, do not contain them.

/// A defence that is taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// Offsets are stored before the transaction, so that a crash between the two loses the batch.
    OffsetBeforeCommit,
    /// Event ids are not remembered.
    NoInbox,
    /// The relay reads on from the last id it saw, and never sees a row that commits late.
    LastSeenRelay,
}

/// Which defect an engine has, if any.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Mutation {
    #[cfg(feature = "mutants")]
    pub(crate) mutant: Option<Mutant>,
}

impl Mutation {
    #[cfg(feature = "mutants")]
    pub(crate) fn is(self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    #[cfg(not(feature = "mutants"))]
    pub(crate) const fn is(self, _: Mutant) -> bool {
        false
    }
}

#[cfg(all(feature = "mutants", not(debug_assertions)))]
compile_error!("the feature `mutants` is for tests: a release build must not carry it");
