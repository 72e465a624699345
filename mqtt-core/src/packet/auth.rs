//! AUTH, 5.0 §3.15.

use super::fixed_header::check_sender;
use super::{PacketType, Sender};
use crate::codec::reader::Reader;
use crate::codec::writer::{Measure, Measured, Writer};
use crate::error::{DecodeError, EncodeError};
use crate::property::{Properties, PropertyIdentifier, Scope};
use crate::types::ReasonCode;
use crate::version::ProtocolVersion;

/// One step of an enhanced authentication, 5.0 §3.15 and §4.12.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Auth<'a> {
    /// Continue authentication, re-authenticate (from the Client), or success (from the Server).
    pub reason_code: ReasonCode,
    /// Authentication Method, which only an AUTH of success may leave out together with all the rest, Authentication
    /// Data, Reason String and User Properties.
    pub properties: Properties<'a>,
}

impl<'a> Auth<'a> {
    pub(crate) fn decode(
        version: ProtocolVersion,
        sender: Sender,
        reader: &mut Reader<'a>,
    ) -> Result<Self, DecodeError> {
        let mut auth = Self { reason_code: ReasonCode::SUCCESS, properties: Properties::EMPTY };
        let empty = reader.is_empty();
        if !empty {
            auth.reason_code = reader.reason_code(PacketType::Auth, sender);
            auth.properties = Properties::decode(version, reader, Scope::Packet(PacketType::Auth, sender));
            let method = PropertyIdentifier::AuthenticationMethod;
            reader.check(auth.properties.has(method), DecodeError::PropertyMissing(method));
        } else if !auth.reason_code.is_allowed_in(PacketType::Auth, sender) {
            reader.fail(DecodeError::ReasonCodeNotAllowed(auth.reason_code));
        }
        reader.finish()?;
        Ok(auth)
    }

    fn measure(&self, version: ProtocolVersion, sender: Sender) -> Result<Measured, EncodeError> {
        check_sender(PacketType::Auth, version, sender)?;
        if !self.reason_code.is_allowed_in(PacketType::Auth, sender) {
            return Err(EncodeError::ReasonCodeNotAllowed(self.reason_code));
        }
        if self.reason_code == ReasonCode::SUCCESS && self.properties.is_empty() {
            return Ok(Measured::EMPTY);
        }
        if !self.properties.has(PropertyIdentifier::AuthenticationMethod) {
            return Err(EncodeError::PropertyMissing(PropertyIdentifier::AuthenticationMethod));
        }
        let mut measure = Measure::default();
        measure.add(1);
        let properties_len = self.properties.measure(version, Scope::Packet(PacketType::Auth, sender), &mut measure);
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
    /// `NotInVersion` before 5.0, `ReasonCodeNotAllowed`, `PropertyMissing` without an Authentication Method, the
    /// errors of properties, and `BufferTooSmall`. Nothing is written then.
    pub fn encode(&self, version: ProtocolVersion, sender: Sender, out: &mut [u8]) -> Result<usize, EncodeError> {
        let Measured { remaining_length, properties_len } = self.measure(version, sender)?;
        let (mut writer, len) = Writer::packet(out, PacketType::Auth.first_byte(), remaining_length)?;
        if remaining_length > 0 {
            writer.u8(self.reason_code.as_u8());
            self.properties.write(version, &mut writer, properties_len);
        }
        Ok(len)
    }
}
