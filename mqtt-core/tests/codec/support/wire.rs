//! Packets put together by hand, beside the library's own writer.

use mqtt_core::{PacketIdentifier, ProtocolVersion, Sender};

pub(crate) const V3: &[ProtocolVersion] = &[ProtocolVersion::V3_1, ProtocolVersion::V3_1_1];
pub(crate) const V5: &[ProtocolVersion] = &[ProtocolVersion::V5_0];
pub(crate) const ALL: &[ProtocolVersion] = &[ProtocolVersion::V3_1, ProtocolVersion::V3_1_1, ProtocolVersion::V5_0];

pub(crate) const CLIENT: &[Sender] = &[Sender::Client];
pub(crate) const SERVER: &[Sender] = &[Sender::Server];
pub(crate) const BOTH: &[Sender] = &[Sender::Client, Sender::Server];

pub(crate) const fn id(number: u16) -> PacketIdentifier {
    match PacketIdentifier::new(number) {
        Some(identifier) => identifier,
        None => panic!("0 is no identifier"),
    }
}

/// A packet: its first byte, the length of the rest, the rest.
pub(crate) fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![first];
    let mut len = body.len();
    loop {
        let low = (len % 128) as u8;
        len /= 128;
        if len == 0 {
            packet.push(low);
            break;
        }
        packet.push(low | 0x80);
    }
    packet.extend_from_slice(body);
    packet
}
