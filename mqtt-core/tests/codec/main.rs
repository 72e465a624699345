//! The codec by its public face: what is read, what is written, what is refused.
//!
//! One program for all of it, which builds once. Where one version is left out, its unit tests speak for it.

#![cfg(test)] // as tests, helpers may unwrap and index too
#![cfg(all(feature = "v3", feature = "v5"))]

mod copies;
mod framing;
mod fuzzed;
mod packets;
mod properties;
mod reason_codes;
mod refused;
mod round_trip;
#[path = "../seeds/mod.rs"]
mod seeds;
mod support;
mod text;
mod topics;
mod values;
mod within;
mod worded;
mod written;
