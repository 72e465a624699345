//! The test kit, and with it the faults that a client survives: in memory and in virtual time.

// The lints' configuration exempts test functions, not their helpers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod cuts;
#[cfg(feature = "metrics")]
mod metrics;
mod network;
mod odd_links;
mod script;
mod silence;
mod statistics;
mod support;
