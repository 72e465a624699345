//! Properties: which packet may carry which, how often, and with what values.

use mqtt_core::{
    Ack, AckKind, Connack, Connect, DecodeError, EncodeError, Packet, PacketType, Properties, Property,
    PropertyIdentifier, ProtocolVersion, ReasonCode, Sender,
};

use crate::support::samples::CONNECT;
use crate::support::tables::{Block, PROPERTIES, blocks, is_allowed};
use crate::support::wire::{id, packet};

const V5: ProtocolVersion = ProtocolVersion::V5_0;

/// A packet of 5.0 around this block of properties; what the packet needs besides comes first.
fn around(block: Block, properties: &[u8]) -> (Sender, Vec<u8>) {
    let needed: &[u8] = match block {
        Block::Of(PacketType::Auth, _) => b"\x15\0\x01m",
        _ => b"",
    };
    let properties = [&[(needed.len() + properties.len()) as u8], needed, properties].concat();
    let (first, sender, before, behind) = match block {
        Block::OfWill => (0x10, Sender::Client, &b"\0\x04MQTT\x05\x06\0\0\0\0\x01c"[..], &b"\0\x01w\0\0"[..]),
        Block::Of(packet_type, sender) => {
            let (first, before, behind): (u8, &[u8], &[u8]) = match packet_type {
                PacketType::Connect => (0x10, b"\0\x04MQTT\x05\x02\0\0", b"\0\x01c"),
                PacketType::Connack => (0x20, b"\0\0", b""),
                PacketType::Publish => (0x30, b"\0\x01t", b"payload"),
                PacketType::Puback => (0x40, b"\0\x01\0", b""),
                PacketType::Pubrec => (0x50, b"\0\x01\0", b""),
                PacketType::Pubrel => (0x62, b"\0\x01\0", b""),
                PacketType::Pubcomp => (0x70, b"\0\x01\0", b""),
                PacketType::Subscribe => (0x82, b"\0\x01", b"\0\x01t\0"),
                PacketType::Suback => (0x90, b"\0\x01", b"\0"),
                PacketType::Unsubscribe => (0xa2, b"\0\x01", b"\0\x01t"),
                PacketType::Unsuback => (0xb0, b"\0\x01", b"\0"),
                PacketType::Disconnect => (0xe0, b"\0", b""),
                PacketType::Auth => (0xf0, b"\x18", b""),
                PacketType::Pingreq | PacketType::Pingresp => panic!("{packet_type} has no properties"),
            };
            (first, sender, before, behind)
        }
    };
    (sender, packet(first, &[before, &properties, behind].concat()))
}

fn decode(block: Block, properties: &[u8]) -> Result<(), DecodeError> {
    let (sender, wire) = around(block, properties);
    Packet::decode(V5, sender, &wire).map(|_| ())
}

/// The property with a good value, as bytes.
fn good(number: u8, value: &[u8]) -> Vec<u8> {
    [&[number], value].concat()
}

/// What the properties in front of the one under test must be for `around` not to refuse for another reason.
fn is_there_already(block: Block, property: PropertyIdentifier) -> bool {
    matches!(block, Block::Of(PacketType::Auth, _)) && property == PropertyIdentifier::AuthenticationMethod
}

// [v5 MQTT-3.3.4-6] [v5 MQTT-3.14.2-2]
// [v5 §2.2.2.2: each property in its packets]
#[test]
fn each_block_has_the_properties_of_the_table_and_no_others() {
    for block in blocks() {
        for (number, property, value, ..) in PROPERTIES {
            if is_there_already(block, property) {
                continue;
            }
            let mut bytes = good(number, value);
            if property == PropertyIdentifier::AuthenticationData
                && block == Block::Of(PacketType::Connect, Sender::Client)
            {
                bytes.extend(b"\x15\0\x01m");
            }
            let expected =
                if is_allowed(property, block) { Ok(()) } else { Err(DecodeError::PropertyNotAllowed(property)) };
            assert_eq!(decode(block, &bytes), expected, "{property} in {block:?}");
        }
    }
}

