//! Errors of the byte boundary: what cannot be decoded, and what cannot be encoded.
//!
//! Errors of the state machine are beside it: [`ConnectionError`](crate::ConnectionError) and
//! [`UsageError`](crate::UsageError).

use core::fmt;

use crate::packet::PacketType;
use crate::property::PropertyIdentifier;
use crate::types::ReasonCode;

/// The peer's bytes break the standard; the connection cannot go on.
///
/// [`reason_code`](Self::reason_code) tells a Malformed Packet from a Protocol Error, MQTT 5.0 §1.2 and §4.13.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum DecodeError {
    /// The packet ends inside a field.
    UnexpectedEnd,
    /// The packet goes on behind its last field.
    TrailingBytes,
    /// A Variable Byte Integer has more than four bytes, or more than it needs, 5.0 §1.5.5.
    VariableByteInteger,
    /// A string is not well-formed UTF-8, 5.0 §1.5.4.
    InvalidUtf8,
    /// A string has U+0000.
    NullCharacter,
    /// Packet type 0, or AUTH in 3.1.1.
    ReservedPacketType,
    /// Bits of the fixed header are not what the packet type demands, §2.1.3.
    InvalidFlags,
    /// A QoS of 3.
    InvalidQoS,
    /// A Packet Identifier of 0, §2.2.1.
    PacketIdentifierZero,
    /// A Topic Name has a wildcard, or that of a Will is empty.
    InvalidTopicName,
    /// A PUBLISH has neither a Topic Name nor a Topic Alias, 5.0 §3.3.2.1.
    TopicMissing,
    /// A Topic Filter has a misplaced wildcard, is empty, or is a broken shared subscription.
    InvalidTopicFilter,
    /// No property has this number; a larger one is told as 65,535.
    UnknownProperty(u16),
    /// The packet may not carry this property, 5.0 §2.2.2.2.
    PropertyNotAllowed(PropertyIdentifier),
    /// The property may stand only once.
    PropertyRepeated(PropertyIdentifier),
    /// The property's value is out of its range.
    PropertyValue(PropertyIdentifier),
    /// A required property is missing.
    PropertyMissing(PropertyIdentifier),
    /// The packet may not carry this Reason Code, or not from this sender.
    ReasonCodeNotAllowed(ReasonCode),
    /// A 3.1.1 return code outside its table.
    ReturnCodeNotAllowed(u8),
    /// CONNECT has a Protocol Name that is not that of its level.
    InvalidProtocolName,
    /// CONNECT asks for a version that this build does not speak.
    UnsupportedProtocolVersion(u8),
    /// Reserved bits are not zero.
    ReservedBits,
    /// A refusing CONNACK says that a session is present.
    SessionPresentWithFailure,
    /// CONNECT has an empty Client Identifier where its version or Clean Session 0 forbids it, 3.1.1 §3.1.3.1.
    ClientIdentifierEmpty,
    /// SUBSCRIBE, UNSUBSCRIBE, SUBACK or UNSUBACK has no entry.
    EmptyPayload,
    /// Subscription Options ask for a QoS of 3 or a Retain Handling of 3, §3.8.3.1.
    InvalidSubscriptionOptions,
    /// A shared subscription asks for No Local, 5.0 §3.8.3.1.
    NoLocalOnShared,
    /// This side does not send such a packet.
    PacketNotAllowed(PacketType),
    /// The packet does not fit where it must fit; [`Framing::packet_len`](crate::Framing::packet_len) tells its bytes.
    PacketTooLarge,
}

