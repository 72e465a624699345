//! What was recorded happens again: tapes that are made here, with Mosquitto and the test kit, and those that are kept.
//!
//! A tape of a failure becomes a test by copying it to `kept/`. With `MQTT_KEEP_TAPES=$PWD/mqtt-std/tests/tapes/kept` the tests write theirs
//! there: what the machine does is meant to be another thing then.

// The lints' configuration exempts test functions, not their helpers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod broken;
mod film;
mod kept;
mod real;
mod secrets;
mod stops;
#[allow(dead_code, unused_imports, reason = "what the suite it belongs to needs")]
#[path = "../mosquitto/support/mod.rs"]
mod support;
