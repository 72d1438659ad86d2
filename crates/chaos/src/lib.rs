//! Breaks a real suite in every way that it knows, while orders are placed, and proves the books.
//!
//! A run starts the services as processes on a Kafka and a Postgres of its own, with proxies on all ways between,
//! places orders at a steady rate (open loop: with repeats, cancellations and cards that decline), and carries out a
//! plan of faults that is drawn from a seed. Then it heals everything, waits until nothing is left to do, and has the
//! books audited.
//!
//! **Invariants:** each fault shows what proves that it took hold, read from the system itself; a run in which one
//! did not, or in which no duplicate was ever dropped, has failed. After each fault an order is placed and has to be
//! delivered. Nothing outside this machine's loopback is touched, and what a run leaves behind is removed.
//!
//! **Mutants** are programs with one defence taken out (only debug builds can carry them): a machine that does not
//! catch each of them proves nothing.

mod canary;
mod disk;
mod fault;
mod ground;
mod hunter;
mod mutants;
mod page;
mod plan;
mod report;
mod run;
mod suite;
mod verdict;
mod watch;

pub use fault::{KINDS, Kind};
pub use ground::Ground;
pub use mutants::{Caught, Mutant, hunt, mutants};
pub use page::page;
pub use plan::Selection;
pub use report::{Figures, First, Report, Struck};
pub use run::{Tell, Wanted, run};
pub use suite::{Exit, Setup, Suite};
pub use watch::{Counted, Sample};

/// The services, in the order in which they are started.
pub(crate) const SERVICES: [&str; 4] = ["order", "inventory", "payment", "shipping"];

/// Fails unless the programs are of a build that can be broken from inside.
pub fn check_breakable() -> anyhow::Result<()> {
    let how = "these programs carry neither crash points nor mutants: `scripts/chaos` builds some that do";
    anyhow::ensure!(bus::crash::POSSIBLE, how);
    Ok(())
}

/// Leaves out of `all` and `families` what cannot be done here; returns each kind with the reason. An error says that
/// a fault that was asked for by its name cannot be: without it the run would prove less than it was asked to.
pub fn possible(selection: &mut Selection) -> anyhow::Result<Vec<(&'static str, String)>> {
    let breakable = check_breakable().err().map(|it| it.to_string());
    let disks = match selection.needs_disks() {
        true => disk::Disk::probe().err().map(|it| format!("{it:#}")),
        false => None,
    };
    let why = |kind: &Kind| match () {
        () if kind.needs_crash_points() => breakable.clone(),
        () if kind.needs_disks() => disks.clone(),
        () => None,
    };
    selection.without(why)
}

/// What the programs are told in every run: short times, so that orders also end by their deadlines.
pub fn usual_env() -> Vec<(String, String)> {
    let usual = [("CONFIRM_WITHIN_SECS", "90"), ("RESERVATION_TTL_SECS", "20"), ("CARRIER_DELAY_MS", "50")];
    usual.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}