impl DecodeError {
    /// What a DISCONNECT for this error says (MQTT 5.0 §4.13): the only such mapping.
    #[must_use]
    pub const fn reason_code(self) -> ReasonCode {
        match self {
            // §2.2.2.2 and the sections of the properties; §3.8.3.1; §3.3.2.1; §3.2.2.1.1; §4.13
            Self::PropertyRepeated(_)
            | Self::PropertyMissing(_)
            | Self::TopicMissing
            | Self::EmptyPayload
            | Self::InvalidSubscriptionOptions
            | Self::NoLocalOnShared
            | Self::SessionPresentWithFailure
            | Self::ReasonCodeNotAllowed(_)
            | Self::PacketNotAllowed(_) => ReasonCode::PROTOCOL_ERROR,
            Self::PropertyValue(PropertyIdentifier::TopicAlias) => ReasonCode::TOPIC_ALIAS_INVALID, // §3.3.2.3.4
            Self::PropertyValue(_) => ReasonCode::PROTOCOL_ERROR,
            Self::PacketTooLarge => ReasonCode::PACKET_TOO_LARGE, // §3.1.2.11.4
            Self::InvalidTopicName => ReasonCode::TOPIC_NAME_INVALID,
            Self::ClientIdentifierEmpty => ReasonCode::CLIENT_IDENTIFIER_NOT_VALID, // 3.1.1: [MQTT-3.1.3-8]
            Self::UnsupportedProtocolVersion(_) => ReasonCode::UNSUPPORTED_PROTOCOL_VERSION,
            _ => ReasonCode::MALFORMED_PACKET,
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnexpectedEnd => "packet ends inside a field",
            Self::TrailingBytes => "packet goes on behind its last field",
            Self::VariableByteInteger => "variable byte integer is too long",
            Self::InvalidUtf8 => "string is not well-formed UTF-8",
            Self::NullCharacter => "string has a null character",
            Self::ReservedPacketType => "packet type is reserved",
            Self::InvalidFlags => "fixed header flags are wrong for the packet type",
            Self::InvalidQoS => "QoS is 3",
            Self::PacketIdentifierZero => "packet identifier is 0",
            Self::InvalidTopicName => "topic name is invalid",
            Self::TopicMissing => "a PUBLISH has neither a topic name nor a topic alias",
            Self::InvalidTopicFilter => "topic filter is invalid",
            Self::UnknownProperty(number) => return write!(f, "property {number} does not exist"),
            Self::PropertyNotAllowed(property) => return write!(f, "{property} does not belong in this packet"),
            Self::PropertyRepeated(property) => return write!(f, "{property} is repeated"),
            Self::PropertyValue(property) => return write!(f, "{property} is out of range"),
            Self::PropertyMissing(property) => return write!(f, "{property} is missing"),
            Self::ReasonCodeNotAllowed(code) => return write!(f, "reason code does not belong in this packet: {code}"),
            Self::ReturnCodeNotAllowed(code) => return write!(f, "return code {code} is reserved"),
            Self::InvalidProtocolName => "protocol name does not belong to the protocol version",
            Self::UnsupportedProtocolVersion(level) => return write!(f, "protocol version {level} is not supported"),
            Self::ReservedBits => "reserved bits are set",
            Self::SessionPresentWithFailure => "a refusing CONNACK says that a session is present",
            Self::ClientIdentifierEmpty => "client identifier is empty",
            Self::EmptyPayload => "payload has no entry",
            Self::InvalidSubscriptionOptions => "subscription options have a QoS or retain handling of 3",
            Self::NoLocalOnShared => "no local is set for a shared subscription",
            Self::PacketNotAllowed(packet) => return write!(f, "this side does not send {packet}"),
            Self::PacketTooLarge => "packet is too large",
        })
    }
}

impl core::error::Error for DecodeError {}

/// A packet cannot be written as asked; nothing was written.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum EncodeError {
    /// The lent buffer is too small.
    BufferTooSmall {
        /// Bytes that the packet (for a PUBLISH whose payload is sent apart: its head) takes.
        needed: usize,
    },
    /// A string, binary field or list has more than 65,535 bytes.
    FieldTooLong,
    /// The remaining length is above 268,435,455, §2.1.4.
    PacketTooLarge,
    /// A string has U+0000.
    NullCharacter,
    /// The packet may not carry this property, or not from this sender.
    PropertyNotAllowed(PropertyIdentifier),
    /// The property may stand only once.
    PropertyRepeated(PropertyIdentifier),
    /// The property's value is out of its range.
    PropertyValue(PropertyIdentifier),
    /// A required property is missing.
    PropertyMissing(PropertyIdentifier),
    /// The packet may not carry this Reason Code.
    ReasonCodeNotAllowed(ReasonCode),
    /// A refusing CONNACK may not say that a session is present.
    SessionPresentWithFailure,
    /// 3.1.1: an empty Client Identifier needs Clean Session 1. 3.1: it is never empty.
    ClientIdentifierEmpty,
    /// SUBSCRIBE, UNSUBSCRIBE, SUBACK or UNSUBACK needs an entry.
    EmptyPayload,
    /// A shared subscription may not ask for No Local.
    NoLocalOnShared,
    /// A PUBLISH needs a Topic Name or a Topic Alias.
    TopicMissing,
    /// 3.1.1: a password needs a user name.
    PasswordWithoutUserName,
    /// This side does not send such a packet.
    PacketNotAllowed(PacketType),
    /// 3.1.1 and 3.1 cannot say this.
    NotInVersion,
    /// This build does not speak the version: features `v5` and `v3`.
    VersionNotSupported,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BufferTooSmall { needed } => return write!(f, "buffer is too small: {needed} bytes are needed"),
            Self::FieldTooLong => "field has more than 65535 bytes",
            Self::PacketTooLarge => "packet is larger than the protocol allows",
            Self::NullCharacter => "string has a null character",
            Self::PropertyNotAllowed(property) => return write!(f, "{property} does not belong in this packet"),
            Self::PropertyRepeated(property) => return write!(f, "{property} is repeated"),
            Self::PropertyValue(property) => return write!(f, "{property} is out of range"),
            Self::PropertyMissing(property) => return write!(f, "{property} is missing"),
            Self::ReasonCodeNotAllowed(code) => return write!(f, "reason code does not belong in this packet: {code}"),
            Self::SessionPresentWithFailure => "a refusing CONNACK has no session present",
            Self::ClientIdentifierEmpty => "an empty client identifier needs clean session, and MQTT 3.1.1 or later",
            Self::EmptyPayload => "payload has no entry",
            Self::NoLocalOnShared => "no local is not allowed for a shared subscription",
            Self::TopicMissing => "a PUBLISH needs a topic name or a topic alias",
            Self::PasswordWithoutUserName => "a password needs a user name in MQTT 3.1.1",
            Self::PacketNotAllowed(packet) => return write!(f, "this side does not send {packet}"),
            Self::NotInVersion => "this protocol version cannot say that",
            Self::VersionNotSupported => "this build does not speak that protocol version",
        })
    }
}

