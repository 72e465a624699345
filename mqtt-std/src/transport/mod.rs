//! Ways to a broker: byte streams, and what makes them.
//!
//! A [`Connector`] makes the [`Stream`] to a [`Server`]: a socket, straight or through a proxy. TLS and WebSocket are put on
//! top of it where the server's [`Scheme`] asks for them, and MQTT runs over what comes out. An application that has a way of
//! its own gives [`Options::connector`](crate::Options::connector) a function.

mod connector;
mod dial;
mod error;
#[cfg(any(feature = "websocket", feature = "proxy"))]
mod http;
#[cfg(feature = "proxy")]
mod proxy;
#[cfg(feature = "tls-psk")]
mod psk;
mod server;
mod tcp;
#[cfg(feature = "tls")]
mod tls;
#[cfg(unix)]
mod unix;
#[cfg(feature = "websocket")]
mod websocket;

pub use connector::{Connecting, Connector, Stream};
pub use error::{TransportError, TransportFault};
#[cfg(feature = "proxy")]
pub use proxy::Proxy;
#[cfg(feature = "tls-psk")]
pub use psk::Psk;
pub use server::{Scheme, Server};
#[cfg(feature = "tls")]
pub use tls::Tls;

pub(crate) use dial::Dial;
