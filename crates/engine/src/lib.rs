//! One transaction per batch: everything that changes a service's state goes through here.
//!
//! Events from the log, commands from HTTP, deadlines that are due and answers from the outside are inputs of
//! a [`Decider`]; its events, effects and deadlines are written together with its state, with the ids of the
//! inputs (the inbox) and with what is to be published (the outbox), in one transaction for a whole batch.
//! A relay moves the outbox to the log. Poison parks its key in `engine.dead_letter`.
//!
//! **Invariants:** offsets are stored, commands answered and calls made only after the commit. Nothing is
//! published but by the relay, of which one per database is active. Safety comes from the database alone
//! (unique ids, row locks), never from group membership or leases. Delivery is at least once, effects are
//! applied once in our databases, and calls to the outside are idempotent by their key.
//!
//! **Absent:** business words; retries of a decision that was refused; locks held while producing.

mod command;
mod consumer;
mod database;
mod dead_letter;
mod deadline;
mod decider;
mod effect;
mod fault;
mod gather;
mod health;
mod housekeeping;
mod idempotency;
mod inbox;
mod metrics;
mod mutant;
mod outbox;
mod redrive;
mod relay;
mod run;
mod shedding;
mod trace;
mod unit;
mod vacuum;
mod writes;

pub use command::{Commands, Rejected};
pub use consumer::read;
pub use database::{connect_options, is_answering, migrate, wait_for};
pub use dead_letter::{Action, By, Bytes, DeadLetter, Poison, Status, Wanted};
pub use deadline::Deadline;
pub use decider::{Arrival, Cause, Decided, Decider, Decision, Declined, Publication, Recorded};
pub use effect::{Effect, NoOutside, Outside, Unanswered};
pub use events::{Timestamp, Unreadable};
pub use health::Health;
pub use idempotency::IdempotencyKey;
pub use mutant::{Mutant, check_environment};
pub use redrive::{AutoRedrive, DeadLetters, RedriveError, Redriven, Which};
pub use relay::Relay;
pub use run::{Engine, Settings, Task};
pub use writes::{Parameters, Writes};