impl core::error::Error for EncodeError {}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;
    use crate::packet::Sender;

    /// Every error, with the code of the section that it breaks.
    const DECODE_ERRORS: [(DecodeError, ReasonCode); 30] = {
        use DecodeError as E;
        const ALIAS: PropertyIdentifier = PropertyIdentifier::TopicAlias;
        const MAXIMUM: PropertyIdentifier = PropertyIdentifier::ReceiveMaximum;
        const MALFORMED: ReasonCode = ReasonCode::MALFORMED_PACKET;
        const PROTOCOL: ReasonCode = ReasonCode::PROTOCOL_ERROR;
        [
            (E::UnexpectedEnd, MALFORMED),
            (E::TrailingBytes, MALFORMED),
            (E::VariableByteInteger, MALFORMED),
            (E::InvalidUtf8, MALFORMED),
            (E::NullCharacter, MALFORMED),
            (E::ReservedPacketType, MALFORMED),
            (E::InvalidFlags, MALFORMED),
            (E::InvalidQoS, MALFORMED),
            (E::PacketIdentifierZero, MALFORMED),
            (E::InvalidTopicName, ReasonCode::TOPIC_NAME_INVALID),
            (E::TopicMissing, PROTOCOL),
            (E::InvalidTopicFilter, MALFORMED),
            (E::UnknownProperty(0), MALFORMED),
            (E::PropertyNotAllowed(ALIAS), MALFORMED),
            (E::PropertyRepeated(ALIAS), PROTOCOL),
            (E::PropertyValue(ALIAS), ReasonCode::TOPIC_ALIAS_INVALID),
            (E::PropertyValue(MAXIMUM), PROTOCOL),
            (E::PropertyMissing(ALIAS), PROTOCOL),
            (E::ReasonCodeNotAllowed(ReasonCode::BANNED), PROTOCOL),
            (E::ReturnCodeNotAllowed(6), MALFORMED),
            (E::InvalidProtocolName, MALFORMED),
            (E::UnsupportedProtocolVersion(6), ReasonCode::UNSUPPORTED_PROTOCOL_VERSION),
            (E::ReservedBits, MALFORMED),
            (E::SessionPresentWithFailure, PROTOCOL),
            (E::ClientIdentifierEmpty, ReasonCode::CLIENT_IDENTIFIER_NOT_VALID),
            (E::EmptyPayload, PROTOCOL),
            (E::InvalidSubscriptionOptions, PROTOCOL),
            (E::NoLocalOnShared, PROTOCOL),
            (E::PacketNotAllowed(PacketType::Connect), PROTOCOL),
            (E::PacketTooLarge, ReasonCode::PACKET_TOO_LARGE),
        ]
    };

    #[test]
    fn what_a_disconnect_says_for_each_error() {
        for (error, reason_code) in DECODE_ERRORS {
            assert_eq!(error.reason_code(), reason_code, "{error}");
        }
    }

    #[test]
    fn each_error_that_a_client_meets_has_a_code_that_its_disconnect_may_carry() {
        for (error, reason_code) in DECODE_ERRORS {
            // Those of CONNECT, which the Server answers with a CONNACK.
            let (packet, sender) = match error {
                DecodeError::UnsupportedProtocolVersion(_) | DecodeError::ClientIdentifierEmpty => {
                    (PacketType::Connack, Sender::Server)
                }
                _ => (PacketType::Disconnect, Sender::Client),
            };
            assert!(reason_code.is_allowed_in(packet, sender), "{error}");
        }
    }

    #[test]
    fn messages_name_what_is_wrong() {
        for (error, message) in [
            (DecodeError::PropertyRepeated(PropertyIdentifier::TopicAlias), "topic alias is repeated"),
            (DecodeError::PacketNotAllowed(PacketType::Connect), "this side does not send CONNECT"),
            (
                DecodeError::ReasonCodeNotAllowed(ReasonCode::BANNED),
                "reason code does not belong in this packet: banned (0x8a)",
            ),
        ] {
            assert_eq!(error.to_string(), message);
        }
        let error = EncodeError::BufferTooSmall { needed: 212 };
        assert_eq!(error.to_string(), "buffer is too small: 212 bytes are needed");
    }
}
