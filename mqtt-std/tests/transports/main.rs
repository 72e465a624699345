//! Every way to a broker: with a real one, Mosquitto, with peers that do what a test says, and with none.
//!
//! `cargo test -p mqtt-std --test transports --features proxy,tls-psk,tls-ring,websocket`. Where there is no Mosquitto its tests
//! say so and pass, unless `MQTT_TEST_MOSQUITTO=required`.

// The lints' configuration exempts test functions, not their helpers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod first_program;
mod names;
mod proxies;
mod psk;
mod reaching;
mod redirects;
mod support;
mod tls;
mod websocket;
