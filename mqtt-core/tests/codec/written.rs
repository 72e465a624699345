//! What the encoder writes, and what it refuses to write.

use mqtt_core::{
    Ack, AckKind, Auth, Connack, Connect, Delivery, Disconnect, EncodeError, Packet, PacketIdentifier, Properties,
    Property, PropertyIdentifier, ProtocolVersion, Publish, QoS, ReasonCode, ReasonCodes, RetainHandling, Sender,
    Suback, Subscribe, Subscription, SubscriptionOptions, Subscriptions, TopicFilters, Unsuback, Unsubscribe,
};

use crate::support::samples::{CONNECT, filter, samples, topic};
use crate::support::wire::{ALL, BOTH, V3, id};

const V5: ProtocolVersion = ProtocolVersion::V5_0;

const ACKS: [AckKind; 4] = [AckKind::Puback, AckKind::Pubrec, AckKind::Pubrel, AckKind::Pubcomp];

const PUBLISH: Publish<'static> = Publish {
    topic: None,
    delivery: Delivery::AtMostOnce,
    retain: false,
    properties: Properties::EMPTY,
    payload: b"payload",
};

fn written(packet: Packet<'_>, version: ProtocolVersion, sender: Sender) -> Vec<u8> {
    let mut out = vec![0; packet.encoded_len(version, sender).unwrap()];
    packet.encode(version, sender, &mut out).unwrap();
    out
}

fn refusal(packet: Packet<'_>, version: ProtocolVersion, sender: Sender) -> Option<EncodeError> {
    let mut out = [0xa5; 256];
    let result = packet.encode(version, sender, &mut out);
    assert_eq!(packet.encoded_len(version, sender), result);
    if result.is_err() {
        assert_eq!(out, [0xa5; 256], "a failed encoding wrote something");
    }
    result.err()
}

// [v3 MQTT-2.3.1-1]
#[test]
fn there_is_no_packet_identifier_of_zero() {
    assert_eq!(PacketIdentifier::new(0), None);
    for number in 1..=u16::MAX {
        assert_eq!(PacketIdentifier::new(number).map(PacketIdentifier::number), Some(number));
    }
}

// [v3 MQTT-2.3.1-5] [v5 MQTT-2.2.1-2] [v3 v5 MQTT-3.3.1-2] [v3 v5 MQTT-4.3.1-1]
#[test]
fn qos_0_has_no_packet_identifier_and_no_dup() {
    for (version, wire) in
        [(V5, &b"\x30\x0b\0\x01t\0payload"[..]), (ProtocolVersion::V3_1_1, b"\x30\x0a\0\x01tpayload")]
    {
        let publish = Publish { topic: Some(topic("t")), ..PUBLISH };
        assert_eq!(written(Packet::Publish(publish), version, Sender::Client), wire);
        assert_eq!((publish.delivery.packet_identifier(), publish.delivery.dup()), (None, false));
    }
}

#[test]
fn dup_and_retain_are_bits_of_their_own() {
    for (delivery, retain, first) in [
        (Delivery::AtMostOnce, true, 0x31),
        (Delivery::AtLeastOnce { packet_identifier: id(1), dup: false }, false, 0x32),
        (Delivery::AtLeastOnce { packet_identifier: id(1), dup: true }, false, 0x3a),
        (Delivery::ExactlyOnce { packet_identifier: id(1), dup: false }, true, 0x35),
        (Delivery::ExactlyOnce { packet_identifier: id(1), dup: true }, true, 0x3d),
    ] {
        for &version in ALL {
            let publish = Publish { topic: Some(topic("t")), delivery, retain, ..PUBLISH };
            assert_eq!(written(Packet::Publish(publish), version, Sender::Client)[0], first);
            assert_eq!(delivery.qos() as u8, first >> 1 & 3);
        }
    }
}

