//! The names of the 27 properties and the packets they belong to.

use core::fmt;

use crate::packet::{PacketType, Sender};

/// Which property, MQTT 5.0 §2.2.2.2, Table 2-4.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum PropertyIdentifier {
    /// Payload Format Indicator.
    PayloadFormatIndicator = 0x01,
    /// Message Expiry Interval.
    MessageExpiryInterval = 0x02,
    /// Content Type.
    ContentType = 0x03,
    /// Response Topic.
    ResponseTopic = 0x08,
    /// Correlation Data.
    CorrelationData = 0x09,
    /// Subscription Identifier.
    SubscriptionIdentifier = 0x0B,
    /// Session Expiry Interval.
    SessionExpiryInterval = 0x11,
    /// Assigned Client Identifier.
    AssignedClientIdentifier = 0x12,
    /// Server Keep Alive.
    ServerKeepAlive = 0x13,
    /// Authentication Method.
    AuthenticationMethod = 0x15,
    /// Authentication Data.
    AuthenticationData = 0x16,
    /// Request Problem Information.
    RequestProblemInformation = 0x17,
    /// Will Delay Interval.
    WillDelayInterval = 0x18,
    /// Request Response Information.
    RequestResponseInformation = 0x19,
    /// Response Information.
    ResponseInformation = 0x1A,
    /// Server Reference.
    ServerReference = 0x1C,
    /// Reason String.
    ReasonString = 0x1F,
    /// Receive Maximum.
    ReceiveMaximum = 0x21,
    /// Topic Alias Maximum.
    TopicAliasMaximum = 0x22,
    /// Topic Alias.
    TopicAlias = 0x23,
    /// Maximum QoS.
    MaximumQoS = 0x24,
    /// Retain Available.
    RetainAvailable = 0x25,
    /// User Property.
    UserProperty = 0x26,
    /// Maximum Packet Size.
    MaximumPacketSize = 0x27,
    /// Wildcard Subscription Available.
    WildcardSubscriptionAvailable = 0x28,
    /// Subscription Identifier Available.
    SubscriptionIdentifierAvailable = 0x29,
    /// Shared Subscription Available.
    SharedSubscriptionAvailable = 0x2A,
}

/// What a block of properties belongs to: a packet, or the Will in CONNECT.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Scope {
    Packet(PacketType, Sender),
    Will,
}

/// What a value is on the wire, §1.5, and which values there are.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    /// A byte that is 0 or 1.
    Boolean,
    TwoByte,
    TwoByteNotZero,
    FourByte,
    FourByteNotZero,
    VariableNotZero,
    Text,
    TopicName,
    Binary,
    Pair,
}

impl PropertyIdentifier {
    /// The property with this number on the wire.
    #[must_use]
    pub const fn from_u8(number: u8) -> Option<Self> {
        Some(match number {
            0x01 => Self::PayloadFormatIndicator,
            0x02 => Self::MessageExpiryInterval,
            0x03 => Self::ContentType,
            0x08 => Self::ResponseTopic,
            0x09 => Self::CorrelationData,
            0x0B => Self::SubscriptionIdentifier,
            0x11 => Self::SessionExpiryInterval,
            0x12 => Self::AssignedClientIdentifier,
            0x13 => Self::ServerKeepAlive,
            0x15 => Self::AuthenticationMethod,
            0x16 => Self::AuthenticationData,
            0x17 => Self::RequestProblemInformation,
            0x18 => Self::WillDelayInterval,
            0x19 => Self::RequestResponseInformation,
            0x1A => Self::ResponseInformation,
            0x1C => Self::ServerReference,
            0x1F => Self::ReasonString,
            0x21 => Self::ReceiveMaximum,
            0x22 => Self::TopicAliasMaximum,
            0x23 => Self::TopicAlias,
            0x24 => Self::MaximumQoS,
            0x25 => Self::RetainAvailable,
            0x26 => Self::UserProperty,
            0x27 => Self::MaximumPacketSize,
            0x28 => Self::WildcardSubscriptionAvailable,
            0x29 => Self::SubscriptionIdentifierAvailable,
            0x2A => Self::SharedSubscriptionAvailable,
            _ => return None,
        })
    }

