//! What a client has done, in numbers.
//!
//! Counters are kept behind the lock that everything else is behind, so one more costs next to nothing. The time is read once
//! for each turn of the driver, never for a message.

mod counters;
mod histogram;

pub(crate) use counters::Counters;
pub use histogram::Histogram;

/// Messages, and how much they carry.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Traffic {
    /// Messages.
    pub messages: u64,
    /// Bytes of their payloads.
    pub bytes: u64,
}

/// What a client has done so far, and what there is now: a snapshot, see [`Client::statistics`](crate::Client::statistics).
///
/// Counters begin at 0 with the client and only grow; nothing resets them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Statistics {
    /// Messages accepted to be sent: handed to the transport, queued, or taken into the session.
    pub published: u64,
    /// The same by QoS: that of QoS 1 is `outgoing[1]`. The payload of a source counts with its length.
    pub outgoing: [Traffic; 3],
    /// Messages at QoS 1 and 2 that the broker took over.
    pub acknowledged: u64,
    /// Messages at QoS 1 and 2 that the broker refused.
    pub rejected: u64,
    /// Messages to be published that a full queue dropped, or that a later one of their topic replaced:
    /// [`Overflow`](crate::Overflow).
    pub overflowed: u64,
    /// Messages that were not sent in time: [`Publish::message_expiry_interval`](crate::Publish::message_expiry_interval) and
    /// deadlines.
    pub expired: u64,
    /// Messages that were accepted, and that the broker there was then cannot take: a limit, or the version.
    pub refused: u64,
    /// Messages that were sent at QoS 2, and whose outcome will not be known: the broker lost the session.
    pub unknown: u64,
    /// Messages that were accepted and have another end: they were taken back, the client ended, their source or the store
    /// failed, every connection died of them.
    pub failed: u64,

    /// Messages received, each once; those that are skipped are not among them.
    pub received: u64,
    /// The same by QoS: that of QoS 1 is `incoming[1]`.
    pub incoming: [Traffic; 3],
    /// Messages that matched no stream.
    pub unrouted: u64,
    /// Messages that a full stream did not take in time, counted for each stream.
    pub dropped: u64,
    /// Messages that were larger than the maximum packet size (3.1.1, or no stream is made for them), skipped and acknowledged.
    pub skipped: u64,
    /// Messages larger than the maximum packet size whose readers did not want the rest, counted for each stream.
    pub abandoned: u64,

    /// Now: messages at QoS 1 and 2 without an outcome.
    pub in_flight: u64,
    /// Now: messages at QoS 0 that wait for a connection, or for their turn.
    pub queued: u64,
    /// Now: bytes of messages at QoS 1 and 2 that are kept until the broker has them.
    pub stored_bytes: u64,
    /// Now: messages without an outcome, those that wait at QoS 0 included. After the client's end: those that had none then.
    pub undelivered: u64,
    /// Now: messages that wait in streams to be read; one that is in several streams counts for each.
    pub in_streams: u64,
    /// Now: messages that the application has, or that wait beyond the capacity of streams, and are to be acknowledged when it
    /// has taken them.
    pub unacknowledged: u64,

    /// Attempts to connect.
    pub attempts: u64,
    /// Connections that the broker accepted; all but the first are reconnects.
    pub connections: u64,
    /// Connections that the broker had accepted, and that were lost.
    pub losses: u64,
    /// Bytes given to transports, of all packets.
    pub bytes_sent: u64,
    /// Bytes taken from transports, of all packets.
    pub bytes_received: u64,
    /// Acknowledgements of the broker that belonged to no exchange: late, or repeated.
    pub stray_acknowledgements: u64,
    /// Acknowledgements by hand that came too late: [`Stale`](crate::Stale).
    pub stale_acknowledgements: u64,
    /// Messages that were dropped, or unread in a stream that was, without the acknowledgement [by
    /// hand](crate::Acknowledge::ByHand) that the broker waited for. Each holds back those of later messages until the next
    /// connection.
    pub withheld_acknowledgements: u64,
    /// From when the driver sees a message at QoS 1 or 2, to its final acknowledgement. Not every message is measured: one at a
    /// time is, so that this costs nothing where there are many.
    pub publish_round_trip: Histogram,
    /// From PINGREQ to PINGRESP.
    pub ping_round_trip: Histogram,
}

impl Statistics {
    /// Connections after the first.
    #[must_use]
    pub const fn reconnects(&self) -> u64 {
        self.connections.saturating_sub(1)
    }
}