// [v5 MQTT-1.5.5-1]
#[test]
fn remaining_and_property_lengths_take_as_few_bytes_as_they_can() {
    for (len, encoded) in [
        (127, &[0x7f][..]),
        (128, &[0x80, 0x01]),
        (16_383, &[0xff, 0x7f]),
        (16_384, &[0x80, 0x80, 0x01]),
        (2_097_151, &[0xff, 0xff, 0x7f]),
        (2_097_152, &[0x80, 0x80, 0x80, 0x01]),
    ] {
        let payload = vec![0; len - 4];
        let publish = Publish { topic: Some(topic("t")), payload: &payload, ..PUBLISH };
        let wire = written(Packet::Publish(publish), V5, Sender::Client);
        assert_eq!(wire[1..=encoded.len()], *encoded, "{len}");
        assert_eq!(wire.len(), 1 + encoded.len() + len, "{len}");
    }
    for (len, encoded) in [(127, &[0x7f][..]), (128, &[0x80, 0x01])] {
        let text = "x".repeat(len - 3);
        let list = [Property::ContentType(&text)];
        let publish = Publish { topic: Some(topic("t")), properties: Properties::new(&list), payload: b"", ..PUBLISH };
        let wire = written(Packet::Publish(publish), V5, Sender::Client);
        let at = wire.len() - len - encoded.len();
        assert_eq!(wire[at..at + encoded.len()], *encoded, "{len}");
    }
}

#[test]
fn a_packet_larger_than_the_protocol_allows_is_not_written() {
    let payload = vec![0; 268_435_455 - 3];
    let publish = Publish { topic: Some(topic("t")), payload: &payload, ..PUBLISH };
    let version = ProtocolVersion::V3_1_1;
    assert_eq!(publish.encoded_len(version, Sender::Client), Ok(5 + 268_435_455));
    assert_eq!(publish.encoded_len(V5, Sender::Client), Err(EncodeError::PacketTooLarge));
}

// trap L11
#[test]
fn acks_take_their_shortest_form() {
    for kind in ACKS {
        let success = Ack::new(kind, id(0x0102));
        let first = kind.packet_type() as u8 * 16 + if kind == AckKind::Pubrel { 2 } else { 0 };
        let failure = if matches!(kind, AckKind::Puback | AckKind::Pubrec) { 0x80 } else { 0x92 };
        for &sender in BOTH {
            assert_eq!(written(Packet::Ack(success), V5, sender), [first, 2, 1, 2]);
            let ack = Ack { reason_code: ReasonCode::from_u8(failure), ..success };
            assert_eq!(written(Packet::Ack(ack), V5, sender), [first, 3, 1, 2, failure]);
        }
    }
}

#[test]
fn what_is_no_failure_is_all_the_same_to_3_1_1() {
    let ack = Ack { reason_code: ReasonCode::NO_MATCHING_SUBSCRIBERS, ..Ack::new(AckKind::Puback, id(1)) };
    for &version in V3 {
        assert_eq!(written(Packet::Ack(ack), version, Sender::Server), [0x40, 2, 0, 1]);
    }
}

// trap L11
#[test]
fn a_disconnect_with_a_reason_has_a_property_length() {
    let disconnect = |reason_code| Packet::Disconnect(Disconnect { reason_code, properties: Properties::EMPTY });
    for &sender in BOTH {
        assert_eq!(written(disconnect(ReasonCode::NORMAL_DISCONNECTION), V5, sender), [0xe0, 0]);
        assert_eq!(written(disconnect(ReasonCode::PROTOCOL_ERROR), V5, sender), [0xe0, 2, 0x82, 0]);
    }
}

// [v3 MQTT-3.1.2-11 MQTT-3.1.2-13 MQTT-3.1.2-15] [v5 MQTT-3.1.2-11 MQTT-3.1.2-13] [v3 v5 MQTT-3.1.2-3]
#[test]
fn connect_without_a_will_has_no_will_bits() {
    for &version in ALL {
        for clean_start in [false, true] {
            let connect = Connect { version, clean_start, user_name: Some(""), password: Some(b""), ..CONNECT };
            let wire = written(Packet::Connect(connect), version, Sender::Client);
            let flags = wire[2 + 2 + version.protocol_name().len() + 1];
            assert_eq!(flags, if clean_start { 0xc2 } else { 0xc0 }, "{version:?}");
        }
    }
}

