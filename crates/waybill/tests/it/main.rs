//! The real binary, as an operator runs it.

mod dev;
mod topics;
mod up;
mod usage;
mod waybill;
