//! The state of the connection, as an application sees it.

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use mqtt_core::{ConnectionError, Loss, Properties, Property, ProtocolVersion, ReasonCode, ServerLimits};

use crate::answer::MOST_SAID;
use crate::error::{Error, ProviderError};
use crate::transport::{Server, TransportError};

/// Where the connection stands; see [`Client::status`](crate::Client::status).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Status {
    /// An attempt is under way.
    #[non_exhaustive]
    Connecting {
        /// To this server.
        server: Server,
        /// How many rounds over all servers have failed since the last stable connection.
        attempt: u32,
    },
    /// The broker has accepted the connection.
    #[non_exhaustive]
    Connected {
        /// It is this server.
        server: Server,
        /// The version that is spoken.
        version: ProtocolVersion,
        /// The broker has resumed the session.
        session_present: bool,
        /// What the version cannot say of what the options asked for.
        loss: Loss,
        /// What the broker said with it.
        accepted: Arc<Accepted>,
    },
    /// The connection is lost, or an attempt has failed; the next one follows.
    #[non_exhaustive]
    Waiting {
        /// Why.
        error: Cause,
        /// It was this server.
        server: Server,
        /// What the broker said about it, if it did (5.0).
        explanation: Option<Arc<Explanation>>,
        /// How long it is until the next attempt, from when this was said.
        retry_in: Duration,
        /// The number of that attempt: how many rounds over all servers have failed since the last stable connection, from 1.
        attempt: u32,
    },
    /// The client has ended, and does not try again.
    #[non_exhaustive]
    Closed {
        /// Why, unless it was shut down.
        error: Option<Cause>,
        /// What the broker said about it, if it did (5.0).
        explanation: Option<Arc<Explanation>>,
    },
}

impl Status {
    pub(crate) const fn closed(error: Option<Cause>, explanation: Option<Arc<Explanation>>) -> Self {
        Self::Closed { error, explanation }
    }

    /// Tells whether the broker has accepted the connection.
    #[must_use]
    pub const fn is_connected(&self) -> bool {
        matches!(self, Self::Connected { .. })
    }
}

/// What the broker said when it accepted a connection, §3.2.2.3. In 3.1.1 it says nothing of that.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Accepted {
    /// The Client Identifier that the broker chose, where the options left it to it.
    pub assigned_client_identifier: Option<String>,
    /// The Keep Alive in seconds that the broker wants, instead of that of the options.
    pub server_keep_alive: Option<u16>,
    /// What the broker can take.
    pub limits: ServerLimits,
    /// Why, in words; and User Properties.
    pub explanation: Explanation,
}

/// A CONNACK that accepts, until its limits are known.
#[derive(Debug)]
pub(crate) struct Greeting {
    pub(crate) session_present: bool,
    assigned_client_identifier: Option<String>,
    server_keep_alive: Option<u16>,
    explanation: Explanation,
}

impl Greeting {
    pub(crate) fn new(session_present: bool, properties: Properties<'_>) -> Self {
        let mut greeting = Self {
            session_present,
            assigned_client_identifier: None,
            server_keep_alive: None,
            explanation: Explanation::new(ReasonCode::SUCCESS, properties),
        };
        for property in properties {
            match property {
                Property::AssignedClientIdentifier(identifier) => {
                    greeting.assigned_client_identifier = Some(identifier.to_owned());
                }
                Property::ServerKeepAlive(seconds) => greeting.server_keep_alive = Some(seconds),
                _ => {}
            }
        }
        greeting
    }

    pub(crate) fn with_limits(self, limits: ServerLimits) -> Accepted {
        let Self { assigned_client_identifier, server_keep_alive, explanation, .. } = self;
        Accepted { assigned_client_identifier, server_keep_alive, limits, explanation }
    }
}

/// What a CONNACK or DISCONNECT says in more than a number (5.0).
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Explanation {
    /// The number.
    pub reason_code: ReasonCode,
    /// The same in words, for people.
    pub reason_string: Option<String>,
    /// Another server to go to, see [`Options::follow_redirects`](crate::Options::follow_redirects): one or more of `host:port`,
    /// with spaces between.
    pub server_reference: Option<String>,
    /// Whatever else the broker's owner wants to say: as many as there are in the first 16 KiB of it.
    pub user_properties: Vec<(String, String)>,
}

impl Explanation {
    pub(crate) fn new(reason_code: ReasonCode, properties: Properties<'_>) -> Self {
        let mut explanation =
            Self { reason_code, reason_string: None, server_reference: None, user_properties: Vec::new() };
        let mut room = MOST_SAID;
        for property in properties {
            match property {
                Property::ReasonString(text) => explanation.reason_string = Some(text.to_owned()),
                Property::ServerReference(text) => explanation.server_reference = Some(text.to_owned()),
                Property::UserProperty(name, value) => {
                    // With the 5 bytes that each takes on the wire; in memory one that says nothing takes ten times as much.
                    room = room.saturating_sub(name.len().saturating_add(value.len()).saturating_add(5));
                    if room > 0 {
                        explanation.user_properties.push((name.to_owned(), value.to_owned()));
                    }
                }
                _ => {}
            }
        }
        explanation
    }
}

/// Why a connection ended, or an attempt failed.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Cause {
    /// The transport could not be made, or failed.
    Transport(TransportError),
    /// The attempt took too long.
    ConnectTimeout,
    /// The broker took nothing of what waited to be sent, for
    /// [`Options::write_timeout`](crate::Options::write_timeout).
    WriteTimeout,
    /// The broker closed the connection.
    ConnectionLost,
    /// The connection failed, or the broker refused it.
    Connection(ConnectionError),
    /// A stream was full for too long: [`WhenFull::Disconnect`](crate::WhenFull::Disconnect).
    Overrun,
    /// Another client uses the same Client Identifier: the broker says so (5.0), or has closed three connections in a row soon
    /// after it accepted them.
    TakenOver {
        /// How many connections in a row ended so.
        times: u32,
    },
    /// The [`CredentialsProvider`](crate::CredentialsProvider) has none, or none in time.
    Credentials(ProviderError),
    /// Enhanced authentication failed on this side, see [`Authenticator`](crate::authentication::Authenticator).
    Authentication(ProviderError),
    /// The options cannot be said in this version.
    Usage(mqtt_core::UsageError),
    /// The client's task, or its store, panicked; what was reported there is a fault of this crate, or of code that it calls.
    Panicked,
}

impl Cause {
    /// The same as an error, as [`Client::connect`](crate::Client::connect) returns it.
    #[must_use]
    pub fn to_error(&self) -> Error {
        match self {
            Self::Transport(error) => Error::Transport(error.clone()),
            Self::ConnectTimeout => Error::ConnectTimeout,
            Self::WriteTimeout => Error::WriteTimeout,
            Self::ConnectionLost => Error::ConnectionLost,
            Self::Connection(error) => Error::Connection(*error),
            Self::Overrun => Error::Overrun,
            Self::TakenOver { .. } => Error::TakenOver,
            Self::Credentials(error) => Error::Credentials(error.clone()),
            Self::Authentication(error) => Error::Authentication(error.clone()),
            Self::Usage(error) => Error::Usage(*error),
            Self::Panicked => Error::Panicked,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_error().fmt(f)
    }
}
