//! What ends a connection, and what a command is refused for.

use core::fmt;

use crate::error::{DecodeError, EncodeError};
use crate::packet::PacketType;
use crate::property::PropertyIdentifier;
use crate::session::StorageFull;
use crate::types::{QoS, ReasonCode};

/// Why a connection is over. The session can be resumed on another one.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ConnectionError {
    /// The Server's bytes cannot be read.
    Decode(DecodeError),
    /// The Server sent what is not allowed now.
    Protocol(ProtocolError),
    /// CONNACK did not arrive in time.
    ConnackTimeout,
    /// PINGREQ had no answer in time: the link is dead.
    PingrespTimeout,
    /// CONNACK refused the connection.
    Refused(ReasonCode),
    /// The Server sent DISCONNECT.
    Disconnected(ReasonCode),
    /// This side sent DISCONNECT.
    Closed,
    /// The transport failed, or the peer closed it.
    TransportLost,
    /// The source of a payload ended early: the packet cannot be finished.
    SourceFailed,
    /// The Server's Maximum Packet Size is too small for an acknowledgement, or for PINGREQ.
    MaximumPacketSizeTooSmall,
}

impl ConnectionError {
    /// The Reason Code of the DISCONNECT that is sent for it in 5.0, §4.13; `None`: none is sent.
    #[must_use]
    pub const fn disconnect_reason(self) -> Option<ReasonCode> {
        match self {
            Self::Decode(error) => Some(error.reason_code()),
            Self::Protocol(error) => Some(error.reason_code()),
            _ => None,
        }
    }
}

impl fmt::Display for ConnectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decode(error) => write!(f, "malformed packet: {error}"),
            Self::Protocol(error) => write!(f, "protocol error: {error}"),
            Self::ConnackTimeout => f.write_str("no CONNACK in time"),
            Self::PingrespTimeout => f.write_str("no PINGRESP in time"),
            Self::Refused(code) => write!(f, "connection refused: {code}"),
            Self::Disconnected(code) => write!(f, "disconnected by the server: {code}"),
            Self::Closed => f.write_str("connection is closed"),
            Self::TransportLost => f.write_str("transport is lost"),
            Self::SourceFailed => f.write_str("source of a payload ended early"),
            Self::MaximumPacketSizeTooSmall => {
                f.write_str("maximum packet size leaves no room for what has to be sent")
            }
        }
    }
}

impl core::error::Error for ConnectionError {}

impl From<DecodeError> for ConnectionError {
    fn from(error: DecodeError) -> Self {
        Self::Decode(error)
    }
}

impl From<ProtocolError> for ConnectionError {
    fn from(error: ProtocolError) -> Self {
        Self::Protocol(error)
    }
}

/// The Server's packet is readable, but not allowed now.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ProtocolError {
    /// Not in this state of the connection: a packet before CONNACK, a second CONNACK.
    UnexpectedPacket(PacketType),
    /// CONNACK says that a session is present where none can be [MQTT-3.2.2-4].
    SessionPresent,
    /// SUBACK or UNSUBACK for no request of this connection.
    UnknownPacketIdentifier,
    /// SUBACK or UNSUBACK has not one Reason Code for each filter [MQTT-3.8.4-6].
    ReasonCodeCount,
    /// The Server sent more than the Receive Maximum allows [MQTT-3.3.4-9].
    ReceiveMaximumExceeded,
    /// A packet is larger than the Maximum Packet Size that CONNECT announced [MQTT-3.1.2-24].
    PacketTooLarge,
    /// A Topic Alias is above the maximum [MQTT-3.1.2-26].
    TopicAliasInvalid,
    /// A PUBLISH has no Topic Name, and its Topic Alias stands for none on this connection (§3.3.4).
    TopicAliasUnknown,
    /// The topic of an alias does not fit into the memory that was lent for aliases.
    TopicAliasTooLong,
    /// A Packet Identifier is in use by a message of another QoS.
    PacketIdentifierInUse,
    /// No Client Identifier was assigned though CONNECT had none [MQTT-3.2.2-16].
    AssignedClientIdentifierMissing,
    /// The Authentication Method is not that of CONNECT [MQTT-4.12.0-5].
    AuthenticationMethod,
    /// AUTH has a Reason Code that does not fit the state [MQTT-4.12.0-2].
    AuthenticationReason,
    /// A property came that CONNECT asked the Server not to send [MQTT-3.1.2-29].
    Unrequested(PropertyIdentifier),
    /// A message at QoS 2 came, and this build has no QoS 2.
    QoSNotSupported,
}

