//! An MQTT client for 5.0, 3.1.1 and 3.1 on tokio, on the machine of [`mqtt_core`].
//!
//! ```no_run
//! use std::time::Duration;
//! use mqtt_std::{Client, QoS};
//!
//! # async fn f() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::connect("mqtt://localhost").await?;
//! let mut lamps = client.subscribe("cellar/+/status", QoS::AtLeastOnce).await?;
//! client.publish("cellar/stairlamp/cmd", "on").qos(QoS::ExactlyOnce).retain().await?;
//! while let Some(message) = lamps.next().await {
//!     println!("{} {}", message.topic(), message.payload_str()?);
//! }
//! client.shutdown(Duration::from_secs(5)).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Publishing
//!
//! [`Client::publish`] makes a message: `.await` waits for its outcome, [`send`](Publish::send) until it is accepted, which gives
//! a [`Receipt`] to wait for later, or never; [`try_send`](Publish::try_send) does not wait at all. Every receipt resolves: the
//! broker has acknowledged the message, or refused it; it was not sent; it has expired; or it was sent, and its outcome will not
//! be known. What waits is bounded, and [`Overflow`] says what happens at the bound.
//!
//! # Receiving
//!
//! [`Client::subscribe`] gives a bounded stream of messages. A slow reader slows the broker down instead of losing messages:
//! at QoS 1 and 2 what does not fit waits unacknowledged; what happens to the rest is an option of the stream
//! ([`Subscribe::when_full`]), counted and logged. Each stream says when its messages are acknowledged: [`Acknowledge`].
//! [`Client::listen`] and [`Client::listen_unmatched`] take what comes anyway. [`Client::new`] lets streams be there before
//! the connection is, so that no message of a kept session is missed.
//!
//! # More
//!
//! Handlers by topic: [`Router`]. Requests and answers: [`Client::requests`]. Without `async`: [`blocking`]. One job with a client of
//! its own: [`one_shot`]. Payloads that are larger than memory: [`Client::publish_from`], [`Subscribe::streamed`]. Sessions that
//! outlive the program: [`store`].
//!
//! Every rule about MQTT is in the core; this crate moves bytes, waits and routes. [`transport`] has the ways to a
//! broker: TCP, TLS, WebSocket, Unix sockets, proxies, and whatever else an application has.
//!
//! # What is logged
//!
//! Events of [`tracing`] tell what the client does. Their fields keep their names:
//!
//! | field | what it is |
//! | --- | --- |
//! | `client` | the Client Identifier |
//! | `server` | the server's address, without user and password |
//! | `version` | the protocol level that is spoken: 5, 4 (3.1.1) or 3 (3.1) |
//! | `session_present` | the broker has resumed the session |
//! | `cause` | why a connection ended or an attempt failed, see [`Cause`] |
//! | `attempt` | how many rounds over all servers have failed since the last stable connection |
//! | `retry_in` | how long it is until the next attempt |
//! | `times` | how many connections in a row another client seems to have ended |
//! | `reason` | a Reason Code |
//! | `reference` | a Server Reference |
//! | `topic`, `filter` | those of the message or the subscription |
//! | `payload_len` | how many bytes the payload of a message that is too large has |
//! | `handler` | the filter of a handler that failed or panicked, see [`Router`] |
//! | `error` | what it, or something else, says of that |
//! | `dropped` | how many streams a message was dropped for; of those dropped one after the other it is the first |
//! | `messages` | how many a store does not take, or were dropped without the acknowledgement by hand that they need |
//!
//! "connecting", "connected", "connection failed, trying again", "connection failed, giving up" and "closed" are the states;
//! what is lost, dropped, given up or refused is a warning. Payloads, passwords and authentication data are never logged.
//!
//! # Features
//!
//! None is on by default; any go together.
//!
//! `tls`: `mqtts://` by rustls, see [`transport`]. The cryptography is the process's choice, or that of `tls-ring`
//! or `tls-aws-lc`, which need a C compiler.
//!
//! `tls-psk`: TLS with a pre-shared key, by OpenSSL; needs its headers.
//!
//! `websocket`: `ws://`, and with one of those above `wss://`.
//!
//! `proxy`: SOCKS5, and HTTP's CONNECT.
//!
//! `metrics`: what a client counts, through the facade of that name.
//!
//! `scram`: enhanced authentication by SCRAM-SHA-256.
//!
//! `serde`: messages as JSON.
//!
//! `redb`: durable sessions in an embedded database, beside those in a log file.
//!
//! `tape`: what went into the machine, in a file, to be replayed.
//!
//! `testkit`: links in memory, a broker in the process, a scripted one; for tests and demonstrations.

mod answer;
pub mod authentication;
pub mod blocking;
mod client;
mod contain;
mod deadline;
mod delivery;
#[cfg(any(feature = "tape", feature = "testkit"))]
mod describe;
mod driver;
mod error;
mod machine;
mod message;
#[cfg(feature = "metrics")]
pub mod metrics;
pub mod one_shot;
mod options;
mod payload;
mod publish;
mod publishing;
mod random;
mod request;
mod router;
mod said;
mod state;
mod statistics;
mod status;
mod storage;
pub mod store;
mod subscribe;
mod subscription;
#[cfg(feature = "tape")]
pub mod tape;
#[cfg(feature = "testkit")]
pub mod testkit;
pub mod transport;
mod unsubscribe;

pub use answer::Answer;
pub use client::{Client, Run, Shutdown};
pub use delivery::{Acknowledge, Stale, WhenFull};
pub use error::{Error, InvalidUrl, ProviderError};
pub use message::Message;
pub use mqtt_core::{
    Backoff, CleanStart, ConnectionError, ErrorClass, Fallback, InvalidTopicFilter, InvalidTopicName, Loss, Outcome,
    PacketIdentifier, Properties, Property, ProtocolVersion, QoS, ReasonCode, RetainHandling, ServerLimits,
    TopicAliasUse, TopicFilter, TopicName, UsageError,
};
pub use options::{
    Credentials, CredentialsError, CredentialsProvider, CredentialsRequest, FetchingCredentials, IntoOptions, Options,
    Overflow, Redirects, Will,
};
pub use payload::{Opening, PayloadFile, PayloadReader, PayloadSource, Source};
pub use publish::{Delivered, Publish, Receipt};
pub use publishing::Publishing;
pub use request::{Request, RequestStatistics, Requests, StartRequests};
pub use router::{
    AsRoute, Captures, Handled, HandlerError, InvalidPattern, InvalidPatternReason, OnFailure, Reply, Router,
    RouterStatistics, Routing,
};
pub use statistics::{Histogram, Statistics, Traffic};
pub use status::{Accepted, Cause, Explanation, Status};
pub use subscribe::Subscribe;
pub use subscription::Subscription;
pub use unsubscribe::Unsubscribe;

/// The README's examples are tested too.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
