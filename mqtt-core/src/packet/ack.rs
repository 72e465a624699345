//! PUBACK, PUBREC, PUBREL and PUBCOMP, §3.4 to §3.7: four packets of one shape.

use super::fixed_header::check_sender;
use super::{PacketType, Sender};
use crate::codec::reader::Reader;
use crate::codec::writer::{Measure, Measured, Writer};
use crate::error::{DecodeError, EncodeError};
use crate::property::{Properties, Scope};
use crate::types::{PacketIdentifier, ReasonCode};
use crate::version::ProtocolVersion;

/// Which step of a QoS 1 or 2 exchange is acknowledged, §4.3.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum AckKind {
    /// PUBACK: a QoS 1 message has arrived.
    Puback,
    /// PUBREC: a QoS 2 message has arrived.
    Pubrec,
    /// PUBREL: the sender knows that, and lets go of the message.
    Pubrel,
    /// PUBCOMP: the exchange is over.
    Pubcomp,
}

impl AckKind {
    /// Which acknowledgement such a packet is, if it is one.
    #[inline]
    pub(crate) const fn of(packet_type: PacketType) -> Option<Self> {
        match packet_type {
            PacketType::Puback => Some(Self::Puback),
            PacketType::Pubrec => Some(Self::Pubrec),
            PacketType::Pubrel => Some(Self::Pubrel),
            PacketType::Pubcomp => Some(Self::Pubcomp),
            _ => None,
        }
    }

    /// The type of such a packet.
    #[inline]
    #[must_use]
    pub const fn packet_type(self) -> PacketType {
        match self {
            Self::Puback => PacketType::Puback,
            Self::Pubrec => PacketType::Pubrec,
            Self::Pubrel => PacketType::Pubrel,
            Self::Pubcomp => PacketType::Pubcomp,
        }
    }
}

/// A PUBACK, PUBREC, PUBREL or PUBCOMP, §3.4 to §3.7.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Ack<'a> {
    /// Which of the four.
    pub kind: AckKind,
    /// The exchange it belongs to.
    pub packet_identifier: PacketIdentifier,
    /// The result. 3.1.1 cannot say a failure; what is none is all the same to it.
    pub reason_code: ReasonCode,
    /// Reason String and User Properties; empty in 3.1.1.
    pub properties: Properties<'a>,
}

/// Identifier alone, and identifier with Reason Code, §3.4.2.1: the short forms.
const IDENTIFIER_ONLY: u32 = 2;
const WITHOUT_PROPERTIES: u32 = 3;

impl<'a> Ack<'a> {
    /// An acknowledgement of success, without properties.
    #[must_use]
    pub const fn new(kind: AckKind, packet_identifier: PacketIdentifier) -> Self {
        Self { kind, packet_identifier, reason_code: ReasonCode::SUCCESS, properties: Properties::EMPTY }
    }

    #[inline]
    pub(crate) fn decode(
        kind: AckKind,
        version: ProtocolVersion,
        sender: Sender,
        reader: &mut Reader<'a>,
    ) -> Result<Self, DecodeError> {
        let mut ack = Self::new(kind, reader.packet_identifier());
        if version.is_v5() && !reader.is_empty() {
            ack.decode_result(version, sender, reader);
        }
        reader.finish()?;
        Ok(ack)
    }

    fn decode_result(&mut self, version: ProtocolVersion, sender: Sender, reader: &mut Reader<'a>) {
        let packet_type = self.kind.packet_type();
        self.reason_code = reader.reason_code(packet_type, sender);
        if !reader.is_empty() {
            self.properties = Properties::decode(version, reader, Scope::Packet(packet_type, sender));
        }
    }

    #[inline]
    fn measure(&self, version: ProtocolVersion, sender: Sender) -> Result<Measured, EncodeError> {
        let packet_type = self.kind.packet_type();
        check_sender(packet_type, version, sender)?;
        if !version.is_v5() {
            if self.reason_code.is_failure() || !self.properties.is_empty() {
                return Err(EncodeError::NotInVersion);
            }
            return Ok(Measured { remaining_length: IDENTIFIER_ONLY, properties_len: 0 });
        }
        if self.reason_code == ReasonCode::SUCCESS && self.properties.is_empty() {
            return Ok(Measured { remaining_length: IDENTIFIER_ONLY, properties_len: 0 });
        }
        if !self.reason_code.is_allowed_in(packet_type, sender) {
            return Err(EncodeError::ReasonCodeNotAllowed(self.reason_code));
        }
        let mut measure = Measure::default();
        measure.add(WITHOUT_PROPERTIES as usize);
        let properties_len = if self.properties.is_empty() {
            0
        } else {
            self.properties.measure(version, Scope::Packet(packet_type, sender), &mut measure)
        };
        measure.finish(properties_len)
    }

    /// The exact length of the packet.
    ///
    /// # Errors
    /// Those of [`encode`](Self::encode), but for the buffer.
    pub fn encoded_len(&self, version: ProtocolVersion, sender: Sender) -> Result<usize, EncodeError> {
        Ok(self.measure(version, sender)?.packet_len())
    }

    /// Writes the packet in its shortest form to the start of `out` and returns its length.
    ///
    /// # Errors
    /// `NotInVersion` for a failure or properties in 3.1.1, `ReasonCodeNotAllowed`, the errors of properties, and
    /// `BufferTooSmall`. Nothing is written then.
    #[inline]
    pub fn encode(&self, version: ProtocolVersion, sender: Sender, out: &mut [u8]) -> Result<usize, EncodeError> {
        let Measured { remaining_length, properties_len } = self.measure(version, sender)?;
        let (mut writer, len) = Writer::packet(out, self.kind.packet_type().first_byte(), remaining_length)?;
        writer.u16(self.packet_identifier.number());
        if remaining_length > IDENTIFIER_ONLY {
            writer.u8(self.reason_code.as_u8());
        }
        if remaining_length > WITHOUT_PROPERTIES {
            self.properties.write(version, &mut writer, properties_len);
        }
        Ok(len)
    }
}
