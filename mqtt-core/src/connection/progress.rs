//! How much of what was given out has been sent.

use core::num::NonZeroU64;

/// Counts bytes, so that it is known when a packet's last byte left. Several packets may be given out before any is sent.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Progress {
    given_out: u64,
    sent: u64,
    /// The end of a packet: once it is sent, a packet's last byte has left.
    mark: u64,
    /// The end of the latest PINGREQ, until it is sent.
    ping: Option<NonZeroU64>,
}

/// What has left.
pub(super) struct Sent {
    /// The last byte of a packet.
    pub(super) packet: bool,
    /// The last byte of a PINGREQ.
    pub(super) ping: bool,
}

impl Progress {
    pub(super) const START: Self = Self { given_out: 0, sent: 0, mark: 0, ping: None };

    pub(super) const fn give_out(&mut self, bytes: u64) {
        let idle = self.sent >= self.mark;
        self.given_out = self.given_out.saturating_add(bytes);
        if idle {
            self.mark = self.given_out;
        }
    }

    pub(super) const fn give_out_ping(&mut self, bytes: u64) {
        self.give_out(bytes);
        self.ping = NonZeroU64::new(self.given_out);
    }

    pub(super) fn transmitted(&mut self, bytes: u64) -> Sent {
        self.sent = self.sent.saturating_add(bytes).min(self.given_out);
        let packet = bytes > 0 && self.sent >= self.mark;
        if packet {
            self.mark = self.given_out;
        }
        let ping = self.ping.is_some_and(|end| self.sent >= end.get());
        if ping {
            self.ping = None;
        }
        Sent { packet, ping }
    }
}
