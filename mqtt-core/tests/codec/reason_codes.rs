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
