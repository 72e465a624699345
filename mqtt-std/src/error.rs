//! What can go wrong, and whose fault it is.

use core::fmt;
use std::io;

use mqtt_core::{ConnectionError, InvalidTopicFilter, InvalidTopicName, Outcome, ReasonCode, UsageError};

/// An error of the client.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The address cannot be understood.
    InvalidUrl(InvalidUrl),
    /// A topic to publish to is no Topic Name.
    InvalidTopicName(InvalidTopicName),
    /// A filter to subscribe to is no Topic Filter.
    InvalidTopicFilter(InvalidTopicFilter),
    /// The command cannot be done; the client is as before.
    Usage(UsageError),
    /// The transport failed.
    Io(io::Error),
    /// An attempt to connect took too long.
    ConnectTimeout,
    /// The broker closed the connection.
    ConnectionLost,
    /// The connection failed, or the broker refused it.
    Connection(ConnectionError),
    /// The broker refused the message or the subscription.
    Rejected(ReasonCode),
    /// The message has another end than an acknowledgement.
    NotDelivered(Outcome),
    /// The client has been shut down, or has given up.
    Closed,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidUrl(error) => write!(f, "address is not valid: {error}"),
            Self::InvalidTopicName(error) => error.fmt(f),
            Self::InvalidTopicFilter(error) => error.fmt(f),
            Self::Usage(error) => error.fmt(f),
            Self::Io(error) => write!(f, "transport: {error}"),
            Self::ConnectTimeout => f.write_str("no connection in time"),
            Self::ConnectionLost => f.write_str("the broker closed the connection"),
            Self::Connection(error) => error.fmt(f),
            Self::Rejected(reason) => write!(f, "rejected by the broker: {reason}"),
            Self::NotDelivered(outcome) => match outcome {
                Outcome::NotSent => f.write_str("not sent"),
                Outcome::Unknown => f.write_str("sent, and the outcome is not known"),
                Outcome::Expired => f.write_str("expired before it was sent"),
                Outcome::Refused(error) => error.fmt(f),
                Outcome::SourceFailed => f.write_str("source of the payload failed"),
                Outcome::StoreFailed => f.write_str("message could not be stored"),
                _ => f.write_str("not delivered"),
            },
            Self::Closed => f.write_str("client is closed"),
        }
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            Self::Connection(error) => Some(error),
            Self::Usage(error) => Some(error),
            _ => None,
        }
    }
}

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

impl From<InvalidUrl> for Error {
    fn from(error: InvalidUrl) -> Self {
        Self::InvalidUrl(error)
    }
}

/// Why an address cannot be understood.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum InvalidUrl {
    /// It does not begin with `mqtt://`.
    Scheme,
    /// There is no host.
    Host,
    /// The port is no number up to 65,535.
    Port,
    /// A parameter is not known.
    Parameter,
    /// A part is not UTF-8 once it is percent-decoded.
    Encoding,
}

impl fmt::Display for InvalidUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scheme => "it begins with mqtt://",
            Self::Host => "the host is missing",
            Self::Port => "the port is no number up to 65535",
            Self::Parameter => "a parameter is not known",
            Self::Encoding => "a part is not UTF-8",
        })
    }
}

impl core::error::Error for InvalidUrl {}
