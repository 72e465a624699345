//! How messages wait to be sent.

use super::Options;

/// What becomes of a message to be published when as many wait as may: at QoS 0 in the
/// [queue](Options::queue), at QoS 1 and 2 in the session, within [`in_flight`](Options::in_flight) and
/// [`storage`](Options::storage).
///
/// A message that is dropped has the outcome [`NotSent`](crate::Outcome::NotSent), and is counted in
/// [`Statistics::overflowed`](crate::Statistics::overflowed). One that was sent once, and has no acknowledgement yet, is never
/// dropped.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Overflow {
    /// It waits for room: [`Publish::send`](crate::Publish::send) does.
    #[default]
    Wait,
    /// It is refused: [`Error::Full`](crate::Error::Full).
    Refuse,
    /// The one that has waited longest is dropped. At QoS 1 and 2 that is one that was never sent; if all were, it waits.
    DropOldest,
    /// It is dropped itself.
    DropNewest,
    /// Of each topic only the latest one waits, whether or not there is room for more: it takes the place of the one before,
    /// at the end of the queue. A further topic waits for room.
    LatestPerTopic,
}

/// How messages wait to be sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueueOptions {
    /// At QoS 0, not 0.
    pub(crate) messages: usize,
    /// At QoS 0; one message may be larger.
    pub(crate) bytes: usize,
    /// At every QoS.
    pub(crate) overflow: Overflow,
}

pub(super) const DEFAULT: QueueOptions = QueueOptions { messages: 1_024, bytes: 64 << 20, overflow: Overflow::Wait };

impl QueueOptions {
    pub(crate) const fn keeps_latest(&self) -> bool {
        matches!(self.overflow, Overflow::LatestPerTopic)
    }
}

impl Options {
    /// Sets how many messages at QoS 0 may wait to be sent, because there is no connection or the broker does not read;
    /// default: 1,024. What happens beyond that: [`overflow`](Self::overflow).
    #[must_use]
    pub const fn queue(mut self, messages: usize) -> Self {
        self.queue.messages = if messages == 0 { 1 } else { messages };
        self
    }

    /// Sets how many bytes of messages at QoS 0 may wait to be sent; default: 64 MiB. One message may be larger.
    #[must_use]
    pub const fn queue_bytes(mut self, bytes: usize) -> Self {
        self.queue.bytes = bytes;
        self
    }

    /// Sets what becomes of a message to be published when as many wait as may; default: [`Overflow::Wait`].
    #[must_use]
    pub const fn overflow(mut self, overflow: Overflow) -> Self {
        self.queue.overflow = overflow;
        self
    }
}
