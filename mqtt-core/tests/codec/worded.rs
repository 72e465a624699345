//! What errors say, and what values are called.

use std::collections::BTreeSet;

use mqtt_core::{
    ConnectionError, DecodeError, EncodeError, InvalidTopicFilter, InvalidTopicName, PacketType, PropertyIdentifier,
    ProtocolError, QoS, ReasonCode, ReceiveError, StorageFull, UsageError,
};

const PROPERTY: PropertyIdentifier = PropertyIdentifier::TopicAlias;

/// Each of them says something of its own, in lower case but for names, without a full stop.
fn assert_worded<E: core::error::Error>(errors: &[E]) {
    let mut texts = BTreeSet::new();
    for error in errors {
        let text = error.to_string();
        let is_name =
            text.chars().take_while(|letter| *letter != ' ').filter(|letter| letter.is_uppercase()).count() > 1;
        assert!(text.contains(' ') && !text.ends_with('.'), "{error:?}: {text}");
        assert!(is_name || !text.starts_with(char::is_uppercase), "{error:?}: {text}");
        assert!(texts.insert(text), "{error:?} and another one: {error}");
    }
}

#[test]
fn every_error_of_decoding_says_something_of_its_own() {
    use DecodeError as E;
    assert_worded(&[
        E::UnexpectedEnd,
        E::TrailingBytes,
        E::VariableByteInteger,
        E::InvalidUtf8,
        E::NullCharacter,
        E::ReservedPacketType,
        E::InvalidFlags,
        E::InvalidQoS,
        E::PacketIdentifierZero,
        E::InvalidTopicName,
        E::TopicMissing,
        E::InvalidTopicFilter,
        E::UnknownProperty(7),
        E::UnknownProperty(8),
        E::PropertyNotAllowed(PROPERTY),
        E::PropertyRepeated(PROPERTY),
        E::PropertyValue(PROPERTY),
        E::PropertyMissing(PROPERTY),
        E::ReasonCodeNotAllowed(ReasonCode::BANNED),
        E::ReturnCodeNotAllowed(6),
        E::InvalidProtocolName,
        E::UnsupportedProtocolVersion(6),
        E::ReservedBits,
        E::SessionPresentWithFailure,
        E::ClientIdentifierEmpty,
        E::EmptyPayload,
        E::InvalidSubscriptionOptions,
        E::NoLocalOnShared,
        E::PacketNotAllowed(PacketType::Connect),
        E::PacketTooLarge,
    ]);
}

#[test]
fn every_error_of_encoding_says_something_of_its_own() {
    use EncodeError as E;
    assert_worded(&[
        E::BufferTooSmall { needed: 1 },
        E::BufferTooSmall { needed: 2 },
        E::FieldTooLong,
        E::PacketTooLarge,
        E::NullCharacter,
        E::PropertyNotAllowed(PROPERTY),
        E::PropertyRepeated(PROPERTY),
        E::PropertyValue(PROPERTY),
        E::PropertyMissing(PROPERTY),
        E::ReasonCodeNotAllowed(ReasonCode::BANNED),
        E::SessionPresentWithFailure,
        E::ClientIdentifierEmpty,
        E::EmptyPayload,
        E::NoLocalOnShared,
        E::TopicMissing,
        E::PasswordWithoutUserName,
        E::PacketNotAllowed(PacketType::Connect),
        E::NotInVersion,
        E::VersionNotSupported,
    ]);
}

#[test]
fn every_end_of_a_connection_says_something_of_its_own() {
    use ConnectionError as E;
    use ProtocolError as P;
    let protocol = [
        P::UnexpectedPacket(PacketType::Connack),
        P::SessionPresent,
        P::UnknownPacketIdentifier,
        P::ReasonCodeCount,
        P::ReceiveMaximumExceeded,
        P::PacketTooLarge,
        P::TopicAliasInvalid,
        P::TopicAliasUnknown,
        P::TopicAliasTooLong,
        P::PacketIdentifierInUse,
        P::AssignedClientIdentifierMissing,
        P::AuthenticationMethod,
        P::AuthenticationReason,
        P::Unrequested(PROPERTY),
        P::QoSNotSupported,
    ];
    assert_worded(&protocol);
    let mut ends = vec![
        E::Decode(DecodeError::UnexpectedEnd),
        E::ConnackTimeout,
        E::PingrespTimeout,
        E::Refused(ReasonCode::BANNED),
        E::Disconnected(ReasonCode::BANNED),
        E::Closed,
        E::TransportLost,
        E::SourceFailed,
        E::MaximumPacketSizeTooSmall,
    ];
    ends.extend(protocol.map(E::Protocol));
    assert_worded(&ends);
    assert_worded(&[ReceiveError::NotReady, ReceiveError::Connection(E::Closed)]);
}

#[test]
fn every_refusal_says_something_of_its_own() {
    use UsageError as E;
    assert_worded(&[
        E::NotConnected,
        E::ConnectionClosed(ConnectionError::Closed),
        E::AlreadyConnected,
        E::InFlightFull,
        E::StorageFull(StorageFull { needed: 2, free: 1 }),
        E::Encode(EncodeError::NullCharacter),
        E::QoSNotSupported { maximum: QoS::AtMostOnce },
        E::RetainNotSupported,
        E::WildcardSubscriptionsNotSupported,
        E::SubscriptionIdentifiersNotSupported,
        E::SharedSubscriptionsNotSupported,
        E::PacketTooLarge { needed: 2, maximum: 1 },
        E::TopicAliasNotSupported { maximum: 1 },
        E::NotInVersion,
        E::FeatureAbsent,
        E::ClientIdentifier,
        E::ReceiveMaximum { capacity: 1 },
        E::NoAuthentication,
        E::WrongQoS,
        E::Stale,
        E::AlreadyAcknowledged,
        E::RecordPending,
        E::SubscriptionsFull,
    ]);
    assert_worded(&[
        InvalidTopicName::Empty,
        InvalidTopicName::TooLong,
        InvalidTopicName::Wildcard,
        InvalidTopicName::NullCharacter,
    ]);
    assert_worded(&[
        InvalidTopicFilter::Empty,
        InvalidTopicFilter::TooLong,
        InvalidTopicFilter::Wildcard,
        InvalidTopicFilter::ShareName,
        InvalidTopicFilter::NullCharacter,
    ]);
}

#[test]
fn every_packet_and_every_property_has_its_own_name() {
    let packets: BTreeSet<String> =
        (1..16).filter_map(|number| PacketType::from_first_byte(number << 4)).map(|it| it.to_string()).collect();
    assert_eq!(packets.len(), 15);
    assert!(packets.contains("SUBSCRIBE") && packets.contains("PINGRESP"));
    let properties: BTreeSet<String> =
        (0..=0x2A).filter_map(PropertyIdentifier::from_u8).map(|it| it.to_string()).collect();
    assert_eq!(properties.len(), 27);
    assert!(properties.contains("user property"));
}
