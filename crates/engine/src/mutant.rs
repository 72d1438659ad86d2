//! Deliberate defects, to prove that the tests and `waybill chaos` would see them. Builds without the feature `chaos`,
//! and so all that are shipped, do not contain them.

/// A defence that is taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// Offsets are stored before the transaction, so that a crash between the two loses the batch.
    OffsetBeforeCommit,
    /// Event ids are not remembered: whatever is delivered twice is applied twice.
    NoInbox,
    /// The relay reads on from the last id it saw, and never sees a row that commits late.
    LastSeenRelay,
    /// Relays take no advisory lock: each reads what no other has locked (`for update skip locked`), so that they
    /// publish side by side, and a key's later rows may be on the topic before its earlier ones.
    SkipLockedPool,
    /// A row that is refused is held back alone: the later ones of its aggregate are published before it.
    PastFailedDelivery,
    /// Payment forgets a cancellation that comes before it has asked the provider, so that stock which is reserved late
    /// still has the order's amount held. (In the other services an order's cancellation is on the same topic as what
    /// it has to bar, and behind it.)
    NoTombstone,
    /// Payment sends a new idempotency key with every attempt: one whose answer was lost is charged again.
    NoIdempotencyKey,
    /// Inventory decides a due deadline on the reservation as it was before its row was locked, and the engine does not
    /// ask whether the deadline was cleared meanwhile: an expiry that crosses the confirmation overwrites it.
    ExpiryWithoutLock,
    /// The letters of a key are run again in the reverse order of their parking.
    RedriveOutOfOrder,
    /// Payment says that an amount is refunded when it asks for that, not when the provider has answered.
    RefundOnRequest,
}

impl Mutant {
    pub const ALL: [Self; 10] = [
        Self::OffsetBeforeCommit,
        Self::NoInbox,
        Self::LastSeenRelay,
        Self::SkipLockedPool,
        Self::PastFailedDelivery,
        Self::NoTombstone,
        Self::NoIdempotencyKey,
        Self::ExpiryWithoutLock,
        Self::RedriveOutOfOrder,
        Self::RefundOnRequest,
    ];

    /// What `WAYBILL_MUTANT` calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OffsetBeforeCommit => "offset-before-commit",
            Self::NoInbox => "no-inbox",
            Self::LastSeenRelay => "last-seen-relay",
            Self::SkipLockedPool => "skip-locked-pool",
            Self::PastFailedDelivery => "past-failed-delivery",
            Self::NoTombstone => "no-tombstone",
            Self::NoIdempotencyKey => "no-idempotency-key",
            Self::ExpiryWithoutLock => "expiry-without-lock",
            Self::RedriveOutOfOrder => "redrive-out-of-order",
            Self::RefundOnRequest => "refund-on-request",
        }
    }

    /// Whether this process was started with it: for what is decided outside the engine.
    #[cfg(feature = "chaos")]
    pub fn is_on(self) -> bool {
        environment::mutant() == Some(self)
    }

    /// Whether this process was started with it, which a build without the feature cannot be.
    #[cfg(not(feature = "chaos"))]
    #[inline(always)]
    pub const fn is_on(self) -> bool {
        false
    }
}

/// Reads from the environment what is to be wrong with this process, and warns of it; at start. The error says what is
/// wrong with a variable: a process that was to have a defect must not run without it. Builds without the feature
/// `chaos` ask for nothing.
pub fn check_environment() -> Result<(), String> {
    #[cfg(feature = "chaos")]
    environment::check()?;
    bus::crash::from_environment()
}

#[cfg(feature = "chaos")]
mod environment {
    use std::sync::OnceLock;

    use super::Mutant;

    const VARIABLE: &str = "WAYBILL_MUTANT";

    pub(super) fn mutant() -> Option<Mutant> {
        given().as_ref().ok().copied().flatten()
    }

    pub(super) fn check() -> Result<(), String> {
        if let Some(mutant) = given().clone()? {
            tracing::warn!(mutant = mutant.name(), "this process has a deliberate defect");
        }
        Ok(())
    }

    fn given() -> &'static Result<Option<Mutant>, String> {
        static GIVEN: OnceLock<Result<Option<Mutant>, String>> = OnceLock::new();
        GIVEN.get_or_init(|| {
            let given = std::env::var_os(VARIABLE).unwrap_or_default();
            if given.is_empty() { Ok(None) } else { parse(&given.to_string_lossy()).map(Some) }
        })
    }

    fn parse(given: &str) -> Result<Mutant, String> {
        let all = || Mutant::ALL.map(Mutant::name).join(", ");
        let found = Mutant::ALL.into_iter().find(|it| it.name() == given);
        found.ok_or_else(|| format!("{VARIABLE}={given}: there is no such mutant, but {}", all()))
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_mutant_is_given_by_its_name() {
            for it in Mutant::ALL {
                assert_eq!(parse(it.name()), Ok(it));
            }
            let refused = parse("no-brakes").unwrap_err();
            assert!(
                refused.starts_with("WAYBILL_MUTANT=no-brakes: there is no such mutant, but "),
                "{refused}"
            );
        }
    }
}

/// Which defect an engine has, if any.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mutation {
    #[cfg(feature = "chaos")]
    pub(crate) mutant: Option<Mutant>,
}

impl Mutation {
    #[cfg(feature = "chaos")]
    pub(crate) fn of_process() -> Self {
        Self { mutant: environment::mutant() }
    }

    #[cfg(feature = "chaos")]
    pub(crate) fn is(self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    #[cfg(not(feature = "chaos"))]
    pub(crate) const fn of_process() -> Self {
        Self {}
    }

    #[cfg(not(feature = "chaos"))]
    pub(crate) const fn is(self, _: Mutant) -> bool {
        false
    }
}

#[cfg(all(feature = "chaos", not(debug_assertions)))]
compile_error!("the feature `chaos` is for tests: a release build must not carry it");
