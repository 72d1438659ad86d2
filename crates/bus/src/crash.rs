//! Points at which a process can be made to die, between two steps that no signal from outside hits.
//!
//! With the feature `chaos`, `WAYBILL_CRASH_AT=<name>[:n]` ends the process when it passes a point for the n-th time.
//! Builds without the feature, and so all that are shipped, contain nothing of it.

/// A place between two steps, where a crash must cost nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crash {
    /// A consumer's batch is committed, its offsets are not stored: it is read again.
    AfterCommit,
    /// The broker has acknowledged a page of the outbox, whose rows are not deleted: it is published again.
    AfterAck,
    /// A batch is written and not committed.
    MidBatch,
    /// The outside has answered a call, and the answer is in memory alone: the call is made again.
    AfterAnswer,
    /// The client's callback tells that partitions are given or taken away.
    Rebalance,
    /// Commands are committed, and nobody was told: whoever sent them asks again.
    AfterCommand,
}

impl Crash {
    pub const ALL: [Self; 6] = [
        Self::AfterCommit,
        Self::AfterAck,
        Self::MidBatch,
        Self::AfterAnswer,
        Self::Rebalance,
        Self::AfterCommand,
    ];

    /// What `WAYBILL_CRASH_AT` calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AfterCommit => "after-commit",
            Self::AfterAck => "after-ack",
            Self::MidBatch => "mid-batch",
            Self::AfterAnswer => "after-answer",
            Self::Rebalance => "rebalance",
            Self::AfterCommand => "after-command",
        }
    }
}

/// Whether this build has such points.
pub const POSSIBLE: bool = cfg!(feature = "chaos");

/// Passes.
#[cfg(not(feature = "chaos"))]
#[inline(always)]
pub const fn point(_: Crash) {}

/// Asks for nothing.
#[cfg(not(feature = "chaos"))]
pub const fn from_environment() -> Result<(), String> {
    Ok(())
}

#[cfg(feature = "chaos")]
pub use armed::{from_environment, point};

#[cfg(feature = "chaos")]
mod armed {
    use std::{
        process,
        sync::{
            OnceLock,
            atomic::{AtomicU64, Ordering},
        },
    };

    use super::Crash;

    const VARIABLE: &str = "WAYBILL_CRASH_AT";

    /// Where this process is to die, and in which pass.
    #[derive(Debug)]
    struct Fate {
        at: Crash,
        pass: u64,
        passed: AtomicU64,
    }

    /// Ends the process if this is where, and the time when, it is to die: at once, so that no destructor flushes or
    /// gives back anything. From any thread.
    pub fn point(here: Crash) {
        let Ok(Some(fate)) = fate() else { return };
        if fate.at == here && fate.passed.fetch_add(1, Ordering::Relaxed) + 1 == fate.pass {
            eprintln!("crash point {} reached: aborting", here.name());
            process::abort();
        }
    }

    /// Reads where this process is to die, and warns of it. The error says what is wrong with the variable: a process
    /// that was to die somewhere must not run as if it was not.
    pub fn from_environment() -> Result<(), String> {
        match fate() {
            Ok(Some(Fate { at, pass, .. })) => {
                tracing::warn!(crash.point = at.name(), pass, "this process is going to abort");
                Ok(())
            }
            Ok(None) => Ok(()),
            Err(error) => Err(error.clone()),
        }
    }

    fn fate() -> &'static Result<Option<Fate>, String> {
        static FATE: OnceLock<Result<Option<Fate>, String>> = OnceLock::new();
        FATE.get_or_init(|| {
            let given = std::env::var_os(VARIABLE).unwrap_or_default();
            if given.is_empty() { Ok(None) } else { parse(&given.to_string_lossy()).map(Some) }
        })
    }

    fn parse(given: &str) -> Result<Fate, String> {
        let (name, pass) = given.split_once(':').unwrap_or((given, "1"));
        let all = || Crash::ALL.map(Crash::name).join(", ");
        let at = Crash::ALL.into_iter().find(|it| it.name() == name);
        let at =
            at.ok_or_else(|| format!("{VARIABLE}={given}: there is no such crash point, but {}", all()))?;
        match pass.parse() {
            Ok(pass @ 1..) => Ok(Fate { at, pass, passed: AtomicU64::new(0) }),
            _ => Err(format!("{VARIABLE}={given}: passes are counted from 1")),
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_point_is_given_by_its_name_and_perhaps_a_pass() {
            let read = |given: &str| parse(given).map(|it| (it.at, it.pass));
            for it in Crash::ALL {
                assert_eq!(read(it.name()), Ok((it, 1)));
                assert_eq!(read(&format!("{}:7", it.name())), Ok((it, 7)));
            }
            for wrong in ["lunch", "after-commit:0", "after-commit:", "after-commit:-1", "AfterCommit"] {
                assert!(read(wrong).is_err_and(|it| it.starts_with("WAYBILL_CRASH_AT=")), "{wrong}");
            }
        }

        #[test]
        fn a_process_that_is_not_to_die_passes() {
            Crash::ALL.into_iter().for_each(point);
            assert_eq!(from_environment(), Ok(()));
        }
    }
}

#[cfg(all(feature = "chaos", not(debug_assertions)))]
compile_error!("the feature `chaos` is for tests: a release build must not carry it");
