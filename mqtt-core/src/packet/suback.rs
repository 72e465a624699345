//! SUBACK and UNSUBACK, §3.9 and §3.11: one shape, but that the UNSUBACK of 3.1.1 has no codes.

use super::fixed_header::check_sender;
use super::{PacketType, Sender};
use crate::codec::reader::Reader;
use crate::codec::writer::{Measure, Measured, Writer};
use crate::error::{DecodeError, EncodeError};
use crate::property::{Properties, Scope};
use crate::types::{PacketIdentifier, ReasonCode, ReasonCodes};
use crate::version::ProtocolVersion;

/// The answer to SUBSCRIBE, §3.9.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Suback<'a> {
    /// That of the SUBSCRIBE.
    pub packet_identifier: PacketIdentifier,
    /// Reason String and User Properties; empty in 3.1.1.
    pub properties: Properties<'a>,
    /// For each filter the QoS granted, or why not. 3.1.1 knows one failure, 0x80.
    pub reason_codes: ReasonCodes<'a>,
}

/// The answer to UNSUBSCRIBE, §3.11.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Unsuback<'a> {
    /// That of the UNSUBSCRIBE.
    pub packet_identifier: PacketIdentifier,
    /// Reason String and User Properties; empty in 3.1.1.
    pub properties: Properties<'a>,
    /// For each filter the result; none in 3.1.1.
    pub reason_codes: ReasonCodes<'a>,
}

impl<'a> Suback<'a> {
    pub(crate) fn decode(version: ProtocolVersion, reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let Body { packet_identifier, properties, reason_codes } = Body::decode(PacketType::Suback, version, reader)?;
        Ok(Self { packet_identifier, properties, reason_codes })
    }

    const fn body(&self) -> Body<'a> {
        let Self { packet_identifier, properties, reason_codes } = *self;
        Body { packet_identifier, properties, reason_codes }
    }

    /// The exact length of the packet.
    ///
    /// # Errors
    /// Those of [`encode`](Self::encode), but for the buffer.
    pub fn encoded_len(&self, version: ProtocolVersion, sender: Sender) -> Result<usize, EncodeError> {
        Ok(self.body().measure(PacketType::Suback, version, sender)?.packet_len())
    }

    /// Writes the packet to the start of `out` and returns its length.
    ///
    /// # Errors
    /// `EmptyPayload`, `ReasonCodeNotAllowed`, `NotInVersion` for what 3.1.1 cannot say, the errors of properties,
    /// `PacketTooLarge`, and `BufferTooSmall`. Nothing is written then.
    pub fn encode(&self, version: ProtocolVersion, sender: Sender, out: &mut [u8]) -> Result<usize, EncodeError> {
        self.body().encode(PacketType::Suback, version, sender, out)
    }
}

impl<'a> Unsuback<'a> {
    pub(crate) fn decode(version: ProtocolVersion, reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let Body { packet_identifier, properties, reason_codes } = Body::decode(PacketType::Unsuback, version, reader)?;
        Ok(Self { packet_identifier, properties, reason_codes })
    }

    const fn body(&self) -> Body<'a> {
        let Self { packet_identifier, properties, reason_codes } = *self;
        Body { packet_identifier, properties, reason_codes }
    }

    /// The exact length of the packet.
    ///
    /// # Errors
    /// Those of [`encode`](Self::encode), but for the buffer.
    pub fn encoded_len(&self, version: ProtocolVersion, sender: Sender) -> Result<usize, EncodeError> {
        Ok(self.body().measure(PacketType::Unsuback, version, sender)?.packet_len())
    }

    /// Writes the packet to the start of `out` and returns its length.
    ///
    /// # Errors
    /// `EmptyPayload`, `ReasonCodeNotAllowed`, `NotInVersion` for codes or properties in 3.1.1, the errors of
    /// properties, `PacketTooLarge`, and `BufferTooSmall`. Nothing is written then.
    pub fn encode(&self, version: ProtocolVersion, sender: Sender, out: &mut [u8]) -> Result<usize, EncodeError> {
        self.body().encode(PacketType::Unsuback, version, sender, out)
    }
}

/// What both packets consist of.
struct Body<'a> {
    packet_identifier: PacketIdentifier,
    properties: Properties<'a>,
    reason_codes: ReasonCodes<'a>,
}

impl<'a> Body<'a> {
    fn decode(packet_type: PacketType, version: ProtocolVersion, reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let packet_identifier = reader.packet_identifier();
        let properties = Properties::decode(version, reader, Scope::Packet(packet_type, Sender::Server));
        reader.result()?;
        if !has_codes(packet_type, version) {
            reader.finish()?;
        } else if reader.is_empty() {
            return Err(DecodeError::EmptyPayload);
        }
        let reason_codes = ReasonCodes::new(reader.rest());
        for code in reason_codes.iter() {
            if !is_allowed(code, packet_type, version) {
                return Err(if version.is_v5() {
                    DecodeError::ReasonCodeNotAllowed(code)
                } else {
                    DecodeError::ReturnCodeNotAllowed(code.as_u8())
                });
            }
        }
        Ok(Self { packet_identifier, properties, reason_codes })
    }

    fn measure(
        &self,
        packet_type: PacketType,
        version: ProtocolVersion,
        sender: Sender,
    ) -> Result<Measured, EncodeError> {
        check_sender(packet_type, version, sender)?;
        if has_codes(packet_type, version) == self.reason_codes.is_empty() {
            return Err(if self.reason_codes.is_empty() {
                EncodeError::EmptyPayload
            } else {
                EncodeError::NotInVersion
            });
        }
        if let Some(code) = self.reason_codes.iter().find(|&code| !is_allowed(code, packet_type, version)) {
            let known_to_v5 = !version.is_v5() && code.is_allowed_in(packet_type, Sender::Server);
            return Err(if known_to_v5 { EncodeError::NotInVersion } else { EncodeError::ReasonCodeNotAllowed(code) });
        }
        let mut measure = Measure::default();
        measure.add(2);
        let properties_len = self.properties.measure(version, Scope::Packet(packet_type, sender), &mut measure);
        measure.add(self.reason_codes.len());
        measure.finish(properties_len)
    }

    fn encode(
        &self,
        packet_type: PacketType,
        version: ProtocolVersion,
        sender: Sender,
        out: &mut [u8],
    ) -> Result<usize, EncodeError> {
        let Measured { remaining_length, properties_len } = self.measure(packet_type, version, sender)?;
        let (mut writer, len) = Writer::packet(out, packet_type.first_byte(), remaining_length)?;
        writer.u16(self.packet_identifier.number());
        self.properties.write(version, &mut writer, properties_len);
        writer.bytes(self.reason_codes.as_bytes());
        Ok(len)
    }
}

/// The UNSUBACK of 3.1.1 has no payload, 3.1.1 §3.11.3.
const fn has_codes(packet_type: PacketType, version: ProtocolVersion) -> bool {
    version.is_v5() || matches!(packet_type, PacketType::Suback)
}

const fn is_allowed(code: ReasonCode, packet_type: PacketType, version: ProtocolVersion) -> bool {
    if version.is_v5() {
        code.is_allowed_in(packet_type, Sender::Server)
    } else {
        matches!(code.as_u8(), 0..=2 | 0x80) // 3.1.1 §3.9.3 [MQTT-3.9.3-2]
    }
}
