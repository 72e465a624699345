//! How a link behaves.

use core::time::Duration;

use super::Direction;

/// What befalls the bytes on an in-memory link; without further words nothing: they arrive at once.
///
/// Time is tokio's, in its whole milliseconds. With a paused clock a second takes no time.
///
/// ```
/// use std::time::Duration;
/// use mqtt_std::testkit::{Conditions, Direction};
///
/// const MOBILE: Conditions = Conditions::new().latency(Duration::from_millis(80)).bandwidth(20_000).loss(20);
/// const CUT_IN_CONNACK: Conditions = Conditions::new().cut_after(Direction::ToClient, 2);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Conditions {
    pub(super) latency: Duration,
    pub(super) jitter: Duration,
    pub(super) bandwidth: Option<u32>,
    pub(super) loss: u16,
    pub(super) retransmission: Duration,
    pub(super) pieces: Option<usize>,
    pub(super) random_pieces: bool,
    pub(super) capacity: usize,
    pub(super) cut_after: [Option<u64>; 2],
    pub(super) stall_after: [Option<u64>; 2],
    pub(super) seed: u64,
}

impl Conditions {
    /// Everything arrives at once and whole; 64 KiB may be under way in each direction.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            latency: Duration::ZERO,
            jitter: Duration::ZERO,
            bandwidth: None,
            loss: 0,
            retransmission: Duration::from_millis(200),
            pieces: None,
            random_pieces: false,
            capacity: 64 * 1024,
            cut_after: [None; 2],
            stall_after: [None; 2],
            seed: 0,
        }
    }

    /// How long bytes are under way, in each direction. A connection takes twice that to be made.
    #[must_use]
    pub const fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// Bytes take up to that much longer, at random. They stay in order, as in TCP.
    #[must_use]
    pub const fn jitter(mut self, jitter: Duration) -> Self {
        self.jitter = jitter;
        self
    }

    /// So many bytes a second in each direction; 0 is taken for 1.
    #[must_use]
    pub const fn bandwidth(mut self, bytes_per_second: u32) -> Self {
        self.bandwidth = Some(if bytes_per_second == 0 { 1 } else { bytes_per_second });
        self
    }

    /// So many of a thousand pieces that are written get lost, at random, more than 1,000 being as good as 1,000.
    ///
    /// A TCP stream loses nothing: a lost segment is sent again, so the piece and all that is behind it arrive later by the
    /// time of [`retransmission`](Self::retransmission). What TCP cannot mend looks like silence to both sides; for that
    /// see [`Link::stall`](super::Link::stall).
    #[must_use]
    pub const fn loss(mut self, per_mille: u16) -> Self {
        self.loss = per_mille;
        self
    }

    /// How much later a lost piece arrives; 200 ms by default.
    #[must_use]
    pub const fn retransmission(mut self, delay: Duration) -> Self {
        self.retransmission = delay;
        self
    }

    /// Each read and each write moves at most so many bytes (0 is taken for 1), and every other time none: whoever asks is
    /// told to come back.
    #[must_use]
    pub const fn pieces(mut self, bytes: usize) -> Self {
        self.pieces = Some(if bytes == 0 { 1 } else { bytes });
        self.random_pieces = false;
        self
    }

    /// As [`pieces`](Self::pieces), but of random length up to so many bytes.
    #[must_use]
    pub const fn random_pieces(self, bytes: usize) -> Self {
        let mut pieces = self.pieces(bytes);
        pieces.random_pieces = true;
        pieces
    }

    /// So many bytes may be under way in each direction until whoever writes has to wait: 64 KiB by default; 0 is taken for
    /// 1. It stands for the buffers of both systems.
    #[must_use]
    pub const fn capacity(mut self, bytes: usize) -> Self {
        self.capacity = if bytes == 0 { 1 } else { bytes };
        self
    }

    /// The link is cut, as by [`Link::cut`](super::Link::cut), once so many bytes were read in this direction: those arrive,
    /// no more do.
    #[must_use]
    pub const fn cut_after(mut self, direction: Direction, bytes: u64) -> Self {
        match direction {
            Direction::ToServer => self.cut_after = [Some(bytes), self.cut_after[1]],
            Direction::ToClient => self.cut_after = [self.cut_after[0], Some(bytes)],
        }
        self
    }

    /// The link falls silent in both directions, as by [`Link::stall`](super::Link::stall), once so many bytes were read in
    /// this direction.
    #[must_use]
    pub const fn stall_after(mut self, direction: Direction, bytes: u64) -> Self {
        match direction {
            Direction::ToServer => self.stall_after = [Some(bytes), self.stall_after[1]],
            Direction::ToClient => self.stall_after = [self.stall_after[0], Some(bytes)],
        }
        self
    }

    /// Chance begins from here: the same seed and the same calls have the same faults. 0 by default.
    #[must_use]
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }
}

impl Default for Conditions {
    fn default() -> Self {
        Self::new()
    }
}
