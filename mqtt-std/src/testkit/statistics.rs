//! What the broker counts.

/// Numbers of a running [`Broker`](super::Broker): what there is now, and what has passed since it was started.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Statistics {
    /// Clients that are connected now.
    pub connections: usize,
    /// Sessions that exist now, those of connected clients among them.
    pub sessions: usize,
    /// Subscriptions of all sessions now.
    pub subscriptions: usize,
    /// Messages retained now, without those of `$SYS`.
    pub retained_messages: usize,
    /// Messages that wait in sessions now, to be sent or to be acknowledged.
    pub queued_messages: usize,
    /// PUBLISH packets taken from clients since the start; of QoS 2 each message once.
    pub messages_received: u64,
    /// PUBLISH packets given to connections since the start, each copy and each repetition.
    pub messages_sent: u64,
    /// Copies of messages lost at a bound since the start; see the setters of [`BrokerOptions`](super::BrokerOptions).
    pub messages_dropped: u64,
}
