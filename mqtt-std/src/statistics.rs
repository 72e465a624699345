//! What a client has done, in numbers.

/// What a client has done so far.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Statistics {
    /// Messages received, each once.
    pub received: u64,
    /// Messages that matched no stream.
    pub unrouted: u64,
    /// Messages that a full stream did not take in time, counted for each stream.
    pub dropped: u64,
    /// Messages that were larger than the maximum packet size (3.1.1, or no stream is made for them), skipped and acknowledged.
    pub skipped: u64,
    /// Messages larger than the maximum packet size whose readers did not want the rest, counted for each stream.
    pub abandoned: u64,
    /// Messages handed to the transport or taken into the session.
    pub published: u64,
    /// Connections that the broker accepted.
    pub connections: u64,
}
