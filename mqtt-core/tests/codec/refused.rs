//! What the decoder refuses: good packets with one thing wrong.

use mqtt_core::{DecodeError, Packet, PropertyIdentifier, ProtocolVersion, ReasonCode, Sender};

use crate::support::wire::{ALL, BOTH, CLIENT, SERVER, V3, V5, packet};

const V3_1_1: &[ProtocolVersion] = &[ProtocolVersion::V3_1_1];

/// What is wrong, who says so in which versions, and first byte and rest of the packet.
type Row<'a> = (&'static str, &'static [ProtocolVersion], &'static [Sender], u8, &'a [u8], DecodeError);

fn refuses(rows: &[Row<'_>]) {
    for &(name, versions, senders, first, body, error) in rows {
        let wire = packet(first, body);
        for &version in versions {
            for &sender in senders {
                assert_eq!(Packet::decode(version, sender, &wire), Err(error), "{name} {version:?} {sender:?}");
            }
        }
    }
}

fn decodes(version: ProtocolVersion, sender: Sender, first: u8, body: &[u8]) -> bool {
    Packet::decode(version, sender, &packet(first, body)).is_ok()
}

// trap L9; [v3 MQTT-2.2.2-2] [v5 MQTT-2.1.3-1] [v3 v5 MQTT-3.6.1-1] [v5 MQTT-3.14.1-1] [v5 MQTT-3.15.1-1]
#[test]
fn flags_that_do_not_belong_to_the_packet_type() {
    for number in (1..=15_u8).filter(|&number| number != 3) {
        let right = if matches!(number, 6 | 8 | 10) { 2 } else { 0 };
        for flags in (0..=15).filter(|&flags| flags != right) {
            for &version in ALL {
                for &sender in BOTH {
                    let wire = [number << 4 | flags, 2, 0, 1];
                    let decoded = Packet::decode(version, sender, &wire);
                    assert_eq!(decoded, Err(DecodeError::InvalidFlags), "{wire:02x?}");
                }
            }
        }
    }
    assert_eq!(DecodeError::InvalidFlags.reason_code(), ReasonCode::MALFORMED_PACKET);
}

// [v3 §2.2.1: types 0 and 15 are forbidden] [v5 §2.1.2: type 0 is forbidden]
#[test]
fn packet_types_that_do_not_exist() {
    for flags in 0..=15 {
        for &version in ALL {
            for &sender in BOTH {
                assert_eq!(Packet::decode(version, sender, &[flags, 0]), Err(DecodeError::ReservedPacketType));
            }
        }
    }
}

// [v3 v5 MQTT-3.3.1-4] [v3 v5 MQTT-3.3.1-2]
#[test]
fn publish_flags_that_mean_nothing() {
    for &version in ALL {
        for &sender in BOTH {
            for flags in 0..=15_u8 {
                let result = Packet::decode(version, sender, &[0x30 | flags, 6, 0, 1, b't', 0, 1, 0]).map(|_| ());
                let expected = match flags {
                    0b0110 | 0b0111 | 0b1110 | 0b1111 => Err(DecodeError::InvalidQoS),
                    0b1000 | 0b1001 => Err(DecodeError::InvalidFlags), // DUP at QoS 0
                    _ => Ok(()),
                };
                assert_eq!(result, expected, "{flags:04b} {version:?}");
            }
        }
    }
}

// [v5 MQTT-2.2.1-4] [v3 MQTT-2.3.1-1]
#[test]
fn packet_identifiers_of_zero() {
    let error = DecodeError::PacketIdentifierZero;
    refuses(&[
        ("PUBLISH, QoS 1", ALL, BOTH, 0x32, b"\0\x01t\0\0\0", error),
        ("PUBLISH, QoS 2", ALL, BOTH, 0x34, b"\0\x01t\0\0\0", error),
        ("PUBACK", ALL, BOTH, 0x40, b"\0\0", error),
        ("PUBREC", ALL, BOTH, 0x50, b"\0\0", error),
        ("PUBREL", ALL, BOTH, 0x62, b"\0\0", error),
        ("PUBCOMP", ALL, BOTH, 0x70, b"\0\0", error),
        ("SUBSCRIBE 5", V5, CLIENT, 0x82, b"\0\0\0\0\x01t\0", error),
        ("SUBSCRIBE 3", V3, CLIENT, 0x82, b"\0\0\0\x01t\0", error),
        ("SUBACK 5", V5, SERVER, 0x90, b"\0\0\0\0", error),
        ("SUBACK 3", V3, SERVER, 0x90, b"\0\0\0", error),
        ("UNSUBSCRIBE 5", V5, CLIENT, 0xa2, b"\0\0\0\0\x01t", error),
        ("UNSUBSCRIBE 3", V3, CLIENT, 0xa2, b"\0\0\0\x01t", error),
        ("UNSUBACK 5", V5, SERVER, 0xb0, b"\0\0\0\0", error),
        ("UNSUBACK 3", V3, SERVER, 0xb0, b"\0\0", error),
    ]);
}

// trap L9
// [v3 §2.2.3: four bytes at most] [v5 §1.5.5: four bytes at most]
#[test]
fn remaining_lengths_that_are_longer_than_needed_or_than_four_bytes() {
    for wire in [&[0xd0, 0x80, 0x00][..], &[0xd0, 0x80, 0x80, 0x00], &[0xd0, 0x80, 0x80, 0x80, 0x00]] {
        for &version in ALL {
            let decoded = Packet::decode(version, Sender::Server, wire);
            assert_eq!(decoded, Err(DecodeError::VariableByteInteger), "{wire:02x?}");
        }
    }
    let five_bytes = &[0xd0, 0x80, 0x80, 0x80, 0x80, 0x01];
    let decoded = Packet::decode(ProtocolVersion::V5_0, Sender::Server, five_bytes);
    assert_eq!(decoded, Err(DecodeError::VariableByteInteger));
}

// [v3 v5 MQTT-3.1.2-3] [v3 MQTT-3.1.2-11] [v3 v5 MQTT-3.1.2-13] [v5 MQTT-3.1.2-11]
// [v3 MQTT-3.1.2-14] [v5 MQTT-3.1.2-12] [v3 MQTT-3.1.2-15] [v3 MQTT-3.1.2-22]
#[test]
fn connect_flags() {
    // Each set of flags with all the fields that it announces, in both versions.
    for flags in 0..=255_u8 {
        let has = |bit: u8| flags & bit != 0;
        for version in [ProtocolVersion::V3_1_1, ProtocolVersion::V5_0] {
            let v5 = version == ProtocolVersion::V5_0;
            let mut body = b"\0\x04MQTT".to_vec();
            body.extend([version.level(), flags, 0, 0]);
            body.extend(if v5 { &b"\0\0\x01c"[..] } else { b"\0\x01c" });
            if has(0x04) {
                body.extend(if v5 { &b"\0\0\x01w\0\0"[..] } else { b"\0\x01w\0\0" });
            }
            body.extend(if has(0x80) { &b"\0\0"[..] } else { b"" });
            body.extend(if has(0x40) { &b"\0\0"[..] } else { b"" });
            let qos = flags >> 3 & 3;
            let expected = if has(0x01) || !has(0x04) && flags & 0x38 != 0 || !v5 && has(0x40) && !has(0x80) {
                Some(DecodeError::ReservedBits)
            } else if qos == 3 {
                Some(DecodeError::InvalidQoS)
            } else {
                None
            };
            let wire = packet(0x10, &body);
            let decoded = Packet::decode(version, Sender::Client, &wire);
            assert_eq!(decoded.err(), expected, "{flags:08b} {version:?}");
            let Ok(Packet::Connect(connect)) = decoded else {
                continue;
            };
            assert_eq!(connect.clean_start, has(0x02), "{flags:08b}");
            assert_eq!(connect.will.map(|will| (will.qos as u8, will.retain)), has(0x04).then_some((qos, has(0x20))));
            assert_eq!(connect.user_name, has(0x80).then_some(""), "{flags:08b}");
            assert_eq!(connect.password, has(0x40).then_some(&b""[..]), "{flags:08b}");
        }
    }
}

// [v3 v5 MQTT-3.1.2-9] [v3 MQTT-3.1.2-18 MQTT-3.1.2-19 MQTT-3.1.2-20 MQTT-3.1.2-21]
// trap L16; [v5 MQTT-3.1.2-16 MQTT-3.1.2-17 MQTT-3.1.2-18 MQTT-3.1.2-19]
#[test]
fn connect_fields_without_their_flag_and_flags_without_their_field() {
    for (version, level, properties) in [(ProtocolVersion::V3_1_1, 4, &b""[..]), (ProtocolVersion::V5_0, 5, b"\0")] {
        let will = [properties, b"\0\x01w\0\0"].concat();
        for (flags, fields) in [(0x04, &will[..]), (0x80, b"\0\x01u"), (0xc0, b"\0\x01u\0\x01p")] {
            let body = |flags, fields: &[u8]| {
                packet(0x10, &[b"\0\x04MQTT", &[level, flags, 0, 0][..], properties, b"\0\x01c", fields].concat())
            };
            let decode = |wire: &[u8]| Packet::decode(version, Sender::Client, wire).map(|_| ());
            assert_eq!(decode(&body(flags, fields)), Ok(()), "{flags:08b} {version:?}");
            assert_eq!(decode(&body(0, fields)), Err(DecodeError::TrailingBytes), "{flags:08b} {version:?}");
            assert_eq!(decode(&body(flags, b"")), Err(DecodeError::UnexpectedEnd), "{flags:08b} {version:?}");
        }
    }
}

// [v5 MQTT-3.1.2-1] [v3 MQTT-3.1.3-7]
#[test]
fn connect_names_levels_and_identifiers() {
    let name = DecodeError::InvalidProtocolName;
    let empty = DecodeError::ClientIdentifierEmpty;
    refuses(&[
        ("other name", ALL, CLIENT, 0x10, b"\0\x04MQTX\x05\x02\0\0\0\0\x01c", name),
        ("lower case", ALL, CLIENT, 0x10, b"\0\x04mqtt\x04\x02\0\0\0\x01c", name),
        ("no name", ALL, CLIENT, 0x10, b"\0\0\x04\x02\0\0\0\x01c", name),
        ("name of 3.1 with the level of 3.1.1", ALL, CLIENT, 0x10, b"\0\x06MQIsdp\x04\x02\0\0\0\x01c", name),
        ("name of 3.1.1 with the level of 3.1", ALL, CLIENT, 0x10, b"\0\x04MQTT\x03\x02\0\0\0\x01c", name),
        ("level 6", ALL, CLIENT, 0x10, b"\0\x04MQTT\x06", DecodeError::UnsupportedProtocolVersion(6)),
        ("level 0", ALL, CLIENT, 0x10, b"\0\x04MQTT\x00", DecodeError::UnsupportedProtocolVersion(0)),
        ("a bridge", ALL, CLIENT, 0x10, b"\0\x04MQTT\x84", DecodeError::UnsupportedProtocolVersion(0x84)),
        ("3.1.1 resumes nothing", ALL, CLIENT, 0x10, b"\0\x04MQTT\x04\0\0\0\0\0", empty),
        ("3.1 has no empty identifier", ALL, CLIENT, 0x10, b"\0\x06MQIsdp\x03\x02\0\0\0\0", empty),
    ]);
    assert!(decodes(ProtocolVersion::V3_1_1, Sender::Client, 0x10, b"\0\x04MQTT\x04\x02\0\0\0\0"));
    assert!(decodes(ProtocolVersion::V5_0, Sender::Client, 0x10, b"\0\x04MQTT\x05\0\0\0\0\0\0"));
    // What a Server answers, 3.1.1 §3.1.3.1 and §3.1.2.2.
    assert_eq!(empty.reason_code().connack_return_code(), Some(2));
    assert_eq!(DecodeError::UnsupportedProtocolVersion(6).reason_code().connack_return_code(), Some(1));
}

// [v5 §3.1.2.11.10: data needs a method]
#[test]
fn connect_properties_that_need_one_another() {
    let error = DecodeError::PropertyMissing(PropertyIdentifier::AuthenticationMethod);
    refuses(&[("data without method", V5, CLIENT, 0x10, b"\0\x04MQTT\x05\x02\0\0\x04\x16\0\x01d\0\x01c", error)]);
    assert_eq!(error.reason_code(), ReasonCode::PROTOCOL_ERROR);
}

#[test]
fn will_topics() {
    let error = DecodeError::InvalidTopicName;
    refuses(&[
        ("empty", V5, CLIENT, 0x10, b"\0\x04MQTT\x05\x04\0\0\0\0\x01c\0\0\0\0\0", error),
        ("empty", V3, CLIENT, 0x10, b"\0\x04MQTT\x04\x04\0\0\0\x01c\0\0\0\0", error),
        ("wildcard", V5, CLIENT, 0x10, b"\0\x04MQTT\x05\x04\0\0\0\0\x01c\0\0\x01#\0\0", error),
        ("wildcard", V3, CLIENT, 0x10, b"\0\x04MQTT\x04\x04\0\0\0\x01c\0\x01+\0\0", error),
    ]);
}

// [v3 MQTT-3.2.2-4] [v5 MQTT-3.2.2-1 MQTT-3.2.2-6]
// [v3 §3.2.2.1: flag bits 7 to 1 are zero] [v3 §3.2.2.3: return codes 6 to 255 are reserved]
#[test]
fn connacks() {
    let session = DecodeError::SessionPresentWithFailure;
    refuses(&[
        ("flag bit 1", V5, SERVER, 0x20, b"\x02\0\0", DecodeError::ReservedBits),
        ("flag bit 7", V5, SERVER, 0x20, b"\x80\0\0", DecodeError::ReservedBits),
        ("flag bits besides bit 0", V5, SERVER, 0x20, b"\xff\0\0", DecodeError::ReservedBits),
        ("flag bit 1", V3_1_1, SERVER, 0x20, b"\x02\0", DecodeError::ReservedBits),
        ("flag bit 7", V3_1_1, SERVER, 0x20, b"\x81\0", DecodeError::ReservedBits),
        ("session, but refused", V5, SERVER, 0x20, b"\x01\x87\0", session),
        ("session, but refused", V3_1_1, SERVER, 0x20, b"\x01\x05", session),
        ("properties", V3, SERVER, 0x20, b"\0\0\0", DecodeError::TrailingBytes),
        ("without properties", V5, SERVER, 0x20, b"\0\0", DecodeError::UnexpectedEnd),
        ("refused without properties", V5, SERVER, 0x20, b"\0\x87", DecodeError::UnexpectedEnd),
        ("reserved return code", V3, SERVER, 0x20, b"\0\x06", DecodeError::ReturnCodeNotAllowed(6)),
        ("reserved return code", V3, SERVER, 0x20, b"\0\xff", DecodeError::ReturnCodeNotAllowed(255)),
        ("Reason Code of 5.0", V3, SERVER, 0x20, b"\0\x87", DecodeError::ReturnCodeNotAllowed(0x87)),
    ]);
    for number in 2..=255 {
        refuses(&[
            ("every flag", V5, SERVER, 0x20, &[number, 0, 0], DecodeError::ReservedBits),
            ("every flag", V3_1_1, SERVER, 0x20, &[number, 0], DecodeError::ReservedBits),
        ]);
    }
    // 0x84 has a test of its own.
    for code in (6..=255).filter(|&code| code != 0x84) {
        refuses(&[("every return code", V3, SERVER, 0x20, &[0, code], DecodeError::ReturnCodeNotAllowed(code))]);
    }
}

#[test]
fn a_connack_of_another_version_is_understood_if_it_refuses() {
    // A Server that speaks one version only answers in that, or in the shape of that.
    for (version, body, reason_code) in [
        (ProtocolVersion::V5_0, &b"\0\x01"[..], ReasonCode::UNSUPPORTED_PROTOCOL_VERSION),
        (ProtocolVersion::V5_0, b"\0\x02", ReasonCode::CLIENT_IDENTIFIER_NOT_VALID),
        (ProtocolVersion::V5_0, b"\0\x05", ReasonCode::NOT_AUTHORIZED),
        (ProtocolVersion::V5_0, b"\0\x84", ReasonCode::UNSUPPORTED_PROTOCOL_VERSION),
        (ProtocolVersion::V3_1_1, b"\0\x84", ReasonCode::UNSUPPORTED_PROTOCOL_VERSION),
        (ProtocolVersion::V3_1_1, b"\0\x84\0", ReasonCode::UNSUPPORTED_PROTOCOL_VERSION),
        (ProtocolVersion::V3_1, b"\0\x84\0", ReasonCode::UNSUPPORTED_PROTOCOL_VERSION),
    ] {
        let wire = packet(0x20, body);
        let Ok(Packet::Connack(connack)) = Packet::decode(version, Sender::Server, &wire) else {
            panic!("{body:02x?} {version:?}");
        };
        assert_eq!(connack.reason_code, reason_code, "{body:02x?} {version:?}");
        assert!(!connack.session_present);
    }
    refuses(&[
        ("0x84 and more", V3, SERVER, 0x20, b"\0\x84\0\0", DecodeError::TrailingBytes),
        ("0x84 and a length", V3, SERVER, 0x20, b"\0\x84\x01", DecodeError::TrailingBytes),
    ]);
}

#[test]
fn the_flags_of_a_connack_of_3_1_are_reserved_and_not_looked_at() {
    for flags in [0x00, 0x01, 0xff] {
        let wire = [0x20, 2, flags, 0];
        let Ok(Packet::Connack(connack)) = Packet::decode(ProtocolVersion::V3_1, Sender::Server, &wire) else {
            panic!("{flags:02x}");
        };
        assert!(!connack.session_present);
    }
}

// [v3 v5 MQTT-3.3.2-2] [v3 v5 MQTT-4.7.3-1] [v3 MQTT-4.7.1-1] [v5 MQTT-4.7.0-1]
// [v5 §3.3.2.1: an empty topic name needs an alias]
#[test]
fn publish_topics() {
    let error = DecodeError::InvalidTopicName;
    let missing = DecodeError::TopicMissing;
    refuses(&[
        ("#", ALL, BOTH, 0x30, b"\0\x03a/#\0", error),
        ("+", ALL, BOTH, 0x30, b"\0\x03a+b\0", error),
        // NATS 2.10 sends this.
        ("empty", V3, BOTH, 0x30, b"\0\0payload", missing),
        ("empty without an alias", V5, BOTH, 0x30, b"\0\0\0payload", missing),
        ("empty without an alias, QoS 1", V5, BOTH, 0x32, b"\0\0\0\x01\x02\x01\0payload", missing),
    ]);
}

// trap L9
#[test]
fn acks_with_something_behind_them() {
    for first in [0x40, 0x50, 0x62, 0x70] {
        refuses(&[
            ("3.1.1 has no Reason Code", V3, BOTH, first, b"\0\x01\0", DecodeError::TrailingBytes),
            ("more than the properties", V5, BOTH, first, b"\0\x01\0\0\0", DecodeError::TrailingBytes),
            ("properties cut short", V5, BOTH, first, b"\0\x01\0\x01", DecodeError::UnexpectedEnd),
            ("half an identifier", ALL, BOTH, first, b"\x01", DecodeError::UnexpectedEnd),
        ]);
    }
}

// [v3 v5 MQTT-3.10.3-2] [v3 MQTT-3.8.3-3] [v5 MQTT-3.8.3-2]
#[test]
fn lists_without_an_entry() {
    let error = DecodeError::EmptyPayload;
    refuses(&[
        ("SUBSCRIBE", V3, CLIENT, 0x82, b"\0\x01", error),
        ("SUBSCRIBE", V5, CLIENT, 0x82, b"\0\x01\0", error),
        ("UNSUBSCRIBE", V3, CLIENT, 0xa2, b"\0\x01", error),
        ("UNSUBSCRIBE", V5, CLIENT, 0xa2, b"\0\x01\0", error),
        ("SUBACK", V3, SERVER, 0x90, b"\0\x01", error),
        ("SUBACK", V5, SERVER, 0x90, b"\0\x01\0", error),
        ("UNSUBACK", V5, SERVER, 0xb0, b"\0\x01\0", error),
        ("UNSUBACK with an entry", V3, SERVER, 0xb0, b"\0\x01\0", DecodeError::TrailingBytes),
    ]);
    assert_eq!(error.reason_code(), ReasonCode::PROTOCOL_ERROR);
}

// [v3 MQTT-3.8.3-4] [v5 MQTT-3.8.3-5]
// [v5 §3.8.3.1: no QoS 3 and no Retain Handling 3]
#[test]
fn subscription_options() {
    for options in 0..=255_u8 {
        let decode = |version, body: &[u8]| Packet::decode(version, Sender::Client, &packet(0x82, body)).map(|_| ());
        let expected = match options {
            0..=2 => Ok(()),
            3 => Err(DecodeError::InvalidSubscriptionOptions),
            _ => Err(DecodeError::ReservedBits),
        };
        for &version in V3 {
            assert_eq!(decode(version, &[0, 1, 0, 1, b't', options]), expected, "{options:08b} {version:?}");
        }
        let expected = match options {
            0b0100_0000.. => Err(DecodeError::ReservedBits),
            0b0011_0000.. => Err(DecodeError::InvalidSubscriptionOptions), // Retain Handling 3
            _ if options & 0b11 == 0b11 => Err(DecodeError::InvalidSubscriptionOptions), // QoS 3
            _ => Ok(()),
        };
        assert_eq!(decode(ProtocolVersion::V5_0, &[0, 1, 0, 0, 1, b't', options]), expected, "{options:08b}");
    }
    assert_eq!(DecodeError::InvalidSubscriptionOptions.reason_code(), ReasonCode::PROTOCOL_ERROR);
    assert_eq!(DecodeError::ReservedBits.reason_code(), ReasonCode::MALFORMED_PACKET);
}

// [v5 MQTT-3.8.3-4]
#[test]
fn no_local_for_a_shared_subscription() {
    let error = DecodeError::NoLocalOnShared;
    refuses(&[("no local", V5, CLIENT, 0x82, b"\0\x01\0\0\x0a$share/g/t\x04", error)]);
    assert_eq!(error.reason_code(), ReasonCode::PROTOCOL_ERROR);
    assert!(decodes(ProtocolVersion::V5_0, Sender::Client, 0x82, b"\0\x01\0\0\x01t\x04"));
    assert!(decodes(ProtocolVersion::V5_0, Sender::Client, 0x82, b"\0\x01\0\0\x0a$share/g/t\0"));
}

#[test]
fn topic_filters() {
    let error = DecodeError::InvalidTopicFilter;
    refuses(&[
        ("empty", V3, CLIENT, 0x82, b"\0\x01\0\0\0", error),
        ("empty", V5, CLIENT, 0x82, b"\0\x01\0\0\0\0", error),
        ("the second", V5, CLIENT, 0x82, b"\0\x01\0\0\x01t\0\0\x03#/a\0", error),
        ("no share name", V5, CLIENT, 0x82, b"\0\x01\0\0\x09$share//t\0", error),
        ("empty", V3, CLIENT, 0xa2, b"\0\x01\0\0", error),
        ("the second", V5, CLIENT, 0xa2, b"\0\x01\0\0\x01t\0\x02a#", error),
    ]);
}

#[test]
fn disconnects() {
    let missing = DecodeError::UnexpectedEnd;
    refuses(&[
        ("with a Reason Code", V3, CLIENT, 0xe0, b"\0", DecodeError::TrailingBytes),
        ("properties cut short", V5, BOTH, 0xe0, b"\0\x01", missing),
        ("more than the properties", V5, BOTH, 0xe0, b"\0\0\0", DecodeError::TrailingBytes),
    ]);
    // Short forms: nothing, and a Reason Code alone, §3.14.2.2.1.
    assert!(decodes(ProtocolVersion::V5_0, Sender::Server, 0xe0, b""));
    assert!(decodes(ProtocolVersion::V5_0, Sender::Server, 0xe0, b"\x8b"));
}

// [v5 §3.15.2.2.2: AUTH needs a method]
#[test]
fn auths() {
    let method = DecodeError::PropertyMissing(PropertyIdentifier::AuthenticationMethod);
    refuses(&[
        ("without a method", V5, BOTH, 0xf0, b"\x18\0", method),
        ("success with a length, without a method", V5, SERVER, 0xf0, b"\0\0", method),
        ("data without a method", V5, BOTH, 0xf0, b"\x18\x04\x16\0\x01d", method),
        ("a Reason Code alone", V5, BOTH, 0xf0, b"\x18", DecodeError::UnexpectedEnd),
        ("success alone", V5, SERVER, 0xf0, b"\0", DecodeError::UnexpectedEnd),
        // Empty means success, which the Client does not say.
        ("empty", V5, CLIENT, 0xf0, b"", DecodeError::ReasonCodeNotAllowed(ReasonCode::SUCCESS)),
    ]);
    assert_eq!(method.reason_code(), ReasonCode::PROTOCOL_ERROR);
}