// trap L16
// [v5 MQTT-3.1.2-16 MQTT-3.1.2-17 MQTT-3.1.2-18 MQTT-3.1.2-19]
// [v3 MQTT-3.1.2-18 MQTT-3.1.2-19 MQTT-3.1.2-20 MQTT-3.1.2-21]
#[test]
fn empty_user_names_and_passwords_are_not_absent_ones() {
    for (version, user_name, password, end) in [
        (V5, None, None, &b""[..]),
        (V5, Some(""), None, b"\0\0"),
        (V5, None, Some(&b""[..]), b"\0\0"),
        (V5, Some(""), Some(b""), b"\0\0\0\0"),
        (ProtocolVersion::V3_1_1, Some(""), None, b"\0\0"),
        (ProtocolVersion::V3_1_1, Some(""), Some(b""), b"\0\0\0\0"),
    ] {
        let connect = Connect { version, user_name, password, ..CONNECT };
        let wire = written(Packet::Connect(connect), version, Sender::Client);
        let (start, rest) = wire.split_at(wire.len() - end.len());
        assert!(start.ends_with(b"\0\x04pump"), "{wire:02x?}");
        assert_eq!(rest, end);
        assert_eq!(Packet::decode(version, Sender::Client, &wire), Ok(Packet::Connect(connect)));
    }
}

// trap L16; [v3 MQTT-3.1.2-22] [v3 MQTT-3.1.3-7]
#[test]
fn what_connect_cannot_say_in_each_version() {
    use ProtocolVersion::{V3_1, V3_1_1, V5_0};
    let alone = Connect { password: Some(b"secret"), ..CONNECT };
    let unnamed = Connect { client_identifier: "", ..CONNECT };
    let resuming = Connect { clean_start: false, ..unnamed };
    let list = [Property::ReceiveMaximum(1)];
    let limited = Connect { properties: Properties::new(&list), ..CONNECT };
    for (connect, version, expected) in [
        (alone, V5_0, None),
        (alone, V3_1_1, Some(EncodeError::PasswordWithoutUserName)),
        (alone, V3_1, Some(EncodeError::PasswordWithoutUserName)),
        (unnamed, V5_0, None),
        (unnamed, V3_1_1, None),
        (unnamed, V3_1, Some(EncodeError::ClientIdentifierEmpty)),
        (resuming, V5_0, None),
        (resuming, V3_1_1, Some(EncodeError::ClientIdentifierEmpty)),
        (resuming, V3_1, Some(EncodeError::ClientIdentifierEmpty)),
        (limited, V5_0, None),
        (limited, V3_1_1, Some(EncodeError::NotInVersion)),
        (limited, V3_1, Some(EncodeError::NotInVersion)),
    ] {
        let packet = Packet::Connect(Connect { version, ..connect });
        // The version in the packet counts.
        for &other in ALL {
            assert_eq!(refusal(packet, other, Sender::Client), expected, "{packet:?}");
        }
    }
}

