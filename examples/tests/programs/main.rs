//! The programs, as somebody at a terminal runs them, with a real broker: Mosquitto.
//!
//! `cargo test -p mqtt-examples` builds the programs and runs this; with `--test programs` they are as they were built last. Each test
//! starts a broker of its own: where there is no Mosquitto the tests say so and pass, unless `MQTT_TEST_MOSQUITTO=required`.

mod bigfile;
mod bridge;
mod commands;
mod encrypted;
#[cfg(unix)]
mod hostile;
mod inspect;
mod jobs;
mod lamp;
mod load;
#[cfg(unix)]
mod logins;
mod metrics;
mod replay;
#[cfg(feature = "tls")]
mod secure;
mod service;
mod simple;
mod support;
mod systop;
mod telemetry;
#[cfg(feature = "tls")]
mod tools;
mod workers;
