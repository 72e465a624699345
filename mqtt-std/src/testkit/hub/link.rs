//! The way out to one connection: packets become bytes that its task takes away.

use bytes::BytesMut;
use mqtt_core::{
    Ack, AckKind, Disconnect, EncodeError, Packet, PacketIdentifier, Properties, ProtocolVersion, ReasonCode, Sender,
};
use tracing::debug;

/// Encodes for one connection, within what its client accepts.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) version: ProtocolVersion,
    /// The client's Maximum Packet Size; none before CONNECT and on 3.1.1.
    pub(super) maximum_packet_size: Option<u32>,
    out: BytesMut,
    state: LinkState,
}

/// What the connection's task is to do with its socket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum LinkState {
    /// Read and write.
    Open,
    /// Write what is left, then close.
    Closing,
    /// Close at once.
    Cut,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Sent {
    Written,
    /// The client does not take packets of this size [MQTT-3.1.2-24].
    TooLarge,
    /// The link is closing, or its version cannot say it.
    Refused,
}

impl Link {
    pub(super) fn new() -> Self {
        // What is said before CONNECT tells the version is nothing at all.
        Self {
            version: ProtocolVersion::V3_1_1,
            maximum_packet_size: None,
            out: BytesMut::new(),
            state: LinkState::Open,
        }
    }

    pub(super) const fn state(&self) -> LinkState {
        self.state
    }

    /// Bytes that wait for the task.
    pub(super) fn waiting(&self) -> usize {
        self.out.len()
    }

    pub(super) fn send(&mut self, packet: &Packet<'_>) -> Sent {
        if self.state != LinkState::Open {
            return Sent::Refused;
        }
        match self.write(packet) {
            Ok(sent) => sent,
            Err(error) => {
                debug!(%error, packet = %packet.packet_type(), "not sent");
                Sent::Refused
            }
        }
    }

    fn write(&mut self, packet: &Packet<'_>) -> Result<Sent, EncodeError> {
        let len = packet.encoded_len(self.version, Sender::Server)?;
        if self.maximum_packet_size.is_some_and(|maximum| len > maximum as usize) {
            return Ok(Sent::TooLarge);
        }
        let start = self.out.len();
        self.out.resize(start.saturating_add(len), 0);
        let written = packet.encode(self.version, Sender::Server, self.out.get_mut(start..).unwrap_or_default());
        if written.is_err() {
            self.out.truncate(start);
        }
        written.map(|_| Sent::Written)
    }

    /// PUBACK, PUBREC, PUBREL or PUBCOMP; 3.1.1 has no place for the reason.
    pub(super) fn acknowledge(&mut self, kind: AckKind, packet_identifier: PacketIdentifier, reason_code: ReasonCode) {
        let reason_code = if self.version.is_v5() { reason_code } else { ReasonCode::SUCCESS };
        self.send(&Packet::Ack(Ack { kind, packet_identifier, reason_code, properties: Properties::EMPTY }));
    }

    /// Says why, if the version can, and closes.
    pub(super) fn disconnect(&mut self, reason_code: ReasonCode) {
        if self.version.is_v5() {
            self.send(&Packet::Disconnect(Disconnect { reason_code, properties: Properties::EMPTY }));
        }
        self.close();
    }

    /// Closes when everything is written.
    pub(super) fn close(&mut self) {
        if self.state == LinkState::Open {
            self.state = LinkState::Closing;
        }
    }

    /// Closes without writing what waits.
    pub(super) fn cut(&mut self) {
        self.state = LinkState::Cut;
        self.out.clear();
    }

    /// Moves what waits to `out`, which is empty.
    pub(super) const fn take(&mut self, out: &mut BytesMut) {
        core::mem::swap(out, &mut self.out);
    }
}
