//! An MQTT client for microcontrollers, on the machine of [`mqtt_core`]: `no_std`, no allocation, all memory lent.
//!
//! A [`Runner`] owns the transport and the reconnecting; [`Client`]s, which are mere references, publish and subscribe from as
//! many tasks as there are. Everything they share is one [`Resources`] in a `static`.
//!
//! Payloads larger than memory are read from a source while they are sent, [`Client::publish_from`], and arrive in parts,
//! [`Subscriber::read`]. Requests have answers, [`Client::requests`]. A session survives a loss of power in a [`Store`]. Firmware
//! without an executor has calls that block: [`blocking`].
//!
//! Every rule about MQTT is in the core; this crate moves bytes, waits, and hands messages over.

#![no_std]

#[cfg(test)]
extern crate std;

pub mod blocking;
mod busy;
mod client;
mod clock;
mod durable;
mod either;
mod error;
#[cfg(feature = "flash")]
mod flash;
#[cfg(feature = "defmt")]
mod format;
mod inbox;
mod keys;
mod moment;
mod options;
mod paced;
mod publish;
mod receipts;
mod request;
mod resources;
mod routes;
mod runner;
mod source;
mod state;
mod store;
mod subscriber;
#[cfg(feature = "tls")]
pub mod tls;
mod trace;
mod transport;

pub use client::Client;
pub use clock::Clock;
#[cfg(feature = "embassy-time")]
pub use clock::EmbassyClock;
pub use error::{Error, Failure};
#[cfg(feature = "flash")]
pub use flash::{FlashError, FlashStore};
pub use mqtt_core;
pub use mqtt_core::{
    Backoff, CleanStart, ConnectOptions, ConnectionError, DeliveryNumber, Fallback, GeneratedClientIdentifier, Instant,
    Outcome, Properties, Property, ProtocolVersion, QoS, ReasonCode, UsageError, Will,
};
pub use options::{Options, client_identifier};
pub use paced::Paced;
pub use publish::{Publish, Receipt};
pub use request::{Request, Requests};
pub use resources::{Capacities, Resources, Sizes, size};
pub use runner::Runner;
pub use source::{FromSource, PayloadFile, PayloadSource, Source};
pub use state::{Statistics, Status};
pub use store::{NoStore, Store};
pub use subscriber::{Message, Subscriber};
pub use transport::{Connect, Half, Open, Shared, TcpConnector, TcpError, Transport};
