//! The test kit's broker, with raw packets over TCP, in all versions. What takes time is tested in virtual time beside
//! its code.
//!
//! Statements of the standards are named without brackets here: what shows that the broker keeps one says nothing about the
//! client library, and is not to be counted among its tests.

// The lints' configuration exempts test functions, not their helpers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod client;
mod connecting;
mod limits;
mod packets;
mod publishing;
mod sessions;
mod subscribing;
mod wills;
