//! Where a broker is, and how it is spoken to.

use core::fmt;
use core::str::FromStr;

use crate::error::InvalidUrl;
#[cfg(any(feature = "websocket", feature = "proxy"))]
use crate::transport::{TransportError, TransportFault};

/// A broker's address: scheme, host, port, and the path of a WebSocket or of a Unix socket.
///
/// ```
/// use mqtt_std::transport::{Scheme, Server};
///
/// let server: Server = "mqtt://broker.example".parse()?;
/// assert_eq!((server.scheme(), server.host(), server.port()), (Scheme::Mqtt, "broker.example", 1883));
/// # Ok::<(), mqtt_std::InvalidUrl>(())
/// ```
///
/// | address | what it is | feature |
/// | --- | --- | --- |
/// | `mqtt://host`, `tcp://host` | TCP, port 1883 | |
/// | `mqtts://host`, `ssl://host`, `tls://host` | TLS, port 8883 | `tls` or `tls-psk` |
/// | `ws://host`, `ws://host/path` | WebSocket, port 80, path `/mqtt` where none is given | `websocket` |
/// | `wss://host`, `wss://host/path` | WebSocket over TLS, port 443, path as above | `websocket`, and `tls` or `tls-psk` |
/// | `unix:///path`, `unix:/path` | Unix socket | |
///
/// An IPv6 address stands in brackets. User, password and parameters of an address are no part of the server: they are read by
/// [`Options`](crate::Options).
#[derive(Clone, Eq, Hash, PartialEq)]
pub struct Server {
    pub(crate) scheme: Scheme,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) path: String,
}

/// What is spoken between a socket and MQTT.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Scheme {
    /// Nothing: `mqtt://`, `tcp://`.
    Mqtt,
    /// TLS: `mqtts://`, `ssl://`, `tls://`.
    Mqtts,
    /// WebSocket: `ws://`.
    Ws,
    /// WebSocket over TLS: `wss://`.
    Wss,
    /// Nothing, over a Unix socket: `unix://`.
    Unix,
}

impl Scheme {
    /// The port where an address has none; 0 for Unix sockets.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Mqtt => 1883,
            Self::Mqtts => 8883,
            Self::Ws => 80,
            Self::Wss => 443,
            Self::Unix => 0,
        }
    }

    /// Tells whether TLS is spoken.
    #[must_use]
    pub const fn has_tls(self) -> bool {
        matches!(self, Self::Mqtts | Self::Wss)
    }

    /// Tells whether MQTT travels in the frames of a WebSocket.
    #[must_use]
    pub const fn is_websocket(self) -> bool {
        matches!(self, Self::Ws | Self::Wss)
    }

    /// The scheme as addresses have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mqtt => "mqtt",
            Self::Mqtts => "mqtts",
            Self::Ws => "ws",
            Self::Wss => "wss",
            Self::Unix => "unix",
        }
    }

    pub(crate) fn parse(text: &str) -> Result<Self, InvalidUrl> {
        let known = |names: &[&str]| names.iter().any(|name| name.eq_ignore_ascii_case(text));
        match () {
            () if known(&["mqtt", "tcp"]) => Ok(Self::Mqtt),
            () if known(&["mqtts", "ssl", "tls"]) => Ok(Self::Mqtts),
            () if known(&["ws"]) => Ok(Self::Ws),
            () if known(&["wss"]) => Ok(Self::Wss),
            () if known(&["unix"]) => Ok(Self::Unix),
            () => Err(InvalidUrl::Scheme),
        }
    }

    /// What this build cannot speak is refused by the name of what is missing.
    pub(crate) const fn check(self) -> Result<(), InvalidUrl> {
        if self.is_websocket() && !cfg!(feature = "websocket") {
            return Err(InvalidUrl::FeatureMissing("websocket"));
        }
        if self.has_tls() && !cfg!(any(feature = "tls", feature = "tls-psk")) {
            return Err(InvalidUrl::FeatureMissing("tls"));
        }
        if matches!(self, Self::Unix) && !cfg!(unix) {
            return Err(InvalidUrl::NoUnixSockets);
        }
        Ok(())
    }
}

