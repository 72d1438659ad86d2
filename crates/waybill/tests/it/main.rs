//! The real binary, as an operator runs it.

mod bench;
mod chaos;
mod compose;
mod dead_letters;
mod dev;
mod repair;
mod topics;
mod up;
mod usage;
mod waybill;
