//! What can go wrong.

use core::fmt;

use mqtt_core::{ConnectionError, InvalidTopicFilter, InvalidTopicName, Outcome, ReasonCode, UsageError};

/// An error of a command.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Error {
    /// The topic is no Topic Name.
    InvalidTopicName(InvalidTopicName),
    /// The filter is no Topic Filter.
    InvalidTopicFilter(InvalidTopicFilter),
    /// The command cannot be done; the client is as before.
    Usage(UsageError),
    /// It would have to wait: there is no room now.
    WouldWait,
    /// All receipts are resolved and nobody has looked at them: await or drop one, waiting does not help.
    ReceiptsFull,
    /// There is no place for another filter, or another subscriber has this one.
    FiltersFull,
    /// The Server refused it.
    Rejected(ReasonCode),
    /// It has another end than an answer.
    NotDelivered(Outcome),
    /// The lent buffer is too small; the message is still there.
    BufferTooSmall {
        /// Bytes that are needed.
        needed: usize,
    },
    /// A message in parts was cut off: the connection was lost, or its parts were not read in time. It comes again as a new one at
    /// QoS 1 and 2.
    Aborted,
    /// A message that is to be answered asks for no answer.
    NotARequest,
    /// It did not happen in time.
    Timeout,
    /// The client has been shut down.
    Closed,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidTopicName(error) => error.fmt(f),
            Self::InvalidTopicFilter(error) => error.fmt(f),
            Self::Usage(error) => error.fmt(f),
            Self::WouldWait => f.write_str("no room now"),
            Self::ReceiptsFull => f.write_str("all receipts wait to be looked at"),
            Self::FiltersFull => f.write_str("no place for another filter, or it is in use"),
            Self::Rejected(reason) => write!(f, "rejected by the server: {reason}"),
            Self::NotDelivered(_) => f.write_str("not delivered"),
            Self::BufferTooSmall { needed } => write!(f, "lent buffer is too small: {needed} bytes needed"),
            Self::Aborted => f.write_str("message was cut off in the middle"),
            Self::NotARequest => f.write_str("message asks for no answer"),
            Self::Timeout => f.write_str("not in time"),
            Self::Closed => f.write_str("client is closed"),
        }
    }
}

impl core::error::Error for Error {}

impl From<UsageError> for Error {
    fn from(error: UsageError) -> Self {
        Self::Usage(error)
    }
}

impl From<InvalidTopicName> for Error {
    fn from(error: InvalidTopicName) -> Self {
        Self::InvalidTopicName(error)
    }
}

impl From<InvalidTopicFilter> for Error {
    fn from(error: InvalidTopicFilter) -> Self {
        Self::InvalidTopicFilter(error)
    }
}

/// Why a connection ended, or an attempt at one failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
#[repr(u8)] // the first one is zero: memory that begins empty takes no flash
pub enum Failure {
    /// The transport could not be made, or has failed.
    Transport,
    /// TLS could not be set up: the server could not prove who it is, or does not know this client.
    Handshake,
    /// It was not made in time.
    ConnectTimeout,
    /// The Server closed the connection without a word.
    ConnectionLost,
    /// Messages at QoS 1 or 2 found no room in the inbox in time: the Server is to send them again.
    SlowConsumer,
    /// The protocol ended it.
    Connection(ConnectionError),
    /// The store could not be loaded.
    Store,
    /// The options cannot be said in this version, or the lent buffers are too small.
    Usage(UsageError),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transport => f.write_str("transport failed"),
            Self::Handshake => f.write_str("TLS handshake failed"),
            Self::ConnectTimeout => f.write_str("no connection in time"),
            Self::Store => f.write_str("store could not be loaded"),
            Self::ConnectionLost => f.write_str("the server closed the connection"),
            Self::SlowConsumer => f.write_str("a message was not taken in time"),
            Self::Connection(error) => error.fmt(f),
            Self::Usage(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for Failure {}
