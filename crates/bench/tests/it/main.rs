//! The bench against real servers of its own.

mod parts;