    /// Which packet of which sender may carry which property. MQTT 5.0 §2.2.2.2, Table 2-4, and the sections of DISCONNECT
    /// (§3.14.2.2.2, §3.14.2.2.5) and PUBLISH (§3.3.4); stated nowhere else.
    const fn is_allowed_in(self, scope: Scope) -> bool {
        use PacketType as P;
        let (packet, server) = match scope {
            Scope::Will => return self.is_allowed_in_will(),
            Scope::Packet(packet, sender) => (packet, matches!(sender, Sender::Server)),
        };
        match self {
            Self::PayloadFormatIndicator => matches!(packet, P::Publish),
            Self::MessageExpiryInterval => matches!(packet, P::Publish),
            Self::ContentType => matches!(packet, P::Publish),
            Self::ResponseTopic => matches!(packet, P::Publish),
            Self::CorrelationData => matches!(packet, P::Publish),
            Self::SubscriptionIdentifier => matches!(packet, P::Subscribe) || server && matches!(packet, P::Publish),
            Self::SessionExpiryInterval => {
                matches!(packet, P::Connect | P::Connack) || !server && matches!(packet, P::Disconnect)
            }
            Self::AssignedClientIdentifier => matches!(packet, P::Connack),
            Self::ServerKeepAlive => matches!(packet, P::Connack),
            Self::AuthenticationMethod => matches!(packet, P::Connect | P::Connack | P::Auth),
            Self::AuthenticationData => matches!(packet, P::Connect | P::Connack | P::Auth),
            Self::RequestProblemInformation => matches!(packet, P::Connect),
            Self::WillDelayInterval => false,
            Self::RequestResponseInformation => matches!(packet, P::Connect),
            Self::ResponseInformation => matches!(packet, P::Connack),
            Self::ServerReference => matches!(packet, P::Connack) || server && matches!(packet, P::Disconnect),
            Self::ReasonString => matches!(
                packet,
                P::Connack
                    | P::Puback
                    | P::Pubrec
                    | P::Pubrel
                    | P::Pubcomp
                    | P::Suback
                    | P::Unsuback
                    | P::Disconnect
                    | P::Auth
            ),
            Self::ReceiveMaximum => matches!(packet, P::Connect | P::Connack),
            Self::TopicAliasMaximum => matches!(packet, P::Connect | P::Connack),
            Self::TopicAlias => matches!(packet, P::Publish),
            Self::MaximumQoS => matches!(packet, P::Connack),
            Self::RetainAvailable => matches!(packet, P::Connack),
            Self::UserProperty => !matches!(packet, P::Pingreq | P::Pingresp),
            Self::MaximumPacketSize => matches!(packet, P::Connect | P::Connack),
            Self::WildcardSubscriptionAvailable => matches!(packet, P::Connack),
            Self::SubscriptionIdentifierAvailable => matches!(packet, P::Connack),
            Self::SharedSubscriptionAvailable => matches!(packet, P::Connack),
        }
    }

    /// The type of the value and its range, each from the section of its property; stated nowhere else.
    #[inline]
    pub(super) const fn shape(self) -> Shape {
        match self {
            Self::PayloadFormatIndicator
            | Self::RequestProblemInformation
            | Self::RequestResponseInformation
            | Self::MaximumQoS
            | Self::RetainAvailable
            | Self::WildcardSubscriptionAvailable
            | Self::SubscriptionIdentifierAvailable
            | Self::SharedSubscriptionAvailable => Shape::Boolean,
            Self::ServerKeepAlive | Self::TopicAliasMaximum => Shape::TwoByte,
            Self::ReceiveMaximum | Self::TopicAlias => Shape::TwoByteNotZero,
            Self::MessageExpiryInterval | Self::SessionExpiryInterval | Self::WillDelayInterval => Shape::FourByte,
            Self::MaximumPacketSize => Shape::FourByteNotZero,
            Self::SubscriptionIdentifier => Shape::VariableNotZero,
            Self::ContentType
            | Self::AssignedClientIdentifier
            | Self::AuthenticationMethod
            | Self::ResponseInformation
            | Self::ServerReference
            | Self::ReasonString => Shape::Text,
            Self::ResponseTopic => Shape::TopicName,
            Self::CorrelationData | Self::AuthenticationData => Shape::Binary,
            Self::UserProperty => Shape::Pair,
        }
    }

    /// Only for people: it may be left out, or not be wanted.
    pub(crate) const fn is_diagnostic(self) -> bool {
        matches!(self, Self::ReasonString | Self::UserProperty)
    }

    const fn is_allowed_in_will(self) -> bool {
        matches!(
            self,
            Self::PayloadFormatIndicator
                | Self::MessageExpiryInterval
                | Self::ContentType
                | Self::ResponseTopic
                | Self::CorrelationData
                | Self::WillDelayInterval
                | Self::UserProperty
        )
    }
}