// [v5 §2.2.2.2: a property stands once]
#[test]
fn only_user_properties_and_the_identifiers_of_a_message_are_repeated() {
    for block in blocks() {
        for (number, property, value, ..) in PROPERTIES.into_iter().filter(|row| is_allowed(row.1, block)) {
            let twice = [good(number, value), good(number, value)].concat();
            let bytes = if is_there_already(block, property) { good(number, value) } else { twice };
            let may_repeat = property == PropertyIdentifier::UserProperty
                || property == PropertyIdentifier::SubscriptionIdentifier
                    && block == Block::Of(PacketType::Publish, Sender::Server);
            let expected = if may_repeat { Ok(()) } else { Err(DecodeError::PropertyRepeated(property)) };
            assert_eq!(decode(block, &bytes), expected, "{property} in {block:?}");
            assert_eq!(DecodeError::PropertyRepeated(property).reason_code(), ReasonCode::PROTOCOL_ERROR);
        }
    }
}

// [v5 §2.2.2.2: no unknown property]
#[test]
fn numbers_without_a_property_are_refused() {
    for number in (0..=127).filter(|number| PROPERTIES.iter().all(|row| row.0 != *number)) {
        for block in blocks() {
            let error = DecodeError::UnknownProperty(number.into());
            assert_eq!(decode(block, &[number, 0, 0, 0, 0]), Err(error), "{number:02x} in {block:?}");
        }
        assert_eq!(PropertyIdentifier::from_u8(number), None);
    }
    for (bytes, number) in [(&[0x80, 0x01][..], 128), (&[0x81, 0x02], 257), (&[0xff, 0xff, 0xff, 0x7f], u16::MAX)] {
        assert_eq!(decode(Block::OfWill, bytes), Err(DecodeError::UnknownProperty(number)));
    }
    // A known number in a longer form than needed.
    assert_eq!(decode(Block::OfWill, &[0x81, 0x00, 0x01]), Err(DecodeError::VariableByteInteger));
}

// Another client made it up and the Server did not look: that does not cost the connection, nor is it answered.
// That we never write one is in `what_would_be_refused_is_not_written`.
#[test]
fn a_response_topic_that_is_none_is_borne() {
    for value in ["a/#", "+", ""] {
        let bytes = [&[0x08, 0, value.len() as u8], value.as_bytes()].concat();
        assert_eq!(decode(Block::OfWill, &bytes), Ok(()), "{value:?}");
        let properties = Properties::from_encoded(PacketType::Publish, Sender::Server, &bytes).unwrap();
        assert_eq!(properties.response_topic(), Some(value));
        let topic = mqtt_core::TopicName::new("a/request/b").unwrap();
        assert_eq!(mqtt_core::AnswerTo::request(topic, properties), None, "{value:?}");
    }
}

