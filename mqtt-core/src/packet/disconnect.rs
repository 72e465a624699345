//! DISCONNECT, §3.14.

use super::fixed_header::check_sender;
use super::{PacketType, Sender};
use crate::codec::reader::Reader;
use crate::codec::writer::{Measure, Measured, Writer};
use crate::error::{DecodeError, EncodeError};
use crate::property::{Properties, Scope};
use crate::types::ReasonCode;
use crate::version::ProtocolVersion;

/// The last packet of a connection, §3.14; the Server sends it in 5.0 only.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Disconnect<'a> {
    /// Why; 3.1.1 knows the normal disconnection only.
    pub reason_code: ReasonCode,
    /// Session Expiry Interval (from the Client), Server Reference (from the Server), Reason String and User
    /// Properties; empty in 3.1.1.
    pub properties: Properties<'a>,
}

impl<'a> Disconnect<'a> {
    pub(crate) fn decode(
        version: ProtocolVersion,
        sender: Sender,
        reader: &mut Reader<'a>,
    ) -> Result<Self, DecodeError> {
        let mut disconnect = Self { reason_code: ReasonCode::NORMAL_DISCONNECTION, properties: Properties::EMPTY };
        if version.is_v5() && !reader.is_empty() {
            disconnect.reason_code = reader.reason_code(PacketType::Disconnect, sender);
            // A remaining length below 2 means that there are no properties, §3.14.2.2.1.
            if !reader.is_empty() {
                let scope = Scope::Packet(PacketType::Disconnect, sender);
                disconnect.properties = Properties::decode(version, reader, scope);
            }
        }
        reader.finish()?;
        Ok(disconnect)
    }

    fn measure(&self, version: ProtocolVersion, sender: Sender) -> Result<Measured, EncodeError> {
        check_sender(PacketType::Disconnect, version, sender)?;
        if self.reason_code == ReasonCode::NORMAL_DISCONNECTION && self.properties.is_empty() {
            return Ok(Measured::EMPTY);
        }
        if !version.is_v5() {
            return Err(EncodeError::NotInVersion);
        }
        if !self.reason_code.is_allowed_in(PacketType::Disconnect, sender) {
            return Err(EncodeError::ReasonCodeNotAllowed(self.reason_code));
        }
        let mut measure = Measure::default();
        measure.add(1);
        // The property length is written even where it is 0: §3.14.2.1 lets it be left out only together with the
        // Reason Code, and some readers insist.
        let scope = Scope::Packet(PacketType::Disconnect, sender);
        let properties_len = self.properties.measure(version, scope, &mut measure);
        measure.finish(properties_len)
    }

    /// The exact length of the packet.
    ///
    /// # Errors
    /// Those of [`encode`](Self::encode), but for the buffer.
    pub fn encoded_len(&self, version: ProtocolVersion, sender: Sender) -> Result<usize, EncodeError> {
        Ok(self.measure(version, sender)?.packet_len())
    }

    /// Writes the packet to the start of `out` and returns its length.
    ///
    /// # Errors
    /// `NotInVersion` for a Reason Code, properties or a Server's DISCONNECT before 5.0, `ReasonCodeNotAllowed`, the
    /// errors of properties, and `BufferTooSmall`. Nothing is written then.
    pub fn encode(&self, version: ProtocolVersion, sender: Sender, out: &mut [u8]) -> Result<usize, EncodeError> {
        let Measured { remaining_length, properties_len } = self.measure(version, sender)?;
        let (mut writer, len) = Writer::packet(out, PacketType::Disconnect.first_byte(), remaining_length)?;
        if remaining_length > 0 {
            writer.u8(self.reason_code.as_u8());
            self.properties.write(version, &mut writer, properties_len);
        }
        Ok(len)
    }
}
