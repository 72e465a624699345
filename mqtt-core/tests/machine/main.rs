//! The machine against a scripted broker, in virtual time: what the standards demand of session and connection.
//!
//! One program for all of it, which builds once. A test names the numbered statements that it proves, and the known trap
//! that it is the test of.

#![cfg(test)] // as tests, helpers may unwrap and index too
#![cfg(all(feature = "v3", feature = "v5", feature = "qos2", feature = "streaming", feature = "alias"))]

mod support;

mod aliases;
mod authentication;
mod confirming;
mod ending;
mod handshake;
mod identifiers;
mod keep_alive;
mod limits;
mod policy;
mod publish_in;
mod publish_out;
mod reconnect;
mod records;
#[path = "../seeds/mod.rs"]
mod seeds;
mod sequences;
mod storage;
mod streaming;
mod subscribe;
mod suspicion;