// [v5 MQTT-3.3.2-8]
// [v5 §2.2.2.2: a value in its range] [v5 §3.3.4: an alias of 0 or above the maximum is answered with 0x94]
// [v5 §1.5.5: four bytes at most]
#[test]
fn values_out_of_range_are_refused() {
    use PropertyIdentifier as I;
    let publish = Block::Of(PacketType::Publish, Sender::Server);
    let connect = Block::Of(PacketType::Connect, Sender::Client);
    let connack = Block::Of(PacketType::Connack, Sender::Server);
    let subscribe = Block::Of(PacketType::Subscribe, Sender::Client);
    for (block, property, value) in [
        (publish, I::PayloadFormatIndicator, &[2][..]),
        (Block::OfWill, I::PayloadFormatIndicator, &[0xff]),
        (connect, I::RequestProblemInformation, &[2]),
        (connect, I::RequestResponseInformation, &[2]),
        (connack, I::MaximumQoS, &[2]),
        (connack, I::RetainAvailable, &[2]),
        (connack, I::WildcardSubscriptionAvailable, &[2]),
        (connack, I::SubscriptionIdentifierAvailable, &[0xff]),
        (connack, I::SharedSubscriptionAvailable, &[2]),
        (connect, I::ReceiveMaximum, &[0, 0]),
        (connack, I::ReceiveMaximum, &[0, 0]),
        (connect, I::MaximumPacketSize, &[0, 0, 0, 0]),
        (connack, I::MaximumPacketSize, &[0, 0, 0, 0]),
        (subscribe, I::SubscriptionIdentifier, &[0]),
        (publish, I::SubscriptionIdentifier, &[0]),
        (publish, I::TopicAlias, &[0, 0]),
    ] {
        let error = DecodeError::PropertyValue(property);
        assert_eq!(decode(block, &good(property as u8, value)), Err(error), "{property} {value:02x?}");
        let code = if property == I::TopicAlias { ReasonCode::TOPIC_ALIAS_INVALID } else { ReasonCode::PROTOCOL_ERROR };
        assert_eq!(error.reason_code(), code);
    }
    assert_eq!(
        decode(subscribe, &[0x0b, 0xff, 0xff, 0xff, 0xff]),
        Err(DecodeError::VariableByteInteger),
        "more than four bytes"
    );
    // 0 has a meaning here.
    for (block, property, value) in [
        (connack, I::ServerKeepAlive, &[0, 0][..]),
        (connack, I::TopicAliasMaximum, &[0, 0]),
        (connect, I::SessionExpiryInterval, &[0, 0, 0, 0]),
        (connack, I::MaximumQoS, &[0]),
        (publish, I::MessageExpiryInterval, &[0, 0, 0, 0]),
    ] {
        assert_eq!(decode(block, &good(property as u8, value)), Ok(()), "{property}");
    }
}

// trap L13
// [v5 §2.2.2.2: a value of its type]
#[test]
fn lengths_that_lie_read_nothing_beyond() {
    for block in blocks() {
        for (number, property, value, ..) in PROPERTIES.into_iter().filter(|row| is_allowed(row.1, block)) {
            if is_there_already(block, property) {
                continue;
            }
            let bytes = good(number, value);
            for len in 1..bytes.len() {
                assert_eq!(
                    decode(block, &bytes[..len]),
                    Err(DecodeError::UnexpectedEnd),
                    "{property} cut in {block:?}"
                );
            }
            // A length inside the property that says more than the block has.
            if matches!(value, [0, 1, ..]) && value.len() > 2 {
                let mut longer = bytes.clone();
                longer[1..3].fill(0xff);
                assert_eq!(decode(block, &longer), Err(DecodeError::UnexpectedEnd), "{property} in {block:?}");
            }
        }
        // The length of the block itself, one more and many more than there is, and of five bytes.
        let (sender, wire) = around(block, b"");
        for (at, _) in wire.iter().enumerate().skip(2) {
            for lie in [&[0x7f][..], &[0xff, 0x7f], &[0xff, 0xff, 0xff, 0x7f], &[0xff, 0xff, 0xff, 0xff, 0xff]] {
                let body = [&wire[2..at], lie, &wire[at + 1..]].concat();
                let _ = Packet::decode(V5, sender, &packet(wire[0], &body));
            }
        }
    }
    let publish = Block::Of(PacketType::Publish, Sender::Client);
    let (sender, mut wire) = around(publish, b"");
    for (len, expected) in [(0, Ok(())), (8, Err(DecodeError::UnexpectedEnd)), (127, Err(DecodeError::UnexpectedEnd))] {
        wire[5] = len;
        assert_eq!(Packet::decode(V5, sender, &wire).map(|_| ()), expected, "{len}");
    }
}

