//! CONNACK, §3.2.

use super::fixed_header::check_sender;
use super::{PacketType, Sender};
use crate::codec::reader::Reader;
use crate::codec::writer::{Measure, Measured, Writer};
use crate::error::{DecodeError, EncodeError};
use crate::property::{Properties, Scope};
use crate::types::ReasonCode;
use crate::version::ProtocolVersion;

/// The Server's answer to CONNECT, §3.2.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Connack<'a> {
    /// Tells whether the Server goes on with a session it has; always false in 3.1, which does not say.
    pub session_present: bool,
    /// The result. Return codes of 3.1.1 are expressed as the Reason Codes that mean the same.
    pub reason_code: ReasonCode,
    /// What the Server allows and asks for; empty in 3.1.1.
    pub properties: Properties<'a>,
}

const SESSION_PRESENT: u8 = 1;

impl<'a> Connack<'a> {
    pub(crate) fn decode(version: ProtocolVersion, reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let flags = match reader.u8() {
            _ if matches!(version, ProtocolVersion::V3_1) => 0, // reserved there, and not said to be 0
            flags => flags,
        };
        reader.check(flags & !SESSION_PRESENT == 0, DecodeError::ReservedBits);
        // A Server that does not know 5.0 refuses in the shape that it knows, without properties.
        let (reason_code, properties) = if version.is_v5() && !matches!(reader.rest(), [1..=5 | 0x84]) {
            let reason_code = reader.reason_code(PacketType::Connack, Sender::Server);
            let scope = Scope::Packet(PacketType::Connack, Sender::Server);
            (reason_code, Properties::decode(version, reader, scope))
        } else {
            (decode_return_code(reader), Properties::EMPTY)
        };
        reader.finish()?;
        let session_present = flags != 0;
        if session_present && reason_code != ReasonCode::SUCCESS {
            return Err(DecodeError::SessionPresentWithFailure);
        }
        Ok(Self { session_present, reason_code, properties })
    }

    fn measure(&self, version: ProtocolVersion, sender: Sender) -> Result<Measured, EncodeError> {
        check_sender(PacketType::Connack, version, sender)?;
        if self.session_present && self.reason_code != ReasonCode::SUCCESS {
            return Err(EncodeError::SessionPresentWithFailure);
        }
        self.code(version)?;
        let mut measure = Measure::default();
        measure.add(2);
        let scope = Scope::Packet(PacketType::Connack, sender);
        let properties_len = self.properties.measure(version, scope, &mut measure);
        measure.finish(properties_len)
    }

    /// The result as the version says it.
    fn code(&self, version: ProtocolVersion) -> Result<u8, EncodeError> {
        if !version.is_v5() {
            self.reason_code.connack_return_code().ok_or(EncodeError::NotInVersion)
        } else if self.reason_code.is_allowed_in(PacketType::Connack, Sender::Server) {
            Ok(self.reason_code.as_u8())
        } else {
            Err(EncodeError::ReasonCodeNotAllowed(self.reason_code))
        }
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
    /// `SessionPresentWithFailure`, `ReasonCodeNotAllowed`, `NotInVersion` for what 3.1.1 has no return code for, the
    /// errors of properties, and `BufferTooSmall`. Nothing is written then.
    pub fn encode(&self, version: ProtocolVersion, sender: Sender, out: &mut [u8]) -> Result<usize, EncodeError> {
        let Measured { remaining_length, properties_len } = self.measure(version, sender)?;
        let code = self.code(version)?;
        let (mut writer, len) = Writer::packet(out, PacketType::Connack.first_byte(), remaining_length)?;
        let says_session_present = self.session_present && !matches!(version, ProtocolVersion::V3_1);
        writer.u8(if says_session_present { SESSION_PRESENT } else { 0 });
        writer.u8(code);
        self.properties.write(version, &mut writer, properties_len);
        Ok(len)
    }
}

/// Reads what a Server up to 3.1.1 says. Some refuse an older version in the shape of 5.0: 0x84, and perhaps an empty
/// block of properties.
fn decode_return_code(reader: &mut Reader<'_>) -> ReasonCode {
    let code = reader.u8();
    let unsupported = ReasonCode::UNSUPPORTED_PROTOCOL_VERSION;
    if code == unsupported.as_u8() {
        if matches!(reader.rest(), [0]) {
            reader.u8();
        }
        return unsupported;
    }
    ReasonCode::from_connack_return_code(code).unwrap_or_else(|| {
        reader.fail(DecodeError::ReturnCodeNotAllowed(code));
        ReasonCode::SUCCESS
    })
}
