//! The state of the connection, as an application sees it.

use core::fmt;
use core::time::Duration;

use mqtt_core::{ConnectionError, Loss, ProtocolVersion};

use crate::error::Error;
use crate::transport::TransportError;

/// Where the connection stands; see [`Client::status`](crate::Client::status).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Status {
    /// An attempt is under way.
    Connecting,
    /// The broker has accepted the connection.
    Connected {
        /// The version that is spoken.
        version: ProtocolVersion,
        /// The broker has resumed the session.
        session_present: bool,
        /// What the version cannot say of what the options asked for.
        loss: Loss,
    },
    /// The connection is lost, or an attempt has failed; the next one follows.
    Waiting {
        /// Why.
        error: Cause,
        /// How long until the next attempt.
        retry_in: Duration,
    },
    /// The client has ended, and does not try again.
    Closed {
        /// Why, unless it was shut down.
        error: Option<Cause>,
    },
}

/// Why a connection ended, or an attempt failed.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Cause {
    /// The transport could not be made, or failed.
    Transport(TransportError),
    /// The attempt took too long.
    ConnectTimeout,
    /// The broker closed the connection.
    ConnectionLost,
    /// The connection failed, or the broker refused it.
    Connection(ConnectionError),
    /// A stream was full for too long: [`WhenFull::Disconnect`](crate::WhenFull::Disconnect).
    Overrun,
    /// The options cannot be said in this version.
    Usage(mqtt_core::UsageError),
}

impl Cause {
    pub(crate) fn to_error(&self) -> Error {
        match self {
            Self::Transport(error) => Error::Transport(error.clone()),
            Self::ConnectTimeout => Error::ConnectTimeout,
            Self::ConnectionLost => Error::ConnectionLost,
            Self::Connection(error) => Error::Connection(*error),
            Self::Overrun => Error::Overrun,
            Self::Usage(error) => Error::Usage(*error),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_error().fmt(f)
    }
}
