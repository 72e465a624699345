//! Keep Alive, §3.1.2.10: when PINGREQ is due, and when the link is dead.

use crate::time::Instant;

/// Watches the gaps between packets sent, and what comes back.
///
/// ```text
///                 due, or asked for          given out, last byte sent
///    Quiet ------------------------> Due ------------------------------> Waiting
///      ^                                                                    |  nothing arrives until then: dead
///      +--------------------------------- PINGRESP ------------------------+
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct KeepAlive {
    /// Milliseconds; 0: no timers.
    interval: u32,
    /// Milliseconds.
    timeout: u32,
    ping: Ping,
    /// The last byte of the latest packet left.
    sent_at: Instant,
    /// Something arrived.
    heard_at: Instant,
    /// The adapter does not read now, so nothing can arrive.
    paused: bool,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Ping {
    Quiet,
    Due,
    /// Given out, not yet sent.
    Leaving,
    /// PINGREQ is out; when nothing has arrived until then the connection is dead.
    Waiting {
        until: Instant,
    },
}

impl KeepAlive {
    pub(crate) const OFF: Self = Self {
        interval: 0,
        timeout: 0,
        ping: Ping::Quiet,
        sent_at: Instant::ZERO,
        heard_at: Instant::ZERO,
        paused: false,
    };

    pub(crate) fn start(&mut self, now: Instant, seconds: u16, timeout: u32) {
        let interval = u32::from(seconds).saturating_mul(1000);
        *self = Self { interval, timeout, sent_at: now, heard_at: now, paused: self.paused, ping: Ping::Quiet };
    }

    /// The interval runs between packets sent, from the last byte of one; what is received does not move it.
    pub(crate) const fn packet_sent(&mut self, now: Instant) {
        self.sent_at = now;
    }

    pub(crate) fn ping_sent(&mut self, now: Instant) {
        if self.ping == Ping::Leaving {
            self.ping = Ping::Waiting { until: now.plus_millis(u64::from(self.timeout)) };
        }
    }

    /// Any byte is a sign of life: a long packet may hold back the PINGRESP.
    pub(crate) fn heard(&mut self, now: Instant) {
        self.heard_at = now;
        if let Ping::Waiting { until } = &mut self.ping {
            *until = now.plus_millis(u64::from(self.timeout));
        }
    }

    pub(crate) fn pingresp(&mut self) {
        if matches!(self.ping, Ping::Waiting { .. } | Ping::Leaving) {
            self.ping = Ping::Quiet;
        }
    }

    /// While nothing is read no PINGRESP can arrive; its time begins anew afterwards.
    pub(crate) fn set_paused(&mut self, now: Instant, paused: bool) {
        if self.paused && !paused {
            self.heard(now);
        }
        self.paused = paused;
    }

    /// The application wants to know whether the link is alive.
    pub(crate) fn request_ping(&mut self) {
        if self.ping == Ping::Quiet {
            self.ping = Ping::Due;
        }
    }

    pub(crate) fn is_ping_due(&self) -> bool {
        self.ping == Ping::Due
    }

    pub(crate) fn ping_given_out(&mut self) {
        self.ping = Ping::Leaving;
    }

    /// When there is something to do.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.ping {
            Ping::Quiet if self.interval > 0 => Some(self.due_at()),
            Ping::Waiting { until } if !self.paused => Some(until),
            _ => None,
        }
    }

    /// Three quarters of the interval after the latest packet, so that it arrives in time; or one interval after the last sign
    /// of life, so that a link which swallows what is sent is noticed.
    fn due_at(&self) -> Instant {
        let interval = u64::from(self.interval);
        let margin = u64::from(self.interval >> 2);
        let unsent = self.sent_at.plus_millis(interval.saturating_sub(margin));
        if self.paused { unsent } else { unsent.min(self.heard_at.plus_millis(interval)) }
    }

    /// Tells whether the link is dead.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> bool {
        match self.ping {
            Ping::Quiet if self.interval > 0 && now >= self.due_at() => {
                self.ping = Ping::Due;
                false
            }
            Ping::Waiting { until } => !self.paused && now >= until,
            _ => false,
        }
    }
}