#[test]
fn what_3_1_1_cannot_say_is_an_error_and_never_left_out() {
    let list = [Property::UserProperty("k", "v")];
    let properties = Properties::new(&list);
    let ack = Ack::new(AckKind::Pubrec, id(1));
    let normal = Disconnect { reason_code: ReasonCode::NORMAL_DISCONNECTION, properties: Properties::EMPTY };
    let connack = Connack { session_present: false, reason_code: ReasonCode::SUCCESS, properties };
    let plain = SubscriptionOptions::new(QoS::AtMostOnce);
    let entries = [
        plain,
        SubscriptionOptions { no_local: true, ..plain },
        SubscriptionOptions { retain_as_published: true, ..plain },
        SubscriptionOptions { retain_handling: RetainHandling::SendIfNew, ..plain },
        SubscriptionOptions { retain_handling: RetainHandling::DoNotSend, ..plain },
    ]
    .map(|options| [Subscription { filter: filter("t"), options }]);
    let [plain, others @ ..] = &entries;
    let subscribe = |entries| Subscribe {
        packet_identifier: id(1),
        properties: Properties::EMPTY,
        filters: Subscriptions::new(entries),
    };
    let filters = [filter("t")];
    let unsubscribe = Unsubscribe { packet_identifier: id(1), properties, filters: TopicFilters::new(&filters) };
    let answer = |reason_codes, properties| {
        let (packet_identifier, reason_codes) = (id(1), ReasonCodes::new(reason_codes));
        let suback = Suback { packet_identifier, properties, reason_codes };
        (Packet::Suback(suback), Packet::Unsuback(Unsuback { packet_identifier, properties, reason_codes }))
    };
    let with_will = ReasonCode::DISCONNECT_WITH_WILL_MESSAGE;
    let mut from_client = vec![
        Packet::Ack(Ack { properties, ..ack }),
        Packet::Ack(Ack { reason_code: ReasonCode::QUOTA_EXCEEDED, ..ack }),
        Packet::Publish(Publish { topic: Some(topic("t")), properties, ..PUBLISH }),
        Packet::Disconnect(Disconnect { properties, ..normal }),
        Packet::Disconnect(Disconnect { reason_code: with_will, ..normal }),
        Packet::Subscribe(Subscribe { properties, ..subscribe(plain) }),
        Packet::Unsubscribe(unsubscribe),
    ];
    from_client.extend(others.iter().map(|entries| Packet::Subscribe(subscribe(entries))));
    let from_server = [
        Packet::Connack(connack),
        answer(&[0], properties).0,
        answer(&[0x87], Properties::EMPTY).0,
        answer(&[], properties).1,
        answer(&[0], Properties::EMPTY).1,
    ];
    for (sender, packets) in [(Sender::Client, &from_client[..]), (Sender::Server, &from_server)] {
        for &packet in packets {
            for &version in V3 {
                assert_eq!(refusal(packet, version, sender), Some(EncodeError::NotInVersion), "{packet:?}");
            }
        }
    }
}

#[test]
fn a_suback_says_whether_5_0_would_know_its_code() {
    let suback = |code| {
        let (properties, reason_codes) = (Properties::EMPTY, ReasonCodes::new(code));
        Packet::Suback(Suback { packet_identifier: id(1), properties, reason_codes })
    };
    let unknown = EncodeError::ReasonCodeNotAllowed(ReasonCode::from_u8(0x05));
    for (version, code, expected) in [
        (ProtocolVersion::V3_1_1, &[0x87], EncodeError::NotInVersion),
        (ProtocolVersion::V3_1_1, &[0x05], unknown),
        (V5, &[0x05], unknown),
    ] {
        assert_eq!(refusal(suback(code), version, Sender::Server), Some(expected), "{version:?}");
    }
}

#[test]
fn options_of_5_0_that_were_received_do_not_go_into_3_1_1() {
    let wire = b"\x82\x07\0\x01\0\0\x01t\x14";
    let Ok(Packet::Subscribe(subscribe)) = Packet::decode(V5, Sender::Client, wire) else { panic!() };
    assert_eq!(subscribe.filters.len(), 1);
    assert_eq!(
        refusal(Packet::Subscribe(subscribe), ProtocolVersion::V3_1_1, Sender::Client),
        Some(EncodeError::NotInVersion)
    );
}

