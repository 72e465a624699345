//! An MQTT client as a state machine, for MQTT 5.0, 3.1.1 and 3.1: `no_std`, no allocation, no I/O, no clock.
//!
//! * **Packets.** [`Packet`] and its kin are borrowed from the bytes they came from; both sides of every packet are here.
//!   [`Framing`] and [`Frames`] find packets in a stream.
//! * **The machine.** [`Machine`] owns a [`Session`], one [`Connection`] after another, and a [`SubscriptionList`]. Bytes and the
//!   time go in; bytes, events and the next deadline come out.
//! * **Memory** is lent: [`ArrayStorage`], [`ArrayAliases`], [`ArraySubscriptions`], or types of your own behind the traits
//!   [`Storage`], [`Aliases`], [`SubscriptionList`]. [`session_size`] and [`connection_size`] say what they take.
//! * **Durability** is a log of [`Record`]s.
//! * **Policy**: [`Backoff`], [`Fallback`].
//!
//! Most applications want `mqtt-std` or `mqtt-embedded`, the adapters to sockets. This is how one works:
//!
//! ```
//! use mqtt_core::*;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut machine = Machine::new(ArrayStorage::<8, 8, 1024>::new());
//! let mut out = [0; 256];
//! let now = Instant::from_millis(0);
//! let len = machine.connect(now, &ConnectOptions::new("pump-7"), &mut out)?;
//! // ... send out[..len], then:
//! machine.transmitted(now, len);
//!
//! // What arrives goes through framing; here a CONNACK.
//! let mut buffer = [0; 512];
//! let mut frames = Frames::new(&mut buffer, ProtocolVersion::V5_0);
//! let connack = [0x20, 3, 0, 0, 0];
//! frames.space()[..connack.len()].copy_from_slice(&connack);
//! frames.filled(connack.len());
//! machine.bytes_received(now);
//! while let Some(input) = frames.next()? {
//!     if let Some(Event::Connected(connected)) = machine.receive(now, input)? {
//!         assert!(!connected.session_present);
//!     }
//! }
//! while let Some(transmit) = machine.poll_transmit(now, &mut out)? {
//!     // ... send out[..transmit.head_len] and the payload, then call `transmitted`
//! }
//! // Wait for bytes, for a command, or for the deadline: PINGREQ is due then, or the link is dead.
//! let deadline = machine.poll_timeout().expect("Keep Alive is on");
//! machine.handle_timeout(deadline)?;
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! `v5`, `v3` (3.1.1 and 3.1), `qos2`, `streaming`, `alias` and `auth` (enhanced authentication) are on by default; without one,
//! its code is not in the image and what needs it is a typed error. `defmt` and `log` are off by default.

#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(test)]
extern crate std;

mod codec;
mod connection;
mod correlation;
mod error;
#[cfg(feature = "defmt")]
mod format;
mod machine;
mod maybe;
mod options;
mod packet;
mod property;
mod reconnect;
mod request;
mod rivalry;
mod session;
mod subscription_list;
mod suspicion;
mod time;
mod trace;
mod types;
mod version;

pub use codec::bytes::{move_to_front, put};
pub use codec::framing::{Frames, Framing, Input};
pub use connection::{
    Aliases, ArrayAliases, Connected, Connection, ConnectionError, Event, Message, NoAliases, ProtocolError,
    ReceiveError, ServerLimits, Transmit, TransmitPayload, UsageError,
};
pub use correlation::{AnswerTo, RequestKey};
pub use error::{DecodeError, EncodeError};
pub use machine::{Machine, connection_size, session_size};
pub use options::{Acknowledge, CleanStart, ConnectOptions};
pub use packet::{
    Ack, AckKind, Auth, Connack, Connect, Delivery, Disconnect, Packet, PacketType, Publish, RetainHandling, Sender,
    Suback, Subscribe, Subscription, SubscriptionOptions, Subscriptions, TopicFilters, Unsuback, Unsubscribe, Will,
};
pub use property::{Properties, PropertiesIter, Property, PropertyIdentifier};
pub use reconnect::{Attempt, Backoff, ErrorClass, Fallback, GeneratedClientIdentifier, Loss};
pub use request::{Body, Payload, PublishRequest, SubscribeRequest, TopicAliasUse, UnsubscribeRequest};
pub use rivalry::Rivalry;
pub use session::{
    Acknowledgement, ArrayStorage, ArrayTable, Arrival, Command, CommandOutcome, DeliveryNumber, Exchange, Outcome,
    Record, RecordTicket, RecordedMessage, Session, Storage, StorageFull, Table,
};
pub use subscription_list::{ArraySubscriptions, NoSubscriptions, Renewal, SubscriptionList};
pub use suspicion::Suspicion;
pub use time::Instant;
pub use types::{
    InvalidTopicFilter, InvalidTopicName, PacketIdentifier, QoS, ReasonCode, ReasonCodes, TopicFilter, TopicName,
};
pub use version::ProtocolVersion;
