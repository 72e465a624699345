//! Packets that go without their Reason String and User Properties where these make them too large, §3.4.2.2.2 and its like.

use super::{Auth, Disconnect, Packet, Sender};
use crate::error::EncodeError;
use crate::version::ProtocolVersion;

/// Makes the packet shorter if it has more than `maximum` bytes; refuses it if it has more even then.
fn shorten_to_fit<P>(
    packet: &mut P,
    maximum: Option<u32>,
    len: impl Fn(&P) -> Result<usize, EncodeError>,
    shorten: impl FnOnce(&mut P),
) -> Result<(), EncodeError> {
    let fits = |len: usize| maximum.is_none_or(|maximum| len <= maximum as usize);
    if fits(len(packet)?) {
        return Ok(());
    }
    shorten(packet);
    if fits(len(packet)?) { Ok(()) } else { Err(EncodeError::PacketTooLarge) }
}

// A client's image has no other packets than those that it writes, hence two of their own beside that of `Packet`.

impl Disconnect<'_> {
    /// [`Packet::encode_within`], of this packet alone, which is shortened.
    pub(crate) fn encode_within(
        &mut self,
        version: ProtocolVersion,
        sender: Sender,
        maximum: Option<u32>,
        out: &mut [u8],
    ) -> Result<usize, EncodeError> {
        let shorten = |packet: &mut Self| packet.properties = packet.properties.without_diagnostics();
        shorten_to_fit(self, maximum, |packet| packet.encoded_len(version, sender), shorten)?;
        self.encode(version, sender, out)
    }
}

impl Auth<'_> {
    /// [`Packet::encode_within`], of this packet alone, which is shortened.
    pub(crate) fn encode_within(
        &mut self,
        version: ProtocolVersion,
        sender: Sender,
        maximum: Option<u32>,
        out: &mut [u8],
    ) -> Result<usize, EncodeError> {
        let shorten = |packet: &mut Self| packet.properties = packet.properties.without_diagnostics();
        shorten_to_fit(self, maximum, |packet| packet.encoded_len(version, sender), shorten)?;
        self.encode(version, sender, out)
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
        let mut packet = *self;
        let len = |packet: &Self| packet.encoded_len(version, sender);
        shorten_to_fit(&mut packet, maximum, len, Self::leave_out_diagnostics)?;
        packet.encode(version, sender, out)
    }

    fn leave_out_diagnostics(&mut self) {
        let properties = match self {
            Self::Ack(packet) => &mut packet.properties,
            Self::Suback(packet) => &mut packet.properties,
            Self::Unsuback(packet) => &mut packet.properties,
            Self::Disconnect(packet) => &mut packet.properties,
            Self::Auth(packet) => &mut packet.properties,
            _ => return,
        };
        *properties = properties.without_diagnostics();
    }
}
