//! What applications test themselves with: a broker in the process, and links without sockets that behave as told.
//! **For tests and demonstrations only**.
//!
//! # Links in memory
//!
//! A [`Network`] is where clients connect and servers accept, without an address; each connection is a [`Link`] with
//! [`Conditions`]: latency, jitter, bandwidth, pieces of n bytes, a cut after n bytes, silence. Chance has a seed, and time is
//! tokio's: on a paused clock an hour takes no time.
//!
//! # The broker
//!
//! ```
//! use mqtt_std::testkit::{Broker, BrokerOptions};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let mut broker = Broker::start(BrokerOptions::new()).await?;
//! println!("a broker is at {}", broker.url()); // mqtt://127.0.0.1: and a free port
//! broker.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! It speaks MQTT 5.0, 3.1.1 and 3.1 on one port over TCP, with QoS 0, 1 and 2 both ways, retained messages, Wills with
//! delay, wildcards, shared subscriptions, sessions with expiry and takeover, Topic Aliases from clients, flow control
//! and message expiry, as the standards have them. It can be told to lack things ([`BrokerOptions`]), and a test can
//! take it away and bring it back ([`Broker::restart`], [`Broker::disconnect_client`]).
//!
//! Everything it keeps is bounded; each setter of [`BrokerOptions`] says what happens at its bound.
//!
//! What it lacks, and why it should serve nobody but tests and demonstrations:
//! - no persistence: sessions and retained messages are in memory and end with the [`Broker`];
//! - no TLS, no WebSocket, no access control beyond one user name and password, no enhanced authentication;
//! - no bridges, no clustering, no rate limits; one lock, so one core's worth of messages;
//! - it sends no Topic Aliases, no Reason Strings and no User Properties of its own;
//! - a message of a shared subscription stays with the member that was chosen for it, also if that member goes away;
//! - QoS 0 messages do not wait for clients that are away;
//! - of `$SYS` there are `$SYS/broker/version` and `$SYS/broker/clients/connected`.
//!
//! Where the standard leaves a choice: a PUBLISH that nobody has subscribed to is acknowledged with 0x10; a QoS 2 message
//! is passed on when it arrives, not when it is released; a message is in the sessions of its subscribers before it is
//! acknowledged; filters of more than 128 levels are refused with 0x8F; a filter that begins with `$share/` is a shared
//! subscription in all versions.

mod broker;
mod connection;
mod hub;
mod link;
mod options;
mod statistics;

pub use broker::Broker;
pub use link::{Conditions, Direction, Link, LinkEnd, Network, Reach};
pub use options::{BrokerOptions, OverlappingSubscriptions};
pub use statistics::Statistics;
