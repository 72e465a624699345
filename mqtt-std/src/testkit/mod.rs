//! What applications test themselves with: links without sockets that behave as told, a broker in the process, and one that
//! says what a script says. **For tests and demonstrations only**.
//!
//! An application's test, with a broker and a lost connection, in no time and without a port:
//!
//! ```
//! use mqtt_std::testkit::{Broker, BrokerOptions, Network};
//! use mqtt_std::{Client, Options, QoS};
//!
//! // The application: it reports how often the door was opened.
//! async fn count_openings(client: Client) -> Result<(), mqtt_std::Error> {
//!     let mut doors = client.subscribe("door", QoS::AtLeastOnce).await?;
//!     let mut openings = 0;
//!     while let Some(_opening) = doors.next().await {
//!         openings += 1;
//!         client.publish("openings", openings.to_string()).qos(QoS::AtLeastOnce).retain().await?;
//!     }
//!     Ok(())
//! }
//!
//! # /*
//! #[tokio::test(start_paused = true)]
//! # */
//! # #[tokio::main(flavor = "current_thread")]
//! async fn openings_are_counted_although_the_connection_is_lost() -> Result<(), Box<dyn std::error::Error>> {
//!     # tokio::time::pause();
//!     let network = Network::new();
//!     let _broker = Broker::start_in(&network, BrokerOptions::new());
//!     let options = || Options::new("broker.example", 1883).connector(network.clone());
//!     let mut openings = Client::connect(options()).await?.subscribe("openings", QoS::AtLeastOnce).await?;
//!     let application = tokio::spawn(count_openings(Client::connect(options()).await?));
//!     let door = Client::connect(options()).await?;
//!     for expected in ["1", "2", "3"] {
//!         door.publish("door", "opened").qos(QoS::AtLeastOnce).await?;
//!         assert_eq!(openings.next().await.ok_or("no more")?.payload_str()?, expected);
//!         network.links().iter().for_each(|link| link.cut()); // and everybody comes back
//!     }
//!     application.abort();
//!     Ok(())
//! }
//! # openings_are_counted_although_the_connection_is_lost().unwrap();
//! ```
//!
//! (Time is paused by tokio's feature `test-util`.)
//!
//! # Links in memory
//!
//! A [`Network`] is where clients connect and servers accept, without an address; each connection is a [`Link`] with
//! [`Conditions`]: latency, jitter, bandwidth, pieces of n bytes, a cut after n bytes, silence. Chance has a seed, and time is
//! tokio's: on a paused clock an hour takes no time.
//!
//! # A broker that does what a test says
//!
//! A [`Script`] expects and sends packets step by step, and says which step went wrong: "step 3: expected PUBLISH a/b, got
//! SUBSCRIBE #1 a/+ q1". [`Peer`] and [`Conversation`] do the same by hand. Both work in memory and over TCP.
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
mod peer;
mod statistics;

pub use broker::Broker;
pub use link::{Conditions, Direction, Link, LinkEnd, Network, Reach};
pub use options::{BrokerOptions, OverlappingSubscriptions};
pub use peer::{Conversation, Expect, Failure, Peer, Playing, Received, Script};
pub use statistics::Statistics;
