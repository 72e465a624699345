//! Keep Alive, §3.1.2.10: when PINGREQ is due, and when the link is dead.

use crate::time::Instant;

/// Watches the gaps between packets sent, and what comes back.
///
/// ```text
///           due, or asked for          given out              last byte sent
///    Quiet ------------------> Due ----------------> Leaving -----------------> Quiet, and an answer is waited for
///                               |  nothing moves: dead  |                       nothing arrives until then: dead
/// ```
///
/// While an answer is waited for the next PINGREQ may become due: bytes of a long packet hold back the PINGRESP, and still the
/// Server is to hear from us.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct KeepAlive {
    /// Milliseconds; 0: no timers.
    interval: u32,
    /// Milliseconds.
    timeout: u32,
    ping: Ping,
    /// PINGREQ is out; when nothing has arrived until then the connection is dead.
    answer_by: Option<Instant>,
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
    /// To be given out, because the application asked for it.
    Asked,
    /// To be given out, because time demanded it; when no byte moves until then, either way, the connection is dead.
    Due(Instant),
    /// Given out, not yet sent; likewise.
    Leaving(Instant),
}

impl KeepAlive {
    pub(crate) const OFF: Self = Self {
        interval: 0,
        timeout: 0,
        ping: Ping::Quiet,
        answer_by: None,
        sent_at: Instant::ZERO,
        heard_at: Instant::ZERO,
        paused: false,
    };

    /// CONNACK is here. The interval runs since CONNECT, the latest packet sent.
    pub(crate) fn start(&mut self, now: Instant, seconds: u16, timeout: u32) {
        self.interval = u32::from(seconds).saturating_mul(1000);
        self.timeout = timeout;
        self.heard_at = now;
    }

    /// The interval runs between packets sent, from the last byte of one; what is received does not move it.
    pub(crate) const fn packet_sent(&mut self, now: Instant) {
        self.sent_at = now;
    }

    /// Some bytes have left: a long write is alive.
    pub(crate) const fn bytes_sent(&mut self, now: Instant) {
        match self.ping {
            Ping::Quiet | Ping::Asked => {}
            Ping::Due(_) => self.ping = Ping::Due(self.from(now)),
            Ping::Leaving(_) => self.ping = Ping::Leaving(self.from(now)),
        }
    }

    pub(crate) fn ping_sent(&mut self, now: Instant) {
        if matches!(self.ping, Ping::Leaving(_)) {
            self.ping = Ping::Quiet;
            // An answer that is due already is not given more time.
            self.answer_by = self.answer_by.or(Some(self.from(now)));
        }
    }

    /// Any byte is a sign of life: a long packet may hold back the PINGRESP.
    pub(crate) const fn heard(&mut self, now: Instant) {
        self.heard_at = now;
        if self.answer_by.is_some() {
            self.answer_by = Some(self.from(now));
        }
        self.bytes_sent(now);
    }

    pub(crate) const fn pingresp(&mut self) {
        self.answer_by = None;
        if matches!(self.ping, Ping::Leaving(_)) {
            self.ping = Ping::Quiet;
        }
    }

    /// No PINGREQ is due, on its way, or without an answer.
    pub(crate) fn is_quiet(&self) -> bool {
        self.ping == Ping::Quiet && self.answer_by.is_none()
    }

    pub(crate) const fn awaits_pingresp(&self) -> bool {
        self.answer_by.is_some()
    }

    /// While nothing is read no PINGRESP can arrive; its time begins anew afterwards.
    pub(crate) const fn set_paused(&mut self, now: Instant, paused: bool) {
        if self.paused && !paused {
            self.heard(now);
        }
        self.paused = paused;
    }

    /// The application wants to know whether the link is alive.
    pub(crate) fn request_ping(&mut self) {
        if self.ping == Ping::Quiet && self.answer_by.is_none() {
            self.ping = Ping::Asked;
        }
    }

    pub(crate) const fn is_ping_due(&self) -> bool {
        matches!(self.ping, Ping::Asked | Ping::Due(_))
    }

    pub(crate) fn ping_given_out(&mut self, now: Instant) {
        match self.ping {
            Ping::Asked => self.ping = Ping::Leaving(self.from(now)),
            Ping::Due(by) => self.ping = Ping::Leaving(by),
            _ => {}
        }
    }

    /// When there is something to do.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        if self.interval == 0 {
            return None;
        }
        let at = if self.ping == Ping::Quiet { self.due_at().min(self.dead_at()) } else { self.dead_at() };
        (at != NEVER).then_some(at)
    }

    /// Three quarters of the interval after the latest packet, so that it arrives in time; or one interval after the last sign
    /// of life, so that a link which swallows what is sent is noticed.
    #[cfg_attr(target_os = "none", inline(never))]
    fn due_at(&self) -> Instant {
        let margin = self.interval >> 2;
        let unsent = self.sent_at.plus_millis(u64::from(self.interval.saturating_sub(margin)));
        if self.paused || self.answer_by.is_some() {
            return unsent;
        }
        unsent.min(self.heard_at.plus_millis(u64::from(self.interval)))
    }

    /// When the link is dead unless something moves.
    #[cfg_attr(target_os = "none", inline(never))]
    fn dead_at(&self) -> Instant {
        match (self.answer_by, self.ping) {
            _ if self.paused => NEVER,
            (Some(by), _) | (None, Ping::Due(by) | Ping::Leaving(by)) => by,
            (None, Ping::Quiet | Ping::Asked) => NEVER,
        }
    }

    const fn from(&self, now: Instant) -> Instant {
        now.plus_millis(self.timeout as u64)
    }

    /// Tells whether the link is dead.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> bool {
        if self.interval == 0 {
            return false;
        }
        let dead = now >= self.dead_at();
        if !dead && self.ping == Ping::Quiet && now >= self.due_at() {
            self.ping = Ping::Due(self.from(now));
        }
        dead
    }
}

/// No moment that a clock tells.
const NEVER: Instant = Instant::from_millis(u64::MAX);
