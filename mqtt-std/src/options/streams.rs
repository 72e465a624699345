//! How streams of messages behave.

use core::time::Duration;

use super::Options;
use crate::delivery::{Acknowledge, StreamOptions, WhenFull};
use crate::payload::{Finder, Source};

pub(super) const DEFAULT: StreamOptions = StreamOptions {
    capacity: 256,
    bytes: 64 << 20,
    acknowledge: Acknowledge::OnArrival,
    when_full: WhenFull::Drop,
    streamed: false,
};

impl Options {
    /// Sets how many messages wait in a subscription's stream; default: 256. When it is full, further messages at QoS 1 and 2
    /// wait unacknowledged, so that the broker sends no more than [`in_flight`](Self::in_flight) allows (3.1.1: than it does by
    /// itself). At QoS 0 nothing more is read from the broker, for at most [`stall_timeout`](Self::stall_timeout); only as long
    /// as an acknowledgement is due, which may be what the stream's reader waits for, up to 1,024 messages are.
    ///
    /// [`Subscribe::capacity`](crate::Subscribe::capacity) sets it for one stream.
    #[must_use]
    pub const fn stream_capacity(mut self, messages: usize) -> Self {
        self.stream.capacity = if messages == 0 { 1 } else { messages };
        self
    }

    /// Sets how many bytes of messages wait in a subscription's stream; default: 64 MiB. Beyond that it is full; one message
    /// may be larger. [`Subscribe::capacity_bytes`](crate::Subscribe::capacity_bytes) sets it for one stream.
    #[must_use]
    pub const fn stream_bytes(mut self, bytes: usize) -> Self {
        self.stream.bytes = bytes;
        self
    }

    /// Gives a message to one stream only: the first, in the order in which they were made, that has a filter which matches;
    /// default: to all of them.
    ///
    /// Where filters overlap, a broker may send a copy of a message for each subscription. In 5.0 each stream gets its own copy
    /// then: the client subscribes with [Subscription Identifiers](crate::Message::subscription_identifiers) where the broker
    /// knows them. Otherwise each copy goes to all streams that match, and with this, to the first, which then gets all
    /// copies.
    #[must_use]
    pub const fn first_match(mut self) -> Self {
        self.first_match = true;
        self
    }

    /// Sets for how long a full stream may stop the reading; default: 30 s, at least 1 ms. After that the message is dropped for
    /// that stream, as are further ones until somebody reads it, counted in
    /// [`Statistics::dropped`](crate::Statistics::dropped), and the first of them logged; or the connection is given up: see
    /// [`Subscribe::when_full`](crate::Subscribe::when_full).
    ///
    /// A [`Source`] has as long to be opened, and for each read: a short time is too short for a file on a slow disk.
    #[must_use]
    pub const fn stall_timeout(mut self, timeout: Duration) -> Self {
        self.stall_timeout = if timeout.as_millis() == 0 { Duration::from_millis(1) } else { timeout };
        self
    }

    /// Takes larger messages than [`maximum_packet_size`](Self::maximum_packet_size) too, for the streams that are
    /// [`streamed`](crate::Subscribe::streamed); default: no. The broker is told of no Maximum Packet Size then, and a message
    /// that large is not held in memory: some 300 KiB of it at a time for each stream. Its topic and properties must fit
    /// into `maximum_packet_size`. Where no such stream matches, it is skipped, acknowledged and counted.
    ///
    /// A message is one packet, so nothing else arrives before its last byte: no other message, and no answer of the broker's
    /// either. Who waits for one of these before reading on waits for [`stall_timeout`](Self::stall_timeout). At QoS 1 and 2 it
    /// is acknowledged once its last byte was read.
    ///
    /// With [`keep_session`](Self::keep_session) such a message that comes before its stream stops the reading for as long;
    /// make the streams before the connection, or with [`Subscribe::send`](crate::Subscribe::send).
    #[must_use]
    pub const fn streaming(mut self) -> Self {
        self.streaming = true;
        self
    }

    /// Sets who finds the payloads of messages at QoS 1 and 2 from a [`Source`] that a durable session has of an
    /// earlier run of the program; default: nobody, and they fail with
    /// [`Outcome::SourceFailed`](crate::Outcome::SourceFailed), at the cost of a connection each.
    ///
    /// It is given the [key](crate::Source::key) of the source, whenever the message is sent, on a task of its own, and gives the
    /// source with the same payload, or `None` if there is none any more.
    ///
    /// ```
    /// use mqtt_std::{Options, Source};
    /// # fn payload(key: u32) -> Option<bytes::Bytes> { None }
    ///
    /// let options = Options::new("localhost", 1883).sources(|key| payload(key).map(Source::from));
    /// ```
    #[must_use]
    pub fn sources(mut self, find: impl Fn(u32) -> Option<Source> + Send + Sync + 'static) -> Self {
        self.sources = Some(Finder::new(find));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_may_always_stall_for_a_moment() {
        let least = Duration::from_millis(1);
        for (timeout, kept) in [
            (Duration::ZERO, least),
            (Duration::from_nanos(1), least),
            (least, least),
            (Duration::from_micros(1500), Duration::from_micros(1500)),
            (Duration::MAX, Duration::MAX),
        ] {
            assert_eq!(Options::new("localhost", 1883).stall_timeout(timeout).stall_timeout, kept);
        }
    }
}