#[test]
fn order_and_repetition_of_user_properties_are_kept() {
    let bytes = b"\x26\0\x01b\0\x01\x31\x1f\0\x01r\x26\0\x01a\0\x01\x32\x26\0\x01b\0\x01\x31";
    let (sender, wire) = around(Block::Of(PacketType::Puback, Sender::Server), bytes);
    let Ok(Packet::Ack(ack)) = Packet::decode(V5, sender, &wire) else { panic!() };
    let user_properties: Vec<_> = ack.properties.user_properties().collect();
    assert_eq!(user_properties, [("b", "1"), ("a", "2"), ("b", "1")]);
    assert_eq!(ack.properties.reason_string(), Some("r"));
    assert_eq!(ack.properties.topic_alias(), None);
    let all: Vec<_> = ack.properties.iter().collect();
    let list = [
        Property::UserProperty("b", "1"),
        Property::ReasonString("r"),
        Property::UserProperty("a", "2"),
        Property::UserProperty("b", "1"),
    ];
    assert_eq!(all, list);
    assert_eq!(ack.properties, Properties::new(&list), "equal wherever they are kept");
    assert_ne!(ack.properties, Properties::new(&list[..3]));
}

// [v5 MQTT-3.3.2-8] [v5 MQTT-3.3.2-14] [v5 MQTT-3.3.4-6]
// [v5 §2.2.2.2: a value in its range] [v5 §2.2.2.2: each property in its packets]
#[test]
fn what_would_be_refused_is_not_written() {
    use EncodeError as E;
    use PropertyIdentifier as I;
    let publish = |list: &[Property<'_>]| {
        let topic = mqtt_core::TopicName::new("t").ok();
        let delivery = mqtt_core::Delivery::AtMostOnce;
        let properties = Properties::new(list);
        mqtt_core::Publish { topic, delivery, retain: false, properties, payload: b"" }
            .encoded_len(V5, Sender::Client)
            .map(|_| ())
    };
    for (list, expected) in [
        (&[][..], Ok(())),
        (&[Property::TopicAlias(1)], Ok(())),
        (&[Property::UserProperty("", ""), Property::UserProperty("", "")], Ok(())),
        (&[Property::TopicAlias(0)], Err(E::PropertyValue(I::TopicAlias))),
        (&[Property::PayloadFormatIndicator(2)], Err(E::PropertyValue(I::PayloadFormatIndicator))),
        (&[Property::ResponseTopic("a/+")], Err(E::PropertyValue(I::ResponseTopic))),
        (&[Property::ResponseTopic("")], Err(E::PropertyValue(I::ResponseTopic))),
        (&[Property::SubscriptionIdentifier(1)], Err(E::PropertyNotAllowed(I::SubscriptionIdentifier))),
        (&[Property::ReasonString("")], Err(E::PropertyNotAllowed(I::ReasonString))),
        (&[Property::TopicAlias(1), Property::TopicAlias(1)], Err(E::PropertyRepeated(I::TopicAlias))),
    ] {
        assert_eq!(publish(list), expected, "{list:?}");
    }
    for (property, error) in [
        (Property::ReceiveMaximum(0), E::PropertyValue(I::ReceiveMaximum)),
        (Property::MaximumPacketSize(0), E::PropertyValue(I::MaximumPacketSize)),
        (Property::RequestProblemInformation(2), E::PropertyValue(I::RequestProblemInformation)),
        (Property::WillDelayInterval(1), E::PropertyNotAllowed(I::WillDelayInterval)),
        (Property::AuthenticationData(b""), E::PropertyMissing(I::AuthenticationMethod)),
    ] {
        let list = [property];
        let connect = Connect { properties: Properties::new(&list), ..CONNECT };
        assert_eq!(connect.encoded_len(V5, Sender::Client), Err(error), "{property:?}");
    }
    let list = [Property::SubscriptionIdentifier(268_435_456)];
    let properties = Properties::new(&list);
    let filters = [mqtt_core::TopicFilter::new("t").unwrap()];
    let filters = filters.map(|filter| mqtt_core::Subscription::new(filter, mqtt_core::QoS::AtMostOnce));
    let filters = mqtt_core::Subscriptions::new(&filters);
    let subscribe = mqtt_core::Subscribe { packet_identifier: id(1), properties, filters };
    assert_eq!(
        subscribe.encoded_len(V5, Sender::Client),
        Err(E::PropertyValue(I::SubscriptionIdentifier)),
        "more than four bytes hold"
    );
}

