//! The fixed header: packet type, flags and Remaining Length, §2.1.

use super::{PacketType, Sender};
use crate::codec::variable_byte_integer;
use crate::error::{DecodeError, EncodeError};
use crate::types::QoS;
use crate::version::ProtocolVersion;

/// A fixed header that was checked: type and flags belong together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct FixedHeader {
    pub(crate) packet_type: PacketType,
    pub(crate) flags: u8,
    /// Bytes of the packet behind its fixed header.
    pub(crate) remaining_length: u32,
    /// Bytes of the fixed header, 2 to 5.
    pub(crate) len: usize,
}

/// The flags of a PUBLISH, §3.3.1.
pub(super) const DUP: u8 = 0b1000;
pub(super) const RETAIN: u8 = 0b0001;

impl FixedHeader {
    /// Reads the fixed header at the front of `bytes`; `None`: it is not all there.
    ///
    /// What is wrong with the first byte is found as soon as that byte is there.
    #[cfg_attr(target_os = "none", inline(never))]
    #[cfg_attr(not(target_os = "none"), inline)]
    pub(crate) fn decode(bytes: &[u8]) -> Result<Option<Self>, DecodeError> {
        let Some((&first, rest)) = bytes.split_first() else {
            return Ok(None);
        };
        let packet_type = PacketType::from_first_byte(first).ok_or(DecodeError::ReservedPacketType)?;
        let flags = first & 0x0f;
        if matches!(packet_type, PacketType::Publish) {
            let qos = qos(flags).ok_or(DecodeError::InvalidQoS)?;
            if flags & DUP != 0 && matches!(qos, QoS::AtMostOnce) {
                return Err(DecodeError::InvalidFlags);
            }
        } else if first != packet_type.first_byte() {
            return Err(DecodeError::InvalidFlags);
        }
        let Some((remaining_length, len)) = variable_byte_integer::decode(rest)? else {
            return Ok(None);
        };
        Ok(Some(Self { packet_type, flags, remaining_length, len: len + 1 }))
    }

    /// Reads the fixed header of a packet that is all there, but for as many bytes `to_come`, and gives what follows it.
    #[inline]
    pub(crate) fn split(packet: &[u8], to_come: u32) -> Result<(Self, &[u8]), DecodeError> {
        let header = Self::decode(packet)?.ok_or(DecodeError::UnexpectedEnd)?;
        let body = packet.get(header.len..).unwrap_or_default();
        // `None`: more is to come than the packet has.
        match header.remaining_length.checked_sub(to_come) {
            Some(len) if body.len() == len as usize => Ok((header, body)),
            Some(len) if body.len() > len as usize => Err(DecodeError::TrailingBytes),
            _ => Err(DecodeError::UnexpectedEnd),
        }
    }

    /// Bytes of the whole packet; at most 5 + 268,435,455.
    pub(crate) const fn packet_len(self) -> u32 {
        self.remaining_length.saturating_add(self.len as u32)
    }
}

/// The QoS in the flags of a PUBLISH; `None`: both bits are set [MQTT-3.3.1-4].
#[inline]
pub(crate) const fn qos(flags: u8) -> Option<QoS> {
    QoS::from_u8(flags >> 1 & 0b11)
}

/// Refuses to write what this side does not send, or not in this version.
#[inline]
pub(super) const fn check_sender(
    packet_type: PacketType,
    version: ProtocolVersion,
    sender: Sender,
) -> Result<(), EncodeError> {
    if !version.is_supported() {
        Err(EncodeError::VersionNotSupported)
    } else if packet_type.is_sent_by(sender, version) {
        Ok(())
    } else if matches!(packet_type, PacketType::Auth | PacketType::Disconnect) {
        Err(EncodeError::NotInVersion)
    } else {
        Err(EncodeError::PacketNotAllowed(packet_type))
    }
}