impl Server {
    /// A broker at this host and port, over TCP.
    #[must_use]
    pub fn tcp(host: impl Into<String>, port: u16) -> Self {
        Self { scheme: Scheme::Mqtt, host: host.into(), port, path: String::new() }
    }

    /// A broker at this host and port, over TLS.
    #[cfg(any(feature = "tls", feature = "tls-psk"))]
    #[must_use]
    pub fn tls(host: impl Into<String>, port: u16) -> Self {
        Self { scheme: Scheme::Mqtts, host: host.into(), port, path: String::new() }
    }

    /// A broker at this host and port, over WebSocket. The path, `/mqtt` or what the broker says, may have a query.
    #[cfg(feature = "websocket")]
    #[must_use]
    pub fn websocket(host: impl Into<String>, port: u16, path: impl Into<String>) -> Self {
        Self { scheme: Scheme::Ws, host: host.into(), port, path: path.into() }
    }

    /// As [`websocket`](Self::websocket), over TLS.
    #[cfg(all(feature = "websocket", any(feature = "tls", feature = "tls-psk")))]
    #[must_use]
    pub fn websocket_tls(host: impl Into<String>, port: u16, path: impl Into<String>) -> Self {
        Self { scheme: Scheme::Wss, host: host.into(), port, path: path.into() }
    }

    /// A broker behind this Unix socket.
    #[cfg(unix)]
    #[must_use]
    pub fn unix(path: impl Into<String>) -> Self {
        Self { scheme: Scheme::Unix, host: String::new(), port: 0, path: path.into() }
    }

    /// The same at another host and port.
    pub(crate) fn elsewhere(&self, host: &str, port: u16) -> Self {
        Self { scheme: self.scheme, host: host.to_owned(), port, path: self.path.clone() }
    }

    /// The same without the query of a WebSocket's path, which may be a secret.
    pub(crate) fn without_query(&self) -> Self {
        let mut server = self.clone();
        if let Some(at) = server.path.find('?').filter(|_| server.scheme.is_websocket()) {
            server.path.truncate(at);
        }
        server
    }

    /// What is spoken.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host: a name, or an address without brackets; empty for a Unix socket.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port; 0 for a Unix socket.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The path of a WebSocket with its query, or that of a Unix socket; otherwise empty.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl Server {
    /// Host and port as HTTP has them; without the port where it is this one. A host with which a line would end is refused.
    #[cfg(any(feature = "websocket", feature = "proxy"))]
    pub(super) fn authority(&self, default_port: Option<u16>) -> Result<String, TransportError> {
        if self.host.contains(|character: char| character.is_control() || character.is_whitespace()) {
            return Err(TransportError::new(TransportFault::Settings, format!("{:?} is no host", self.host)));
        }
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        Ok(if default_port == Some(self.port) { host } else { format!("{host}:{}", self.port) })
    }
}

impl fmt::Display for Server {
    /// As an address, without the query of a WebSocket's path, which may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.split_once('?').map_or(&*self.path, |(path, _)| path);
        write!(f, "{}://", self.scheme.as_str())?;
        match self.scheme {
            Scheme::Unix => f.write_str(&self.path),
            _ if self.host.contains(':') => write!(f, "[{}]:{}{path}", self.host, self.port),
            _ => write!(f, "{}:{}{path}", self.host, self.port),
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({self})")
    }
}

impl FromStr for Server {
    type Err = InvalidUrl;

    /// Reads an address that has neither user nor password nor parameters for the client.
    fn from_str(url: &str) -> Result<Self, InvalidUrl> {
        let url = crate::options::Url::parse(url)?;
        if url.user_name.is_some() {
            return Err(InvalidUrl::CredentialsNotHere);
        }
        if url.parameters.is_empty() { Ok(url.server) } else { Err(InvalidUrl::Parameter) }
    }
}
