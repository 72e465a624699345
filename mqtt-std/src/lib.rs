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
//! Every rule about MQTT is in the core; this crate moves bytes, waits and routes. What it has so far: TCP, publish at every
//! QoS with receipts, bounded streams that push back to the broker, reconnecting with resubscription, wills, sessions.
//!
//! # Features
//!
//! `serde`: messages as JSON.
//! `testkit`: a small broker in the process, for tests and demonstrations.

mod answer;
pub mod blocking;
mod client;
mod delivery;
mod driver;
mod error;
mod message;
pub mod one_shot;
mod options;
mod payload;
mod publish;
mod random;
mod request;
mod router;
mod state;
mod statistics;
mod status;
mod storage;
pub mod store;
mod subscribe;
mod subscription;
#[cfg(feature = "testkit")]
pub mod testkit;
pub mod transport;

pub use answer::Answer;
pub use client::{Client, Run, Shutdown};
pub use delivery::{Acknowledge, Stale, WhenFull};
pub use error::{Error, InvalidUrl};
pub use message::Message;
pub use mqtt_core::{
    Backoff, CleanStart, ConnectionError, ErrorClass, Fallback, Loss, Outcome, Properties, Property, ProtocolVersion,
    QoS, ReasonCode, RetainHandling, TopicAliasUse, UsageError,
};
pub use options::{IntoOptions, Options, Will};
pub use payload::{Opening, PayloadFile, PayloadSource, Source};
pub use publish::{Delivered, Publish, Receipt};
pub use request::{Request, RequestStatistics, Requests, StartRequests};
pub use router::{
    AsRoute, Captures, Handled, HandlerError, InvalidPattern, InvalidPatternReason, Reply, Router, RouterStatistics,
    Routing,
};
pub use statistics::Statistics;
pub use status::{Cause, Status};
pub use subscribe::Subscribe;
pub use subscription::Subscription;

/// The README's examples are tested too.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
