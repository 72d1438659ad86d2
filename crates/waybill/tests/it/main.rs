//! The real binary, as an operator runs it.

mod chaos;
mod compose;
mod dead_letters;
mod dev;
mod topics;
mod up;
mod usage;
mod waybill;
