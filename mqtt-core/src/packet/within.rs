//! Packets that go without their Reason String and User Properties where these make them too large, §3.4.2.2.2 and its like.

use super::{Auth, Disconnect, Packet, Sender};
use crate::error::EncodeError;
use crate::version::ProtocolVersion;

/// A packet that can be written within a limit. Each is one of its own: a client's image has no other than those it writes.
pub(crate) trait EncodeWithin: Copy {
    fn measured(&self, version: ProtocolVersion, sender: Sender) -> Result<usize, EncodeError>;
    fn written(&self, version: ProtocolVersion, sender: Sender, out: &mut [u8]) -> Result<usize, EncodeError>;
    fn without_diagnostics(self) -> Self;

    /// See [`Packet::encode_within`].
    fn encode_within(
        mut self,
        version: ProtocolVersion,
        sender: Sender,
        maximum: Option<u32>,
        out: &mut [u8],
    ) -> Result<usize, EncodeError> {
        let fits = |len: usize| maximum.is_none_or(|maximum| len <= maximum as usize);
        if !fits(self.measured(version, sender)?) {
            self = self.without_diagnostics();
            if !fits(self.measured(version, sender)?) {
                return Err(EncodeError::PacketTooLarge);
            }
        }
        self.written(version, sender, out)
    }
}

impl EncodeWithin for Disconnect<'_> {
    fn measured(&self, version: ProtocolVersion, sender: Sender) -> Result<usize, EncodeError> {
        self.encoded_len(version, sender)
    }

    fn written(&self, version: ProtocolVersion, sender: Sender, out: &mut [u8]) -> Result<usize, EncodeError> {
        self.encode(version, sender, out)
    }

    fn without_diagnostics(self) -> Self {
        Self { properties: self.properties.without_diagnostics(), ..self }
    }
}

impl EncodeWithin for Auth<'_> {
    fn measured(&self, version: ProtocolVersion, sender: Sender) -> Result<usize, EncodeError> {
        self.encoded_len(version, sender)
    }

    fn written(&self, version: ProtocolVersion, sender: Sender, out: &mut [u8]) -> Result<usize, EncodeError> {
        self.encode(version, sender, out)
    }

    fn without_diagnostics(self) -> Self {
        Self { properties: self.properties.without_diagnostics(), ..self }
    }
}

impl EncodeWithin for Packet<'_> {
    fn measured(&self, version: ProtocolVersion, sender: Sender) -> Result<usize, EncodeError> {
        self.encoded_len(version, sender)
    }

    fn written(&self, version: ProtocolVersion, sender: Sender, out: &mut [u8]) -> Result<usize, EncodeError> {
        self.encode(version, sender, out)
    }

    fn without_diagnostics(mut self) -> Self {
        let properties = match &mut self {
            Self::Ack(packet) => &mut packet.properties,
            Self::Suback(packet) => &mut packet.properties,
            Self::Unsuback(packet) => &mut packet.properties,
            Self::Disconnect(packet) => &mut packet.properties,
            Self::Auth(packet) => &mut packet.properties,
            _ => return self,
        };
        *properties = properties.without_diagnostics();
        self
    }
}

impl Packet<'_> {
    /// Writes the packet, if it has at most `maximum` bytes; an acknowledgement, SUBACK, UNSUBACK, DISCONNECT or AUTH that would be
    /// larger is written without its Reason String and User Properties, as §3.4.2.2.2 and its like demand.
    ///
    /// # Errors
    /// `PacketTooLarge` if it is larger all the same, and those of [`encode`](Self::encode). Nothing is written then.
    pub fn encode_within(
        &self,
        version: ProtocolVersion,
        sender: Sender,
        maximum: Option<u32>,
        out: &mut [u8],
    ) -> Result<usize, EncodeError> {
        EncodeWithin::encode_within(*self, version, sender, maximum, out)
    }
}
