//! The client against a scripted Server, in virtual time.

// The lints' configuration exempts test functions, not their helpers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::std_instead_of_core
)]

mod acknowledging;
mod blocking;
mod connecting;
mod damaged;
mod flash;
mod hostile;
mod leaving;
mod messages;
mod requests;
mod restarting;
mod sharing;
mod sources;
mod store;
mod stored;
mod support;
mod tls;
mod tracing;
mod wear;
