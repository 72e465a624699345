//! What can go wrong, and whose fault it is.

use core::fmt;
use std::sync::Arc;

use mqtt_core::{ConnectionError, InvalidTopicFilter, InvalidTopicName, Outcome, UsageError};

use crate::answer::Answer;

use crate::store::StoreError;
use crate::transport::TransportError;

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
    /// The transport could not be made, or failed.
    Transport(TransportError),
    /// An attempt to connect took too long.
    ConnectTimeout,
    /// The broker took nothing of what waited to be sent, for [`Options::write_timeout`](crate::Options::write_timeout).
    WriteTimeout,
    /// The broker closed the connection.
    ConnectionLost,
    /// The connection failed, or the broker refused it.
    Connection(ConnectionError),
    /// Another client uses the same Client Identifier.
    TakenOver,
    /// There are no credentials to connect with.
    Credentials(ProviderError),
    /// Enhanced authentication failed on this side.
    Authentication(ProviderError),
    /// The broker refused the message or the subscription.
    Rejected(Answer),
    /// The message has another end than an acknowledgement.
    NotDelivered(Outcome),
    /// There is no room now, and it is not to wait for some: see [`Publish::try_send`](crate::Publish::try_send).
    Full,
    /// A stream was full for too long, and the connection was given up: [`Cause::Overrun`](crate::Cause::Overrun).
    Overrun,
    /// A value cannot be told in JSON.
    #[cfg(feature = "serde")]
    Json(serde_json::Error),
    /// It did not happen in the time that was given.
    Timeout,
    /// A blocking call on the thread that it would wait for; see [`blocking::Client::wait`](crate::blocking::Client::wait).
    Deadlock,
    /// The message asks for no answer.
    NotARequest,
    /// The store failed, or cannot be opened.
    Store(StoreError),
    /// The client has been shut down, or has given up.
    Closed,
    /// The client's task, or its store, panicked.
    Panicked,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidUrl(error) => write!(f, "address is not valid: {error}"),
            Self::InvalidTopicName(error) => error.fmt(f),
            Self::InvalidTopicFilter(error) => error.fmt(f),
            Self::Usage(error) => error.fmt(f),
            Self::Transport(error) => error.fmt(f),
            Self::ConnectTimeout => f.write_str("no connection in time"),
            Self::WriteTimeout => f.write_str("the broker takes nothing more"),
            Self::ConnectionLost => f.write_str("the broker closed the connection"),
            Self::Connection(error) => error.fmt(f),
            Self::TakenOver => f.write_str("another client seems to use the same client identifier"),
            Self::Credentials(error) => write!(f, "no credentials: {error}"),
            Self::Authentication(error) => write!(f, "authentication failed: {error}"),
            Self::Rejected(answer) => write!(f, "rejected by the broker: {answer}"),
            Self::NotDelivered(outcome) => match outcome {
                Outcome::NotSent => f.write_str("not sent"),
                Outcome::Unknown => f.write_str("sent, and the outcome is not known"),
                Outcome::Expired => f.write_str("expired before it was sent"),
                Outcome::Refused(error) => error.fmt(f),
                Outcome::SourceFailed => f.write_str("source of the payload failed"),
                Outcome::GivenUp => f.write_str("given up: each connection on which it was sent has died"),
                Outcome::StoreFailed => f.write_str("message could not be stored"),
                _ => f.write_str("not delivered"),
            },
            Self::Full => f.write_str("no room now"),
            Self::Overrun => f.write_str("a stream was full for too long"),
            #[cfg(feature = "serde")]
            Self::Json(error) => write!(f, "json: {error}"),
            Self::Timeout => f.write_str("not in time"),
            Self::Deadlock => f.write_str("a blocking call on the thread of the blocking clients"),
            Self::NotARequest => f.write_str("the message asks for no answer"),
            Self::Store(error) => error.fmt(f),
            Self::Closed => f.write_str("client is closed"),
            Self::Panicked => f.write_str("the client's task panicked"),
        }
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Transport(error) => Some(error),
            Self::Connection(error) => Some(error),
            Self::Usage(error) => Some(error),
            #[cfg(feature = "serde")]
            Self::Json(error) => Some(error),
            Self::Credentials(error) | Self::Authentication(error) => error.source(),
            _ => None,
        }
    }
}

/// An error that code of the application returned, or its panic.
#[derive(Clone)]
pub struct ProviderError(Arc<dyn core::error::Error + Send + Sync>);

impl ProviderError {
    pub(crate) fn new(error: impl Into<Box<dyn core::error::Error + Send + Sync>>) -> Self {
        Self(error.into().into())
    }

    /// The error itself, to be looked into.
    #[must_use]
    pub fn get(&self) -> &(dyn core::error::Error + Send + Sync + 'static) {
        &*self.0
    }
}

impl fmt::Display for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProviderError({:?})", self.0.to_string())
    }
}

impl core::error::Error for ProviderError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        Some(&*self.0)
    }
}

/// Equal is what looks equal.
impl PartialEq for ProviderError {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.to_string() == other.to_string()
    }
}

impl Eq for ProviderError {}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
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
    /// It does not begin with a scheme that is known; see [`Server`](crate::transport::Server).
    Scheme,
    /// This build of the client cannot speak it: the crate's feature of this name is off.
    FeatureMissing(&'static str),
    /// This system has no Unix sockets.
    NoUnixSockets,
    /// There is no host, or it is none; or there is one for a Unix socket.
    Host,
    /// The port is no number from 1 to 65,535.
    Port,
    /// There is a path where there can be none, or none for a Unix socket.
    Path,
    /// There is a `#`: percent-encoded it is `%23`.
    Fragment,
    /// A parameter is not known.
    Parameter,
    /// The value of this parameter is not valid.
    ParameterValue(&'static str),
    /// A part is not UTF-8 once it is percent-decoded.
    Encoding,
    /// There is a user name where none is wanted.
    CredentialsNotHere,
}

impl fmt::Display for InvalidUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scheme => "it begins with mqtt://, mqtts://, ws://, wss:// or unix:",
            Self::FeatureMissing(feature) => return write!(f, "it needs the feature `{feature}` of mqtt-std"),
            Self::NoUnixSockets => "there are no Unix sockets here",
            Self::Host => "the host is missing or not valid",
            Self::Port => "the port is no number from 1 to 65535",
            Self::Path => "the path is not valid",
            Self::Fragment => "there is a #, which is written %23",
            Self::Parameter => "a parameter is not known",
            Self::ParameterValue(name) => return write!(f, "the value of {name} is not valid"),
            Self::Encoding => "a part is not UTF-8",
            Self::CredentialsNotHere => "there is a user name where none is wanted",
        })
    }
}

impl core::error::Error for InvalidUrl {}
