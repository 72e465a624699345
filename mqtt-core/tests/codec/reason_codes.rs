//! Which packet may carry which Reason Code, in both directions.

use mqtt_core::{
    Ack, AckKind, Auth, Connack, DecodeError, Disconnect, EncodeError, Packet, PacketType, Properties, Property,
    ProtocolVersion, ReasonCode, ReasonCodes, Sender, Suback, Unsuback,
};

use crate::support::tables::is_code_of;
use crate::support::wire::{BOTH, V3, id, packet};

/// A packet with this code: as bytes with the longest form of what surrounds it, and as value.
fn with_code(packet_type: PacketType, code: u8, codes: &[u8; 1], run: impl FnOnce(Vec<u8>, Packet<'_>)) {
    let reason_code = ReasonCode::from_u8(code);
    let reason_codes = ReasonCodes::new(codes);
    let properties = Properties::EMPTY;
    let first = (packet_type as u8) << 4 | if packet_type == PacketType::Pubrel { 2 } else { 0 };
    let ack = |kind| Packet::Ack(Ack { reason_code, ..Ack::new(kind, id(1)) });
    let (body, value) = match packet_type {
        PacketType::Connack => {
            (vec![0, code, 0], Packet::Connack(Connack { session_present: false, reason_code, properties }))
        }
        PacketType::Puback => (vec![0, 1, code, 0], ack(AckKind::Puback)),
        PacketType::Pubrec => (vec![0, 1, code, 0], ack(AckKind::Pubrec)),
        PacketType::Pubrel => (vec![0, 1, code, 0], ack(AckKind::Pubrel)),
        PacketType::Pubcomp => (vec![0, 1, code, 0], ack(AckKind::Pubcomp)),
        PacketType::Suback => {
            (vec![0, 1, 0, code], Packet::Suback(Suback { packet_identifier: id(1), properties, reason_codes }))
        }
        PacketType::Unsuback => {
            (vec![0, 1, 0, code], Packet::Unsuback(Unsuback { packet_identifier: id(1), properties, reason_codes }))
        }
        PacketType::Disconnect => (vec![code, 0], Packet::Disconnect(Disconnect { reason_code, properties })),
        PacketType::Auth => {
            let list = [Property::AuthenticationMethod("m")];
            let value = Packet::Auth(Auth { reason_code, properties: Properties::new(&list) });
            return run(packet(first, &[code, 4, 0x15, 0, 1, b'm']), value);
        }
        _ => panic!("{packet_type} has no Reason Code"),
    };
    run(packet(first, &body), value);
}

const CARRIERS: [PacketType; 9] = [
    PacketType::Connack,
    PacketType::Puback,
    PacketType::Pubrec,
    PacketType::Pubrel,
    PacketType::Pubcomp,
    PacketType::Suback,
    PacketType::Unsuback,
    PacketType::Disconnect,
    PacketType::Auth,
];

// [v5 MQTT-3.2.2-8] [v5 MQTT-3.4.2-1] [v5 MQTT-3.5.2-1] [v5 MQTT-3.6.2-1] [v5 MQTT-3.7.2-1] [v5 MQTT-3.9.3-2]
// [v5 MQTT-3.11.3-2] [v5 MQTT-3.14.2-1] [v5 MQTT-3.15.2-1]
// [v5 §2.4: each code in its packets]
#[test]
fn each_packet_carries_the_codes_of_its_table_and_no_others() {
    const V5: ProtocolVersion = ProtocolVersion::V5_0;
    for packet_type in CARRIERS {
        for &sender in BOTH.iter().filter(|&&sender| packet_type.is_sent_by(sender, V5)) {
            for code in 0..=255 {
                with_code(packet_type, code, &[code], |wire, value| {
                    let name = format!("{code:02x} in {packet_type} from {sender:?}");
                    let decoded = Packet::decode(V5, sender, &wire);
                    let len = value.encoded_len(V5, sender);
                    if is_code_of(code, packet_type, sender) {
                        assert_eq!(decoded, Ok(value), "{name}");
                        assert!(len.is_ok(), "{name}: {len:?}");
                    } else {
                        let reason_code = ReasonCode::from_u8(code);
                        assert_eq!(decoded, Err(DecodeError::ReasonCodeNotAllowed(reason_code)), "{name}");
                        assert_eq!(len, Err(EncodeError::ReasonCodeNotAllowed(reason_code)), "{name}");
                    }
                });
            }
        }
    }
}

// [v3 MQTT-3.9.3-2]
#[test]
fn a_suback_of_3_1_1_grants_a_qos_or_fails() {
    for &version in V3 {
        for code in 0..=255 {
            let wire = [0x90, 4, 0, 1, 0, code];
            let decoded = Packet::decode(version, Sender::Server, &wire);
            if matches!(code, 0..=2 | 0x80) {
                let Ok(Packet::Suback(suback)) = decoded else { panic!("{code:02x}: {decoded:?}") };
                assert_eq!(suback.reason_codes.get(1), Some(ReasonCode::from_u8(code)));
                assert_eq!(suback.reason_codes.get(2), None);
            } else {
                assert_eq!(decoded, Err(DecodeError::ReturnCodeNotAllowed(code)));
            }
        }
    }
}

#[test]
fn a_connack_of_3_1_1_says_what_its_six_codes_mean() {
    let codes = [
        ReasonCode::SUCCESS,
        ReasonCode::UNSUPPORTED_PROTOCOL_VERSION,
        ReasonCode::CLIENT_IDENTIFIER_NOT_VALID,
        ReasonCode::SERVER_UNAVAILABLE,
        ReasonCode::BAD_USER_NAME_OR_PASSWORD,
        ReasonCode::NOT_AUTHORIZED,
    ];
    for &version in V3 {
        for (number, reason_code) in (0..).zip(codes) {
            let connack = Connack { session_present: false, reason_code, properties: Properties::EMPTY };
            let mut out = [0; 4];
            assert_eq!(connack.encode(version, Sender::Server, &mut out), Ok(4));
            assert_eq!(out, [0x20, 2, 0, number], "{version:?}");
            assert_eq!(Packet::decode(version, Sender::Server, &out), Ok(Packet::Connack(connack)));
        }
        let connack =
            Connack { session_present: false, reason_code: ReasonCode::BANNED, properties: Properties::EMPTY };
        assert_eq!(connack.encoded_len(version, Sender::Server), Err(EncodeError::NotInVersion));
    }
}

#[test]
fn codes_of_0x80_and_above_are_failures() {
    for code in 0..=255 {
        assert_eq!(ReasonCode::from_u8(code).is_failure(), code >= 0x80);
        assert_eq!(ReasonCode::from_u8(code).as_u8(), code);
    }
}

/// The names of §2.4, Table 2-6.
const NAMES: [(ReasonCode, u8, &str); 45] = [
    (ReasonCode::SUCCESS, 0x00, "success (0x00)"),
    (ReasonCode::NORMAL_DISCONNECTION, 0x00, "success (0x00)"),
    (ReasonCode::GRANTED_QOS_0, 0x00, "success (0x00)"),
    (ReasonCode::GRANTED_QOS_1, 0x01, "granted QoS 1 (0x01)"),
    (ReasonCode::GRANTED_QOS_2, 0x02, "granted QoS 2 (0x02)"),
    (ReasonCode::DISCONNECT_WITH_WILL_MESSAGE, 0x04, "disconnect with will message (0x04)"),
    (ReasonCode::NO_MATCHING_SUBSCRIBERS, 0x10, "no matching subscribers (0x10)"),
    (ReasonCode::NO_SUBSCRIPTION_EXISTED, 0x11, "no subscription existed (0x11)"),
    (ReasonCode::CONTINUE_AUTHENTICATION, 0x18, "continue authentication (0x18)"),
    (ReasonCode::RE_AUTHENTICATE, 0x19, "re-authenticate (0x19)"),
    (ReasonCode::UNSPECIFIED_ERROR, 0x80, "unspecified error (0x80)"),
    (ReasonCode::MALFORMED_PACKET, 0x81, "malformed packet (0x81)"),
    (ReasonCode::PROTOCOL_ERROR, 0x82, "protocol error (0x82)"),
    (ReasonCode::IMPLEMENTATION_SPECIFIC_ERROR, 0x83, "implementation specific error (0x83)"),
    (ReasonCode::UNSUPPORTED_PROTOCOL_VERSION, 0x84, "unsupported protocol version (0x84)"),
    (ReasonCode::CLIENT_IDENTIFIER_NOT_VALID, 0x85, "client identifier not valid (0x85)"),
    (ReasonCode::BAD_USER_NAME_OR_PASSWORD, 0x86, "bad user name or password (0x86)"),
    (ReasonCode::NOT_AUTHORIZED, 0x87, "not authorized (0x87)"),
    (ReasonCode::SERVER_UNAVAILABLE, 0x88, "server unavailable (0x88)"),
    (ReasonCode::SERVER_BUSY, 0x89, "server busy (0x89)"),
    (ReasonCode::BANNED, 0x8a, "banned (0x8a)"),
    (ReasonCode::SERVER_SHUTTING_DOWN, 0x8b, "server shutting down (0x8b)"),
    (ReasonCode::BAD_AUTHENTICATION_METHOD, 0x8c, "bad authentication method (0x8c)"),
    (ReasonCode::KEEP_ALIVE_TIMEOUT, 0x8d, "keep alive timeout (0x8d)"),
    (ReasonCode::SESSION_TAKEN_OVER, 0x8e, "session taken over (0x8e)"),
    (ReasonCode::TOPIC_FILTER_INVALID, 0x8f, "topic filter invalid (0x8f)"),
    (ReasonCode::TOPIC_NAME_INVALID, 0x90, "topic name invalid (0x90)"),
    (ReasonCode::PACKET_IDENTIFIER_IN_USE, 0x91, "packet identifier in use (0x91)"),
    (ReasonCode::PACKET_IDENTIFIER_NOT_FOUND, 0x92, "packet identifier not found (0x92)"),
    (ReasonCode::RECEIVE_MAXIMUM_EXCEEDED, 0x93, "receive maximum exceeded (0x93)"),
    (ReasonCode::TOPIC_ALIAS_INVALID, 0x94, "topic alias invalid (0x94)"),
    (ReasonCode::PACKET_TOO_LARGE, 0x95, "packet too large (0x95)"),
    (ReasonCode::MESSAGE_RATE_TOO_HIGH, 0x96, "message rate too high (0x96)"),
    (ReasonCode::QUOTA_EXCEEDED, 0x97, "quota exceeded (0x97)"),
    (ReasonCode::ADMINISTRATIVE_ACTION, 0x98, "administrative action (0x98)"),
    (ReasonCode::PAYLOAD_FORMAT_INVALID, 0x99, "payload format invalid (0x99)"),
    (ReasonCode::RETAIN_NOT_SUPPORTED, 0x9a, "retain not supported (0x9a)"),
    (ReasonCode::QOS_NOT_SUPPORTED, 0x9b, "QoS not supported (0x9b)"),
    (ReasonCode::USE_ANOTHER_SERVER, 0x9c, "use another server (0x9c)"),
    (ReasonCode::SERVER_MOVED, 0x9d, "server moved (0x9d)"),
    (ReasonCode::SHARED_SUBSCRIPTIONS_NOT_SUPPORTED, 0x9e, "shared subscriptions not supported (0x9e)"),
    (ReasonCode::CONNECTION_RATE_EXCEEDED, 0x9f, "connection rate exceeded (0x9f)"),
    (ReasonCode::MAXIMUM_CONNECT_TIME, 0xa0, "maximum connect time (0xa0)"),
    (ReasonCode::SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED, 0xa1, "subscription identifiers not supported (0xa1)"),
    (ReasonCode::WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED, 0xa2, "wildcard subscriptions not supported (0xa2)"),
];

#[test]
fn names_belong_to_their_numbers() {
    for (reason_code, number, text) in NAMES {
        assert_eq!(reason_code, ReasonCode::from_u8(number), "{text}");
        assert_eq!(reason_code.to_string(), text);
    }
    assert_eq!(ReasonCode::from_u8(0x03).to_string(), "unknown (0x03)");
}