#[test]
fn properties_that_were_received_are_checked_again_for_another_packet() {
    let (sender, wire) = around(Block::Of(PacketType::Publish, Sender::Server), b"\x0b\x01");
    let Ok(Packet::Publish(publish)) = Packet::decode(V5, sender, &wire) else { panic!() };
    let not_allowed = Err(EncodeError::PropertyNotAllowed(PropertyIdentifier::SubscriptionIdentifier));
    assert_eq!(publish.encoded_len(V5, Sender::Client), not_allowed, "a bridge would forward it");
    let ack = Ack { properties: publish.properties, ..Ack::new(AckKind::Puback, id(1)) };
    assert_eq!(ack.encoded_len(V5, Sender::Client), not_allowed);
    let connack = Connack { session_present: false, reason_code: ReasonCode::SUCCESS, properties: publish.properties };
    assert_eq!(connack.encoded_len(ProtocolVersion::V3_1_1, Sender::Server), Err(EncodeError::NotInVersion));
}

#[test]
fn a_block_outlives_its_packet() {
    let list = [Property::ContentType("text/plain"), Property::UserProperty("from", "cellar")];
    let properties = Properties::new(&list);
    assert!(properties.as_encoded().is_empty(), "they are lent as a slice");
    let mut block = [0; 64];
    let needed = 1 + 2 + 10 + 1 + 2 + 4 + 2 + 6;
    assert_eq!(
        properties.encode(PacketType::Publish, Sender::Client, &mut block[..needed - 1]),
        Err(EncodeError::BufferTooSmall { needed })
    );
    assert!(block.iter().all(|byte| *byte == 0), "nothing is written then");
    assert_eq!(properties.encode(PacketType::Publish, Sender::Client, &mut block), Ok(needed));
    let kept = Properties::from_encoded(PacketType::Publish, Sender::Client, &block[..needed]).unwrap();
    assert_eq!((kept, kept.as_encoded()), (properties, &block[..needed]));
    assert_eq!(kept.encode(PacketType::Publish, Sender::Client, &mut [0; 64]), Ok(needed), "and again");

    let not_allowed = PropertyIdentifier::ContentType;
    assert_eq!(
        properties.encode(PacketType::Puback, Sender::Client, &mut block),
        Err(EncodeError::PropertyNotAllowed(not_allowed))
    );
    assert_eq!(
        Properties::from_encoded(PacketType::Puback, Sender::Server, &block[..needed]),
        Err(DecodeError::PropertyNotAllowed(not_allowed))
    );
    for len in 1..needed {
        // It ends between two properties, or inside one.
        let cut = Properties::from_encoded(PacketType::Publish, Sender::Client, &block[..len]);
        assert_eq!(cut.is_ok(), len == 13, "{len}");
    }
    assert_eq!(Properties::from_encoded(PacketType::Puback, Sender::Server, &[]), Ok(Properties::EMPTY));
}

#[test]
fn more_properties_than_a_packet_can_hold_are_not_written() {
    let long = "x".repeat(65_535);
    let list = vec![Property::UserProperty(&long, &long); 2049]; // some 268 million bytes
    let connack =
        Connack { session_present: false, reason_code: ReasonCode::SUCCESS, properties: Properties::new(&list) };
    assert_eq!(connack.encoded_len(V5, Sender::Server), Err(EncodeError::PacketTooLarge));
    let connack = Connack { properties: Properties::new(&list[..1]), ..connack };
    assert_eq!(connack.encoded_len(V5, Sender::Server), Ok(1 + 3 + 2 + 3 + 5 + 2 * 65_535));
}
