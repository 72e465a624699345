//! One property with its value.

use super::PropertyIdentifier;
use super::identifier::Shape;
use crate::codec::reader::Reader;
use crate::codec::variable_byte_integer;
use crate::codec::writer::{Measure, Writer};
use crate::error::{DecodeError, EncodeError};
use crate::types::TopicName;

/// A property and its value, MQTT 5.0 §2.2.2.2.
///
/// Values that only some numbers are allowed for (a boolean as a byte, an identifier that is not 0) are checked when the
/// property is decoded and when it is encoded.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
#[repr(u8)] // the numbers on the wire, so that `identifier` costs nothing
pub enum Property<'a> {
    /// Payload Format Indicator: 0 or 1. Absent: 0 (unspecified bytes).
    PayloadFormatIndicator(u8) = 0x01,
    /// Message Expiry Interval: in seconds. Absent: message does not expire.
    MessageExpiryInterval(u32) = 0x02,
    /// Content Type: any text. Absent: none.
    ContentType(&'a str) = 0x03,
    /// Response Topic: topic name without wildcards. Absent: not a request.
    ResponseTopic(&'a str) = 0x08,
    /// Correlation Data: any bytes. Absent: none.
    CorrelationData(&'a [u8]) = 0x09,
    /// Subscription Identifier: 1..268435455; 0 is a Protocol Error; not allowed in PUBLISH from client. Absent: no identifier.
    SubscriptionIdentifier(u32) = 0x0B,
    /// Session Expiry Interval: seconds; 0xFFFFFFFF never expires; DISCONNECT from client only, and non-zero only if CONNECT was non-zero. Absent: CONNECT: 0 (session ends with the connection); CONNACK and DISCONNECT: the value in CONNECT holds.
    SessionExpiryInterval(u32) = 0x11,
    /// Assigned Client Identifier: required when CONNECT had an empty identifier. Absent: the identifier in CONNECT holds.
    AssignedClientIdentifier(&'a str) = 0x12,
    /// Server Keep Alive: in seconds. Absent: the keep alive in CONNECT holds.
    ServerKeepAlive(u16) = 0x13,
    /// Authentication Method: same method all through a connection. Absent: CONNECT: no enhanced authentication; AUTH: Protocol Error.
    AuthenticationMethod(&'a str) = 0x15,
    /// Authentication Data: Protocol Error in CONNECT without Authentication Method. Absent: none.
    AuthenticationData(&'a [u8]) = 0x16,
    /// Request Problem Information: 0 or 1, else Protocol Error. Absent: 1.
    RequestProblemInformation(u8) = 0x17,
    /// Will Delay Interval: in seconds. Absent: 0 (no delay).
    WillDelayInterval(u32) = 0x18,
    /// Request Response Information: 0 or 1, else Protocol Error. Absent: 0.
    RequestResponseInformation(u8) = 0x19,
    /// Response Information: only if Request Response Information was 1. Absent: none.
    ResponseInformation(&'a str) = 0x1A,
    /// Server Reference: DISCONNECT from server only. Absent: none.
    ServerReference(&'a str) = 0x1C,
    /// Reason String: diagnostic text. Absent: none.
    ReasonString(&'a str) = 0x1F,
    /// Receive Maximum: 1..65535; 0 is a Protocol Error. Absent: 65535.
    ReceiveMaximum(u16) = 0x21,
    /// Topic Alias Maximum: 0..65535. Absent: 0 (no aliases).
    TopicAliasMaximum(u16) = 0x22,
    /// Topic Alias: 1..the receiver's Topic Alias Maximum; otherwise a Protocol Error (0x94). Absent: no alias.
    TopicAlias(u16) = 0x23,
    /// Maximum QoS: 0 or 1, else Protocol Error (2 is expressed by absence). Absent: 2.
    MaximumQoS(u8) = 0x24,
    /// Retain Available: 0 or 1, else Protocol Error. Absent: 1.
    RetainAvailable(u8) = 0x25,
    /// User Property: order kept; the same name may recur. Absent: none.
    UserProperty(&'a str, &'a str) = 0x26,
    /// Maximum Packet Size: 1..4294967295; 0 is a Protocol Error. Absent: no limit but the protocol's own.
    MaximumPacketSize(u32) = 0x27,
    /// Wildcard Subscription Available: 0 or 1, else Protocol Error. Absent: 1.
    WildcardSubscriptionAvailable(u8) = 0x28,
    /// Subscription Identifier Available: 0 or 1, else Protocol Error. Absent: 1.
    SubscriptionIdentifierAvailable(u8) = 0x29,
    /// Shared Subscription Available: 0 or 1, else Protocol Error. Absent: 1.
    SharedSubscriptionAvailable(u8) = 0x2A,
}

/// A value, whatever property it belongs to, §1.5.
pub(super) enum Value<'a> {
    Byte(u8),
    TwoByte(u16),
    FourByte(u32),
    Variable(u32),
    Text(&'a str),
    Binary(&'a [u8]),
    Pair(&'a str, &'a str),
}

/// A property of a block that was checked, whatever its type: a number, or bytes; of a pair the second text.
pub(crate) struct Raw<'a> {
    pub(crate) identifier: PropertyIdentifier,
    pub(crate) number: u32,
    pub(crate) bytes: &'a [u8],
}

impl<'a> Raw<'a> {
    /// Reads the next property; `None` at the end of the block.
    #[cfg_attr(target_os = "none", inline(never))]
    pub(super) fn read(reader: &mut Reader<'a>) -> Option<Self> {
        let identifier = PropertyIdentifier::from_u8(reader.u8())?;
        let (mut number, mut bytes) = (0, [].as_slice());
        match identifier.shape() {
            Shape::Boolean => number = u32::from(reader.u8()),
            Shape::TwoByte | Shape::TwoByteNotZero => number = u32::from(reader.u16()),
            Shape::FourByte | Shape::FourByteNotZero => number = reader.u32(),
            Shape::VariableNotZero => number = reader.variable_byte_integer(),
            Shape::Text | Shape::TopicName | Shape::Binary => bytes = reader.binary(),
            Shape::Pair => {
                reader.binary();
                bytes = reader.binary();
            }
        }
        Some(Self { identifier, number, bytes })
    }

    /// The text that it was when it was checked.
    pub(crate) fn text(&self) -> &'a str {
        core::str::from_utf8(self.bytes).unwrap_or("")
    }
}

impl<'a> Property<'a> {
    pub(super) fn raw(&self) -> Raw<'a> {
        let (number, bytes) = match self.value() {
            Value::Byte(value) => (u32::from(value), [].as_slice()),
            Value::TwoByte(value) => (u32::from(value), [].as_slice()),
            Value::FourByte(value) | Value::Variable(value) => (value, [].as_slice()),
            Value::Text(text) | Value::Pair(_, text) => (0, text.as_bytes()),
            Value::Binary(bytes) => (0, bytes),
        };
        Raw { identifier: self.identifier(), number, bytes }
    }

    /// Which property it is.
    #[inline]
    #[must_use]
    pub const fn identifier(&self) -> PropertyIdentifier {
        use PropertyIdentifier as I;
        match self {
            Self::PayloadFormatIndicator(..) => I::PayloadFormatIndicator,
            Self::MessageExpiryInterval(..) => I::MessageExpiryInterval,
            Self::ContentType(..) => I::ContentType,
            Self::ResponseTopic(..) => I::ResponseTopic,
            Self::CorrelationData(..) => I::CorrelationData,
            Self::SubscriptionIdentifier(..) => I::SubscriptionIdentifier,
            Self::SessionExpiryInterval(..) => I::SessionExpiryInterval,
            Self::AssignedClientIdentifier(..) => I::AssignedClientIdentifier,
            Self::ServerKeepAlive(..) => I::ServerKeepAlive,
            Self::AuthenticationMethod(..) => I::AuthenticationMethod,
            Self::AuthenticationData(..) => I::AuthenticationData,
            Self::RequestProblemInformation(..) => I::RequestProblemInformation,
            Self::WillDelayInterval(..) => I::WillDelayInterval,
            Self::RequestResponseInformation(..) => I::RequestResponseInformation,
            Self::ResponseInformation(..) => I::ResponseInformation,
            Self::ServerReference(..) => I::ServerReference,
            Self::ReasonString(..) => I::ReasonString,
            Self::ReceiveMaximum(..) => I::ReceiveMaximum,
            Self::TopicAliasMaximum(..) => I::TopicAliasMaximum,
            Self::TopicAlias(..) => I::TopicAlias,
            Self::MaximumQoS(..) => I::MaximumQoS,
            Self::RetainAvailable(..) => I::RetainAvailable,
            Self::UserProperty(..) => I::UserProperty,
            Self::MaximumPacketSize(..) => I::MaximumPacketSize,
            Self::WildcardSubscriptionAvailable(..) => I::WildcardSubscriptionAvailable,
            Self::SubscriptionIdentifierAvailable(..) => I::SubscriptionIdentifierAvailable,
            Self::SharedSubscriptionAvailable(..) => I::SharedSubscriptionAvailable,
        }
    }

    #[inline]
    pub(super) const fn value(&self) -> Value<'a> {
        match *self {
            Self::PayloadFormatIndicator(value)
            | Self::RequestProblemInformation(value)
            | Self::RequestResponseInformation(value)
            | Self::MaximumQoS(value)
            | Self::RetainAvailable(value)
            | Self::WildcardSubscriptionAvailable(value)
            | Self::SubscriptionIdentifierAvailable(value)
            | Self::SharedSubscriptionAvailable(value) => Value::Byte(value),
            Self::ServerKeepAlive(value)
            | Self::ReceiveMaximum(value)
            | Self::TopicAliasMaximum(value)
            | Self::TopicAlias(value) => Value::TwoByte(value),
            Self::MessageExpiryInterval(value)
            | Self::SessionExpiryInterval(value)
            | Self::WillDelayInterval(value)
            | Self::MaximumPacketSize(value) => Value::FourByte(value),
            Self::SubscriptionIdentifier(value) => Value::Variable(value),
            Self::ContentType(value)
            | Self::ResponseTopic(value)
            | Self::AssignedClientIdentifier(value)
            | Self::AuthenticationMethod(value)
            | Self::ResponseInformation(value)
            | Self::ServerReference(value)
            | Self::ReasonString(value) => Value::Text(value),
            Self::CorrelationData(value) | Self::AuthenticationData(value) => Value::Binary(value),
            Self::UserProperty(name, value) => Value::Pair(name, value),
        }
    }

    /// Reads past a value, and checks it.
    #[inline]
    pub(super) fn check(identifier: PropertyIdentifier, reader: &mut Reader<'a>) {
        let in_range = match identifier.shape() {
            Shape::Boolean => reader.u8() <= 1,
            Shape::TwoByte => {
                reader.u16();
                true
            }
            Shape::TwoByteNotZero => reader.u16() != 0,
            Shape::FourByte => {
                reader.u32();
                true
            }
            Shape::FourByteNotZero => reader.u32() != 0,
            Shape::VariableNotZero => reader.variable_byte_integer() != 0,
            // A Response Topic that is no topic comes from another client, by way of a Server that does not look: whoever wants to
            // answer finds it out, and the connection is none the worse.
            Shape::Text | Shape::TopicName => {
                reader.string();
                true
            }
            Shape::Binary => {
                reader.binary();
                true
            }
            Shape::Pair => {
                reader.string();
                reader.string();
                true
            }
        };
        reader.check(in_range, DecodeError::PropertyValue(identifier));
    }

    /// Reads a value that was checked before.
    pub(super) fn read(identifier: PropertyIdentifier, reader: &mut Reader<'a>) -> Self {
        use PropertyIdentifier as I;
        match identifier {
            I::PayloadFormatIndicator => Self::PayloadFormatIndicator(reader.u8()),
            I::MessageExpiryInterval => Self::MessageExpiryInterval(reader.u32()),
            I::ContentType => Self::ContentType(reader.checked_string()),
            I::ResponseTopic => Self::ResponseTopic(reader.checked_string()),
            I::CorrelationData => Self::CorrelationData(reader.binary()),
            I::SubscriptionIdentifier => Self::SubscriptionIdentifier(reader.variable_byte_integer()),
            I::SessionExpiryInterval => Self::SessionExpiryInterval(reader.u32()),
            I::AssignedClientIdentifier => Self::AssignedClientIdentifier(reader.checked_string()),
            I::ServerKeepAlive => Self::ServerKeepAlive(reader.u16()),
            I::AuthenticationMethod => Self::AuthenticationMethod(reader.checked_string()),
            I::AuthenticationData => Self::AuthenticationData(reader.binary()),
            I::RequestProblemInformation => Self::RequestProblemInformation(reader.u8()),
            I::WillDelayInterval => Self::WillDelayInterval(reader.u32()),
            I::RequestResponseInformation => Self::RequestResponseInformation(reader.u8()),
            I::ResponseInformation => Self::ResponseInformation(reader.checked_string()),
            I::ServerReference => Self::ServerReference(reader.checked_string()),
            I::ReasonString => Self::ReasonString(reader.checked_string()),
            I::ReceiveMaximum => Self::ReceiveMaximum(reader.u16()),
            I::TopicAliasMaximum => Self::TopicAliasMaximum(reader.u16()),
            I::TopicAlias => Self::TopicAlias(reader.u16()),
            I::MaximumQoS => Self::MaximumQoS(reader.u8()),
            I::RetainAvailable => Self::RetainAvailable(reader.u8()),
            I::UserProperty => Self::UserProperty(reader.checked_string(), reader.checked_string()),
            I::MaximumPacketSize => Self::MaximumPacketSize(reader.u32()),
            I::WildcardSubscriptionAvailable => Self::WildcardSubscriptionAvailable(reader.u8()),
            I::SubscriptionIdentifierAvailable => Self::SubscriptionIdentifierAvailable(reader.u8()),
            I::SharedSubscriptionAvailable => Self::SharedSubscriptionAvailable(reader.u8()),
        }
    }

    /// Adds what the property takes on the wire, and checks it: its identifier is one byte.
    #[inline(always)] // the one caller is a loop: a call costs as much as the work
    pub(super) fn measure(&self, measure: &mut Measure) {
        let identifier = self.identifier();
        measure.add(1);
        let in_range = match self.value() {
            Value::Byte(value) => {
                measure.add(1);
                value <= 1
            }
            Value::TwoByte(value) => {
                measure.add(2);
                value != 0 || matches!(identifier.shape(), Shape::TwoByte)
            }
            Value::FourByte(value) => {
                measure.add(4);
                value != 0 || matches!(identifier.shape(), Shape::FourByte)
            }
            Value::Variable(value) => {
                measure.add(variable_byte_integer::encoded_len(value));
                value != 0 && value <= variable_byte_integer::MAX
            }
            // What is a Topic Name has no U+0000 either: one search is enough.
            Value::Text(text) if matches!(identifier.shape(), Shape::TopicName) => {
                measure.binary(text.as_bytes());
                TopicName::new(text).is_ok()
            }
            Value::Text(text) => {
                measure.string(text);
                true
            }
            Value::Binary(bytes) => {
                measure.binary(bytes);
                true
            }
            Value::Pair(name, value) => {
                measure.string(name);
                measure.string(value);
                true
            }
        };
        measure.check(in_range, EncodeError::PropertyValue(identifier));
    }

    #[inline(always)] // the one caller is a loop: a call costs as much as the work
    pub(super) fn write(&self, writer: &mut Writer<'_>) {
        writer.u8(self.identifier() as u8);
        match self.value() {
            Value::Byte(value) => writer.u8(value),
            Value::TwoByte(value) => writer.u16(value),
            Value::FourByte(value) => writer.u32(value),
            Value::Variable(value) => writer.variable_byte_integer(value),
            Value::Text(text) => writer.binary(text.as_bytes()),
            Value::Binary(bytes) => writer.binary(bytes),
            Value::Pair(name, value) => {
                writer.binary(name.as_bytes());
                writer.binary(value.as_bytes());
            }
        }
    }
}
