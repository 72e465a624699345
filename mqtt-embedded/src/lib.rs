//! An MQTT client for microcontrollers, on the machine of [`mqtt_core`].
//!
//! **This crate is a skeleton**: it re-exports the core and has no client yet. What it will hold, and what can be done today with
//! the core alone:
//!
//! * a runner that owns the transport (`embedded-io-async`), the clock and the reconnecting, with cheap handles for many tasks;
//! * all memory lent, `const`-constructible in a `static`: the core's [`ArrayStorage`](mqtt_core::ArrayStorage),
//!   [`ArrayAliases`](mqtt_core::ArrayAliases) and [`ArraySubscriptions`](mqtt_core::ArraySubscriptions) are that already;
//! * TLS through `embedded-tls`, with a certificate that is really verified;
//! * a durable session on NOR flash, in the core's [`Record`](mqtt_core::Record) format.
//!
//! Until then firmware drives [`Machine`](mqtt_core::Machine) itself; its documentation shows the loop.

#![no_std]

pub use mqtt_core;
