//! An MQTT client as a state machine, for MQTT 5.0, 3.1.1 and 3.1: no I/O, no clock, no allocation.

#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(test)]
extern crate std;

mod codec;
mod error;
mod packet;
mod property;
mod time;
mod types;
mod version;

pub use codec::framing::{Frames, Framing, Input};
pub use error::{DecodeError, EncodeError};
pub use packet::{
    Ack, AckKind, Auth, Connack, Connect, Delivery, Disconnect, Packet, PacketType, Publish, RetainHandling, Sender,
    Suback, Subscribe, Subscription, SubscriptionOptions, Subscriptions, TopicFilters, Unsuback, Unsubscribe, Will,
};
pub use property::{Properties, PropertiesIter, Property, PropertyIdentifier};
pub use time::Instant;
pub use types::{
    InvalidTopicFilter, InvalidTopicName, PacketIdentifier, QoS, ReasonCode, ReasonCodes, TopicFilter, TopicName,
};
pub use version::ProtocolVersion;
