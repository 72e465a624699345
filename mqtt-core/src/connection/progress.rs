//! How much of what was given out has been sent.

/// Counts bytes, so that it is known when a packet's last byte left. Several packets may be given out before any is sent.
///
/// What is counted is what is still to come, in 32 bits: sums since the beginning took 64, and 100 bytes of flash.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Progress {
    /// Given out, and not sent yet.
    unsent: u32,
    /// Up to the end of a packet: once that is sent, a packet's last byte has left.
    packet: u32,
    /// Up to the end of the latest PINGREQ; 0: it is sent.
    ping: u32,
}

/// What has left.
pub(super) struct Sent {
    /// The last byte of a packet.
    pub(super) packet: bool,
    /// The last byte of a PINGREQ.
    pub(super) ping: bool,
}

impl Progress {
    pub(super) const START: Self = Self { unsent: 0, packet: 0, ping: 0 };

    pub(super) const fn give_out(&mut self, bytes: usize) {
        self.unsent = self.unsent.saturating_add(bytes as u32);
        if self.packet == 0 {
            self.packet = self.unsent;
        }
    }

    pub(super) const fn give_out_ping(&mut self, bytes: usize) {
        self.give_out(bytes);
        self.ping = self.unsent;
    }

    pub(super) fn transmitted(&mut self, bytes: usize) -> Sent {
        let sent = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.unsent = self.unsent.saturating_sub(sent);
        self.packet = self.packet.saturating_sub(sent);
        let packet = sent > 0 && self.packet == 0;
        if packet {
            self.packet = self.unsent;
        }
        let pinging = self.ping != 0;
        self.ping = self.ping.saturating_sub(sent);
        Sent { packet, ping: pinging && self.ping == 0 }
    }
}