impl Scope {
    /// Which bit of a row of [`ALLOWED`] is asked.
    const fn column(self) -> u16 {
        match self {
            Self::Will => 0,
            Self::Packet(packet, sender) => match (packet, sender) {
                // PINGREQ and PINGRESP have no properties: their columns are for these two.
                (PacketType::Publish, Sender::Server) => PacketType::Pingreq as u16,
                (PacketType::Disconnect, Sender::Server) => PacketType::Pingresp as u16,
                _ => packet as u16,
            },
        }
    }

    /// The properties that may stand here more than once: User Property, and Subscription Identifier in a PUBLISH.
    #[inline]
    pub(crate) const fn may_repeat(self, property: PropertyIdentifier) -> bool {
        match property {
            PropertyIdentifier::UserProperty => true,
            PropertyIdentifier::SubscriptionIdentifier => matches!(self, Self::Packet(PacketType::Publish, _)),
            _ => false,
        }
    }

    /// Tells whether the property may stand here.
    #[inline]
    pub(crate) fn allows(self, property: PropertyIdentifier) -> bool {
        ALLOWED.get(property as usize).is_some_and(|row| row >> self.column() & 1 != 0)
    }
}

/// What the table of [`PropertyIdentifier::is_allowed_in`] says, two bytes a property: only the compiler asks it.
#[allow(clippy::indexing_slicing)] // by the compiler alone
static ALLOWED: [u16; LAST] = {
    let packets = [
        Scope::Will,
        Scope::Packet(PacketType::Connect, Sender::Client),
        Scope::Packet(PacketType::Connack, Sender::Server),
        Scope::Packet(PacketType::Publish, Sender::Client),
        Scope::Packet(PacketType::Publish, Sender::Server),
        Scope::Packet(PacketType::Puback, Sender::Client),
        Scope::Packet(PacketType::Pubrec, Sender::Client),
        Scope::Packet(PacketType::Pubrel, Sender::Client),
        Scope::Packet(PacketType::Pubcomp, Sender::Client),
        Scope::Packet(PacketType::Subscribe, Sender::Client),
        Scope::Packet(PacketType::Suback, Sender::Server),
        Scope::Packet(PacketType::Unsubscribe, Sender::Client),
        Scope::Packet(PacketType::Unsuback, Sender::Server),
        Scope::Packet(PacketType::Disconnect, Sender::Client),
        Scope::Packet(PacketType::Disconnect, Sender::Server),
        Scope::Packet(PacketType::Auth, Sender::Client),
    ];
    let mut rows = [0; LAST];
    let mut number = 0;
    while number < LAST {
        let mut packet = 0;
        while packet < packets.len() {
            if let Some(property) = PropertyIdentifier::from_u8(number as u8) {
                if property.is_allowed_in(packets[packet]) {
                    rows[number] |= 1 << packets[packet].column();
                }
            }
            packet += 1;
        }
        number += 1;
    }
    rows
};

/// Behind the last number.
const LAST: usize = PropertyIdentifier::SharedSubscriptionAvailable as usize + 1;

impl fmt::Display for PropertyIdentifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PayloadFormatIndicator => "payload format indicator",
            Self::MessageExpiryInterval => "message expiry interval",
            Self::ContentType => "content type",
            Self::ResponseTopic => "response topic",
            Self::CorrelationData => "correlation data",
            Self::SubscriptionIdentifier => "subscription identifier",
            Self::SessionExpiryInterval => "session expiry interval",
            Self::AssignedClientIdentifier => "assigned client identifier",
            Self::ServerKeepAlive => "server keep alive",
            Self::AuthenticationMethod => "authentication method",
            Self::AuthenticationData => "authentication data",
            Self::RequestProblemInformation => "request problem information",
            Self::WillDelayInterval => "will delay interval",
            Self::RequestResponseInformation => "request response information",
            Self::ResponseInformation => "response information",
            Self::ServerReference => "server reference",
            Self::ReasonString => "reason string",
            Self::ReceiveMaximum => "receive maximum",
            Self::TopicAliasMaximum => "topic alias maximum",
            Self::TopicAlias => "topic alias",
            Self::MaximumQoS => "maximum QoS",
            Self::RetainAvailable => "retain available",
            Self::UserProperty => "user property",
            Self::MaximumPacketSize => "maximum packet size",
            Self::WildcardSubscriptionAvailable => "wildcard subscription available",
            Self::SubscriptionIdentifierAvailable => "subscription identifier available",
            Self::SharedSubscriptionAvailable => "shared subscription available",
        })
    }
}