// [v3 MQTT-3.8.3-3] [v5 MQTT-3.8.3-2] [v3 v5 MQTT-3.10.3-2]
#[test]
fn lists_without_an_entry_are_not_written() {
    let packet_identifier = id(1);
    let properties = Properties::EMPTY;
    for &version in ALL {
        let filters = Subscriptions::new(&[]);
        assert!(filters.is_empty());
        let subscribe = Packet::Subscribe(Subscribe { packet_identifier, properties, filters });
        assert_eq!(refusal(subscribe, version, Sender::Client), Some(EncodeError::EmptyPayload));
        let filters = TopicFilters::new(&[]);
        assert!(filters.is_empty());
        let unsubscribe = Packet::Unsubscribe(Unsubscribe { packet_identifier, properties, filters });
        assert_eq!(refusal(unsubscribe, version, Sender::Client), Some(EncodeError::EmptyPayload));
        let suback = Packet::Suback(Suback { packet_identifier, properties, reason_codes: ReasonCodes::new(&[]) });
        assert_eq!(refusal(suback, version, Sender::Server), Some(EncodeError::EmptyPayload));
    }
    let unsuback = Packet::Unsuback(Unsuback { packet_identifier, properties, reason_codes: ReasonCodes::new(&[]) });
    assert_eq!(refusal(unsuback, V5, Sender::Server), Some(EncodeError::EmptyPayload));
}

// [v5 MQTT-3.8.3-4]
#[test]
fn no_local_for_a_shared_subscription_is_not_written() {
    let options = SubscriptionOptions { no_local: true, ..SubscriptionOptions::new(QoS::AtMostOnce) };
    for (text, expected) in [("$share/g/t", Some(EncodeError::NoLocalOnShared)), ("t", None)] {
        let entries = [Subscription { filter: filter(text), options }];
        let filters = Subscriptions::new(&entries);
        let subscribe = Subscribe { packet_identifier: id(1), properties: Properties::EMPTY, filters };
        assert_eq!(refusal(Packet::Subscribe(subscribe), V5, Sender::Client), expected, "{text}");
    }
}

// [v3 MQTT-3.8.3-4] [v5 MQTT-3.8.3-5]
#[test]
fn subscription_options_have_no_other_bits() {
    for (options, byte) in [
        (SubscriptionOptions::new(QoS::AtMostOnce), 0b00_0000),
        (SubscriptionOptions::new(QoS::AtLeastOnce), 0b00_0001),
        (SubscriptionOptions::new(QoS::ExactlyOnce), 0b00_0010),
        (SubscriptionOptions { no_local: true, ..SubscriptionOptions::default() }, 0b00_0100),
        (SubscriptionOptions { retain_as_published: true, ..SubscriptionOptions::default() }, 0b00_1000),
        (
            SubscriptionOptions { retain_handling: RetainHandling::SendIfNew, ..SubscriptionOptions::default() },
            0b01_0000,
        ),
        (
            SubscriptionOptions { retain_handling: RetainHandling::DoNotSend, ..SubscriptionOptions::default() },
            0b10_0000,
        ),
    ] {
        let entries = [Subscription { filter: filter("t"), options }];
        let filters = Subscriptions::new(&entries);
        let subscribe =
            Packet::Subscribe(Subscribe { packet_identifier: id(1), properties: Properties::EMPTY, filters });
        assert_eq!(written(subscribe, V5, Sender::Client).last(), Some(&byte));
        if options == SubscriptionOptions::new(options.qos) {
            assert_eq!(written(subscribe, ProtocolVersion::V3_1_1, Sender::Client).last(), Some(&byte));
        }
    }
}

// [v5 MQTT-4.7.3-1]
// [v5 §3.3.2.1: an empty topic name needs an alias]
#[test]
fn a_publish_has_a_topic_name_or_a_topic_alias() {
    let list = [Property::TopicAlias(1)];
    let aliased = Publish { properties: Properties::new(&list), ..PUBLISH };
    for &sender in BOTH {
        for &version in ALL {
            assert_eq!(refusal(Packet::Publish(PUBLISH), version, sender), Some(EncodeError::TopicMissing));
        }
        assert_eq!(refusal(Packet::Publish(aliased), V5, sender), None);
        for &version in V3 {
            assert_eq!(refusal(Packet::Publish(aliased), version, sender), Some(EncodeError::TopicMissing));
        }
    }
}

