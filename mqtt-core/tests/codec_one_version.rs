//! A version that is left out of the build is a typed error in both directions.

#![cfg(test)]
#![cfg(not(all(feature = "v3", feature = "v5")))]

use mqtt_core::{
    Ack, AckKind, Connect, DecodeError, EncodeError, Packet, PacketIdentifier, Properties, ProtocolVersion, Sender,
};

const VERSIONS: [ProtocolVersion; 3] = [ProtocolVersion::V3_1, ProtocolVersion::V3_1_1, ProtocolVersion::V5_0];

/// CONNECT of each version.
const CONNECTS: [&[u8]; 3] = [
    b"\x10\x0f\0\x06MQIsdp\x03\x02\0\0\0\x01c",
    b"\x10\x0d\0\x04MQTT\x04\x02\0\0\0\x01c",
    b"\x10\x0e\0\x04MQTT\x05\x02\0\0\0\0\x01c",
];

#[test]
fn what_is_left_out_is_neither_read_nor_written() {
    for (version, connect) in VERSIONS.into_iter().zip(CONNECTS) {
        let ack = Packet::Ack(Ack::new(AckKind::Puback, PacketIdentifier::new(1).unwrap()));
        let puback = [0x40, 2, 0, 1];
        let decoded = Packet::decode(version, Sender::Server, &puback);
        let decoded_connect = Packet::decode(version, Sender::Client, connect);
        let len = ack.encoded_len(version, Sender::Client);
        if version.is_supported() {
            assert_eq!(decoded, Ok(ack));
            assert!(matches!(decoded_connect, Ok(Packet::Connect(connect)) if connect.version == version));
            assert_eq!(len, Ok(4));
        } else {
            assert_eq!(decoded, Err(DecodeError::UnsupportedProtocolVersion(version.level())));
            assert_eq!(decoded_connect, Err(DecodeError::UnsupportedProtocolVersion(version.level())));
            assert_eq!(len, Err(EncodeError::VersionNotSupported));
        }
    }
}

#[test]
fn a_connect_counts_by_its_own_version() {
    for version in VERSIONS {
        let connect = Connect {
            version,
            clean_start: true,
            keep_alive: 0,
            client_identifier: "c",
            properties: Properties::EMPTY,
            will: None,
            user_name: None,
            password: None,
        };
        for other in VERSIONS {
            let result = connect.encoded_len(other, Sender::Client);
            assert_eq!(result.is_ok(), version.is_supported(), "{version:?}: {result:?}");
        }
    }
}
