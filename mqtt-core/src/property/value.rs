//! One property with its value.

use super::PropertyIdentifier;
use crate::codec::reader::Reader;
use crate::codec::variable_byte_integer;
use crate::codec::writer::{Measure, Writer};
use crate::error::{DecodeError, EncodeError};
use crate::types::TopicName;

/// A property and its value, MQTT 5.0 §2.2.2.2.
///
/// Values that only some numbers are allowed for (a boolean as a byte, an identifier that is not 0) are checked when the
/// property is decoded and when it is encoded.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Property<'a> {
    /// Payload Format Indicator: 0 or 1. Absent: 0 (unspecified bytes).
    PayloadFormatIndicator(u8),
    /// Message Expiry Interval: in seconds. Absent: message does not expire.
    MessageExpiryInterval(u32),
    /// Content Type: any text. Absent: none.
    ContentType(&'a str),
    /// Response Topic: topic name without wildcards. Absent: not a request.
    ResponseTopic(&'a str),
    /// Correlation Data: any bytes. Absent: none.
    CorrelationData(&'a [u8]),
    /// Subscription Identifier: 1..268435455; 0 is a Protocol Error; not allowed in PUBLISH from client. Absent: no identifier.
    SubscriptionIdentifier(u32),
    /// Session Expiry Interval: seconds; 0xFFFFFFFF never expires; DISCONNECT from client only, and non-zero only if CONNECT was non-zero. Absent: CONNECT: 0 (session ends with the connection); CONNACK and DISCONNECT: the value in CONNECT holds.
    SessionExpiryInterval(u32),
    /// Assigned Client Identifier: required when CONNECT had an empty identifier. Absent: the identifier in CONNECT holds.
    AssignedClientIdentifier(&'a str),
    /// Server Keep Alive: in seconds. Absent: the keep alive in CONNECT holds.
    ServerKeepAlive(u16),
    /// Authentication Method: same method all through a connection. Absent: CONNECT: no enhanced authentication; AUTH: Protocol Error.
    AuthenticationMethod(&'a str),
    /// Authentication Data: Protocol Error in CONNECT without Authentication Method. Absent: none.
    AuthenticationData(&'a [u8]),
    /// Request Problem Information: 0 or 1, else Protocol Error. Absent: 1.
    RequestProblemInformation(u8),
    /// Will Delay Interval: in seconds. Absent: 0 (no delay).
    WillDelayInterval(u32),
    /// Request Response Information: 0 or 1, else Protocol Error. Absent: 0.
    RequestResponseInformation(u8),
    /// Response Information: only if Request Response Information was 1. Absent: none.
    ResponseInformation(&'a str),
    /// Server Reference: DISCONNECT from server only. Absent: none.
    ServerReference(&'a str),
    /// Reason String: diagnostic text. Absent: none.
    ReasonString(&'a str),
    /// Receive Maximum: 1..65535; 0 is a Protocol Error. Absent: 65535.
    ReceiveMaximum(u16),
    /// Topic Alias Maximum: 0..65535. Absent: 0 (no aliases).
    TopicAliasMaximum(u16),
    /// Topic Alias: 1..the receiver's Topic Alias Maximum; otherwise a Protocol Error (0x94). Absent: no alias.
    TopicAlias(u16),
    /// Maximum QoS: 0 or 1, else Protocol Error (2 is expressed by absence). Absent: 2.
    MaximumQoS(u8),
    /// Retain Available: 0 or 1, else Protocol Error. Absent: 1.
    RetainAvailable(u8),
    /// User Property: order kept; the same name may recur. Absent: none.
    UserProperty(&'a str, &'a str),
    /// Maximum Packet Size: 1..4294967295; 0 is a Protocol Error. Absent: no limit but the protocol's own.
    MaximumPacketSize(u32),
    /// Wildcard Subscription Available: 0 or 1, else Protocol Error. Absent: 1.
    WildcardSubscriptionAvailable(u8),
    /// Subscription Identifier Available: 0 or 1, else Protocol Error. Absent: 1.
    SubscriptionIdentifierAvailable(u8),
    /// Shared Subscription Available: 0 or 1, else Protocol Error. Absent: 1.
    SharedSubscriptionAvailable(u8),
}

/// The shapes a value has on the wire, §1.5.
enum Value<'a> {
    Byte(u8),
    TwoByte(u16),
    FourByte(u32),
    Variable(u32),
    Text(&'a str),
    Binary(&'a [u8]),
    Pair(&'a str, &'a str),
}

impl<'a> Property<'a> {
    /// Which property it is.
    #[must_use]
    pub const fn identifier(self) -> PropertyIdentifier {
        self.parts().0
    }

    #[inline]
    const fn parts(self) -> (PropertyIdentifier, Value<'a>) {
        use PropertyIdentifier as I;
        match self {
            Self::PayloadFormatIndicator(value) => (I::PayloadFormatIndicator, Value::Byte(value)),
            Self::MessageExpiryInterval(value) => (I::MessageExpiryInterval, Value::FourByte(value)),
            Self::ContentType(value) => (I::ContentType, Value::Text(value)),
            Self::ResponseTopic(value) => (I::ResponseTopic, Value::Text(value)),
            Self::CorrelationData(value) => (I::CorrelationData, Value::Binary(value)),
            Self::SubscriptionIdentifier(value) => (I::SubscriptionIdentifier, Value::Variable(value)),
            Self::SessionExpiryInterval(value) => (I::SessionExpiryInterval, Value::FourByte(value)),
            Self::AssignedClientIdentifier(value) => (I::AssignedClientIdentifier, Value::Text(value)),
            Self::ServerKeepAlive(value) => (I::ServerKeepAlive, Value::TwoByte(value)),
            Self::AuthenticationMethod(value) => (I::AuthenticationMethod, Value::Text(value)),
            Self::AuthenticationData(value) => (I::AuthenticationData, Value::Binary(value)),
            Self::RequestProblemInformation(value) => (I::RequestProblemInformation, Value::Byte(value)),
            Self::WillDelayInterval(value) => (I::WillDelayInterval, Value::FourByte(value)),
            Self::RequestResponseInformation(value) => (I::RequestResponseInformation, Value::Byte(value)),
            Self::ResponseInformation(value) => (I::ResponseInformation, Value::Text(value)),
            Self::ServerReference(value) => (I::ServerReference, Value::Text(value)),
            Self::ReasonString(value) => (I::ReasonString, Value::Text(value)),
            Self::ReceiveMaximum(value) => (I::ReceiveMaximum, Value::TwoByte(value)),
            Self::TopicAliasMaximum(value) => (I::TopicAliasMaximum, Value::TwoByte(value)),
            Self::TopicAlias(value) => (I::TopicAlias, Value::TwoByte(value)),
            Self::MaximumQoS(value) => (I::MaximumQoS, Value::Byte(value)),
            Self::RetainAvailable(value) => (I::RetainAvailable, Value::Byte(value)),
            Self::UserProperty(name, value) => (I::UserProperty, Value::Pair(name, value)),
            Self::MaximumPacketSize(value) => (I::MaximumPacketSize, Value::FourByte(value)),
            Self::WildcardSubscriptionAvailable(value) => (I::WildcardSubscriptionAvailable, Value::Byte(value)),
            Self::SubscriptionIdentifierAvailable(value) => (I::SubscriptionIdentifierAvailable, Value::Byte(value)),
            Self::SharedSubscriptionAvailable(value) => (I::SharedSubscriptionAvailable, Value::Byte(value)),
        }
    }

    /// Reads the value that belongs to the identifier and checks its range.
    #[inline]
    pub(super) fn decode(identifier: PropertyIdentifier, reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let property = Self::read(identifier, reader)?;
        if property.is_in_range() { Ok(property) } else { Err(DecodeError::PropertyValue(identifier)) }
    }

    fn read(identifier: PropertyIdentifier, reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        use PropertyIdentifier as I;
        Ok(match identifier {
            I::PayloadFormatIndicator => Self::PayloadFormatIndicator(reader.u8()?),
            I::MessageExpiryInterval => Self::MessageExpiryInterval(reader.u32()?),
            I::ContentType => Self::ContentType(reader.string()?),
            I::ResponseTopic => Self::ResponseTopic(reader.string()?),
            I::CorrelationData => Self::CorrelationData(reader.binary()?),
            I::SubscriptionIdentifier => Self::SubscriptionIdentifier(reader.variable_byte_integer()?),
            I::SessionExpiryInterval => Self::SessionExpiryInterval(reader.u32()?),
            I::AssignedClientIdentifier => Self::AssignedClientIdentifier(reader.string()?),
            I::ServerKeepAlive => Self::ServerKeepAlive(reader.u16()?),
            I::AuthenticationMethod => Self::AuthenticationMethod(reader.string()?),
            I::AuthenticationData => Self::AuthenticationData(reader.binary()?),
            I::RequestProblemInformation => Self::RequestProblemInformation(reader.u8()?),
            I::WillDelayInterval => Self::WillDelayInterval(reader.u32()?),
            I::RequestResponseInformation => Self::RequestResponseInformation(reader.u8()?),
            I::ResponseInformation => Self::ResponseInformation(reader.string()?),
            I::ServerReference => Self::ServerReference(reader.string()?),
            I::ReasonString => Self::ReasonString(reader.string()?),
            I::ReceiveMaximum => Self::ReceiveMaximum(reader.u16()?),
            I::TopicAliasMaximum => Self::TopicAliasMaximum(reader.u16()?),
            I::TopicAlias => Self::TopicAlias(reader.u16()?),
            I::MaximumQoS => Self::MaximumQoS(reader.u8()?),
            I::RetainAvailable => Self::RetainAvailable(reader.u8()?),
            I::UserProperty => Self::UserProperty(reader.string()?, reader.string()?),
            I::MaximumPacketSize => Self::MaximumPacketSize(reader.u32()?),
            I::WildcardSubscriptionAvailable => Self::WildcardSubscriptionAvailable(reader.u8()?),
            I::SubscriptionIdentifierAvailable => Self::SubscriptionIdentifierAvailable(reader.u8()?),
            I::SharedSubscriptionAvailable => Self::SharedSubscriptionAvailable(reader.u8()?),
        })
    }

    /// The ranges of `properties` in the standard, each in its property's section.
    const fn is_in_range(self) -> bool {
        match self {
            Self::PayloadFormatIndicator(value)
            | Self::RequestProblemInformation(value)
            | Self::RequestResponseInformation(value)
            | Self::MaximumQoS(value)
            | Self::RetainAvailable(value)
            | Self::WildcardSubscriptionAvailable(value)
            | Self::SubscriptionIdentifierAvailable(value)
            | Self::SharedSubscriptionAvailable(value) => value <= 1,
            Self::SubscriptionIdentifier(value) => value != 0 && value <= variable_byte_integer::MAX,
            Self::MaximumPacketSize(value) => value != 0,
            Self::ReceiveMaximum(value) | Self::TopicAlias(value) => value != 0,
            Self::ResponseTopic(topic) => TopicName::new(topic).is_ok(),
            _ => true,
        }
    }

    /// Adds what the property takes on the wire: its identifier is one byte.
    pub(super) fn measure(self, measure: &mut Measure) -> Result<(), EncodeError> {
        let (identifier, value) = self.parts();
        if !self.is_in_range() {
            return Err(EncodeError::PropertyValue(identifier));
        }
        measure.add(1);
        match value {
            Value::Byte(_) => measure.add(1),
            Value::TwoByte(_) => measure.add(2),
            Value::FourByte(_) => measure.add(4),
            Value::Variable(value) => measure.add(variable_byte_integer::encoded_len(value)),
            Value::Text(text) => measure.string(text)?,
            Value::Binary(bytes) => measure.binary(bytes)?,
            Value::Pair(name, value) => {
                measure.string(name)?;
                measure.string(value)?;
            }
        }
        Ok(())
    }

    /// The bytes it takes on the wire.
    pub(crate) fn encoded_len(self) -> Result<usize, EncodeError> {
        let mut measure = Measure::default();
        self.measure(&mut measure)?;
        Ok(measure.len())
    }

    pub(crate) fn write(self, writer: &mut Writer<'_>) {
        let (identifier, value) = self.parts();
        writer.u8(identifier as u8);
        match value {
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