// [v3 MQTT-3.2.2-4] [v5 MQTT-3.2.2-6]
#[test]
fn a_refusing_connack_has_no_session() {
    let reason_code = ReasonCode::NOT_AUTHORIZED;
    let connack = Connack { session_present: true, reason_code, properties: Properties::EMPTY };
    for &version in ALL {
        let refused = refusal(Packet::Connack(connack), version, Sender::Server);
        assert_eq!(refused, Some(EncodeError::SessionPresentWithFailure));
    }
}

#[test]
fn a_connack_of_3_1_does_not_say_whether_there_is_a_session() {
    let connack = Connack { session_present: true, reason_code: ReasonCode::SUCCESS, properties: Properties::EMPTY };
    assert_eq!(written(Packet::Connack(connack), ProtocolVersion::V3_1, Sender::Server), [0x20, 2, 0, 0]);
    assert_eq!(written(Packet::Connack(connack), ProtocolVersion::V3_1_1, Sender::Server), [0x20, 2, 1, 0]);
}

// [v5 §3.15.2.2.2: AUTH needs a method]
#[test]
fn an_auth_needs_a_method_unless_it_is_empty() {
    let missing = Some(EncodeError::PropertyMissing(PropertyIdentifier::AuthenticationMethod));
    let list = [Property::AuthenticationData(b"d")];
    for (reason_code, properties, expected) in [
        (ReasonCode::SUCCESS, Properties::EMPTY, None),
        (ReasonCode::SUCCESS, Properties::new(&list), missing),
        (ReasonCode::CONTINUE_AUTHENTICATION, Properties::EMPTY, missing),
        (ReasonCode::CONTINUE_AUTHENTICATION, Properties::new(&list), missing),
    ] {
        let auth = Packet::Auth(Auth { reason_code, properties });
        assert_eq!(refusal(auth, V5, Sender::Server), expected, "{auth:?}");
    }
}

#[test]
fn a_struct_writes_what_the_enum_writes() {
    for sample in samples() {
        for (version, sender) in sample.directions() {
            let mut out = vec![0; sample.wire.len()];
            let (len, written) = match &sample.packet {
                Packet::Connect(packet) => {
                    (packet.encoded_len(version, sender), packet.encode(version, sender, &mut out))
                }
                Packet::Connack(packet) => {
                    (packet.encoded_len(version, sender), packet.encode(version, sender, &mut out))
                }
                Packet::Publish(packet) => {
                    (packet.encoded_len(version, sender), packet.encode(version, sender, &mut out))
                }
                Packet::Ack(packet) => (packet.encoded_len(version, sender), packet.encode(version, sender, &mut out)),
                Packet::Subscribe(packet) => {
                    (packet.encoded_len(version, sender), packet.encode(version, sender, &mut out))
                }
                Packet::Suback(packet) => {
                    (packet.encoded_len(version, sender), packet.encode(version, sender, &mut out))
                }
                Packet::Unsubscribe(packet) => {
                    (packet.encoded_len(version, sender), packet.encode(version, sender, &mut out))
                }
                Packet::Unsuback(packet) => {
                    (packet.encoded_len(version, sender), packet.encode(version, sender, &mut out))
                }
                Packet::Disconnect(packet) => {
                    (packet.encoded_len(version, sender), packet.encode(version, sender, &mut out))
                }
                Packet::Auth(packet) => (packet.encoded_len(version, sender), packet.encode(version, sender, &mut out)),
                Packet::Pingreq | Packet::Pingresp => continue,
            };
            assert_eq!((len, written), (Ok(out.len()), Ok(out.len())), "{}", sample.name);
            assert_eq!(out, sample.wire, "{}", sample.name);
        }
    }
}