impl ProtocolError {
    /// What a DISCONNECT for this error says, §4.13.
    #[must_use]
    pub const fn reason_code(self) -> ReasonCode {
        match self {
            Self::ReceiveMaximumExceeded => ReasonCode::RECEIVE_MAXIMUM_EXCEEDED,
            Self::PacketTooLarge => ReasonCode::PACKET_TOO_LARGE,
            Self::TopicAliasInvalid => ReasonCode::TOPIC_ALIAS_INVALID,
            Self::TopicAliasTooLong | Self::QoSNotSupported => ReasonCode::IMPLEMENTATION_SPECIFIC_ERROR,
            _ => ReasonCode::PROTOCOL_ERROR,
        }
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnexpectedPacket(packet) => return write!(f, "{packet} is not expected now"),
            Self::SessionPresent => "a session is present that this side knows nothing of",
            Self::UnknownPacketIdentifier => "an answer to no request",
            Self::ReasonCodeCount => "an answer has not one reason code for each filter",
            Self::ReceiveMaximumExceeded => "receive maximum is exceeded",
            Self::PacketTooLarge => "packet is larger than the maximum packet size",
            Self::TopicAliasInvalid => "topic alias is invalid",
            Self::TopicAliasUnknown => "topic alias stands for no topic",
            Self::TopicAliasTooLong => "topic of an alias does not fit into the memory for it",
            Self::PacketIdentifierInUse => "packet identifier is in use for another QoS",
            Self::AssignedClientIdentifierMissing => "no client identifier was assigned",
            Self::AuthenticationMethod => "authentication method is not that of the connection",
            Self::AuthenticationReason => "reason code does not fit the authentication",
            Self::Unrequested(property) => return write!(f, "{property} was not asked for"),
            Self::QoSNotSupported => "this build has no QoS 2",
        })
    }
}

impl core::error::Error for ProtocolError {}

/// A command cannot be done; the connection and all else are as before.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum UsageError {
    /// There is no connection, or CONNACK is not there yet.
    NotConnected,
    /// The connection is over.
    ConnectionClosed(ConnectionError),
    /// The connection was begun before.
    AlreadyConnected,
    /// As many exchanges are in flight as the storage or the Packet Identifiers allow; room is made by outcomes.
    InFlightFull,
    /// The message does not fit into the storage now.
    StorageFull(StorageFull),
    /// It cannot be encoded.
    Encode(EncodeError),
    /// The Server's Maximum QoS is lower [MQTT-3.2.2-11].
    QoSNotSupported {
        /// The Server's Maximum QoS.
        maximum: QoS,
    },
    /// The Server keeps no messages [MQTT-3.2.2-14].
    RetainNotSupported,
    /// The Server has no wildcard subscriptions, 5.0 §3.2.2.3.11.
    WildcardSubscriptionsNotSupported,
    /// The Server has no Subscription Identifiers, 5.0 §3.2.2.3.12.
    SubscriptionIdentifiersNotSupported,
    /// The Server has no shared subscriptions, 5.0 §3.2.2.3.13.
    SharedSubscriptionsNotSupported,
    /// The packet is larger than the Server's Maximum Packet Size [MQTT-3.2.2-15].
    PacketTooLarge {
        /// Bytes of the packet.
        needed: u32,
        /// The Server's Maximum Packet Size.
        maximum: u32,
    },
    /// The alias is 0 or above the Server's Topic Alias Maximum [MQTT-3.2.2-17].
    TopicAliasNotSupported {
        /// The Server's Topic Alias Maximum.
        maximum: u16,
    },
    /// The protocol version cannot say it.
    NotInVersion,
    /// The build has not this feature.
    FeatureAbsent,
    /// A Client Identifier that the version does not allow: empty with a kept session (3.1.1), not of 1 to 23 characters
    /// (3.1).
    ClientIdentifier,
    /// The Receive Maximum is 0 or above what the storage holds.
    ReceiveMaximum {
        /// What the storage holds.
        capacity: u16,
    },
    /// CONNECT had no Authentication Method [MQTT-4.12.0-7], or there is no challenge to answer.
    NoAuthentication,
    /// A QoS 0 message needs no storage and has no outcome: it has a call of its own; the others have not.
    WrongQoS,
    /// The token was used, the message came again, or the session is another one.
    Stale,
    /// The message was acknowledged when it was recorded: it cannot be refused.
    AlreadyAcknowledged,
    /// The record of the call before was not polled.
    RecordPending,
    /// The list of subscriptions to renew is full.
    SubscriptionsFull,
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotConnected => "not connected",
            Self::ConnectionClosed(error) => return error.fmt(f),
            Self::AlreadyConnected => "connection was begun before",
            Self::InFlightFull => "too many exchanges are in flight",
            Self::StorageFull(full) => return full.fmt(f),
            Self::Encode(error) => return error.fmt(f),
            Self::QoSNotSupported { maximum } => {
                return write!(f, "server supports QoS up to {} only", *maximum as u8);
            }
            Self::RetainNotSupported => "server keeps no retained messages",
            Self::WildcardSubscriptionsNotSupported => "server has no wildcard subscriptions",
            Self::SubscriptionIdentifiersNotSupported => "server has no subscription identifiers",
            Self::SharedSubscriptionsNotSupported => "server has no shared subscriptions",
            Self::PacketTooLarge { needed, maximum } => {
                return write!(f, "packet of {needed} bytes is above the server's maximum of {maximum}");
            }
            Self::TopicAliasNotSupported { maximum } => {
                return write!(f, "server's topic alias maximum is {maximum}");
            }
            Self::NotInVersion => "this protocol version cannot say that",
            Self::FeatureAbsent => "this build has not that feature",
            Self::ClientIdentifier => "client identifier is not allowed in this protocol version",
            Self::ReceiveMaximum { capacity } => {
                return write!(f, "receive maximum is not between 1 and {capacity}, which the storage holds");
            }
            Self::NoAuthentication => "no enhanced authentication is under way",
            Self::WrongQoS => "call is for another QoS",
            Self::Stale => "acknowledgement is stale",
            Self::AlreadyAcknowledged => "message was acknowledged when it was recorded",
            Self::RecordPending => "record of the call before was not polled",
            Self::SubscriptionsFull => "list of subscriptions is full",
        })
    }
}

impl core::error::Error for UsageError {}
