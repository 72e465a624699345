//! The client with the test kit's broker, and with peers that do what a test says.
//!
//! Where time matters it passes when the test says so; see `support::Clock`.

// The lints' configuration exempts test functions, not their helpers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod acknowledging;
mod authentication;
mod blocking;
mod cancelling;
mod capacity;
mod connecting;
mod credentials;
mod dead_links;
mod dropped;
mod durable;
mod edges;
mod faults;
mod logging;
mod many;
mod one_shots;
mod overlapping;
mod panics;
mod poison;
mod properties;
mod queueing;
mod receipts;
mod reconnecting;
mod requests;
mod rivals;
mod routing;
mod runtimes;
mod secrets;
mod servers;
mod shutting_down;
mod statuses;
mod streaming_durable;
mod streaming_in;
mod streaming_out;
mod streams;
mod subscriptions;
mod support;
