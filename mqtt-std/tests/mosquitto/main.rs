//! The client with a real broker, Mosquitto, in all versions.
//!
//! Each test starts a broker of its own: `apt-get install mosquitto`. Where there is none the tests say so and pass, unless
//! `MQTT_TEST_MOSQUITTO=required`.

// The lints' configuration exempts test functions, not their helpers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod applications;
mod credentials;
mod durable;
mod filters;
mod messages;
mod payloads;
mod poison;
mod restarts;
mod retained;
mod sessions;
mod shared;
mod streams;
mod support;
mod takeover;
mod wills;
